// Layer normalisation against its formula, and its reverse pass against differences.
#include "tests/support/expect_error.hpp"
#include "tests/support/row_layers.hpp"
#include <s4/layer/layer_norm.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace s4::test {
namespace {

template <class Scalar>
typename LayerNorm<Scalar>::Parameters random_layer_norm(Index features) {
    auto p = LayerNorm<Scalar>::identity(features);
    const Sequence<Scalar> noise = white_noise<Scalar>(2, features, 9);
    p.weight += noise.row(0).transpose() / 2;
    p.bias += noise.row(1).transpose();
    LayerNorm<Scalar>::validate(p);
    return p;
}

template <class Scalar>
class LayerNormOf : public ::testing::Test {};
using Scalars = ::testing::Types<float, double, long double>;
TYPED_TEST_SUITE(LayerNormOf, Scalars);

TYPED_TEST(LayerNormOf, IsItsFormula) {
    using Scalar = TypeParam;
    for (const Index features : {1, 2, 3, 16, 65, 130}) {
        const auto p = random_layer_norm<Scalar>(features);
        const Sequence<Scalar> x = white_noise<Scalar>(71, features, 1);
        Sequence<Wide> expected = x.template cast<Wide>();
        Wide condition = 1;  // x − mean has the rounding errors of x, which the scale enlarges in rows of like numbers
        for (Index t = 0; t < x.rows(); ++t) {
            const Wide largest = expected.row(t).cwiseAbs().maxCoeff();
            const Wide mean = expected.row(t).sum() / static_cast<Wide>(features);
            expected.row(t).array() -= mean;
            const Wide variance = expected.row(t).squaredNorm() / static_cast<Wide>(features);
            const Wide deviation = std::sqrt(variance + static_cast<Wide>(static_cast<Scalar>(1e-5)));
            expected.row(t) /= deviation;
            condition = std::max(condition, largest / deviation);
        }
        for (Index n = 0; n < features; ++n)
            expected.col(n) = (expected.col(n) * static_cast<Wide>(p.weight[n])).array() + static_cast<Wide>(p.bias[n]);
        Sequence<Scalar> y(71, features);
        layer_norm<Scalar>(p, x, y);
        EXPECT_LE(relative_error(y, expected), static_cast<double>(condition) * Tolerance<Scalar>::rounding)
            << features;

        // In place, and in parts of wider sequences.
        Sequence<Scalar> wide(71, 2 * features + 3);
        wide.setZero();
        wide.middleCols(1, features) = x;
        layer_norm<Scalar>(p, wide.middleCols(1, features), wide.rightCols(features));
        EXPECT_LE(relative_error(wide.rightCols(features), y), Tolerance<Scalar>::rounding);
        layer_norm<Scalar>(p, wide.middleCols(1, features), wide.middleCols(1, features));
        EXPECT_LE(relative_error(wide.middleCols(1, features), y), Tolerance<Scalar>::rounding);
    }
}

TYPED_TEST(LayerNormOf, AgreesWithTheWideReversePass) {
    using Scalar = TypeParam;
    // Of one feature the gradient is 0, and all that is found are rounding errors.
    for (const Index features : {17, 63, 64, 100}) {
        const auto p = random_layer_norm<Scalar>(features);
        const auto wide_p = cast_parameters<LayerNorm<Wide>, LayerNorm<Scalar>>(p);
        const Sequence<Scalar> x = white_noise<Scalar>(1000, features, 1);
        const Sequence<Scalar> dy = white_noise<Scalar>(1000, features, 2);
        auto gradient = zero_like<LayerNorm<Scalar>>(p);
        auto wide_gradient = zero_like<LayerNorm<Wide>>(wide_p);
        Sequence<Scalar> dx(1000, features);
        Sequence<Wide> wide_dx(1000, features);
        layer_norm_vjp<Scalar>(p, x, dy, dx, gradient);
        layer_norm_vjp<Wide>(wide_p, x.template cast<Wide>().eval(), dy.template cast<Wide>().eval(), wide_dx,
                             wide_gradient);
        EXPECT_LE(relative_error(dx, wide_dx), Tolerance<Scalar>::rounding);
        EXPECT_LE(relative_error(gradient.weight, wide_gradient.weight), Tolerance<Scalar>::rounding);
        EXPECT_LE(relative_error(gradient.bias, wide_gradient.bias), Tolerance<Scalar>::rounding);

        // dx may be x or dy.
        Sequence<Scalar> in_place = x;
        layer_norm_vjp<Scalar>(p, in_place, dy, in_place, gradient);
        EXPECT_EQ(in_place, dx);
        in_place = dy;
        layer_norm_vjp<Scalar>(p, x, in_place, in_place, gradient);
        EXPECT_EQ(in_place, dx);
        EXPECT_LE(relative_error(gradient.weight, 3 * wide_gradient.weight), Tolerance<Scalar>::rounding);
    }
}

TEST(LayerNormalisation, VjpIsTheDifference) {
    using Layer = LayerNorm<Wide>;
    for (const Index rows : {1, 3, 33})
        for (const Index features : {1, 2, 5}) {
            SCOPED_TRACE(::testing::Message() << rows << " " << features);
            auto p = random_layer_norm<Wide>(features);
            p.eps = 0.1;
            Sequence<Wide> x = white_noise<Wide>(rows, features, 2);
            const Sequence<Wide> dy = white_noise<Wide>(rows, features, 3);
            const auto loss = [&] {
                Sequence<Wide> y(rows, features);
                layer_norm<Wide>(p, x, y);
                return weighted_sum(dy, y);
            };
            auto gradient = zero_like<Layer>(p);
            Sequence<Wide> dx(rows, features);
            layer_norm_vjp<Wide>(p, x, dy, dx, gradient);
            EXPECT_LE(relative_error(gradient.bias, central_differences_of(loss, p.bias)), reverse_pass);
            if (features == 1) {  // x − mean is 0: so are these gradients
                EXPECT_EQ(dx.norm() + gradient.weight.norm(), 0);
                continue;
            }
            EXPECT_LE(relative_error(gradient.weight, central_differences_of(loss, p.weight)), reverse_pass);
            EXPECT_LE(relative_error(as_column(dx), central_differences_of(loss, x)), reverse_pass);
        }
}

TEST(LayerNormalisation, KeepsDigitsBesideALargeMean) {
    const auto p = LayerNorm<float>::identity(64);
    const Sequence<float> x = white_noise<float>(1, 64, 1);
    Sequence<float> y(1, 64), expected(1, 64);
    const Sequence<float> shifted = (x.array() + 1024).matrix();
    const Sequence<float> back = (shifted.array() - 1024).matrix();  // exact
    layer_norm<float>(p, back, expected);
    layer_norm<float>(p, shifted, y);
    EXPECT_LE(relative_error(y, expected), 1e-4);  // the mean of numbers near 1024 has an ulp of 1.2e-4
}

TEST(LayerNormalisation, RefusesBadParameters) {
    using Layer = LayerNorm<float>;
    EXPECT_S4_ERROR(static_cast<void>(Layer::identity(0)), "LayerNorm", "features", "found 0");
    auto p = Layer::identity(3);
    p.bias.resize(4);
    p.bias.setZero();
    EXPECT_S4_ERROR(Layer::validate(p), "LayerNorm: bias must be [3 x 1], found [4 x 1]");
    p = Layer::identity(3);
    p.eps = 0;
    EXPECT_S4_ERROR(Layer::validate(p), "eps", "(0, 1]", "found 0");
    p = Layer::identity(3);
    p.weight[0] = std::numeric_limits<float>::quiet_NaN();
    EXPECT_S4_ERROR(Layer::validate(p), "LayerNorm: weight", "not a number");
}

}  // namespace
}  // namespace s4::test
