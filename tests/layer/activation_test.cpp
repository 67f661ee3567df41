// Activations against the standard's functions in long double, and their reverse passes against differences.
#include "tests/support/expect_error.hpp"
#include "tests/support/row_layers.hpp"
#include <s4/layer/activation.hpp>

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numbers>

namespace s4::test {
namespace {

constexpr Activation elementwise[] = {Activation::identity, Activation::gelu,    Activation::relu,
                                      Activation::silu,     Activation::tanh,    Activation::sigmoid,
                                      Activation::elu,      Activation::softplus};

Wide normal_distribution(Wide x) { return std::erfc(-x / std::numbers::sqrt2_v<Wide>) / 2; }
Wide logistic(Wide x) { return 1 / (1 + std::exp(-x)); }

Wide value_of(Activation activation, Wide x) {
    switch (activation) {
        case Activation::gelu:
            return x * normal_distribution(x);
        case Activation::relu:
            return x > 0 ? x : 0;
        case Activation::silu:
            return x * logistic(x);
        case Activation::tanh:
            return std::tanh(x);
        case Activation::sigmoid:
            return logistic(x);
        case Activation::elu:
            return x > 0 ? x : std::expm1(x);
        case Activation::softplus:
            return x > 0 ? x + std::log1p(std::exp(-x)) : std::log1p(std::exp(x));
        default:
            return x;
    }
}

Wide slope_of(Activation activation, Wide x) {
    switch (activation) {
        case Activation::gelu:
            return normal_distribution(x) + x * std::exp(-x * x / 2) / std::sqrt(2 * std::numbers::pi_v<Wide>);
        case Activation::relu:
            return x > 0 ? 1 : 0;
        case Activation::silu:
            return logistic(x) * (1 + x * logistic(-x));
        case Activation::tanh:
            return 1 / (std::cosh(x) * std::cosh(x));
        case Activation::sigmoid:
            return logistic(x) * logistic(-x);
        case Activation::elu:
            return x > 0 ? 1 : std::exp(x);
        case Activation::softplus:
            return logistic(x);
        default:
            return 1;
    }
}

template <class Scalar>
class ActivationOf : public ::testing::Test {};
using Scalars = ::testing::Types<float, double, long double>;
TYPED_TEST_SUITE(ActivationOf, Scalars);

TYPED_TEST(ActivationOf, IsItsFormulaAndSlope) {
    using Scalar = TypeParam;
    constexpr Index count = 8001;  // [−20, 20], finer around 0; odd, so that the last register is partly filled
    Sequence<Scalar> x(count, 1), ones(count, 1), y(count, 1), dx(count, 1);
    for (Index n = 0; n < count; ++n) {
        const Wide s = (2 * static_cast<Wide>(n) / (count - 1)) - 1;
        x(n, 0) = static_cast<Scalar>(20 * s * std::abs(s));
    }
    ones.setOnes();
    for (const Activation activation : elementwise) {
        SCOPED_TRACE(name_of(activation));
        activate<Scalar>(activation, x, y);
        activate_vjp<Scalar>(activation, x, ones, dx);
        for (Index n = 0; n < count; ++n) {
            const auto input = static_cast<Wide>(x(n, 0));
            const Wide value = value_of(activation, input);
            const Wide slope = slope_of(activation, input);
            ASSERT_LE(std::abs(static_cast<Wide>(y(n, 0)) - value),
                      Tolerance<Scalar>::rounding * std::max(Wide{0.1L}, std::abs(value)))
                << input;
            ASSERT_LE(std::abs(static_cast<Wide>(dx(n, 0)) - slope), Tolerance<Scalar>::rounding) << input;
        }
    }
}

TEST(Gelu, InFloatKeepsItsDigits) {
    // Relative to x Φ(x) on either side, and absolute where the values are small.
    Sequence<float> x(200001, 1), y(200001, 1);
    for (Index n = 0; n < x.rows(); ++n) x(n, 0) = static_cast<float>(n - 100000) * 1.2e-4F;
    activate<float>(Activation::gelu, x, y);
    Wide absolute = 0, relative = 0, in_tail = 0;
    for (Index n = 0; n < x.rows(); ++n) {
        const auto input = static_cast<Wide>(x(n, 0));
        const Wide value = value_of(Activation::gelu, input);
        const Wide error = std::abs(static_cast<Wide>(y(n, 0)) - value);
        if (input < 1) absolute = std::max(absolute, error);
        if (input > 0) relative = std::max(relative, error / value);
        if (input < 0) in_tail = std::max(in_tail, error / std::abs(value));
    }
    EXPECT_LE(absolute, 1e-7L);
    EXPECT_LE(relative, static_cast<Wide>(Tolerance<float>::rounding));
    EXPECT_LE(in_tail, 1e-5L);  // the roundings of x²/2 ≤ 72
}

TYPED_TEST(ActivationOf, OfHugeNumbersIsItsLimitAndOfNaNIsNaN) {
    using Scalar = TypeParam;
    constexpr Scalar huge = std::numeric_limits<Scalar>::max() / 4;
    constexpr Scalar nan = std::numeric_limits<Scalar>::quiet_NaN();
    for (const Activation activation : elementwise) {
        SCOPED_TRACE(name_of(activation));
        const Index last = Lanes<Scalar>::count;  // one past a full register
        for (const Index at : {Index{0}, last}) {
            Sequence<Scalar> x(last + 1, 1), y(last + 1, 1), dx(last + 1, 1);
            Sequence<Scalar> ones(last + 1, 1);
            ones.setOnes();
            for (const Scalar value : {huge, -huge, Scalar{-1000}, Scalar{1000}}) {
                x.setZero();
                x(at, 0) = value;
                activate<Scalar>(activation, x, y);
                activate_vjp<Scalar>(activation, x, ones, dx);
                const bool positive = value > 0;
                Scalar limit = positive ? value : Scalar{0};
                Scalar slope = positive ? Scalar{1} : Scalar{0};
                if (activation == Activation::identity) limit = value, slope = 1;
                if (activation == Activation::tanh) limit = positive ? Scalar{1} : Scalar{-1}, slope = 0;
                if (activation == Activation::sigmoid) limit = positive ? Scalar{1} : Scalar{0}, slope = 0;
                if (activation == Activation::elu && !positive) limit = -1;
                EXPECT_LE(std::abs(y(at, 0) - limit), Scalar{1e-30F}) << value;
                EXPECT_LE(std::abs(dx(at, 0) - slope), Scalar{1e-30F}) << value;
            }
            x(at, 0) = nan;
            activate<Scalar>(activation, x, y);
            EXPECT_FALSE(detail::is_finite(y(at, 0)));
            activate_vjp<Scalar>(activation, x, ones, dx);
            // relu and identity pass cotangents on as they are.
            if (activation != Activation::relu && activation != Activation::identity) {
                EXPECT_FALSE(detail::is_finite(dx(at, 0)));
            }
        }
    }
}

TEST(Activations, VjpIsTheDifference) {
    for (const Activation activation : elementwise)
        for (const Index rows : {1, 3, 5})
            for (const Index features : {1, 2, 7}) {
                SCOPED_TRACE(::testing::Message() << name_of(activation) << " " << rows << " " << features);
                Sequence<Wide> x = 2 * white_noise<Wide>(rows, features, 2);
                const Sequence<Wide> dy = white_noise<Wide>(rows, features, 3);
                const auto loss = [&] {
                    Sequence<Wide> y(rows, features);
                    activate<Wide>(activation, x, y);
                    return weighted_sum(dy, y);
                };
                Sequence<Wide> dx(rows, features);
                activate_vjp<Wide>(activation, x, dy, dx);
                EXPECT_LE(relative_error(as_column(dx), central_differences_of(loss, x)), reverse_pass);
            }
}

TYPED_TEST(ActivationOf, WorksInPlaceAndOnPartsOfWiderSequences) {
    using Scalar = TypeParam;
    const Sequence<Scalar> source = white_noise<Scalar>(5, 60, 2);
    for (const Activation activation : elementwise) {
        SCOPED_TRACE(name_of(activation));
        const Sequence<Scalar> x = source.leftCols(19);
        const Sequence<Scalar> dy = source.rightCols(19);
        Sequence<Scalar> y(5, 19), dx(5, 19);
        activate<Scalar>(activation, x, y);
        activate_vjp<Scalar>(activation, x, dy, dx);
        Sequence<Scalar> wide = source;
        activate_vjp<Scalar>(activation, wide.leftCols(19), wide.rightCols(19), wide.rightCols(19));
        activate<Scalar>(activation, wide.leftCols(19), wide.leftCols(19));
        EXPECT_LE(relative_error(wide.leftCols(19), y), Tolerance<Scalar>::rounding);
        EXPECT_LE(relative_error(wide.rightCols(19), dx), Tolerance<Scalar>::rounding);
        EXPECT_EQ(wide.middleCols(19, 22), source.middleCols(19, 22));
        Sequence<Scalar> in_place = x;
        activate<Scalar>(activation, in_place, in_place);
        EXPECT_EQ(in_place, y);
        in_place = x;
        activate_vjp<Scalar>(activation, in_place, dy, in_place);
        EXPECT_EQ(in_place, dx);
    }
}

TEST(Activations, HaveNames) {
    for (int i = 0; i < 9; ++i) {
        const auto activation = static_cast<Activation>(i);
        EXPECT_EQ(activation_from_name(name_of(activation)), activation);
    }
    for (const char* name : {"id", "none", "null", "linear"})
        EXPECT_EQ(activation_from_name(name), Activation::identity);
    EXPECT_EQ(activation_from_name("swish"), Activation::silu);
    EXPECT_S4_ERROR(static_cast<void>(activation_from_name("GELU")), "'GELU'", "gelu", "softplus", "glu");
}

TEST(Activations, KnowTheirFeatures) {
    EXPECT_EQ(features_after(Activation::gelu, 3), 3);
    EXPECT_EQ(features_after(Activation::glu, 6), 3);
    EXPECT_S4_ERROR(static_cast<void>(features_after(Activation::glu, 3)), "glu", "even", "found 3");
}

}  // namespace
}  // namespace s4::test
