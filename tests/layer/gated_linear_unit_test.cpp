// a · sigmoid(b) against its formula, and its reverse pass against differences.
#include "tests/support/row_layers.hpp"
#include <s4/layer/activation.hpp>

#include <gtest/gtest.h>

#include <cmath>

namespace s4::test {
namespace {

template <class Scalar>
class GatedLinearUnit : public ::testing::Test {};
using Scalars = ::testing::Types<float, double, long double>;
TYPED_TEST_SUITE(GatedLinearUnit, Scalars);

TYPED_TEST(GatedLinearUnit, IsItsFormula) {
    using Scalar = TypeParam;
    for (const Index features : {1, 3, 8, 16, 37}) {
        const Sequence<Scalar> x = 3 * white_noise<Scalar>(5, 2 * features, 1);
        const Sequence<Scalar> dy = white_noise<Scalar>(5, features, 2);
        Sequence<Scalar> y(5, features), dx(5, 2 * features), by_activation(5, features);
        Sequence<Wide> expected(5, features), by_x(5, 2 * features);
        for (Index t = 0; t < 5; ++t)
            for (Index n = 0; n < features; ++n) {
                const Wide a = static_cast<Wide>(x(t, n));
                const Wide gate = 1 / (1 + std::exp(-static_cast<Wide>(x(t, features + n))));
                expected(t, n) = a * gate;
                by_x(t, n) = static_cast<Wide>(dy(t, n)) * gate;
                by_x(t, features + n) = static_cast<Wide>(dy(t, n)) * a * gate * (1 - gate);
            }
        gated_linear_unit<Scalar>(x, y);
        EXPECT_LE(relative_error(y, expected), Tolerance<Scalar>::rounding);
        activate<Scalar>(Activation::glu, x, by_activation);
        EXPECT_EQ(by_activation, y);
        gated_linear_unit_vjp<Scalar>(x, dy, dx);
        EXPECT_LE(relative_error(dx, by_x), Tolerance<Scalar>::rounding);

        // In place, and on parts of wider sequences.
        Sequence<Scalar> wide(5, 2 * features + 4);
        wide.setZero();
        wide.middleCols(2, 2 * features) = x;
        gated_linear_unit<Scalar>(wide.middleCols(2, 2 * features), wide.middleCols(2, features));
        EXPECT_LE(relative_error(wide.middleCols(2, features), y), Tolerance<Scalar>::rounding);
        wide.middleCols(2, 2 * features) = x;
        activate_vjp<Scalar>(Activation::glu, wide.middleCols(2, 2 * features), dy, wide.middleCols(2, 2 * features));
        EXPECT_EQ(wide.middleCols(2, 2 * features), dx);
        EXPECT_EQ(wide.leftCols(2).norm() + wide.rightCols(2).norm(), 0);
    }
}

TEST(GatedLinearUnits, VjpIsTheDifference) {
    for (const Index rows : {1, 3})
        for (const Index features : {1, 2, 5}) {
            Sequence<Wide> x = white_noise<Wide>(rows, 2 * features, 2);
            const Sequence<Wide> dy = white_noise<Wide>(rows, features, 3);
            const auto loss = [&] {
                Sequence<Wide> y(rows, features);
                gated_linear_unit<Wide>(x, y);
                return weighted_sum(dy, y);
            };
            Sequence<Wide> dx(rows, 2 * features);
            gated_linear_unit_vjp<Wide>(x, dy, dx);
            EXPECT_LE(relative_error(as_column(dx), central_differences_of(loss, x)), reverse_pass);
        }
}

}  // namespace
}  // namespace s4::test
