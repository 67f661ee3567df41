#include <s4/core/random.hpp>
#include <s4/train/metrics.hpp>

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>
#include <tests/support/expect_error.hpp>
#include <tests/support/tolerances.hpp>
#include <vector>

namespace s4::test {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

TEST(PredictedClass, IsThePlaceOfTheLargestLogit) {
    const auto predicted = [](std::array<double, 3> logits) { return predicted_class<double>(logits); };
    EXPECT_EQ(predicted({1, 3, 2}), 1);
    EXPECT_EQ(predicted({2, 2, 2}), 0);
    EXPECT_EQ(predicted({-1, -3, -std::numeric_limits<double>::infinity()}), 0);
    EXPECT_EQ(predicted({nan, -5, nan}), 1);
    EXPECT_EQ(predicted({nan, nan, nan}), -1);
}

TEST(Accuracy, IsTheShareOfCorrectRows) {
    Sequence<float> logits(4, 2);
    logits << 1, 0, 0, 1, 1, 0, 0, 1;
    const std::vector<Index> targets{0, 1, 1, 1};
    EXPECT_EQ(correct_predictions<float>(logits, targets), 3);
    EXPECT_EQ(accuracy<float>(logits, targets), 0.75);
    EXPECT_TRUE(std::isnan(accuracy<float>(logits.topRows(0), {})));
}

TEST(Accuracy, CountsRowsOfNanAsWrong) {
    const Sequence<double> logits = Sequence<double>::Constant(2, 3, nan);
    EXPECT_EQ(accuracy<double>(logits, std::vector<Index>{0, 1}), 0);
}

TEST(ConfusionTable, CountsTargetsByRowsAndPredictionsByColumns) {
    Sequence<double> logits(4, 3);
    logits << 9, 0, 0, 0, 9, 0, 0, 9, 0, nan, nan, nan;
    ConfusionTable table{3};
    const std::vector<Index> targets{0, 1, 2, 2};
    table.add<double>(logits, targets);
    table.add<double>(logits.topRows(1), std::span{targets}.first(1));
    Eigen::Matrix3d truth;
    truth << 2, 0, 0, 0, 1, 0, 0, 1, 0;
    EXPECT_EQ(table.counts.cast<double>(), truth);
    EXPECT_EQ(table.accuracy(), 0.75);
}

TEST(ConfusionTable, AgreesWithTheAccuracy) {
    const Sequence<double> logits = white_noise<double>(100, 5, 1);
    std::vector<Index> targets;
    for (Index t = 0; t < 100; ++t) targets.push_back(t % 5);
    ConfusionTable table{5};
    table.add<double>(logits, targets);
    EXPECT_EQ(table.counts.sum(), 100);
    EXPECT_TRUE((table.counts.rowwise().sum().array() == 20).all());
    EXPECT_EQ(table.accuracy(), accuracy<double>(logits, targets));
    EXPECT_S4_ERROR(ConfusionTable{0}, "classes", "found 0");
    EXPECT_S4_ERROR(ConfusionTable{Index{1} << 40}, "out of memory", "ConfusionTable");
}

TEST(Rmse, IsTheRootOfTheMeanSquare) {
    Sequence<double> prediction(1, 2), target(1, 2);
    prediction << 4, 3;
    target << 1, -1;
    EXPECT_DOUBLE_EQ(rmse<double>(prediction, target), std::sqrt(12.5));
}

TEST(BitsPerDimension, OfAFairChoiceOf256Is8) {
    const Sequence<double> logits = Sequence<double>::Zero(2, 256);
    EXPECT_DOUBLE_EQ(bits_per_dimension(cross_entropy<double>(logits, std::vector<Index>{3, 255})), 8);
}

}  // namespace
}  // namespace s4::test
