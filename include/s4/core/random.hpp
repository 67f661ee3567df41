// Random numbers that are the same on every machine: the engine is the standard's, the distributions are ours
// (the standard leaves theirs to each library).
#pragma once

#include <s4/core/error.hpp>
#include <s4/core/sequence.hpp>

#include <cmath>
#include <complex>
#include <cstdint>
#include <random>

namespace s4::inline S4_ABI {

/// The engine of every draw: the same numbers on every machine.
using RandomEngine = std::mt19937_64;

/// Uniform in [0, 1), a multiple of 2^-53.
[[nodiscard]] inline double uniform(RandomEngine& engine) noexcept {
    return static_cast<double>(engine() >> 11) * 0x1p-53;
}

/// Standard normal by the polar form of Box and Muller; one of the two numbers it yields is dropped, so that every
/// call depends on the engine alone.
[[nodiscard]] inline double normal(RandomEngine& engine) noexcept {
    const double radius = std::sqrt(-2.0 * std::log(1.0 - uniform(engine)));
    return radius * std::cos(2.0 * std::numbers::pi * uniform(engine));
}

/// Complex normal with E|z|² = 1 (each part has variance 1/2).
[[nodiscard]] inline std::complex<double> complex_normal(RandomEngine& engine) noexcept {
    const double re = normal(engine);
    const double im = normal(engine);
    return {re * std::numbers::sqrt2 / 2, im * std::numbers::sqrt2 / 2};
}

/// Standard normal noise [length × channels]. Error when a size is negative.
template <RealScalar Scalar>
[[nodiscard]] Sequence<Scalar> white_noise(Index length, Index channels, std::uint64_t seed) {
    detail::require(length >= 0 && channels >= 0, "white_noise: sizes must not be negative, found ", length, " x ",
                    channels);
    return detail::or_out_of_memory("white_noise", [&] {
        RandomEngine engine{seed};
        Sequence<Scalar> noise(length, channels);
        for (Index t = 0; t < length; ++t)
            for (Index h = 0; h < channels; ++h) noise(t, h) = static_cast<Scalar>(normal(engine));
        return noise;
    });
}

}  // namespace s4::inline S4_ABI
