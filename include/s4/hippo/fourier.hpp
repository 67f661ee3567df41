// The Fourier measures: truncated, decaying and purely diagonal Fourier series of the recent past.
#pragma once

#include <s4/hippo/system.hpp>

#include <numbers>

namespace s4::inline S4_ABI {

namespace detail {

/// b = (1, 0, √2, 0, √2, 0, …): a constant, then cosines; no sines.
inline double fourier_input(Index n) noexcept { return n % 2 == 1 ? 0.0 : n == 0 ? 1.0 : std::numbers::sqrt2; }

/// A = frequency·J − weight·b bᵀ, where the skew matrix J turns the pair (2j, 2j+1) with rate j; B = gain·b.
template <std::same_as<double> Real>
HippoSystem fourier_system(std::string_view name, Index N, double frequency, double weight, double gain) {
    HippoSystem system = zero_system<Real>(name, N);
    for (Index n = 0; n + 1 < N; n += 2) {
        system.A(n + 1, n) = frequency * static_cast<double>(n / 2);
        system.A(n, n + 1) = -system.A(n + 1, n);
    }
    for (Index n = 0; n < N; ++n) {
        for (Index k = 0; k < N; ++k) system.A(n, k) -= weight * fourier_input(n) * fourier_input(k);
        system.B(n) = gain * fourier_input(n);
    }
    return system;
}

/// factor·b as a row [1 × N].
template <std::same_as<double> Real>
Eigen::MatrixXd fourier_low_rank(std::string_view name, Index N, double factor) {
    Eigen::MatrixXd P = zero_low_rank<Real>(name, 1, N);
    for (Index n = 0; n < N; ++n) P(0, n) = factor * fourier_input(n);
    return P;
}

}  // namespace detail

/// Fourier series over a sliding window (FouT): A = π J − b bᵀ, B = b with b = (1, 0, √2, 0, √2, 0, …) and J turning
/// the pair (2j, 2j+1) with rate j. (HiPPO, appendix D.3; "How to train your HiPPO", theorem 7)
struct Fourier {
    static constexpr std::string_view name = "fourier";
    static constexpr Index rank = 1;
    template <std::same_as<double> Real = double>
    [[nodiscard]] HippoSystem transition(Index N) const {
        return detail::fourier_system<Real>(name, N, std::numbers::pi, 1.0, 1.0);
    }
    template <std::same_as<double> Real = double>
    [[nodiscard]] Eigen::MatrixXd low_rank(Index N) const {
        return detail::fourier_low_rank<Real>(name, N, 1.0);
    }
    [[nodiscard]] double real_part() const { return 0.0; }
};

/// Fourier with twice the frequencies and twice the correction: A = 2π J − 2 b bᵀ, B = 2 b.
struct Fourier2 {
    static constexpr std::string_view name = "fourier2";
    static constexpr Index rank = 1;
    template <std::same_as<double> Real = double>
    [[nodiscard]] HippoSystem transition(Index N) const {
        return detail::fourier_system<Real>(name, N, 2 * std::numbers::pi, 2.0, 2.0);
    }
    template <std::same_as<double> Real = double>
    [[nodiscard]] Eigen::MatrixXd low_rank(Index N) const {
        return detail::fourier_low_rank<Real>(name, N, std::numbers::sqrt2);
    }
    [[nodiscard]] double real_part() const { return 0.0; }
};

/// Fourier with half the correction: A = π J − b bᵀ/2, B = b/2.
struct FourierDecay {
    static constexpr std::string_view name = "fourier_decay";
    static constexpr Index rank = 1;
    template <std::same_as<double> Real = double>
    [[nodiscard]] HippoSystem transition(Index N) const {
        return detail::fourier_system<Real>(name, N, std::numbers::pi, 0.5, 0.5);
    }
    template <std::same_as<double> Real = double>
    [[nodiscard]] Eigen::MatrixXd low_rank(Index N) const {
        return detail::fourier_low_rank<Real>(name, N, std::numbers::sqrt2 / 2);
    }
    [[nodiscard]] double real_part() const { return 0.0; }
};

/// Damped oscillators at all multiples of one frequency (FouD): A = 2π J − I/2, B = b. Normal as it stands.
struct FourierDiagonal {
    static constexpr std::string_view name = "fourier_diag";
    static constexpr Index rank = 0;
    template <std::same_as<double> Real = double>
    [[nodiscard]] HippoSystem transition(Index N) const {
        HippoSystem system = detail::fourier_system<Real>(name, N, 2 * std::numbers::pi, 0.0, 1.0);
        for (Index n = 0; n < N; ++n) system.A(n, n) -= 0.5;
        return system;
    }
    template <std::same_as<double> Real = double>
    [[nodiscard]] Eigen::MatrixXd low_rank(Index N) const {
        return detail::zero_low_rank<Real>(name, 0, N);
    }
    [[nodiscard]] double real_part() const { return -0.5; }
};

}  // namespace s4::inline S4_ABI
