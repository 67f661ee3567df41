// Dropout: what its mask depends on, how random it is, and its reverse pass.
#include "tests/support/expect_error.hpp"
#include "tests/support/row_layers.hpp"
#include <s4/layer/dropout.hpp>

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

namespace s4::test {
namespace {

/// 1 where a number stays.
template <class Scalar = float>
Sequence<Scalar> mask_of(const Dropout& options, const DropoutKey& key, Index batch, Index length, Index features,
                         Index first_sequence = 0) {
    Sequence<Scalar> mask = Sequence<Scalar>::Ones(batch * length, features);
    dropout<Scalar>(options, key, first_sequence, batch, mask, mask);
    return mask * static_cast<Scalar>(1 - options.probability);
}

/// How far a mean of `count` draws of that variance is from what is expected, in standard deviations.
double deviations(double found, double expected, double variance, double count) {
    return std::abs(found - expected) / std::sqrt(variance / count);
}

// Five standard deviations: one in two million draws of a good generator is further away, and these draws are fixed.
constexpr double far = 5;

TEST(Dropout, KeepsTheRightShare) {
    for (const double p : {0.01, 0.1, 0.25, 0.5, 0.9}) {
        const Sequence<double> mask = mask_of<double>({p}, {1, 2, 3}, 10, 100, 256);
        for (const double value : mask.reshaped()) ASSERT_TRUE(value == 0 || std::abs(value - 1) < 1e-12) << value;
        EXPECT_LE(deviations(mask.mean(), 1 - p, p * (1 - p), 256000), far) << p;
        // Every feature over 1000 positions and every position over 256 features: the squared deviations of n draws
        // have mean 1 and variance 2 + (1 − 6 p q)/(n p q), as binomial numbers do.
        const auto expect_binomial = [&](const auto& means, double draws) {
            const double variance = p * (1 - p);
            const double squares = (means.array() - (1 - p)).square().mean() * draws / variance;
            const double spread = 2 + (1 - 6 * variance) / (draws * variance);
            EXPECT_LE(deviations(squares, 1, spread, static_cast<double>(means.size())), far) << p;
        };
        expect_binomial(mask.colwise().mean().eval(), 1000);
        expect_binomial(mask.rowwise().mean().eval(), 256);
    }
}

TEST(Dropout, ScalesWhatItKeeps) {
    const Sequence<double> x = white_noise<double>(20, 7, 1);
    Sequence<double> y(20, 7);
    dropout<double>({0.2}, {1, 2, 3}, 0, 2, x, y);
    Index kept = 0;
    for (Index n = 0; n < x.size(); ++n) {
        if (y.data()[n] == 0) continue;
        ++kept;
        EXPECT_NEAR(y.data()[n], 1.25 * x.data()[n], 1e-14);
    }
    EXPECT_GT(kept, 90);
    EXPECT_LT(kept, 140);
}

TEST(Dropout, MasksOfDifferentKeysAndPlacesAreIndependent) {
    const double p = 0.3;
    const double both = (1 - p) * (1 - p);
    const Index batch = 4, length = 50, features = 128;
    const DropoutKey key{11, 22, 33};
    const Sequence<float> mask = mask_of({p}, key, batch, length, features);
    const auto expect_independent = [&](const auto& a, const auto& b, const char* what) {
        const double together = a.cwiseProduct(b).template cast<double>().mean();
        EXPECT_LE(deviations(together, both, both * (1 - both), static_cast<double>(a.size())), far) << what;
    };
    expect_independent(mask, mask_of({p}, {12, 22, 33}, batch, length, features), "seed");
    expect_independent(mask, mask_of({p}, {11, 23, 33}, batch, length, features), "step");
    expect_independent(mask, mask_of({p}, {11, 22, 34}, batch, length, features), "layer");
    expect_independent(mask, mask_of({p}, {11, 33, 22}, batch, length, features), "step and layer exchanged");
    expect_independent(mask, mask_of({p}, {22, 11, 33}, batch, length, features), "seed and step exchanged");
    for (const Index apart : {1, 2, 7, 32}) {
        expect_independent(mask.topRows(200 - apart), mask.bottomRows(200 - apart), "positions");
        expect_independent(mask.leftCols(128 - apart), mask.rightCols(128 - apart), "features");
    }
    expect_independent(mask.topRows(100), mask.bottomRows(100), "sequences");
    // One step on in position and one in feature, and one in sequence and position.
    expect_independent(mask.topLeftCorner(199, 127), mask.bottomRightCorner(199, 127), "diagonal");
    expect_independent(mask.topRows(149), mask.bottomRows(149), "sequence and position");
}

TEST(Dropout, ManySeedsAreLikeManyDraws) {
    // The number of features kept of 64, over 2000 consecutive seeds and steps: binomial in mean and variance.
    for (const bool by_seed : {true, false}) {
        double sum = 0, squares = 0;
        for (std::uint64_t n = 0; n < 2000; ++n) {
            const DropoutKey key = by_seed ? DropoutKey{n, 0, 0} : DropoutKey{0, n, 0};
            const double kept = static_cast<double>(mask_of({0.5}, key, 1, 1, 64).sum());
            sum += kept;
            squares += (kept - 32) * (kept - 32);
        }
        EXPECT_LE(deviations(sum / 2000, 32, 16, 2000), far);
        EXPECT_LE(deviations(squares / 2000, 16, 2.0 * 16 * 16, 2000), far);
    }
}

TEST(Dropout, DependsOnTheNumberOfASequenceNotOnTheBatch) {
    for (const bool tied : {false, true}) {
        const Dropout options{0.4, tied};
        const Sequence<float> whole = mask_of(options, {1, 2, 3}, 6, 10, 19);
        const Sequence<float> part = mask_of(options, {1, 2, 3}, 2, 10, 19, 3);
        EXPECT_EQ(part, whole.middleRows(30, 20));
        // A longer sequence and more features begin with the same mask.
        const Sequence<float> longer = mask_of(options, {1, 2, 3}, 1, 15, 30, 3);
        EXPECT_EQ(longer.topLeftCorner(10, 19), whole.middleRows(30, 10));
    }
}

TEST(Dropout, IsTheSameMaskInEveryScalarType) {
    const Sequence<float> mask = mask_of<float>({0.5}, {5, 6, 7}, 2, 9, 33);
    const Sequence<double> in_double = mask_of<double>({0.5}, {5, 6, 7}, 2, 9, 33);
    EXPECT_EQ(mask.cast<double>(), in_double);
    const Sequence<Wide> wide = mask_of<Wide>({0.5}, {5, 6, 7}, 2, 9, 33);
    EXPECT_EQ(mask.cast<Wide>(), wide);
}

TEST(Dropout, TiedIsOneMaskForEverySequence) {
    const Sequence<float> mask = mask_of({0.5, true}, {1, 2, 3}, 3, 20, 64);
    for (Index b = 0; b < 3; ++b)
        for (Index t = 1; t < 20; ++t) EXPECT_EQ(mask.row(20 * b + t), mask.row(20 * b));
    EXPECT_NE(mask.row(0), mask.row(20));
    EXPECT_NE(mask.row(20), mask.row(40));
}

TEST(Dropout, OfProbabilityZeroIsACopy) {
    const Sequence<float> x = white_noise<float>(6, 5, 1);
    Sequence<float> y(6, 5);
    dropout<float>({0}, {1, 2, 3}, 0, 2, x, y);
    EXPECT_EQ(y, x);
}

TEST(Dropout, OfAlmostOneDropsAlmostEverything) {
    // Far below 2^-32: the mask keeps one number in 2^32, if any.
    EXPECT_EQ(mask_of({1 - 1e-15}, {1, 2, 3}, 1, 100, 100).sum(), 0);
}

TEST(Dropout, VjpIsTheDifference) {
    for (const bool tied : {false, true})
        for (const Index features : {1, 5}) {
            const Dropout options{0.5, tied};
            const DropoutKey key{1, 2, 3};
            Sequence<Wide> x = white_noise<Wide>(6, features, 2);
            const Sequence<Wide> dy = white_noise<Wide>(6, features, 3);
            const auto loss = [&] {
                Sequence<Wide> y(6, features);
                dropout<Wide>(options, key, 4, 2, x, y);
                return weighted_sum(dy, y);
            };
            Sequence<Wide> dx = dy;
            dropout_vjp<Wide>(options, key, 4, 2, dx, dx);
            EXPECT_LE(relative_error(as_column(dx), central_differences_of(loss, x)), reverse_pass);
        }
}

TEST(Dropout, ReadsAndWritesPartsOfWiderSequences) {
    const Sequence<float> x = white_noise<float>(6, 5, 1);
    Sequence<float> expected(6, 5), wide = Sequence<float>::Zero(6, 12);
    dropout<float>({0.5}, {1, 2, 3}, 0, 2, x, expected);
    wide.leftCols(5) = x;
    dropout<float>({0.5}, {1, 2, 3}, 0, 2, wide.leftCols(5), wide.rightCols(5));
    EXPECT_EQ(wide.rightCols(5), expected);
    EXPECT_EQ(wide.leftCols(5), x);
    EXPECT_EQ(wide.middleCols(5, 2).norm(), 0);
}

TEST(Dropout, RefusesBadProbabilities) {
    EXPECT_S4_ERROR(validate(Dropout{1.0}), "dropout", "probability", "[0, 1)", "found 1");
    EXPECT_S4_ERROR(validate(Dropout{-0.1}), "found -0.1");
    EXPECT_S4_ERROR(validate(Dropout{std::numeric_limits<double>::quiet_NaN()}), "found", "nan");
    validate(Dropout{0});
}

}  // namespace
}  // namespace s4::test
