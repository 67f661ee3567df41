#include <s4/discretize/zero_order_hold.hpp>

#include <gtest/gtest.h>

#include <numbers>
#include <tests/support/tolerances.hpp>

namespace {

using Wide = std::complex<long double>;

template <class Real>
class ZeroOrderHoldOf : public ::testing::Test {
protected:
    using Complex = std::complex<Real>;

    /// Taylor's series of (e^z − 1)/z in long double, with argument halving: φ(2z) = φ(z)(1 + zφ(z)/2).
    static Wide truth(Wide z) {
        int halvings = 0;
        while (std::abs(z) > 0.25L) {
            z /= 2.0L;
            ++halvings;
        }
        Wide sum = 1;
        for (int k = 25; k >= 2; --k) sum = 1.0L + sum * z / static_cast<long double>(k);
        for (; halvings > 0; --halvings) {
            sum *= 1.0L + z * sum / 2.0L;
            z *= 2.0L;
        }
        return sum;
    }

    /// The derivative of that: the Taylor series near zero, the difference e^z − φ(z) elsewhere.
    static Wide truth_of_derivative(Wide z) {
        if (std::abs(z) > 0.25L) return (std::exp(z) - truth(z)) / z;
        Wide sum = 1;
        for (int k = 25; k >= 1; --k)
            sum = 1.0L + sum * z * static_cast<long double>(k + 1) / static_cast<long double>(k * (k + 2));
        return sum / 2.0L;
    }

    static Complex at(Real size, long double angle) {
        const Wide z = std::polar(static_cast<long double>(size), angle);
        return {static_cast<Real>(z.real()), static_cast<Real>(z.imag())};
    }
};

using Scalars = ::testing::Types<float, double>;
TYPED_TEST_SUITE(ZeroOrderHoldOf, Scalars);

TYPED_TEST(ZeroOrderHoldOf, IsAccurateThroughZero) {
    for (double size = 1e-30; size <= 10; size *= 1.3) {
        for (const long double angle : {3.14159265L, 3.0L, 2.0L, 1.6L, 1.57079633L, -1.7L, -2.6L}) {
            const std::complex<TypeParam> z = this->at(static_cast<TypeParam>(size), angle);
            const s4::DiagonalStep<TypeParam> step = s4::discretize(s4::ZeroOrderHold{}, z, TypeParam{1});
            const Wide phi = this->truth(Wide(z));
            const Wide difference = Wide(z) * phi;
            EXPECT_LE(std::abs(Wide(step.b) - phi) / std::abs(phi), s4::test::Tolerance<TypeParam>::rounding) << z;
            EXPECT_LE(std::abs(Wide(step.a_minus_one) - difference) / std::abs(difference),
                      s4::test::Tolerance<TypeParam>::rounding)
                << z;
        }
    }
}

TYPED_TEST(ZeroOrderHoldOf, DerivativeOfBIsAccurateThroughZero) {
    for (double size = 1e-30; size <= 10; size *= 1.3) {
        for (const long double angle : {3.14159265L, 3.0L, 2.0L, 1.6L, 1.57079633L, -1.7L, -2.6L}) {
            const std::complex<TypeParam> z = this->at(static_cast<TypeParam>(size), angle);
            const Wide expected = this->truth_of_derivative(Wide(z));
            const s4::DiagonalGradient<TypeParam> found =
                s4::discretize_vjp(s4::ZeroOrderHold{}, z, TypeParam{1}, {TypeParam{0}, TypeParam{1}});
            EXPECT_LE(std::abs(std::conj(Wide(found.lambda)) - expected),
                      s4::test::Tolerance<TypeParam>::rounding * std::min<long double>(1, 1 / std::abs(z)))
                << z;
        }
    }
}

TYPED_TEST(ZeroOrderHoldOf, TwoStepsAreOneOfTwiceTheSize) {
    const std::complex<TypeParam> lambda{TypeParam(-0.5), TypeParam(3)};
    const auto once = s4::discretize(s4::ZeroOrderHold{}, lambda, TypeParam(0.25));
    const auto twice = s4::discretize(s4::ZeroOrderHold{}, lambda, TypeParam(0.5));
    EXPECT_LE(std::abs(once.a() * once.a() - twice.a()), s4::test::Tolerance<TypeParam>::rounding);
    EXPECT_LE(std::abs(once.a() * once.b + once.b - twice.b), s4::test::Tolerance<TypeParam>::rounding);
}

TEST(ZeroOrderHold, VanishesAtFullTurns) {
    // e^(2πi) = 1: a whole turn of the input leaves nothing.
    const auto step = s4::discretize(s4::ZeroOrderHold{}, std::complex<double>{0, 2 * std::numbers::pi}, 1.0);
    EXPECT_LE(std::abs(step.b), s4::test::Tolerance<double>::rounding);
}

TEST(ZeroOrderHold, OfAFastStateForgetsAtOnce) {
    const auto step = s4::discretize(s4::ZeroOrderHold{}, std::complex<double>{-1e6, 1e3}, 1.0);
    EXPECT_EQ(std::abs(step.a()), 0.0);
    EXPECT_LE(std::abs(step.b + 1.0 / std::complex<double>{-1e6, 1e3}), s4::test::Tolerance<double>::rounding);
}

}  // namespace
