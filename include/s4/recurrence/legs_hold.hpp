// Scale-invariant LegS with a held input: exact for blocks of samples, whose work is spread over the samples after
// them.
#pragma once

#include <s4/recurrence/legs_sums.hpp>

#include <utility>

namespace s4::inline S4_ABI::detail {

/// c_t = e c_{t−1} + A⁻¹(e − I) B u_t with e = e^(A log((t+1)/t)), for b samples at once. The past of length a = t + 1
/// becomes one of length T = a + b, and z_n = c_n/√(2n+1) is its mean against the Legendre polynomial P_n. So
///     z_n ← ρ Σ_k m_nk z_k + Σ_j g_nj u_j,    ρ = a/T,    P_n(ρx + ρ − 1) = Σ_k m_nk P_k(x),
/// and g_nj is half the integral of P_n over the place of sample j in [−1, 1]. This is no approximation, whatever b:
/// the rows of m and of g follow from each other by three-term recurrences, in double, shared by all channels. A block
/// costs N b multiplications by g and N²/2 by ρm, a sample with b = N therefore 3N/2.
///
/// Samples wait until a block is complete. It is merged while the next one comes, `tile_rows` rows at a time as they
/// fall due, so that no sample costs more than O(N). Only who reads z pays for what is still to be merged: O(N²).
///
/// What is computed of m is m − I, which keeps its digits for ρ near 1; what is computed of g is a difference of
/// W_n = ∫ P_n that keeps the digits of short intervals, by recurrences from the nearer end of [−1, 1].
template <RealScalar Scalar>
class HeldLegsSums {
public:
    using L = Lanes<Scalar>;
    static constexpr Index width = L::count;

    struct Workspace {
        Storage<Scalar> inputs;   // that wait: [lane block][b][lane]
        Storage<Scalar> merged;   // what a merge reads: [lane block][b inputs, then N values z][lane]
        Storage<Scalar> changes;  // what it has found: [lane block][n][lane]
        Storage<Scalar> tile;     // `tile_rows` rows of b numbers g, then N of ρm − I
        Storage<double> rows;     // three rows of m − I
        Storage<double> weights;  // [field][b] of the recurrences of g
        Index waiting = 0;        // inputs
        Index merging = 0;        // inputs; none when no merge goes on
        Index row = 0;            // the first that it has still to find
        double age = 0;           // a

        void reset() noexcept { waiting = merging = 0; }
    };

    explicit HeldLegsSums(Index states)
        : states_{states}, inputs_{(states + wide - 1) / wide * wide}, shifts_{2 * inputs_} {
        for (Index k = 0; k < states; ++k) {  // x P_k = ((k+1) P_{k+1} + k P_{k−1})/(2k+1), read at P_k
            const auto order = static_cast<double>(k);
            shifts_.data()[k] = k == 0 ? 0.0 : order / (2 * order - 1);
            shifts_.data()[inputs_ + k] = (order + 1) / (2 * order + 3);
        }
    }

    [[nodiscard]] Workspace make_workspace(Index channels) const {
        const Index lanes = lane_blocks<Scalar>(channels) * width;
        return {Storage<Scalar>{lanes * inputs_}, Storage<Scalar>{lanes * (inputs_ + states_)},
                Storage<Scalar>{lanes * states_}, Storage<Scalar>{tile_rows * (inputs_ + states_)},
                Storage<double>{3 * row_size()},  Storage<double>{fields * inputs_}};
    }

    /// `length` samples of every channel, the first of them the one after `seen` others.
    void run(Scalar* z, Workspace& work, Index channels, Index seen, Index length, const Scalar* u,
             Index stride) const noexcept {
        const Index blocks = lane_blocks<Scalar>(channels);
        for (Index t = seen + 1; t <= seen + length; ++t, u += stride) {
            for (Index block = 0; block < blocks; ++block)
                L::load_first(u + block * width, std::min(width, channels - block * width))
                    .store(work.inputs.data() + (block * inputs_ + work.waiting) * width);
            ++work.waiting;
            if (work.merging > 0)
                while (work.row < states_ && cost(work.row) * inputs_ < cost(states_) * work.waiting)
                    merge_rows(work, blocks);
            if (work.waiting == inputs_) {
                finish(z, work, blocks);
                begin(z, work, blocks, t);
            }
        }
    }

