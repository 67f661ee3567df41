// Which transform lengths are fast, and which are possible at all.
#pragma once

#include <s4/core/error.hpp>
#include <s4/core/scalar.hpp>

#include <array>

namespace s4::inline S4_ABI {

/// The longest transform: back ends count in 32-bit integers, and FFTW ends the process when its planner runs out of
/// memory, so lengths are limited before it is called.
inline constexpr Index max_fft_size = Index{1} << 28;

/// The smallest fast even length ≥ `length` (1 for lengths 0 and 1): a power of two times 1, 3, 5, 9, 15, 25 or 27.
/// Such lengths are 5-smooth, for which FFTW never allocates in execute; larger odd parts run at half the speed
/// (1000 = 8·125 is twice as slow as 1024). Error above `max_fft_size`.
[[nodiscard]] inline Index good_fft_size(Index length) {
    detail::require(length >= 0 && length <= max_fft_size, "FFT length: at most ", max_fft_size,
                    " samples can be transformed, found ", length);
    if (length <= 1) return 1;
    Index best = max_fft_size;
    for (const Index odd : std::array<Index, 7>{1, 3, 5, 9, 15, 25, 27}) {
        Index size = 2 * odd;
        while (size < length) size *= 2;
        if (size < best) best = size;
    }
    return best;
}

}  // namespace s4::inline S4_ABI
