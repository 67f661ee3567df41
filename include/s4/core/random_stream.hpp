// Random numbers by address: the engine for (seed, index), whatever was drawn before; and orders drawn with it.
#pragma once

#include <s4/core/error.hpp>
#include <s4/core/random.hpp>
#include <s4/core/scalar.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>
#include <numeric>
#include <span>
#include <utility>
#include <vector>

namespace s4::inline S4_ABI {

namespace detail {

/// The finaliser of SplitMix64, which scatters the bits of a number one to one (Steele, Lea and Flood, "Fast splittable
/// pseudorandom number generators", 2014).
[[nodiscard]] constexpr std::uint64_t scatter_bits(std::uint64_t x) noexcept {
    x += 0x9e37'79b9'7f4a'7c15U;
    x = (x ^ (x >> 30U)) * 0xbf58'476d'1ce4'e5b9U;
    x = (x ^ (x >> 27U)) * 0x94d0'49bb'1331'11ebU;
    return x ^ (x >> 31U);
}

}  // namespace detail

/// Engine number `index` of the family of `seed`. Two indices of one seed never begin alike; the same pair gives the
/// same numbers on every machine. O(1), about a microsecond; does not allocate.
[[nodiscard]] inline RandomEngine random_stream(std::uint64_t seed, std::uint64_t index) noexcept {
    return RandomEngine{detail::scatter_bits(detail::scatter_bits(seed) + index)};
}

/// Uniform in [0, bound), exactly: the few draws that would favour small numbers are dropped. `bound` is positive.
[[nodiscard]] inline Index uniform_below(RandomEngine& engine, Index bound) noexcept {
    S4_ASSERT(bound > 0, "there is a number to draw");
    const auto n = static_cast<std::uint64_t>(bound);
    const std::uint64_t last =
        std::numeric_limits<std::uint64_t>::max() - std::numeric_limits<std::uint64_t>::max() % n;
    std::uint64_t draw = engine();
    while (draw >= last) draw = engine();
    return static_cast<Index>(draw % n);
}

/// Puts `values` into an order that is uniform over all of them (Fisher and Yates). O(size); does not allocate.
inline void shuffle(std::span<Index> values, RandomEngine& engine) noexcept {
    for (std::size_t left = values.size(); left > 1; --left)
        std::swap(values[left - 1], values[static_cast<std::size_t>(uniform_below(engine, static_cast<Index>(left)))]);
}

/// The numbers 0 … size − 1 in an order drawn from `seed`. Error when the size is negative.
[[nodiscard]] inline std::vector<Index> random_permutation(Index size, std::uint64_t seed) {
    detail::require(size >= 0, "random_permutation: the size must not be negative, found ", size);
    return detail::or_out_of_memory("random_permutation", [&] {
        std::vector<Index> order(static_cast<std::size_t>(size));
        std::iota(order.begin(), order.end(), Index{0});
        RandomEngine engine = random_stream(seed, 0);
        shuffle(order, engine);
        return order;
    });
}

}  // namespace s4::inline S4_ABI
