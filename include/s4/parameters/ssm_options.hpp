// The options of a system that are not trained, and travel with its tensors.
#pragma once

#include <s4/core/error.hpp>
#include <s4/core/scalar.hpp>
#include <s4/parameters/transforms.hpp>

#include <cmath>

namespace s4::inline S4_ABI {

/// Tensors that an optimiser leaves as they are.
struct Frozen {
    bool dt = false;  ///< inv_dt
    bool A = false;   ///< A_real and A_imag
    bool P = false;   ///< P
    bool B = false;   ///< B
    bool C = false;   ///< C
    bool D = false;   ///< D
};

/// How the tensors of a system are read, and how the system runs: the same in both modes of a layer.
struct SsmOptions {
    Transform dt_transform = Transform::exp;     ///< dt = T(inv_dt)
    Transform real_transform = Transform::exp;   ///< Re λ = −T(A_real)
    Transform imag_transform = Transform::none;  ///< Im λ = −T(A_imag)
    bool dt_fast = false;                        ///< dt = T(sinh(inv_dt)): long step sizes are reached sooner
    bool real = false;  ///< Diagonal only: the stored states are all, and real; imaginary parts of A, B, C count as 0

    /// What one sample spans, in units of the spacing that dt was trained for: dt is multiplied by it. A layer made for
    /// 48 kHz runs at 16 kHz with rate 3. (S4 paper, section 4.3: sampling resolution change)
    double rate = 1;
    /// Modes that turn by `band_limit`/2 cycles or more in a sample of the trained spacing have no output: their C is
    /// taken as 0. 0: no limit; 1: the Nyquist frequency. (S4ND paper, section 3.2)
    double band_limit = 0;
    /// The kernel ends after this many samples of the trained spacing (kernel_limit/rate of those that are run); the
    /// recurrence forgets them as exactly. 0: it does not end.
    Index kernel_limit = 0;

    Frozen frozen = {};
};

/// The rates that a system may run at.
inline constexpr double min_rate = 1e-4;
/// The highest; see min_rate.
inline constexpr double max_rate = 1e4;
/// The longest kernel_limit.
inline constexpr Index max_kernel_limit = Index{1} << 28;

namespace detail {

/// After how many samples, at its rate, the kernel ends; 0 if it does not.
[[nodiscard]] inline Index kernel_end(const SsmOptions& options) noexcept {
    if (options.kernel_limit == 0) return 0;
    const double samples = std::nearbyint(static_cast<double>(options.kernel_limit) / options.rate);
    return static_cast<Index>(std::fmin(std::fmax(samples, 1.0), static_cast<double>(max_kernel_limit)));
}

/// Error that names the option unless every one is in range.
inline void check_options(const char* system, const SsmOptions& options) {
    const auto check_transform = [system](const char* option, Transform transform) {
        require(is_transform(transform), system, ": option ", option,
                " must be none, exp, relu, sigmoid or softplus, found the value ", static_cast<int>(transform));
    };
    check_transform("dt_transform", options.dt_transform);
    check_transform("real_transform", options.real_transform);
    check_transform("imag_transform", options.imag_transform);
    require(is_finite(options.rate) && options.rate >= min_rate && options.rate <= max_rate, system,
            ": option rate must lie in [", min_rate, ", ", max_rate, "], found ", options.rate);
    require(is_finite(options.band_limit) && options.band_limit >= 0, system,
            ": option band_limit must be finite and not negative (0: no limit), found ", options.band_limit);
    require(options.kernel_limit >= 0 && options.kernel_limit <= max_kernel_limit, system,
            ": option kernel_limit must lie in [0, ", max_kernel_limit, "] (0: no limit), found ",
            options.kernel_limit);
}

}  // namespace detail
}  // namespace s4::inline S4_ABI
