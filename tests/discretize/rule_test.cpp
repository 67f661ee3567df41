// Laws of all rules in their diagonal form.
#include <s4/discretize/bilinear.hpp>
#include <s4/discretize/dirac.hpp>
#include <s4/discretize/euler.hpp>
#include <s4/discretize/generalised_bilinear.hpp>
#include <s4/discretize/zero_order_hold.hpp>

#include <gtest/gtest.h>

#include <tests/support/finite_difference.hpp>
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

static_assert(s4::DifferentiableRule<s4::Euler> && s4::DifferentiableRule<s4::BackwardEuler> &&
              s4::DifferentiableRule<s4::Bilinear> && s4::DifferentiableRule<s4::GeneralisedBilinear> &&
              s4::DifferentiableRule<s4::ZeroOrderHold> && s4::DifferentiableRule<s4::Dirac>);

/// What a loss with this cotangent gains from one step to another: Re Σ conj(cotangent) (step − origin).
template <class Real>
long double gain(const s4::DiagonalStep<long double>& step, const s4::DiagonalStep<long double>& origin,
                 const s4::DiagonalStep<Real>& cotangent) {
    const std::complex<long double> a{cotangent.a_minus_one};
    const std::complex<long double> b{cotangent.b};
    return (std::conj(a) * (step.a_minus_one - origin.a_minus_one) + std::conj(b) * (step.b - origin.b)).real();
}

template <class Rule, class Real>
void expect_vjp_is_the_difference() {
    const s4::DiagonalStep<Real> cotangent{{Real(0.3), Real(-1.1)}, {Real(-0.7), Real(0.4)}};
    for (const std::complex<long double> start :
         {std::complex<long double>{-0.5L, 3.0L}, {-1e-9L, 1e-7L}, {-20.0L, 0.0L}, {-0.02L, -40.0L}, {-0.3L, 9.7L}}) {
        std::complex<long double> lambda(std::complex<Real>{start});
        long double dt = Real(0.125);
        const auto gradient = s4::discretize_vjp(Rule{}, std::complex<Real>{lambda}, static_cast<Real>(dt), cotangent);
        const s4::DiagonalStep<long double> origin = s4::discretize(Rule{}, lambda, dt);
        const auto value = [&] { return gain(s4::discretize(Rule{}, lambda, dt), origin, cotangent); };
        const std::complex<long double> by_lambda = s4::test::central_difference_of(value, lambda);
        const long double by_dt = s4::test::central_difference_of(value, dt);
        EXPECT_LE(std::abs(std::complex<long double>{gradient.lambda} - by_lambda),
                  s4::test::reverse_pass * std::abs(by_lambda))
            << start;
        EXPECT_LE(std::abs(static_cast<long double>(gradient.dt) - by_dt), s4::test::reverse_pass * std::abs(by_dt))
            << start;
    }
}

TYPED_TEST(Rules, HaveAReversePassThatIsTheDifference) {
    expect_vjp_is_the_difference<TypeParam, double>();
    expect_vjp_is_the_difference<TypeParam, long double>();
}

TYPED_TEST(Rules, HaveAReversePassThatIsTheSameInEveryScalar) {
    for (const std::complex<float> lambda : {std::complex<float>{-0.5F, 2.0F}, {-4.0F, -0.25F}, {-1e-6F, 1e-5F}}) {
        const s4::DiagonalStep<float> cotangent{{0.5F, -0.25F}, {2.0F, 1.0F}};
        const s4::DiagonalStep<double> wide_cotangent{Complex{cotangent.a_minus_one}, Complex{cotangent.b}};
        const auto narrow = s4::discretize_vjp(TypeParam{}, lambda, 0.5F, cotangent);
        const auto wide = s4::discretize_vjp(TypeParam{}, Complex{lambda}, 0.5, wide_cotangent);
        EXPECT_LE(std::abs(Complex{narrow.lambda} - wide.lambda), s4::test::Tolerance<float>::rounding);
        EXPECT_LE(std::abs(static_cast<double>(narrow.dt) - wide.dt), s4::test::Tolerance<float>::law);
    }
}

}  // namespace
