// Sequences of different lengths in one batch: how many positions of each are real, the rest being padding.
#pragma once

#include <s4/core/error.hpp>
#include <s4/core/scalar.hpp>

#include <cstddef>
#include <span>

namespace s4::inline S4_ABI {

/// Error unless `lengths` is empty (all sequences are full) or has one entry in [1, length] for each of `batch`
/// sequences.
inline void validate_lengths(std::span<const Index> lengths, Index batch, Index length) {
    if (lengths.empty()) return;
    detail::require(std::ssize(lengths) == batch, "lengths: one is needed for each of ", batch, " sequences, found ",
                    std::ssize(lengths));
    for (std::size_t b = 0; b < lengths.size(); ++b)
        detail::require(lengths[b] >= 1 && lengths[b] <= length, "lengths: each must lie in [1, ", length, "], found ",
                        lengths[b], " for sequence ", b);
}

namespace detail {

/// The number of real positions of sequence b, of at most `length`.
[[nodiscard]] inline Index length_of(std::span<const Index> lengths, Index b, Index length) noexcept {
    if (lengths.empty()) return length;
    const Index found = lengths[static_cast<std::size_t>(b)];
    S4_ASSERT(found >= 0 && found <= length, "lengths: none may exceed the length of the batch");
    return found;
}

/// The positions of each sequence of a batch.
[[nodiscard]] inline Index positions_of(Index rows, Index batch,
                                        [[maybe_unused]] std::span<const Index> lengths) noexcept {
    S4_ASSERT(batch > 0 && rows % batch == 0, "the batch must divide the rows");
    S4_ASSERT(lengths.empty() || std::ssize(lengths) == batch, "lengths: one for each sequence, or none");
    return rows / batch;
}

}  // namespace detail
}  // namespace s4::inline S4_ABI
