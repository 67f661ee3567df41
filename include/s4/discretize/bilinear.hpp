// The bilinear (Tustin, trapezoidal) rule.
#pragma once

#include <s4/discretize/rule.hpp>

namespace s4::inline S4_ABI {

/// A_bar = (1 + dt λ/2)/(1 − dt λ/2), B_bar = dt B/(1 − dt λ/2): second order, and the left half plane becomes the
/// unit disc. The only rule that keeps a diagonal-plus-low-rank system one. (S4, eq. 3)
struct Bilinear {
    static constexpr std::string_view name = "bilinear";
    [[nodiscard]] constexpr double weight() const noexcept { return 0.5; }

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
