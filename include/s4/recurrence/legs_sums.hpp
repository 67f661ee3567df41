// The O(N) sums of scale-invariant LegS, for the rules of the generalised bilinear family and for a held input.
#pragma once

#include <s4/core/lanes.hpp>
#include <s4/core/storage.hpp>
#include <s4/recurrence/lane_groups.hpp>

#include <algorithm>
#include <cmath>
#include <concepts>
#include <limits>

// With c_n = √(2n+1) z_n the system c' = (A c + B u)/t of LegS has whole numbers for coefficients:
//     t z_n' = R_n − (n+1) z_n,    R_n = u − Σ_{k<n} (2k+1) z_k,
// so that one running sum R applies A and B in O(N), and another solves with I − w A/t, which is lower triangular.
// Every coefficient depends on n and t alone: channels share them, and lie side by side in SIMD lanes.

namespace s4::inline S4_ABI::detail {

/// The table of z: [lane block][n][value, residue][lane]. Float alone has a residue: what rounding took from each sum
/// and the next sample adds again (Kahan). Without it a mean over t samples would stop to move when u/t is below half
/// a unit in the last place, and what is rounded away each time would add up before.
template <RealScalar Scalar>
inline constexpr Index legs_fields = std::same_as<Scalar, float> ? 2 : 1;

/// z_n of one lane block in registers.
template <RealScalar Scalar>
struct LegsSum {
    using L = Lanes<Scalar>;
    L value;
    L residue;

    [[nodiscard]] static LegsSum load(const Scalar* from) noexcept {
        return {L::load(from), legs_fields<Scalar> == 2 ? L::load(from + L::count) : L::zero()};
    }
    void store(Scalar* to) const noexcept {
        value.store(to);
        if constexpr (legs_fields<Scalar> == 2) residue.store(to + L::count);
    }
    /// value += a·b.
    void add(L a, L b) noexcept {
        if constexpr (legs_fields<Scalar> == 2) {
            const L change = fma(a, b, residue);
            const L next = value + change;
            residue = change - (next - value);
            value = next;
        } else {
            value = fma(a, b, value);
        }
    }
};

/// The rules (I − w A/t) c_t = (I + (1−w) A/t) c_{t−1} + B u_t/t. With q = 1/(t + w (n+1)) and e = R_n − (n+1) z_n
///     z_n ← z_n + q e,    R_{n+1} = (t − w n) q R_n − (2n+1) t q z_n:
/// the chain from n to n + 1 is one fused multiplication and addition.
template <RealScalar Scalar>
class WeightedLegsSums {
public:
    using L = Lanes<Scalar>;
    static constexpr Index width = L::count;

    struct Workspace {
        Storage<Scalar> factors;  // [n / width][step][field][n % width]

        void reset() noexcept {}  // nothing of it outlives a sample
    };

    WeightedLegsSums(Index states, double weight)
        : states_{states}, weight_{static_cast<Scalar>(weight)}, order_{(states + width - 1) / width * width} {
        for (Index n = 0; n < order_.size(); ++n) order_.data()[n] = static_cast<Scalar>(n + 1);
    }

    [[nodiscard]] Workspace make_workspace(Index) const { return {Storage<Scalar>{order_.size() * steps * fields}}; }

    /// `length` samples of every channel, the first of them the one after `seen` others.
    void run(Scalar* z, Workspace& work, Index channels, Index seen, Index length, const Scalar* u,
             Index stride) const noexcept {
        Index done = 0;
        for (; done + steps <= length; done += steps)
            advance_all<steps>(z, work, channels, seen + done + 1, u + done * stride, stride);
        for (; done < length; ++done) advance_all<1>(z, work, channels, seen + done + 1, u + done * stride, stride);
    }

private:
    static constexpr Index steps = 4;   // samples for which z_n is loaded once
    static constexpr Index fields = 3;  // (t − w n) q, −(2n+1) t q, q

    template <Index Steps>
    void advance_all(Scalar* z, Workspace& work, Index channels, Index t, const Scalar* u,
                     Index stride) const noexcept {
        set_factors<Steps>(work.factors.data(), t);
        for_each_group(
            lane_blocks<Scalar>(channels), [&]<Index Blocks>(Index block, std::integral_constant<Index, Blocks>) {
                advance<Steps, Blocks>(z + block * states_ * legs_fields<Scalar> * width, work.factors.data(),
                                       channels - block * width, u + block * width, stride);
            });
    }

    // Lanes over n here: one division for `width` states.
    template <Index Steps>
    void set_factors(Scalar* to, Index t) const noexcept {
        const L w = L::broadcast(weight_);
        const L one = L::broadcast(Scalar{1});
        for (Index n = 0; n < states_; n += width) {
            const L order = L::load(order_.data() + n);
            for (Index step = 0; step < Steps; ++step, to += fields * width) {
                const L time = L::broadcast(static_cast<Scalar>(t + step));
                const L q = one / fma(w, order, time);
                (fnma(w, order - one, time) * q).store(to);  // fused by name: one step and four then give the same bits
                ((one - (order + order)) * (time * q)).store(to + width);
                q.store(to + 2 * width);
            }
        }
    }

    template <Index Steps, Index Blocks>
    void advance(Scalar* z, const Scalar* factors, Index channels, const Scalar* u, Index stride) const noexcept {
        const Index block_size = states_ * legs_fields<Scalar> * width;
        Registers<Registers<L, Blocks>, Steps> rest;  // R
        for (Index step = 0; step < Steps; ++step)
            for (Index b = 0; b < Blocks; ++b)
                rest[step][b] = L::load_first(u + step * stride + b * width, std::min(width, channels - b * width));
        for (Index first = 0; first < states_; first += width, factors += Steps * fields * width) {
            const Index last = std::min(width, states_ - first);
            for (Index i = 0; i < last; ++i, z += legs_fields<Scalar> * width) {
                const L minus_order = L::broadcast(-order_.data()[first + i]);
                Registers<LegsSum<Scalar>, Blocks> sum;
                unrolled<Blocks>([&](auto b) { sum[b] = LegsSum<Scalar>::load(z + b * block_size); });
                unrolled<Steps>([&](auto step) {
                    const Scalar* at = factors + step * fields * width + i;
                    const L kept = L::broadcast(at[0]);
                    const L taken = L::broadcast(at[width]);
                    const L q = L::broadcast(at[2 * width]);
                    unrolled<Blocks>([&](auto b) {
                        const L change = fma(minus_order, sum[b].value, rest[step][b]);
                        rest[step][b] = fma(kept, rest[step][b], taken * sum[b].value);
                        sum[b].add(q, change);
                    });
                });
                unrolled<Blocks>([&](auto b) { sum[b].store(z + b * block_size); });
            }
        }
    }

    Index states_;
    Scalar weight_;
    Storage<Scalar> order_;  // n + 1
};

}  // namespace s4::inline S4_ABI::detail
