// Laws of all rules in their diagonal form.
#include <s4/discretize/bilinear.hpp>
#include <s4/discretize/dirac.hpp>
#include <s4/discretize/euler.hpp>
#include <s4/discretize/generalised_bilinear.hpp>
#include <s4/discretize/zero_order_hold.hpp>

#include <gtest/gtest.h>

#include <tests/support/tolerances.hpp>

namespace {

using Complex = std::complex<double>;

static_assert(s4::WeightedRule<s4::Euler> && s4::WeightedRule<s4::BackwardEuler> && s4::WeightedRule<s4::Bilinear> &&
              s4::WeightedRule<s4::GeneralisedBilinear>);
static_assert(s4::DiscretizationRule<s4::ZeroOrderHold> && !s4::WeightedRule<s4::ZeroOrderHold>);
static_assert(s4::DiscretizationRule<s4::Dirac> && !s4::WeightedRule<s4::Dirac>);

template <class Rule>
class Rules : public ::testing::Test {};
using EveryRule =
    ::testing::Types<s4::Euler, s4::BackwardEuler, s4::Bilinear, s4::GeneralisedBilinear, s4::ZeroOrderHold, s4::Dirac>;
TYPED_TEST_SUITE(Rules, EveryRule);

TYPED_TEST(Rules, AgreeToFirstOrder) {
    // A_bar − 1 = dt λ + O(dt²), and B_bar = dt + O(dt²), or 1 for impulses.
    const Complex lambda{-0.5, 3.0};
    const double unit = std::string_view{TypeParam::name} == "dirac" ? 1.0 : 0.0;
    for (const double dt : {1e-2, 1e-4, 1e-6}) {
        const s4::DiagonalStep<double> step = s4::discretize(TypeParam{}, lambda, dt);
        const double second_order = std::norm(dt * lambda);
        EXPECT_LE(std::abs(step.a_minus_one - dt * lambda), second_order);
        EXPECT_LE(std::abs(step.b - (unit > 0 ? unit : dt)), unit > 0 ? 0.0 : dt * std::abs(dt * lambda));
    }
}

TYPED_TEST(Rules, KeepTheDigitsOfASlowState) {
    const s4::DiagonalStep<float> step = s4::discretize(TypeParam{}, std::complex<float>{-1e-9F, 0}, 1e-3F);
    EXPECT_NEAR(step.a_minus_one.real() * 1e12, -1.0, s4::test::Tolerance<float>::rounding);
    EXPECT_EQ(step.a(), std::complex<float>(1));
}

TYPED_TEST(Rules, AreFiniteAtZero) {
    const s4::DiagonalStep<double> step = s4::discretize(TypeParam{}, Complex{0, 0}, 0.25);
    EXPECT_EQ(step.a_minus_one, Complex(0, 0));
    EXPECT_EQ(step.b, Complex(std::string_view{TypeParam::name} == "dirac" ? 1.0 : 0.25, 0));
}

TYPED_TEST(Rules, GiveConjugatesForConjugates) {
    const Complex lambda{-0.3, 7.0};
    const s4::DiagonalStep<double> step = s4::discretize(TypeParam{}, lambda, 0.1);
    const s4::DiagonalStep<double> other = s4::discretize(TypeParam{}, std::conj(lambda), 0.1);
    EXPECT_EQ(other.a_minus_one, std::conj(step.a_minus_one));
    EXPECT_EQ(other.b, std::conj(step.b));
}

TYPED_TEST(Rules, AreTheSameInEveryScalar) {
    for (const std::complex<float> lambda : {std::complex<float>{-0.5F, 2.0F}, std::complex<float>{-4.0F, -0.25F}}) {
        const s4::DiagonalStep<float> narrow = s4::discretize(TypeParam{}, lambda, 0.5F);
        const s4::DiagonalStep<double> wide = s4::discretize(TypeParam{}, Complex{lambda}, 0.5);
        const s4::DiagonalStep<long double> widest =
            s4::discretize(TypeParam{}, std::complex<long double>{lambda}, 0.5L);
        EXPECT_LE(std::abs(Complex{narrow.a()} - wide.a()), s4::test::Tolerance<float>::rounding);
        EXPECT_LE(std::abs(Complex{narrow.b} - wide.b), s4::test::Tolerance<float>::rounding);
        EXPECT_LE(std::abs(std::complex<long double>{wide.a()} - widest.a()), s4::test::Tolerance<double>::rounding);
        EXPECT_LE(std::abs(std::complex<long double>{wide.b} - widest.b), s4::test::Tolerance<double>::rounding);
    }
}

}  // namespace
