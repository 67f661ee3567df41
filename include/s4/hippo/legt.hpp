// LegT and LMU: Legendre polynomials over a sliding window.
#pragma once

#include <s4/hippo/system.hpp>

#include <cmath>

namespace s4::inline S4_ABI {

/// Translated Legendre measure with a window of length 2: with s = √((2n+1)(2k+1)), A is −s/2 on and below the
/// diagonal and −(−1)^(n−k) s/2 above; B = √(2n+1)/2. (HiPPO, theorem 1)
struct LegT {
    static constexpr std::string_view name = "legt";
    static constexpr Index rank = 2;

    template <std::same_as<double> Real = double>
    [[nodiscard]] HippoSystem transition(Index N) const {
        HippoSystem system = detail::zero_system<Real>(name, N);
        for (Index n = 0; n < N; ++n) {
            const auto row_weight = static_cast<double>(2 * n + 1);
            for (Index k = 0; k <= n; ++k) {
                system.A(n, k) = -std::sqrt(row_weight * static_cast<double>(2 * k + 1)) / 2;
                system.A(k, n) = (n - k) % 2 == 0 ? system.A(n, k) : -system.A(n, k);
            }
            system.B(n) = std::sqrt(row_weight) / 2;
        }
        return system;
    }

    /// √((2n+1)/2) on odd n in the first row, on even n in the second [2 × N].
    template <std::same_as<double> Real = double>
    [[nodiscard]] Eigen::MatrixXd low_rank(Index N) const {
        Eigen::MatrixXd P = detail::zero_low_rank<Real>(name, 2, N);
        for (Index n = 0; n < N; ++n) P(n % 2 == 0 ? 1 : 0, n) = std::sqrt(static_cast<double>(n) + 0.5);
        return P;
    }

    [[nodiscard]] double real_part() const { return 0.0; }
};

/// The Legendre memory unit: LegT in another scaling of the states, time in units of its window. A is −(2n+1) above
/// the diagonal and (2n+1)(−1)^(n−k+1) on and below; B = (−1)^n (2n+1). It has no normal-plus-low-rank form here.
/// (Voelker, Kajić, Eliasmith 2019, eq. 2)
struct Lmu {
    static constexpr std::string_view name = "lmu";

    template <std::same_as<double> Real = double>
    [[nodiscard]] HippoSystem transition(Index N) const {
        HippoSystem system = detail::zero_system<Real>(name, N);
        for (Index n = 0; n < N; ++n) {
            const auto weight = static_cast<double>(2 * n + 1);
            for (Index k = 0; k < N; ++k) system.A(n, k) = (n < k || (n - k) % 2 == 0) ? -weight : weight;
            system.B(n) = n % 2 == 0 ? weight : -weight;
        }
        return system;
    }
};

}  // namespace s4::inline S4_ABI
