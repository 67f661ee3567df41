// The generalised bilinear rule: any weight between the two Euler rules.
#pragma once

#include <s4/core/error.hpp>
#include <s4/discretize/rule.hpp>

namespace s4::inline S4_ABI {

/// A_bar = (1 + (1−alpha) dt λ)/(1 − alpha dt λ), B_bar = dt B/(1 − alpha dt λ): Euler at 0, bilinear at 1/2 (the
/// default), backward Euler at 1. (HiPPO, appendix B.3)
class GeneralisedBilinear {
public:
    static constexpr std::string_view name = "gbt";

    constexpr GeneralisedBilinear() noexcept = default;
    /// Error unless 0 ≤ alpha ≤ 1.
    explicit GeneralisedBilinear(double alpha) : alpha_(alpha) {
        detail::require(detail::is_finite(alpha) && alpha >= 0 && alpha <= 1,
                        "generalised bilinear rule: alpha must lie in [0, 1], found ", alpha);
    }

    /// The weight of the implicit part.
    [[nodiscard]] constexpr double alpha() const noexcept { return alpha_; }
    [[nodiscard]] constexpr double weight() const noexcept { return alpha_; }

    template <RealScalar Real>
    [[nodiscard]] DiagonalStep<Real> diagonal(std::complex<Real> lambda, Real dt) const noexcept {
        return detail::weighted_step(alpha_, lambda, dt);
    }
    template <RealScalar Real>
    [[nodiscard]] DiagonalGradient<Real> diagonal_vjp(std::complex<Real> lambda, Real dt,
                                                      const DiagonalStep<Real>& cotangent) const noexcept {
        return detail::weighted_step_vjp(alpha_, lambda, dt, cotangent);
    }

private:
    double alpha_ = 0.5;
};

}  // namespace s4::inline S4_ABI
