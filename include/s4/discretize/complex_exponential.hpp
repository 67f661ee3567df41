// e^z − 1, (e^z − 1)/z and its derivative, and log(1 + z) of a complex number, right through z = 0.
#pragma once

#include <s4/core/scalar.hpp>

#include <cmath>
#include <complex>
#include <concepts>
#include <limits>

namespace s4::inline S4_ABI::detail {

/// e^z by its modulus and angle.
template <RealScalar Real>
[[nodiscard]] inline std::complex<Real> exp(std::complex<Real> z) noexcept {
    const Real modulus = std::exp(z.real());
    return {modulus * std::cos(z.imag()), modulus * std::sin(z.imag())};
}

/// e^z − 1 to a few roundings of its modulus: the half angle replaces 1 − cos, which loses all digits near 0.
template <RealScalar Real>
[[nodiscard]] inline std::complex<Real> expm1(std::complex<Real> z) noexcept {
    const Real half_sine = std::sin(z.imag() / 2);
    const Real real = std::expm1(z.real()) * std::cos(z.imag()) - 2 * half_sine * half_sine;
    return {real, std::exp(z.real()) * std::sin(z.imag())};
}

/// (e^z − 1)/z, which is 1 at z = 0, to a few roundings: Taylor's series below |z| = 0.1, where a division would
/// amplify what the numerator lost.
template <RealScalar Real>
[[nodiscard]] inline std::complex<Real> expm1_over(std::complex<Real> z) noexcept {
    constexpr Real radius = static_cast<Real>(0.1L);
    if (std::abs(z.real()) + std::abs(z.imag()) >= radius) return expm1(z) / z;
    // 0.1^terms/(terms + 1)! is below half a rounding of each type.
    constexpr int terms = std::same_as<Real, float> ? 6 : std::same_as<Real, double> ? 11 : 14;
    std::complex<Real> sum{1, 0};
    for (int k = terms; k >= 2; --k) sum = Real{1} + multiply(sum, z) / static_cast<Real>(k);
    return sum;
}

/// The derivative of (e^z − 1)/z, which is (e^z − (e^z − 1)/z)/z, and 1/2 at z = 0: its Taylor series
/// Σ (k + 1) z^k / (k + 2)! below |z| = 1, where the difference would lose digits.
template <RealScalar Real>
[[nodiscard]] inline std::complex<Real> expm1_over_derivative(std::complex<Real> z) noexcept {
    if (std::abs(z.real()) + std::abs(z.imag()) >= Real{1}) return (detail::exp(z) - expm1_over(z)) / z;
    // (terms + 2)/(terms + 3)! is below half a rounding of each type.
    constexpr int terms = std::same_as<Real, float> ? 10 : std::same_as<Real, double> ? 18 : 21;
    std::complex<Real> sum{1, 0};
    for (int k = terms; k >= 1; --k)
        sum = Real{1} + multiply(sum, z) * (static_cast<Real>(k + 1) / static_cast<Real>(k * (k + 2)));
    return sum / Real{2};
}

/// log(1 + z) with the digits of small z; −∞ in the real part for z = −1.
[[nodiscard]] inline std::complex<double> log1p(std::complex<double> z) noexcept {
    const double squared = 2 * z.real() + std::norm(z);  // |1 + z|² − 1
    const double modulus = squared > -1 ? 0.5 * std::log1p(squared) : -std::numeric_limits<double>::infinity();
    return {modulus, std::atan2(z.imag(), 1 + z.real())};
}

}  // namespace s4::inline S4_ABI::detail
