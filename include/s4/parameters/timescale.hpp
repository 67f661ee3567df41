// Step sizes to start from: how fast each channel forgets.
#pragma once

#include <s4/core/error.hpp>
#include <s4/core/random.hpp>
#include <s4/core/scalar.hpp>

#include <cmath>

namespace s4::inline S4_ABI {

/// The range that the step sizes dt of the channels are drawn from, in units of one sample's spacing. A channel
/// remembers about 1/dt samples.
struct Timescale {
    double dt_min = 1e-3;
    double dt_max = 1e-1;
};

/// Error unless 0 < dt_min ≤ dt_max, both finite.
inline void validate(const Timescale& timescale) {
    detail::require(detail::is_finite(timescale.dt_min) && timescale.dt_min > 0,
                    "timescale: dt_min must be finite and above 0, found ", timescale.dt_min);
    detail::require(detail::is_finite(timescale.dt_max) && timescale.dt_max >= timescale.dt_min,
                    "timescale: dt_max must be finite and at least dt_min = ", timescale.dt_min, ", found ",
                    timescale.dt_max);
}

namespace detail {

/// dt_min · (dt_max/dt_min)^fraction, never outside of the range.
inline double between(const Timescale& timescale, double fraction) noexcept {
    const double log_min = std::log(timescale.dt_min);
    const double dt = std::exp(log_min + fraction * (std::log(timescale.dt_max) - log_min));
    return std::fmin(std::fmax(dt, timescale.dt_min), timescale.dt_max);
}

}  // namespace detail

/// One step size whose logarithm is uniform in the range. Error when the range is not valid.
[[nodiscard]] inline double log_uniform(const Timescale& timescale, RandomEngine& engine) {
    validate(timescale);
    return detail::between(timescale, uniform(engine));
}

/// `count` step sizes [count] of equal ratio from dt_min to dt_max, both ends exact; a single one is dt_min. Error
/// when the range is not valid or `count` is negative.
[[nodiscard]] inline Eigen::VectorXd geometric_grid(const Timescale& timescale, Index count) {
    validate(timescale);
    detail::require(count >= 0, "timescale: the number of step sizes must not be negative, found ", count);
    Eigen::VectorXd grid(count);
    for (Index i = 0; i < count; ++i)
        grid(i) = detail::between(timescale, i == 0 ? 0.0 : static_cast<double>(i) / static_cast<double>(count - 1));
    if (count > 0) grid(0) = timescale.dt_min;
    if (count > 1) grid(count - 1) = timescale.dt_max;
    return grid;
}

}  // namespace s4::inline S4_ABI
