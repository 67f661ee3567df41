// The impulse rule: each sample is an impulse.
#pragma once

#include <s4/discretize/complex_exponential.hpp>
#include <s4/discretize/rule.hpp>

namespace s4::inline S4_ABI {

/// A_bar = e^(dt λ), B_bar = B, not scaled by dt. For inputs that are events rather than samples of a curve.
struct Dirac {
    static constexpr std::string_view name = "dirac";

    template <RealScalar Real>
    [[nodiscard]] DiagonalStep<Real> diagonal(std::complex<Real> lambda, Real dt) const noexcept {
        return {detail::expm1(dt * lambda), Real{1}};
    }
    template <RealScalar Real>
    [[nodiscard]] DiagonalGradient<Real> diagonal_vjp(std::complex<Real> lambda, Real dt,
                                                      const DiagonalStep<Real>& cotangent) const noexcept {
        const std::complex<Real> power = detail::exp(dt * lambda);
        return detail::StepDerivatives<Real>{dt * power, detail::multiply(lambda, power), Real{0}, Real{0}}.transposed(
            cotangent);
    }
};

}  // namespace s4::inline S4_ABI