    /// Merges all that waits, after `seen` samples: z is then what the channels have heard. O(N²) each.
    void settle(Scalar* z, Workspace& work, Index channels, Index seen) const noexcept {
        const Index blocks = lane_blocks<Scalar>(channels);
        finish(z, work, blocks);
        if (work.waiting > 0) begin(z, work, blocks, seen);
        finish(z, work, blocks);
    }

private:
    static constexpr Index wide = Lanes<double>::count;
    static constexpr Index tile_rows = 6;  // with two lane blocks: 12 sums in registers
    static constexpr Index fields = 6;     // x − 1, sign, then mean and half difference of W, and their differences

    // A row has `wide` zeros before its first number and at least one after its last.
    [[nodiscard]] Index row_size() const noexcept { return inputs_ + 2 * wide; }
    // Of the rows before n, in multiplications.
    [[nodiscard]] Index cost(Index n) const noexcept { return n * inputs_ + n * (n + 1) / 2; }

    // The inputs that wait are to be merged into z, which stays as it is until `finish`.
    void begin(const Scalar* z, Workspace& work, Index blocks, Index seen) const noexcept {
        for (Index block = 0; block < blocks; ++block) {
            Scalar* to = work.merged.data() + block * (inputs_ + states_) * width;
            std::copy_n(work.inputs.data() + block * inputs_ * width, work.waiting * width, to);
            to += inputs_ * width;
            for (Index n = 0; n < states_; ++n, z += legs_fields<Scalar> * width) std::copy_n(z, width, to + n * width);
        }
        work.age = static_cast<double>(seen - work.waiting + 1);
        work.merging = std::exchange(work.waiting, 0);
        work.row = 0;
        work.rows.set_zero();
        const auto count = static_cast<double>(work.merging);
        const double whole = work.age + count;
        const double h = 1 / whole;  // half of what a sample takes of [−1, 1]
        for (Index j = 0; j < inputs_; ++j) {
            const double from_end = 2 * (count - static_cast<double>(j)) - 1;
            const double from_start = 2 * (work.age + static_cast<double>(j)) + 1;
            const double x_minus_one = -std::min(from_start, from_end) / whole;
            double* field = work.weights.data() + j;
            field[0] = x_minus_one;
            field[inputs_] = from_start < from_end ? -1 : 1;                     // W_n(−x) = (−1)^(n+1) W_n(x)
            field[2 * inputs_] = (x_minus_one * (x_minus_one + 2) + h * h) / 2;  // of W_1 = (x² − 1)/2
            field[3 * inputs_] = h * (1 + x_minus_one);
            field[4 * inputs_] = 0;
            field[5 * inputs_] = 0;
        }
    }

    void finish(Scalar* z, Workspace& work, Index blocks) const noexcept {
        if (work.merging == 0) return;
        while (work.row < states_) merge_rows(work, blocks);
        for (Index at = 0; at < blocks * states_; ++at) {
            LegsSum<Scalar> sum = LegsSum<Scalar>::load(z + at * legs_fields<Scalar> * width);
            sum.add(L::broadcast(Scalar{1}), L::load(work.changes.data() + at * width));
            sum.store(z + at * legs_fields<Scalar> * width);
        }
        work.merging = 0;
    }

    // The next `tile_rows` rows, or those that are left.
    void merge_rows(Workspace& work, Index blocks) const noexcept {
        const Index first = work.row;
        const Index last = std::min(first + tile_rows, states_);
        const double less = -static_cast<double>(work.merging) / (work.age + static_cast<double>(work.merging));
        work.row = last;
        for (Index n = first; n < last; ++n) {
            Scalar* to = work.tile.data() + (n - first) * (inputs_ + states_);
            set_weights(work, n, to);
            to += inputs_;
            double* row = work.rows.data() + n % 3 * row_size() + wide;
            for (Index k = 0; k <= n; ++k) to[k] = static_cast<Scalar>((1 + less) * row[k]);
            to[n] = static_cast<Scalar>((1 + less) * row[n] + less);
            std::fill(to + n + 1, to + last, Scalar{0});
            if (n + 1 < states_)
                set_next_row(work.rows.data() + (n + 2) % 3 * row_size() + wide, row,
                             work.rows.data() + (n + 1) % 3 * row_size() + wide, n, less);
        }
        Index block = 0;
        for (; block + 2 <= blocks; block += 2) multiply<2>(work, block, first, last);
        if (block < blocks) multiply<1>(work, block, first, last);
    }

