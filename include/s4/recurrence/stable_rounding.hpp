// Rounding the step of one mode so that it stays stable.
#pragma once

#include <s4/core/scalar.hpp>

#include <cmath>
#include <complex>
#include <limits>

namespace s4::inline S4_ABI::detail {

/// Rounds Ā − 1 to Scalar so that |Ā| stays ≤ 1: half of all roundings of a very slow mode would make it grow. Where
/// one does, Ā is shrunk by as few roundings of Ā − 1 as it takes. (RELIABILITY 1.4: checked after the rounding.)
template <RealScalar Scalar>
[[nodiscard]] std::complex<Scalar> round_stable(std::complex<double> a_minus_one) noexcept {
    const auto growth = [](const auto& difference) {  // |Ā|² − 1
        const std::complex<long double> wide(difference);
        return 2 * wide.real() + std::norm(wide);
    };
    std::complex<Scalar> rounded(a_minus_one);
    const double ulp = static_cast<double>(std::numeric_limits<Scalar>::epsilon()) * std::abs(a_minus_one);
    for (double shrink = ulp; growth(rounded) > 0 && shrink < 1; shrink *= 2)
        rounded = std::complex<Scalar>(a_minus_one - shrink * (1.0 + a_minus_one));
    return rounded;
}

}  // namespace s4::inline S4_ABI::detail
