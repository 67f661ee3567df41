// Discretisation rules: from x' = A x + B u to one time step x_l = A_bar x_{l−1} + B_bar u_l.
//
// clang-format off
// rule                        w    A_bar                         B_bar
// Euler                       0    I + dt A                      dt B
// GeneralisedBilinear{w}      w    (I − w dt A)⁻¹(I + (1−w)dt A) (I − w dt A)⁻¹ dt B
// Bilinear                   1/2   the same; keeps stable systems stable
// BackwardEuler               1    the same; keeps them stable too
// ZeroOrderHold               –    e^(dt A)                      ∫₀^dt e^(s A) ds B: exact for held inputs
// Dirac                       –    e^(dt A)                      B: exact for inputs that are impulses
// clang-format on
//
// The diagonal form, one eigenvalue at a time, stands with each rule, its reverse pass beside it; the dense form of all
// of them in dense.hpp.
#pragma once

#include <s4/core/scalar.hpp>

#include <complex>
#include <concepts>
#include <string_view>
#include <type_traits>

namespace s4::inline S4_ABI {

/// One eigenvalue's time step: A_bar = 1 + a_minus_one and B_bar = b·B. The difference from 1 is what is kept: for
/// a slow state it holds digits that A_bar has lost.
template <RealScalar Real>
struct DiagonalStep {
    std::complex<Real> a_minus_one;  ///< A_bar − 1
    std::complex<Real> b;            ///< B_bar / B

    /// A_bar.
    [[nodiscard]] std::complex<Real> a() const noexcept { return Real{1} + a_minus_one; }
};

/// What a loss gains when λ and dt move: d/d Re λ + i d/d Im λ, and d/d dt.
template <RealScalar Real>
struct DiagonalGradient {
    std::complex<Real> lambda;  ///< d/d Re λ + i d/d Im λ
    Real dt;                    ///< d/d dt
};

/// A rule: `rule.diagonal(lambda, dt)` for float, double and long double, noexcept and without allocation.
template <class Rule>
concept DiscretizationRule = requires(const Rule& rule, std::complex<float> narrow, std::complex<double> wide) {
    { rule.diagonal(narrow, 1.0F) }
    noexcept->std::same_as<DiagonalStep<float>>;
    { rule.diagonal(wide, 1.0) }
    noexcept->std::same_as<DiagonalStep<double>>;
    { Rule::name } -> std::convertible_to<std::string_view>;
};

/// A rule with a reverse pass: `rule.diagonal_vjp(lambda, dt, cotangent)`, where the cotangent of a step holds
/// d/d Re + i d/d Im of its two numbers.
template <class Rule>
concept DifferentiableRule = DiscretizationRule<Rule> &&
    requires(const Rule& rule, std::complex<float> narrow, std::complex<double> wide,
             const DiagonalStep<float>& narrow_cotangent, const DiagonalStep<double>& wide_cotangent) {
    { rule.diagonal_vjp(narrow, 1.0F, narrow_cotangent) }
    noexcept->std::same_as<DiagonalGradient<float>>;
    { rule.diagonal_vjp(wide, 1.0, wide_cotangent) }
    noexcept->std::same_as<DiagonalGradient<double>>;
};

/// A rule of the generalised bilinear family: `rule.weight()` is its w.
template <class Rule>
concept WeightedRule = DiscretizationRule<Rule> && requires(const Rule& rule) {
    { rule.weight() }
    noexcept->std::same_as<double>;
};

/// The time step of the eigenvalue `lambda` at step size `dt` > 0, computed in `Real`: round once, at the end, by
/// calling it in double. Values that overflow or a singular rule (1 − w dt λ = 0) give infinities or NaN.
template <DiscretizationRule Rule, RealScalar Real>
[[nodiscard]] DiagonalStep<Real> discretize(const Rule& rule, std::complex<Real> lambda,
                                            std::type_identity_t<Real> dt) noexcept {
    return rule.diagonal(lambda, dt);
}

/// The reverse pass of `discretize`: gradients of λ and dt, given those of a_minus_one and b. As accurate as the step
/// itself, through dt λ → 0.
template <DifferentiableRule Rule, RealScalar Real>
[[nodiscard]] DiagonalGradient<Real> discretize_vjp(const Rule& rule, std::complex<Real> lambda,
                                                    std::type_identity_t<Real> dt,
                                                    const DiagonalStep<Real>& cotangent) noexcept {
    return rule.diagonal_vjp(lambda, dt, cotangent);
}

namespace detail {

/// The partial derivatives of a step, complex-differentiable in λ.
template <RealScalar Real>
struct StepDerivatives {
    std::complex<Real> a_by_lambda, a_by_dt, b_by_lambda, b_by_dt;

    [[nodiscard]] DiagonalGradient<Real> transposed(const DiagonalStep<Real>& cotangent) const noexcept {
        return {multiply(std::conj(a_by_lambda), cotangent.a_minus_one) + multiply(std::conj(b_by_lambda), cotangent.b),
                multiply(std::conj(a_by_dt), cotangent.a_minus_one).real() +
                    multiply(std::conj(b_by_dt), cotangent.b).real()};
    }
};

/// The generalised bilinear family: 1 + z/(1 − w z) and dt/(1 − w z) with z = dt λ.
template <RealScalar Real>
[[nodiscard]] DiagonalStep<Real> weighted_step(double weight, std::complex<Real> lambda, Real dt) noexcept {
    const std::complex<Real> z = dt * lambda;
    const std::complex<Real> denominator = Real{1} - static_cast<Real>(weight) * z;
    return {z / denominator, dt / denominator};
}

/// The derivatives of the two fractions: all of them over (1 − w z)².
template <RealScalar Real>
[[nodiscard]] DiagonalGradient<Real> weighted_step_vjp(double weight, std::complex<Real> lambda, Real dt,
                                                       const DiagonalStep<Real>& cotangent) noexcept {
    const std::complex<Real> reciprocal = Real{1} / (Real{1} - static_cast<Real>(weight) * (dt * lambda));
    const std::complex<Real> square = multiply(reciprocal, reciprocal);
    return StepDerivatives<Real>{dt * square, multiply(lambda, square), static_cast<Real>(weight) * dt * (dt * square),
                                 square}
        .transposed(cotangent);
}

}  // namespace detail
}  // namespace s4::inline S4_ABI