    // g_nj. With y = x − 1 at the middle of a sample's place and h half of its width, mean S and half difference D of W
    // at its ends: (n+1) W_n = (2n−1) x W_{n−1} − (n−2) W_{n−2}, written in differences of W over n.
    void set_weights(Workspace& work, Index n, Scalar* to) const noexcept {
        using W = Lanes<double>;
        const double h = 1 / (work.age + static_cast<double>(work.merging));
        const auto order = static_cast<double>(n);
        double* field = work.weights.data();
        if (n == 0) {
            std::fill_n(to, work.merging, static_cast<Scalar>(h));
            return;
        }
        if (n > 1) {
            const W along = W::broadcast((2 * order - 1) / (order + 1));
            const W back = W::broadcast((order - 2) / (order + 1));
            const W half = W::broadcast(h);
            for (Index j = 0; j < work.merging; j += wide) {
                double* at = field + j;
                const W y = W::load(at);
                const W mean = W::load(at + 2 * inputs_);
                const W difference = W::load(at + 3 * inputs_);
                const W mean_step = fma(along, fma(y, mean, half * difference), back * W::load(at + 4 * inputs_));
                const W difference_step = fma(along, fma(y, difference, half * mean), back * W::load(at + 5 * inputs_));
                (mean + mean_step).store(at + 2 * inputs_);
                (difference + difference_step).store(at + 3 * inputs_);
                mean_step.store(at + 4 * inputs_);
                difference_step.store(at + 5 * inputs_);
            }
        }
        const double* difference = field + 3 * inputs_;
        const double* sign = field + inputs_;
        if (n % 2 == 0)
            for (Index j = 0; j < work.merging; ++j) to[j] = static_cast<Scalar>(difference[j]);
        else
            for (Index j = 0; j < work.merging; ++j) to[j] = static_cast<Scalar>(sign[j] * difference[j]);
    }

    // (n+1) q_{n+1} = (2n+1)(ρx + ρ − 1) q_n − n q_{n−1} + (ρ−1)(2n+1)(x + 1) P_n with q_n = Σ_k (m − I)_nk P_k.
    void set_next_row(const double* before, const double* row, double* next, Index n, double less) const noexcept {
        using W = Lanes<double>;
        const auto order = static_cast<double>(n);
        const double divisor = 1 / (order + 1);
        const W along = W::broadcast((2 * order + 1) * divisor * (1 + less));
        const W here = W::broadcast((2 * order + 1) * divisor * less);
        const W back = W::broadcast(-order * divisor);
        for (Index k = 0; k <= n + 1; k += wide) {
            const W shifted = fma(W::load(shifts_.data() + k), W::load_unaligned(row + k - 1),
                                  W::load(shifts_.data() + inputs_ + k) * W::load_unaligned(row + k + 1));
            fma(along, shifted, fma(here, W::load(row + k), back * W::load(before + k))).store(next + k);
        }
        next[n + 1] += less;
        next[n] += less * (2 * order + 1) * divisor;
        if (n > 0) next[n - 1] += less * order * divisor;
    }

    // Each number is one sum over the inputs and then over z, however many lane blocks share the rows.
    template <Index Blocks>
    void multiply(Workspace& work, Index block, Index first, Index last) const noexcept {
        const Index size = inputs_ + states_;
        Registers<Registers<L, Blocks>, tile_rows> sum;
        for (Index r = 0; r < tile_rows; ++r)
            for (Index b = 0; b < Blocks; ++b) sum[r][b] = L::zero();
        const auto add = [&](Index from, Index to) {
            const Scalar* tile = work.tile.data();
            const Scalar* source = work.merged.data() + block * size * width;
            for (Index k = from; k < to; ++k) {
                Registers<L, Blocks> value;
                unrolled<Blocks>([&](auto b) { value[b] = L::load(source + (b * size + k) * width); });
                unrolled<tile_rows>([&](auto r) {
                    const L factor = L::broadcast(tile[r * size + k]);
                    unrolled<Blocks>([&](auto b) { sum[r][b] = fma(factor, value[b], sum[r][b]); });
                });
            }
        };
        add(0, work.merging);
        add(inputs_, inputs_ + last);
        for (Index n = first; n < last; ++n)
            for (Index b = 0; b < Blocks; ++b)
                sum[n - first][b].store(work.changes.data() + ((block + b) * states_ + n) * width);
    }

    Index states_;
    Index inputs_;            // b: N, rounded up to lanes
    Storage<double> shifts_;  // k/(2k−1), then (k+1)/(2k+3)
};

}  // namespace s4::inline S4_ABI::detail
