// The zero-order hold: exact when the input stays constant between samples.
#pragma once

#include <s4/discretize/complex_exponential.hpp>
#include <s4/discretize/rule.hpp>

namespace s4::inline S4_ABI {

/// A_bar = e^(dt λ), B_bar = (e^(dt λ) − 1)/λ B, with the limit dt B at λ = 0. (S4D, eq. 6)
struct ZeroOrderHold {
    static constexpr std::string_view name = "zoh";

    template <RealScalar Real>
    [[nodiscard]] DiagonalStep<Real> diagonal(std::complex<Real> lambda, Real dt) const noexcept {
        const std::complex<Real> z = dt * lambda;
        return {detail::expm1(z), dt * detail::expm1_over(z)};
    }
    template <RealScalar Real>
    [[nodiscard]] DiagonalGradient<Real> diagonal_vjp(std::complex<Real> lambda, Real dt,
                                                      const DiagonalStep<Real>& cotangent) const noexcept {
        const std::complex<Real> z = dt * lambda;
        const std::complex<Real> power = detail::exp(z);
        const std::complex<Real> b_by_lambda = dt * (dt * detail::expm1_over_derivative(z));
        return detail::StepDerivatives<Real>{dt * power, detail::multiply(lambda, power), b_by_lambda, power}
            .transposed(cotangent);
    }
};

}  // namespace s4::inline S4_ABI
