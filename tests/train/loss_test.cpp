// Losses: known values, gradients against differences, parts of a batch, and inputs at the ends of the range.
#include <s4/core/random.hpp>
#include <s4/train/loss.hpp>

#include <gtest/gtest.h>

#include <array>
#include <limits>
#include <numbers>
#include <tests/support/expect_error.hpp>
#include <tests/support/finite_difference.hpp>
#include <tests/support/tolerances.hpp>
#include <vector>

namespace s4::test {
namespace {

using Real = long double;
using Options = CrossEntropyOptions;

/// Targets 0, 1, …, classes − 1, 0, … for as many rows.
[[nodiscard]] std::vector<Index> some_targets(Index rows, Index classes) {
    std::vector<Index> targets;
    for (Index t = 0; t < rows; ++t) targets.push_back(t % classes);
    return targets;
}

struct Sizes {
    Index rows, columns;
};
const std::array<Sizes, 4> sizes{{{1, 1}, {1, 2}, {3, 5}, {7, 10}}};

TEST(CrossEntropy, OfEqualLogitsIsTheLogarithmOfTheClasses) {
    const Sequence<double> logits = Sequence<double>::Constant(3, 8, -2.5);
    for (const double smoothing : {0.0, 0.1, 1.0})
        EXPECT_DOUBLE_EQ(cross_entropy<double>(logits, some_targets(3, 8), {.label_smoothing = smoothing}),
                         std::log(8.0));
}

TEST(CrossEntropy, IsTheMeanOfTheLogarithmsOfProbabilities) {
    for (const Sizes size : sizes) {
        const Sequence<double> logits = white_noise<double>(size.rows, size.columns, 1);
        const std::vector<Index> targets = some_targets(size.rows, size.columns);
        for (const double smoothing : {0.0, 0.2}) {
            Real sum = 0;
            for (Index t = 0; t < size.rows; ++t) {
                Real total = 0;
                for (Index k = 0; k < size.columns; ++k) total += std::exp(static_cast<Real>(logits(t, k)));
                for (Index k = 0; k < size.columns; ++k) {
                    const Real wanted = (k == targets[static_cast<std::size_t>(t)] ? 1 - smoothing : 0) +
                                        smoothing / static_cast<Real>(size.columns);
                    sum -= wanted * std::log(std::exp(static_cast<Real>(logits(t, k))) / total);
                }
            }
            EXPECT_NEAR(cross_entropy<double>(logits, targets, {.label_smoothing = smoothing}),
                        static_cast<double>(sum / static_cast<Real>(size.rows)), Tolerance<double>::rounding);
        }
    }
}

TEST(CrossEntropy, GradientMatchesDifferences) {
    for (const Sizes size : sizes) {
        Sequence<Real> logits = white_noise<Real>(size.rows, size.columns, 2);
        const std::vector<Index> targets = some_targets(size.rows, size.columns);
        for (const double smoothing : {0.0, 0.2}) {
            const Options options{.label_smoothing = smoothing};
            Sequence<Real> gradient(size.rows, size.columns);
            const Real value = cross_entropy<Real>(logits, targets, options, gradient);
            EXPECT_EQ(value, cross_entropy<Real>(logits, targets, options));
            const auto truth =
                central_differences_of([&] { return cross_entropy<Real>(logits, targets, options); }, logits);
            EXPECT_LE(relative_error(as_column(gradient), truth), reverse_pass);
        }
    }
}

TEST(CrossEntropy, KeepsTheDigitsOfAnExampleThatIsLearned) {
    Sequence<double> logits(1, 3), gradient(1, 3);
    logits << 0, 60, -10;
    const std::vector<Index> targets{1};
    const double wrong = std::exp(-60.0) + std::exp(-70.0);
    EXPECT_NEAR(cross_entropy<double>(logits, targets, {}, gradient) / wrong, 1, Tolerance<double>::rounding);
    EXPECT_NEAR(gradient(0, 1) / -wrong, 1, Tolerance<double>::rounding);
    EXPECT_NEAR(gradient(0, 2) / std::exp(-70.0), 1, Tolerance<double>::rounding);
}

TEST(CrossEntropy, IsFiniteForEveryFiniteLogit) {
    constexpr float huge = std::numeric_limits<float>::max();
    Sequence<float> logits(2, 3), gradient(2, 3);
    logits << huge, 0, -huge, 1e5F, 1e5F, -1e5F;
    const std::vector<Index> targets{2, 0};
    EXPECT_DOUBLE_EQ(cross_entropy<float>(logits, targets, {}, gradient), (2.0 * huge + std::log(2.0)) / 2);
    EXPECT_TRUE(detail::all_finite(gradient));
    EXPECT_FLOAT_EQ(gradient(0, 0), 0.5F);
    EXPECT_FLOAT_EQ(gradient(0, 2), -0.5F);
}

TEST(CrossEntropy, RulesOutClassesOfInfinitelySmallLogit) {
    constexpr double infinity = std::numeric_limits<double>::infinity();
    Sequence<double> logits(1, 3), gradient(1, 3);
    logits << 1, 1, -infinity;
    EXPECT_DOUBLE_EQ(cross_entropy<double>(logits, std::vector<Index>{0}, {}, gradient), std::numbers::ln2);
    EXPECT_EQ(gradient(0, 2), 0);
}

TEST(CrossEntropy, IsNotANumberWhereALogitIsNot) {
    Sequence<double> logits = Sequence<double>::Zero(2, 3);
    for (Index k = 0; k < 3; ++k) {
        logits.setZero();
        logits(1, k) = std::numeric_limits<double>::quiet_NaN();
        EXPECT_FALSE(detail::is_finite(cross_entropy<double>(logits, std::vector<Index>{0, 1}))) << k;
    }
}

TEST(CrossEntropy, WritesTheGradientOverTheLogits) {
    Sequence<double> logits = white_noise<double>(4, 5, 3);
    Sequence<double> gradient(4, 5);
    const std::vector<Index> targets = some_targets(4, 5);
    const Options options{.label_smoothing = 0.1};
    const double value = cross_entropy<double>(logits, targets, options, gradient);
    EXPECT_EQ(cross_entropy<double>(logits, targets, options, logits), value);
    EXPECT_EQ(logits, gradient);
}

TEST(Targets, OutOfRangeAreNamedWithTheirRow) {
    EXPECT_NO_THROW(validate_targets(std::vector<Index>{0, 9}, 10));
    EXPECT_S4_ERROR(validate_targets(std::vector<Index>{0, 3, 10}, 10), "[0, 9]", "found 10", "row 2");
    EXPECT_S4_ERROR(validate_targets(std::vector<Index>{-1}, 10), "found -1", "row 0");
}

TEST(LossOptions, OutOfRangeAreNamed) {
    EXPECT_S4_ERROR(validate(Options{.label_smoothing = 1.5}), "label_smoothing", "[0, 1]", "1.5");
    EXPECT_S4_ERROR(validate(Options{.label_smoothing = std::nan("")}), "label_smoothing", "nan");
    EXPECT_S4_ERROR(validate(Options{.rows = -1}), "rows", "-1");
    EXPECT_S4_ERROR(validate(GaussianNllOptions{.min_variance = 0}), "min_variance", "found 0");
    EXPECT_NO_THROW(validate(Options{}));
    EXPECT_NO_THROW(validate(GaussianNllOptions{}));
}

// The three losses of one prediction and one target, under one signature.
struct Mse {
    static constexpr auto value = [](const auto&... arguments) { return mse<Real>(arguments...); };
    static Real gradient(const Sequence<Real>& p, const Sequence<Real>& q, const MeanOptions& o, Sequence<Real>& dp) {
        return mse<Real>(p, q, o, dp);
    }
    static Real of_element(Real p, Real q) { return (p - q) * (p - q); }
};
struct Mae {
    static constexpr auto value = [](const auto&... arguments) { return mae<Real>(arguments...); };
    static Real gradient(const Sequence<Real>& p, const Sequence<Real>& q, const MeanOptions& o, Sequence<Real>& dp) {
        return mae<Real>(p, q, o, dp);
    }
    static Real of_element(Real p, Real q) { return std::abs(p - q); }
};
struct Bce {
    static constexpr auto value = [](const auto&... arguments) { return bce<Real>(arguments...); };
    static Real gradient(const Sequence<Real>& p, const Sequence<Real>& q, const MeanOptions& o, Sequence<Real>& dp) {
        return bce<Real>(p, q, o, dp);
    }
    static Real of_element(Real p, Real q) {
        const Real probability = 1 / (1 + std::exp(-p));
        return -q * std::log(probability) - (1 - q) * std::log(1 - probability);
    }
};

template <class Loss>
class ElementLoss : public testing::Test {};
using Losses = testing::Types<Mse, Mae, Bce>;
TYPED_TEST_SUITE(ElementLoss, Losses);

/// Targets in (0, 1), as all three losses take them.
[[nodiscard]] Sequence<Real> unit_noise(Index rows, Index columns) {
    return white_noise<Real>(rows, columns, 4).unaryExpr([](Real x) { return 1 / (1 + std::exp(x)); });
}

TYPED_TEST(ElementLoss, IsTheMeanOverAllElements) {
    for (const Sizes size : sizes) {
        const Sequence<Real> p = white_noise<Real>(size.rows, size.columns, 5);
        const Sequence<Real> q = unit_noise(size.rows, size.columns);
        const Sequence<Real> all = p.binaryExpr(q, &TypeParam::of_element);
        EXPECT_NEAR(static_cast<double>(TypeParam::value(p, q)), static_cast<double>(all.mean()),
                    Tolerance<double>::rounding);
    }
}

TYPED_TEST(ElementLoss, GradientMatchesDifferences) {
    for (const Sizes size : sizes) {
        Sequence<Real> p = white_noise<Real>(size.rows, size.columns, 5);
        const Sequence<Real> q = unit_noise(size.rows, size.columns);
        Sequence<Real> gradient(size.rows, size.columns);
        EXPECT_EQ(TypeParam::gradient(p, q, {}, gradient), TypeParam::value(p, q));
        const auto truth = central_differences_of([&] { return TypeParam::value(p, q); }, p);
        EXPECT_LE(relative_error(as_column(gradient), truth), reverse_pass);
    }
}

TYPED_TEST(ElementLoss, PartsOfABatchSumToTheWhole) {
    const Sequence<Real> p = white_noise<Real>(7, 3, 6);
    const Sequence<Real> q = unit_noise(7, 3);
    Sequence<Real> whole(7, 3), top(2, 3), bottom(5, 3);
    const Real value = TypeParam::gradient(p, q, {}, whole);
    const Real parts = TypeParam::gradient(p.topRows(2), q.topRows(2), {.rows = 7}, top) +
                       TypeParam::gradient(p.bottomRows(5), q.bottomRows(5), {.rows = 7}, bottom);
    EXPECT_NEAR(static_cast<double>(parts), static_cast<double>(value), Tolerance<double>::rounding);
    Sequence<Real> joined(7, 3);
    joined << top, bottom;
    EXPECT_LE(relative_error(joined, whole), Tolerance<double>::rounding);
}

TEST(CrossEntropy, PartsOfABatchSumToTheWhole) {
    const Sequence<double> logits = white_noise<double>(7, 3, 6);
    const std::vector<Index> targets = some_targets(7, 3);
    const std::span<const Index> all{targets};
    Sequence<double> whole(7, 3), parts(7, 3);
    const double value = cross_entropy<double>(logits, all, {}, whole);
    const double sum = cross_entropy<double>(logits.topRows(2), all.first(2), {.rows = 7}, parts.topRows(2)) +
                       cross_entropy<double>(logits.bottomRows(5), all.last(5), {.rows = 7}, parts.bottomRows(5));
    EXPECT_NEAR(sum, value, Tolerance<double>::rounding);
    EXPECT_LE(relative_error(parts, whole), Tolerance<double>::rounding);
}

TEST(Losses, OfNoRowsAreZero) {
    const Sequence<double> none(0, 3);
    EXPECT_EQ(cross_entropy<double>(none, {}), 0);
    EXPECT_EQ(mse<double>(none, none), 0);
    EXPECT_EQ(gaussian_nll<double>(none, none, none, {.with_normalising = true}), 0);
}

TEST(Losses, OfFloatAgreeWithDouble) {
    const Sequence<float> p = white_noise<float>(9, 4, 7);
    const Sequence<float> q = unit_noise(9, 4).cast<float>();
    const Sequence<double> wide_p = p.cast<double>();
    const Sequence<double> wide_q = q.cast<double>();
    const std::vector<Index> targets = some_targets(9, 4);
    Sequence<float> gradient(9, 4), by_variance(9, 4);
    Sequence<double> wide(9, 4), wide_by_variance(9, 4);
    const auto compare = [&](double value, double truth) {
        EXPECT_NEAR(value, truth, Tolerance<float>::rounding);
        EXPECT_LE(relative_error(gradient, wide), Tolerance<float>::rounding);
    };
    compare(cross_entropy<float>(p, targets, {}, gradient), cross_entropy<double>(wide_p, targets, {}, wide));
    compare(mse<float>(p, q, {}, gradient), mse<double>(wide_p, wide_q, {}, wide));
    compare(mae<float>(p, q, {}, gradient), mae<double>(wide_p, wide_q, {}, wide));
    compare(bce<float>(p, q, {}, gradient), bce<double>(wide_p, wide_q, {}, wide));
    compare(gaussian_nll<float>(p, p, q, {}, gradient, by_variance),
            gaussian_nll<double>(wide_p, wide_p, wide_q, {}, wide, wide_by_variance));
    EXPECT_LE(relative_error(by_variance, wide_by_variance), Tolerance<float>::rounding);
}

TEST(Mae, HasNoSlopeWhereThePredictionIsTheTarget) {
    const Sequence<double> p = Sequence<double>::Ones(2, 2);
    Sequence<double> gradient(2, 2);
    EXPECT_EQ(mae<double>(p, p, {}, gradient), 0);
    EXPECT_TRUE(gradient.isZero(0));
}

TEST(Bce, KeepsItsDigitsAtBothEnds) {
    Sequence<double> logits(1, 4), targets(1, 4), gradient(1, 4);
    logits << 800, -800, 800, -50;
    targets << 1, 0, 0, 0;
    EXPECT_NEAR(bce<double>(logits, targets, {}, gradient), (800 + std::log1p(std::exp(-50.0))) / 4,
                Tolerance<double>::rounding * 800);
    Sequence<double> truth(1, 4);
    truth << 0, 0, 0.25, std::exp(-50.0) / 4;
    EXPECT_LE(relative_error(gradient, truth), Tolerance<double>::rounding);
    EXPECT_NEAR(gradient(0, 3) / truth(0, 3), 1, Tolerance<double>::rounding);
}

TEST(GaussianNll, IsTheLogarithmOfTheDensity) {
    const Sequence<double> mean = white_noise<double>(3, 2, 8);
    const Sequence<double> log_variance = white_noise<double>(3, 2, 9);
    const Sequence<double> target = white_noise<double>(3, 2, 10);
    double sum = 0;
    for (Index n = 0; n < mean.size(); ++n) {
        const double deviation = std::exp(log_variance.data()[n] / 2);
        const double scaled = (target.data()[n] - mean.data()[n]) / deviation;
        sum -= std::log(std::exp(-scaled * scaled / 2) / (deviation * std::sqrt(2 * std::numbers::pi)));
    }
    EXPECT_NEAR(gaussian_nll<double>(mean, log_variance, target, {.with_normalising = true}), sum / 6,
                Tolerance<double>::rounding);
}

TEST(GaussianNll, GradientsMatchDifferences) {
    for (const Sizes size : sizes) {
        Sequence<Real> mean = white_noise<Real>(size.rows, size.columns, 8);
        Sequence<Real> log_variance = white_noise<Real>(size.rows, size.columns, 9);
        const Sequence<Real> target = white_noise<Real>(size.rows, size.columns, 10);
        Sequence<Real> by_mean(size.rows, size.columns), by_variance(size.rows, size.columns);
        const Real value = gaussian_nll<Real>(mean, log_variance, target, {}, by_mean, by_variance);
        const auto f = [&] { return gaussian_nll<Real>(mean, log_variance, target); };
        EXPECT_EQ(value, f());
        EXPECT_LE(relative_error(as_column(by_mean), central_differences_of(f, mean)), reverse_pass);
        EXPECT_LE(relative_error(as_column(by_variance), central_differences_of(f, log_variance)), reverse_pass);
    }
}

TEST(GaussianNll, TakesColumnsOfOnePrediction) {
    const Sequence<double> prediction = white_noise<double>(4, 6, 11);
    const Sequence<double> target = white_noise<double>(4, 3, 12);
    Sequence<double> dprediction(4, 6), by_mean(4, 3), by_variance(4, 3);
    const Sequence<double> mean = prediction.leftCols(3);
    const Sequence<double> log_variance = prediction.rightCols(3);
    EXPECT_EQ(gaussian_nll<double>(prediction.leftCols(3), prediction.rightCols(3), target, {}, dprediction.leftCols(3),
                                   dprediction.rightCols(3)),
              gaussian_nll<double>(mean, log_variance, target, {}, by_mean, by_variance));
    EXPECT_EQ(dprediction.leftCols(3), by_mean);
    EXPECT_EQ(dprediction.rightCols(3), by_variance);
}

// The values and gradients of PyTorch, which clamps the variance outside of its derivative.
TEST(GaussianNll, CountsSmallVariancesAsTheSmallest) {
    Sequence<double> mean(1, 1), log_variance(1, 1), target(1, 1), by_mean(1, 1), by_variance(1, 1);
    mean << 0.5;
    target << 0.25;
    log_variance << -3;
    const double v = 0.125;
    const double value = gaussian_nll<double>(mean, log_variance, target, {.min_variance = v}, by_mean, by_variance);
    EXPECT_NEAR(value, (std::log(v) + 0.0625 / v) / 2, Tolerance<double>::rounding);
    EXPECT_NEAR(by_mean(0, 0), 0.25 / v, Tolerance<double>::rounding);
    EXPECT_NEAR(by_variance(0, 0), (1 / v - 0.0625 / (v * v)) / 2 * std::exp(-3.0), Tolerance<double>::rounding);
    log_variance << -1e6;
    EXPECT_TRUE(detail::is_finite(gaussian_nll<double>(mean, log_variance, target)));
}

}  // namespace
}  // namespace s4::test
