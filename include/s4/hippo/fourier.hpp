// The Fourier measures: truncated, decaying and purely diagonal Fourier series of the recent past.
#pragma once

#include <s4/hippo/system.hpp>

#include <numbers>

namespace s4::inline S4_ABI {

namespace detail {

/// b = (1, 0, √2, 0, √2, 0, …) [N]: a constant, then cosines; no sines.
inline Eigen::VectorXd fourier_input(Index N) {
    Eigen::VectorXd b = Eigen::VectorXd::Zero(N);
    for (Index n = 0; n < N; n += 2) b(n) = n == 0 ? 1.0 : std::numbers::sqrt2;
    return b;
}

/// The skew matrix frequency·J [N × N], where J turns the pair (2j, 2j+1) with rate j.
inline Eigen::MatrixXd fourier_rotation(Index N, double frequency) {
    Eigen::MatrixXd A = Eigen::MatrixXd::Zero(N, N);
    for (Index n = 0; n + 1 < N; n += 2) {
        A(n + 1, n) = frequency * static_cast<double>(n / 2);
        A(n, n + 1) = -A(n + 1, n);
    }
    return A;
}

/// A = frequency·J − weight·b bᵀ, B = gain·b.
inline HippoSystem fourier_system(std::string_view name, Index N, double frequency, double weight, double gain) {
    require_state_size(name, N);
    const Eigen::VectorXd b = fourier_input(N);
    HippoSystem system{fourier_rotation(N, frequency), gain * b};
    system.A.noalias() -= weight * b * b.transpose();
    return system;
}

/// factor·b as a row [1 × N].
inline Eigen::MatrixXd fourier_low_rank(std::string_view name, Index N, double factor) {
    require_state_size(name, N);
    return factor * fourier_input(N).transpose();
}

}  // namespace detail

/// Fourier series over a sliding window (FouT): A = π J − b bᵀ, B = b with b = (1, 0, √2, 0, √2, 0, …) and J turning
/// the pair (2j, 2j+1) with rate j. (HiPPO, appendix D.3; "How to train your HiPPO", theorem 7)
struct Fourier {
    static constexpr std::string_view name = "fourier";
    static constexpr Index rank = 1;
    [[nodiscard]] HippoSystem transition(Index N) const {
        return detail::fourier_system(name, N, std::numbers::pi, 1.0, 1.0);
    }
    [[nodiscard]] Eigen::MatrixXd low_rank(Index N) const { return detail::fourier_low_rank(name, N, 1.0); }
    [[nodiscard]] double real_part() const { return 0.0; }
};

/// Fourier with twice the frequencies and twice the correction: A = 2π J − 2 b bᵀ, B = 2 b.
struct Fourier2 {
    static constexpr std::string_view name = "fourier2";
    static constexpr Index rank = 1;
    [[nodiscard]] HippoSystem transition(Index N) const {
        return detail::fourier_system(name, N, 2 * std::numbers::pi, 2.0, 2.0);
    }
    [[nodiscard]] Eigen::MatrixXd low_rank(Index N) const {
        return detail::fourier_low_rank(name, N, std::numbers::sqrt2);
    }
    [[nodiscard]] double real_part() const { return 0.0; }
};

/// Fourier with half the correction: A = π J − b bᵀ/2, B = b/2.
struct FourierDecay {
    static constexpr std::string_view name = "fourier_decay";
    static constexpr Index rank = 1;
    [[nodiscard]] HippoSystem transition(Index N) const {
        return detail::fourier_system(name, N, std::numbers::pi, 0.5, 0.5);
    }
    [[nodiscard]] Eigen::MatrixXd low_rank(Index N) const {
        return detail::fourier_low_rank(name, N, std::numbers::sqrt2 / 2);
    }
    [[nodiscard]] double real_part() const { return 0.0; }
};

/// Damped oscillators at all multiples of one frequency (FouD): A = 2π J − I/2, B = b. Normal as it stands.
struct FourierDiagonal {
    static constexpr std::string_view name = "fourier_diag";
    static constexpr Index rank = 0;
    [[nodiscard]] HippoSystem transition(Index N) const {
        HippoSystem system = detail::fourier_system(name, N, 2 * std::numbers::pi, 0.0, 1.0);
        system.A.diagonal().array() -= 0.5;
        return system;
    }
    [[nodiscard]] Eigen::MatrixXd low_rank(Index N) const {
        detail::require_state_size(name, N);
        return Eigen::MatrixXd(0, N);
    }
    [[nodiscard]] double real_part() const { return -0.5; }
};

}  // namespace s4::inline S4_ABI
