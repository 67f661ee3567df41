// Images as sequences: what a batch holds, what is refused; splits and orders.
#include <s4/train/dataset.hpp>

#include <algorithm>
#include <cstdint>
#include <set>
#include <span>
#include <tests/support/expect_error.hpp>
#include <utility>
#include <vector>

namespace {

using s4::BatchOrder;
using s4::Idx;
using s4::ImageSequences;
using s4::Index;
using s4::Sequence;
using s4::Split;

/// `count` images of 2 × 3 pixels that hold 0, 1, 2, … (modulo 256) through all of them.
Idx images(std::uint32_t count) {
    Idx idx{"\"images\"", {static_cast<Index>(count), 2, 3}, std::vector<std::uint8_t>(std::size_t{6} * count)};
    for (std::size_t i = 0; i < idx.data.size(); ++i) idx.data[i] = static_cast<std::uint8_t>(i & 0xffU);
    return idx;
}
Idx labels(std::vector<std::uint8_t> values) {
    return {"\"labels\"", {static_cast<Index>(values.size())}, std::move(values)};
}

template <class Scalar>
class ImageSequencesOf : public ::testing::Test {};
using Scalars = ::testing::Types<float, double, long double>;
TYPED_TEST_SUITE(ImageSequencesOf, Scalars);

TYPED_TEST(ImageSequencesOf, FillsBatchesWithPixelsFrom0To1) {
    const ImageSequences dataset{images(43), labels(std::vector<std::uint8_t>(43, 9))};
    EXPECT_EQ(dataset.size(), 43);
    EXPECT_EQ(dataset.length(), 6);
    EXPECT_EQ(dataset.height(), 2);
    EXPECT_EQ(dataset.width(), 3);
    EXPECT_EQ(dataset.classes(), 10);

    const std::vector<Index> examples{42, 0};  // pixels 252 … 255, 0, 1 and 0 … 5
    Sequence<TypeParam> u(12, 1);
    std::vector<Index> found(2);
    dataset.fill<TypeParam>(examples, u, found);
    EXPECT_EQ(found, (std::vector<Index>{9, 9}));
    EXPECT_EQ(u(3, 0), TypeParam{1});
    EXPECT_EQ(u(4, 0), TypeParam{0});
    for (Index t = 0; t < 6; ++t) {
        EXPECT_EQ(u(t, 0), static_cast<TypeParam>((252 + t) % 256) / TypeParam{255});
        EXPECT_EQ(u(6 + t, 0), static_cast<TypeParam>(t) / TypeParam{255});
    }
}

TEST(ImageSequences, FillsAColumnOfAWiderSequence) {
    const ImageSequences dataset{images(1), labels({0})};
    Sequence<float> u = Sequence<float>::Constant(6, 3, -1.0F);
    std::vector<Index> found(1);
    dataset.fill<float>(std::vector<Index>{0}, u.col(1), found);
    EXPECT_EQ(u(5, 1), 5.0F / 255.0F);
    EXPECT_EQ(u.col(0).maxCoeff(), -1.0F);
    EXPECT_EQ(u.col(2).maxCoeff(), -1.0F);
}

TEST(ImageSequences, KeepsLabelsAndPixels) {
    const ImageSequences dataset{images(3), labels({2, 0, 1}), 3};
    EXPECT_EQ(dataset.label(0), 2);
    EXPECT_EQ(dataset.label(2), 1);
    EXPECT_EQ(dataset.image(1)[0], 6);
    EXPECT_EQ(dataset.image(2)[5], 17);
}

TEST(ImageSequences, VisitsPixelsInAFixedOrder) {
    ImageSequences dataset{images(2), labels({0, 0})};
    EXPECT_TRUE(dataset.order().empty());
    dataset.set_order({5, 0, 4, 1, 3, 2});
    Sequence<double> u(6, 1);
    std::vector<Index> found(1);
    dataset.fill<double>(std::vector<Index>{1}, u, found);
    EXPECT_EQ((u * 255).array().round().matrix().transpose().cast<int>().eval(),
              (Eigen::RowVector<int, 6>{11, 6, 10, 7, 9, 8}));
    EXPECT_EQ(dataset.image(1)[0], 6);

    EXPECT_S4_ERROR(dataset.set_order({0, 1}), "must name 6 pixels, found 2");
    EXPECT_S4_ERROR(dataset.set_order({0, 1, 2, 3, 4, 6}), "must name pixels in [0, 5], found 6");
    EXPECT_S4_ERROR(dataset.set_order({0, 1, 2, 3, 4, -1}), "found -1");
    EXPECT_S4_ERROR(dataset.set_order({0, 1, 2, 3, 4, 4}), "must name each pixel once, found 4 again");
    EXPECT_EQ(dataset.order()[0], 5);
}

TEST(ImageSequences, RefusesFilesThatDoNotFit) {
    const auto make = [](Idx of_images, const Idx& of_labels, Index classes = 10) {
        const ImageSequences dataset{std::move(of_images), of_labels, classes};
    };
    EXPECT_S4_ERROR(make(labels({1}), labels({1})), "\"labels\": expected images [count, height, width], found [1]");
    EXPECT_S4_ERROR(make(images(1), images(1)), "\"images\": expected labels [count], found [1, 2, 3]");
    EXPECT_S4_ERROR(make(images(0), labels({})), "\"images\": expected at least one image", "found [0, 2, 3]");
    EXPECT_S4_ERROR(make(Idx{"\"flat\"", {1, 0, 3}, {}}, labels({0})), "\"flat\": expected at least one image");
    EXPECT_S4_ERROR(make(images(3), labels({1, 2})),
                    "\"labels\": expected 3 labels, one for each image of \"images\", found 2");
    EXPECT_S4_ERROR(make(images(3), labels({1, 10, 2})), "\"labels\": expected labels in [0, 9], found 10 for image 1");
    EXPECT_S4_ERROR(make(images(1), labels({1}), 1), "expected labels in [0, 0], found 1 for image 0");
    EXPECT_S4_ERROR(make(images(1), labels({1}), 0), "option classes must be at least 1, found 0");
}

TEST(SplitExamples, HoldsBackAsManyAsAsked) {
    const Split split = s4::split_examples(1000, 100, 4);
    EXPECT_EQ(split.validation.size(), 100U);
    EXPECT_EQ(split.training.size(), 900U);
    std::set<Index> all(split.training.begin(), split.training.end());
    all.insert(split.validation.begin(), split.validation.end());
    EXPECT_EQ(all.size(), 1000U);
    EXPECT_EQ(*all.begin(), 0);
    EXPECT_EQ(*all.rbegin(), 999);
    EXPECT_TRUE(std::is_sorted(split.training.begin(), split.training.end()));
    EXPECT_TRUE(std::is_sorted(split.validation.begin(), split.validation.end()));

    EXPECT_EQ(s4::split_examples(1000, 100, 4).validation, split.validation);
    EXPECT_NE(s4::split_examples(1000, 100, 5).validation, split.validation);
    EXPECT_TRUE(s4::split_examples(1, 0, 0).validation.empty());
}

TEST(SplitExamples, RefusesToHoldBackAll) {
    EXPECT_S4_ERROR(static_cast<void>(s4::split_examples(10, 10, 0)),
                    "option validation must lie in [0, 10), found 10");
    EXPECT_S4_ERROR(static_cast<void>(s4::split_examples(10, -1, 0)), "found -1");
    EXPECT_S4_ERROR(static_cast<void>(s4::split_examples(0, 0, 0)), "found 0");
}

std::vector<Index> visited(const BatchOrder& order) {
    std::vector<Index> examples;
    for (Index i = 0; i < order.batches(); ++i)
        examples.insert(examples.end(), order.batch(i).begin(), order.batch(i).end());
    return examples;
}

TEST(BatchOrder, VisitsEveryExampleOnceAnEpoch) {
    const std::vector<Index> examples{3, 5, 8, 13, 21, 34, 55};
    for (const Index batch_size : {1, 2, 3, 7, 100}) {
        BatchOrder order{examples, batch_size, 1};
        EXPECT_EQ(order.batches(), (7 + batch_size - 1) / batch_size);
        for (std::uint64_t epoch = 0; epoch < 3; ++epoch) {
            order.start_epoch(epoch);
            for (Index i = 0; i + 1 < order.batches(); ++i)
                EXPECT_EQ(static_cast<Index>(order.batch(i).size()), batch_size);
            std::vector<Index> found = visited(order);
            std::sort(found.begin(), found.end());
            EXPECT_EQ(found, examples);
        }
    }
}

TEST(BatchOrder, FollowsFromSeedAndEpochAlone) {
    std::vector<Index> examples = s4::split_examples(500, 50, 1).training;
    BatchOrder order{examples, 32, 9};
    EXPECT_EQ(order.epoch(), 0U);
    std::vector<std::vector<Index>> epochs;
    for (std::uint64_t epoch = 0; epoch < 5; ++epoch) {
        order.start_epoch(epoch);
        EXPECT_EQ(order.epoch(), epoch);
        epochs.push_back(visited(order));
    }
    for (std::size_t a = 0; a < epochs.size(); ++a)
        for (std::size_t b = 0; b < a; ++b) EXPECT_NE(epochs[a], epochs[b]);
    // One who comes later, back or ahead, with any size of batches, finds the same.
    BatchOrder later{examples, 7, 9};
    for (const std::uint64_t epoch : {3U, 0U, 4U}) {
        later.start_epoch(epoch);
        EXPECT_EQ(visited(later), epochs[epoch]);
    }
    BatchOrder other{examples, 32, 10};
    EXPECT_NE(visited(other), epochs[0]);
}

TEST(BatchOrder, RefusesNothing) {
    EXPECT_S4_ERROR((BatchOrder{{}, 1, 0}), "expected at least one example, found none");
    EXPECT_S4_ERROR((BatchOrder{{1}, 0, 0}), "option batch_size must be at least 1, found 0");
}

}  // namespace
