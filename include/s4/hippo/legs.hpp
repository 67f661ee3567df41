// LegS: Legendre polynomials over the whole past, stretched as it grows; and its normal part.
#pragma once

#include <s4/hippo/system.hpp>

#include <cmath>

namespace s4::inline S4_ABI {

/// Scaled Legendre measure: with s = √((2n+1)(2k+1)), A is −s below the diagonal, −(n+1) on it and 0 above;
/// B = √(2n+1). (HiPPO, theorem 2; S4, eq. 2)
struct LegS {
    static constexpr std::string_view name = "legs";
    static constexpr Index rank = 1;

    template <std::same_as<double> Real = double>
    [[nodiscard]] HippoSystem transition(Index N) const {
        HippoSystem system = detail::zero_system<Real>(name, N);
        for (Index n = 0; n < N; ++n) {
            const auto row_weight = static_cast<double>(2 * n + 1);
            for (Index k = 0; k < n; ++k) system.A(n, k) = -std::sqrt(row_weight * static_cast<double>(2 * k + 1));
            system.A(n, n) = -static_cast<double>(n + 1);
            system.B(n) = std::sqrt(row_weight);
        }
        return system;
    }

    /// √(n + 1/2) [1 × N].
    template <std::same_as<double> Real = double>
    [[nodiscard]] Eigen::MatrixXd low_rank(Index N) const {
        Eigen::MatrixXd P = detail::zero_low_rank<Real>(name, 1, N);
        for (Index n = 0; n < N; ++n) P(0, n) = std::sqrt(static_cast<double>(n) + 0.5);
        return P;
    }

    [[nodiscard]] double real_part() const { return -0.5; }
};

/// The normal part of LegS: A + s/2, −1/2 on the diagonal and skew elsewhere, and half its B. (S4D, theorem 3: with
/// many states its outputs tend to those of LegS)
struct LegSD {
    static constexpr std::string_view name = "legsd";
    static constexpr Index rank = 0;

    template <std::same_as<double> Real = double>
    [[nodiscard]] HippoSystem transition(Index N) const {
        HippoSystem system = detail::zero_system<Real>(name, N);
        for (Index n = 0; n < N; ++n) {
            const auto row_weight = static_cast<double>(2 * n + 1);
            for (Index k = 0; k < n; ++k) {
                system.A(k, n) = std::sqrt(row_weight * static_cast<double>(2 * k + 1)) / 2;
                system.A(n, k) = -system.A(k, n);
            }
            system.A(n, n) = -0.5;
            system.B(n) = std::sqrt(row_weight) / 2;
        }
        return system;
    }

    /// [0 × N]: it is normal already.
    template <std::same_as<double> Real = double>
    [[nodiscard]] Eigen::MatrixXd low_rank(Index N) const {
        return detail::zero_low_rank<Real>(name, 0, N);
    }

    [[nodiscard]] double real_part() const { return -0.5; }
};

}  // namespace s4::inline S4_ABI
