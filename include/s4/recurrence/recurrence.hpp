// What every recurrence offers, and the lane blocks they share.
#pragma once

#include <s4/core/lanes.hpp>
#include <s4/core/sequence.hpp>
#include <s4/core/storage.hpp>

#include <algorithm>

namespace s4::inline S4_ABI {

/// The recurrent form of a system, `x_t = Ā x_{t−1} + B̄ u_t, y_t = C x_t + D u_t`: specialised for Diagonal, Dplr and
/// Dense in <s4/recurrence/*_recurrence.hpp>. Const when it runs; everything mutable is in a `State`, one per stream.
/// With a kernel_limit m the state also forgets: − Ā^m B̄ u_{t−m} (see PastInputs).
///   Recurrence r{parameters}           coefficients, computed in double and rounded once; error on bad parameters
///   r.make_state()                     zero state
///   r.fits(state)                      whether the state has the sizes of this system's
///   r.step(state, u, y)                one sample of every channel: u [H], y [heads·H]
///   r.scan(state, length, u, stride_u, y, stride_y)   `length` samples, the same result as that many steps
///   r.advance(state, length, u, stride_u)             the same without outputs
///   r.add_free_response(state, length, y, stride_y)   y += the answer to the state alone, without input
///   r.read(state, x), r.write(state, x)               the state in the coordinates of the parameters; writing one
///                                                     leaves no past inputs to forget
/// All but the constructor and make_state are noexcept and do not allocate.
template <class Ssm>
class Recurrence;

namespace detail {

/// What a pass over time reads and writes: both input and output, the state alone, or the output added to what is there
/// with no input.
enum class Flow { full, state_only, free };

/// How many steps a scan holds in registers at once.
inline constexpr std::size_t scan_block = 4;

/// Error unless every coefficient is finite: finite parameters may still overflow the scalar.
template <RealScalar Scalar, int Size>
void require_finite(const char* system, const Storage<Scalar, Size>& coefficients) {
    for (Index i = 0; i < coefficients.size(); ++i)
        require(is_finite(coefficients.data()[i]), system,
                ": a coefficient of the recurrence is not finite: parameters are too large for the scalar");
}

/// Runs `body(block, first channel, active lanes)` for the lane blocks of `channels`.
template <RealScalar Scalar, class Body>
void for_each_lane_block(Index channels, const Body& body) {
    constexpr Index width = Lanes<Scalar>::count;
    for (Index block = 0; block * width < channels; ++block)
        body(block, block * width, std::min(width, channels - block * width));
}

/// Compile-time size of the scratch that sums of several heads need; 0 for one head, Dynamic if unknown.
template <RealScalar Scalar>
[[nodiscard]] constexpr int head_sums_size(int heads) noexcept {
    if (heads == Dynamic) return Dynamic;
    return heads > 1 ? heads * static_cast<int>(scan_block) * static_cast<int>(Lanes<Scalar>::count) : 0;
}

/// Compile-time size of a table with `per_channel` numbers for every channel, in whole lane blocks; Dynamic if unknown.
template <RealScalar Scalar>
[[nodiscard]] constexpr int lane_table_size(int channels, int per_channel) noexcept {
    return channels == Dynamic || per_channel == Dynamic
               ? Dynamic
               : static_cast<int>(lane_blocks<Scalar>(channels) * Lanes<Scalar>::count) * per_channel;
}

}  // namespace detail
}  // namespace s4::inline S4_ABI
