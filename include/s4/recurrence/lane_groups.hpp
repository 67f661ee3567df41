// Several lane blocks at once, for loops that wait for their own sums.
#pragma once

#include <s4/core/scalar.hpp>

#include <cstddef>
#include <type_traits>
#include <utility>

namespace s4::inline S4_ABI::detail {

/// `Count` values that live in registers once loops over them are unrolled.
template <class T, Index Count>
using Registers = T[static_cast<std::size_t>(Count)];

/// Calls `body(i)` for i = 0 … Count − 1, each a constant: a loop over registers that is unrolled at any optimisation.
template <Index Count, class Body>
void unrolled(const Body& body) noexcept {
    [&]<Index... i>(std::integer_sequence<Index, i...>) { (body(std::integral_constant<Index, i>{}), ...); }
    (std::make_integer_sequence<Index, Count>{});
}

/// Calls `body(first block, number of blocks as a constant)` for groups of four, two and one of the lane blocks: the
/// sums over n of several blocks hide each other's latency.
template <class Body>
void for_each_group(Index blocks, const Body& body) noexcept {
    Index block = 0;
    for (; block + 4 <= blocks; block += 4) body(block, std::integral_constant<Index, 4>{});
    for (; block + 2 <= blocks; block += 2) body(block, std::integral_constant<Index, 2>{});
    for (; block < blocks; ++block) body(block, std::integral_constant<Index, 1>{});
}

}  // namespace s4::inline S4_ABI::detail
