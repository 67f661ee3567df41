// The inputs that a recurrence has still to forget: what makes its kernel end.
#pragma once

#include <s4/core/lanes.hpp>
#include <s4/core/storage.hpp>

namespace s4::inline S4_ABI {

/// The last m inputs of every channel, in rings. A kernel that ends after m samples is
/// Σ_{j<m} C Ā^j B̄ u[t−j]: the state of x_t = Ā x_{t−1} + B̄ u_t − Ā^m B̄ u_{t−m} is exactly that sum.
template <RealScalar Scalar>
class PastInputs {
    using L = Lanes<Scalar>;

public:
    /// Zeros. m = 0 keeps nothing: the kernel does not end.
    PastInputs(Index channels, Index m) : m_{m}, values_{lane_blocks<Scalar>(channels) * L::count * m} {}

    /// How many numbers are kept.
    [[nodiscard]] Index size() const noexcept { return values_.size(); }
    void reset() noexcept {
        values_.set_zero();
        start_ = 0;
    }
    /// The input of lane block `block` from m samples before sample t of this pass; `input` takes its place.
    [[nodiscard]] L exchange(Index block, Index t, L input) noexcept {
        Scalar* const place = values_.data() + (block * m_ + (start_ + t) % m_) * L::count;
        const L delayed = L::load(place);
        input.store(place);
        return delayed;
    }
    /// Ends a pass over `length` samples of all blocks.
    void advance(Index length) noexcept {
        if (m_ > 0) start_ = (start_ + length) % m_;
    }

private:
    Index m_;
    Index start_ = 0;
    Storage<Scalar> values_;  // [lane block][m][lane]
};

}  // namespace s4::inline S4_ABI
