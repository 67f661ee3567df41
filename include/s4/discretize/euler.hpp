// The two Euler rules.
#pragma once

#include <s4/discretize/rule.hpp>

namespace s4::inline S4_ABI {

/// Forward Euler: A_bar = 1 + dt λ, B_bar = dt B. Stable only for |1 + dt λ| ≤ 1.
struct Euler {
    static constexpr std::string_view name = "euler";
    [[nodiscard]] constexpr double weight() const noexcept { return 0.0; }

    template <RealScalar Real>
    [[nodiscard]] DiagonalStep<Real> diagonal(std::complex<Real> lambda, Real dt) const noexcept {
        return {dt * lambda, dt};
    }
    template <RealScalar Real>
    [[nodiscard]] DiagonalGradient<Real> diagonal_vjp(std::complex<Real> lambda, Real dt,
                                                      const DiagonalStep<Real>& cotangent) const noexcept {
        return detail::weighted_step_vjp(weight(), lambda, dt, cotangent);
    }
};

/// Backward Euler: A_bar = 1/(1 − dt λ), B_bar = dt B/(1 − dt λ). Damps more than the system does.
struct BackwardEuler {
    static constexpr std::string_view name = "backward";
    [[nodiscard]] constexpr double weight() const noexcept { return 1.0; }

    template <RealScalar Real>
    [[nodiscard]] DiagonalStep<Real> diagonal(std::complex<Real> lambda, Real dt) const noexcept {
        return detail::weighted_step(weight(), lambda, dt);
    }
    template <RealScalar Real>
    [[nodiscard]] DiagonalGradient<Real> diagonal_vjp(std::complex<Real> lambda, Real dt,
                                                      const DiagonalStep<Real>& cotangent) const noexcept {
        return detail::weighted_step_vjp(weight(), lambda, dt, cotangent);
    }
};

}  // namespace s4::inline S4_ABI
