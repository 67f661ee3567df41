// LagT: Laguerre polynomials, a past that fades exponentially; and its tilted and generalised forms.
#pragma once

#include <s4/hippo/system.hpp>

#include <cmath>

namespace s4::inline S4_ABI {

namespace detail {

inline void require_laguerre_beta(std::string_view name, double beta) {
    require(is_finite(beta) && beta > 0, "hippo ", name, ": beta must be finite and above 0, found ", beta);
}

/// A is −1 below the diagonal, `diagonal` on it, 0 above; B = beta.
template <std::same_as<double> Real>
HippoSystem laguerre_system(std::string_view name, Index N, double diagonal, double beta) {
    HippoSystem system = zero_system<Real>(name, N);
    require_laguerre_beta(name, beta);
    for (Index n = 0; n < N; ++n) {
        for (Index k = 0; k < n; ++k) system.A(n, k) = -1.0;
        system.A(n, n) = diagonal;
        system.B(n) = beta;
    }
    return system;
}

/// √(1/2) [1 × N]: what makes a Laguerre matrix normal.
template <std::same_as<double> Real>
Eigen::MatrixXd laguerre_low_rank(std::string_view name, Index N) {
    Eigen::MatrixXd P = zero_low_rank<Real>(name, 1, N);
    for (Index n = 0; n < N; ++n) P(0, n) = std::sqrt(0.5);
    return P;
}

}  // namespace detail

/// Translated Laguerre measure: A is −1 below the diagonal and −1/2 on it; B = beta. (HiPPO, appendix D.2)
struct LagT {
    static constexpr std::string_view name = "lagt";
    static constexpr Index rank = 1;

    double beta = 1.0;  ///< scale of B, above 0

    template <std::same_as<double> Real = double>
    [[nodiscard]] HippoSystem transition(Index N) const {
        return detail::laguerre_system<Real>(name, N, -0.5, beta);
    }

    template <std::same_as<double> Real = double>
    [[nodiscard]] Eigen::MatrixXd low_rank(Index N) const {
        return detail::laguerre_low_rank<Real>(name, N);
    }

    [[nodiscard]] double real_part() const { return 0.0; }
};

/// LagT with its basis tilted by an exponential: (1−beta)/2 − 1 on the diagonal, −1 below; B = beta.
struct TiltedLagT {
    static constexpr std::string_view name = "tlagt";
    static constexpr Index rank = 1;

    double beta = 1.0;  ///< tilt, above 0

    template <std::same_as<double> Real = double>
    [[nodiscard]] HippoSystem transition(Index N) const {
        return detail::laguerre_system<Real>(name, N, -(1.0 + beta) / 2, beta);
    }

    template <std::same_as<double> Real = double>
    [[nodiscard]] Eigen::MatrixXd low_rank(Index N) const {
        return detail::laguerre_low_rank<Real>(name, N);
    }

    [[nodiscard]] double real_part() const { return -beta / 2; }
};

/// Generalised Laguerre polynomials of order alpha, tilted by beta: with l_n = √(Γ(n+alpha+1)/Γ(n+1)), A is
/// −(1+beta)/2 on the diagonal and −l_k/l_n below; B = binom(alpha+n, n)/l_n · Γ(1−alpha)^(−1/2) ·
/// beta^((1−alpha)/2). Its symmetric part has full rank unless alpha = 0 (then TiltedLagT has the same A), so there is
/// no normal-plus-low-rank form. Error unless −1 < alpha < 1 and beta > 0. (HiPPO, appendix D.2)
struct GeneralisedLagT {
    static constexpr std::string_view name = "glagt";

    double alpha = 0.0;  ///< order of the polynomials, −1 < alpha < 1
    double beta = 0.01;  ///< tilt, above 0

    template <std::same_as<double> Real = double>
    [[nodiscard]] HippoSystem transition(Index N) const {
        detail::require_state_size(name, N);
        detail::require(detail::is_finite(alpha) && alpha > -1 && alpha < 1, "hippo ", name,
                        ": alpha must be above -1 and below 1, found ", alpha);
        detail::require_laguerre_beta(name, beta);
        const double gamma = std::tgamma(1.0 + alpha);
        Eigen::Matrix<Real, Dynamic, 1> l(N);
        double square = gamma;  // l_n², by Γ(x+1) = x Γ(x)
        for (Index n = 0; n < N; ++n) {
            if (n > 0) square *= (static_cast<double>(n) + alpha) / static_cast<double>(n);
            l(n) = std::sqrt(square);
        }
        HippoSystem system = detail::zero_system<Real>(name, N);
        const double scale = std::pow(beta, (1.0 - alpha) / 2) / (gamma * std::sqrt(std::tgamma(1.0 - alpha)));
        for (Index n = 0; n < N; ++n) {
            for (Index k = 0; k < n; ++k) system.A(n, k) = -l(k) / l(n);
            system.A(n, n) = -(1.0 + beta) / 2;
            system.B(n) = l(n) * scale;  // binom(alpha+n, n) = l_n² / Γ(1+alpha)
        }
        return system;
    }
};

}  // namespace s4::inline S4_ABI
