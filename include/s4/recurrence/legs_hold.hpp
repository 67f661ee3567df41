// Scale-invariant LegS with a held input: the exponential e^(A log((t+1)/t)) by Taylor sums, or row by row.
#pragma once

#include <s4/recurrence/legs_sums.hpp>

#include <array>

namespace s4::inline S4_ABI::detail {

/// c_t = e c_{t−1} + A⁻¹(e − I) B u_t with e = e^(A τ), τ = log((t+1)/t). Since A⁻¹B = −√1·(first unit vector),
///     z ← z + (e − I)(z − u e₀).
/// Late samples: K terms of the Taylor series in Horner form, each an O(N) sum, in m substeps. A is dissipative, so the
/// truncation errors of all samples do not grow, and the sum of those after t stays below t (‖A‖τ/m)^(K+1)/(K+1)! ≤ ε:
/// t m must reach a time that depends on K alone. Early samples, where that takes more than N/2 sums: row n of e is
/// known, e_nk = ρ m_nk with ρ = t/(t+1) and P_n(ρx + ρ − 1) = Σ_k m_nk P_k(x), and the rows follow from each other by
/// Legendre's three-term recurrence. O(N²), exact, and its rows are shared by all channels. The difference m − I is
/// what is computed: it keeps its digits for ρ near 1.
template <RealScalar Scalar>
class HeldLegsSums {
public:
    using L = Lanes<Scalar>;
    static constexpr Index width = L::count;

    struct Workspace {
        Storage<double> rows;     // three rows of m − I
        Storage<Scalar> row;      // one of e − I
        Storage<Scalar> changes;  // [lane block][n][lane]
    };

    explicit HeldLegsSums(Index states) : states_{states}, shifts_{2 * padded()} {
        for (Index k = 0; k < states; ++k) {  // x P_k = ((k+1) P_{k+1} + k P_{k−1})/(2k+1), read at P_k
            const auto order = static_cast<double>(k);
            shifts_.data()[k] = k == 0 ? 0.0 : order / (2 * order - 1);
            shifts_.data()[padded() + k] = (order + 1) / (2 * order + 3);
        }
        double norm = 0;  // of A, Frobenius: 11 % above the spectral norm
        for (Index n = 0; n < states; ++n) {
            const auto order = static_cast<double>(n);
            norm += (2 * order + 1) * order * order + (order + 1) * (order + 1);
        }
        norm = std::sqrt(norm);
        for (std::size_t i = 0; i < term_counts.size(); ++i) {
            const auto K = static_cast<double>(term_counts[i]);
            const double log_time = ((K + 1) * std::log(norm) - std::lgamma(K + 2) -
                                     std::log(static_cast<double>(std::numeric_limits<Scalar>::epsilon()))) /
                                    K;
            first_time_[i] = static_cast<Index>(std::ceil(std::exp(log_time)));
        }
    }

    [[nodiscard]] Workspace make_workspace(Index channels) const {
        return {Storage<double>{3 * row_size()}, Storage<Scalar>{states_},
                Storage<Scalar>{lane_blocks<Scalar>(channels) * states_ * width}};
    }

    void run(Scalar* z, Workspace& work, Index channels, Index seen, Index length, const Scalar* u,
             Index stride) const noexcept {
        for (Index t = seen + 1; t <= seen + length; ++t, u += stride) {
            Index best = std::numeric_limits<Index>::max();
            std::size_t chosen = 0;
            for (std::size_t i = 0; i < term_counts.size(); ++i) {
                const Index sums = term_counts[i] * substeps(i, t);
                if (sums < best) best = sums, chosen = i;
            }
            if (2 * best > states_)
                by_rows(z, work, channels, t, u);
            else
                by_series(z, channels, t, chosen, u);
        }
    }

private:
    static constexpr std::array<Index, 5> term_counts{4, 6, 8, 12, 16};
    static constexpr Index wide = Lanes<double>::count;

    [[nodiscard]] Index padded() const noexcept { return (states_ + wide - 1) / wide * wide; }
    // A row has `wide` zeros before its first number and at least one after its last.
    [[nodiscard]] Index row_size() const noexcept { return padded() + 2 * wide; }
    [[nodiscard]] Index substeps(std::size_t i, Index t) const noexcept { return (first_time_[i] + t - 1) / t; }

    void by_series(Scalar* z, Index channels, Index t, std::size_t chosen, const Scalar* u) const noexcept {
        const Index count = substeps(chosen, t);
        const double tau = std::log1p(1 / static_cast<double>(t)) / static_cast<double>(count);
        for (Index substep = 0; substep < count; ++substep) switch (chosen) {
                case 0:
                    add_series_to_all<4>(z, channels, tau, u);
                    break;
                case 1:
                    add_series_to_all<6>(z, channels, tau, u);
                    break;
                case 2:
                    add_series_to_all<8>(z, channels, tau, u);
                    break;
                case 3:
                    add_series_to_all<12>(z, channels, tau, u);
                    break;
                default:
                    add_series_to_all<16>(z, channels, tau, u);
            }
    }

    template <Index Terms>
    void add_series_to_all(Scalar* z, Index channels, double tau, const Scalar* u) const noexcept {
        for (Index block = 0; block * width < channels; ++block)
            add_series<Terms>(z + block * states_ * legs_fields<Scalar> * width, tau,
                              L::load_first(u + block * width, std::min(width, channels - block * width)));
    }

    // g_j = z + τ/j A (g_{j+1} − u e₀) from g_{K+1} = z down to g_1, all j in step over n: K independent running sums.
    template <Index Terms>
    void add_series(Scalar* z, double tau, L u) const noexcept {
        Registers<L, Terms> rest;
        Registers<L, Terms> scale;
        for (Index j = 0; j < Terms; ++j) {
            rest[j] = u;
            scale[j] = L::broadcast(static_cast<Scalar>(tau / static_cast<double>(j + 1)));
        }
        for (Index n = 0; n < states_; ++n, z += legs_fields<Scalar> * width) {
            const L minus_order = L::broadcast(-static_cast<Scalar>(n + 1));
            const L minus_weight = L::broadcast(-static_cast<Scalar>(2 * n + 1));
            LegsSum<Scalar> sum = LegsSum<Scalar>::load(z);
            L g = sum.value;
            L change = g;
            unrolled<Terms>([&](auto i) {
                constexpr Index j = Terms - 1 - i;
                change = fma(minus_order, g, rest[j]);
                rest[j] = fma(minus_weight, g, rest[j]);
                if constexpr (j > 0) g = fma(scale[j], change, sum.value);
            });
            sum.add(scale[0], change);
            sum.store(z);
        }
    }

    void by_rows(Scalar* z, Workspace& work, Index channels, Index t, const Scalar* u) const noexcept {
        const Index blocks = lane_blocks<Scalar>(channels);
        const double less = -1 / static_cast<double>(t + 1);  // ρ − 1
        double* before = work.rows.data() + wide;
        double* row = before + row_size();
        double* next = row + row_size();
        work.rows.set_zero();
        for (Index n = 0; n < states_; ++n) {
            for (Index k = 0; k <= n; ++k) work.row.data()[k] = static_cast<Scalar>((1 + less) * row[k]);
            work.row.data()[n] = static_cast<Scalar>((1 + less) * row[n] + less);
            for_each_group(blocks, [&]<Index Blocks>(Index block, std::integral_constant<Index, Blocks>) {
                add_row<Blocks>(z, work, channels, n, block, u);
            });
            if (n + 1 < states_) set_next_row(before, row, next, n, less);
            std::swap(before, row);
            std::swap(row, next);
        }
        for (Index at = 0; at < blocks * states_; ++at) {
            LegsSum<Scalar> sum = LegsSum<Scalar>::load(z + at * legs_fields<Scalar> * width);
            sum.add(L::broadcast(Scalar{1}), L::load(work.changes.data() + at * width));
            sum.store(z + at * legs_fields<Scalar> * width);
        }
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
                                  W::load(shifts_.data() + padded() + k) * W::load_unaligned(row + k + 1));
            fma(along, shifted, fma(here, W::load(row + k), back * W::load(before + k))).store(next + k);
        }
        next[n + 1] += less;
        next[n] += less * (2 * order + 1) * divisor;
        if (n > 0) next[n - 1] += less * order * divisor;
    }

    template <Index Blocks>
    void add_row(const Scalar* z, Workspace& work, Index channels, Index n, Index block,
                 const Scalar* u) const noexcept {
        const Index block_size = states_ * legs_fields<Scalar> * width;
        const Scalar* row = work.row.data();
        z += block * block_size;
        Registers<L, Blocks> even;
        Registers<L, Blocks> odd;
        for (Index b = 0; b < Blocks; ++b) {
            const Index first = (block + b) * width;
            even[b] = L::broadcast(-row[0]) * L::load_first(u + first, std::min(width, channels - first));
            odd[b] = L::zero();
        }
        Index k = 0;
        for (; k < n; k += 2, z += 2 * legs_fields<Scalar> * width)
            unrolled<Blocks>([&](auto b) {
                even[b] = fma(L::broadcast(row[k]), L::load(z + b * block_size), even[b]);
                odd[b] =
                    fma(L::broadcast(row[k + 1]), L::load(z + b * block_size + legs_fields<Scalar> * width), odd[b]);
            });
        for (Index b = 0; b < Blocks; ++b) {
            if (k == n) even[b] = fma(L::broadcast(row[k]), L::load(z + b * block_size), even[b]);
            (even[b] + odd[b]).store(work.changes.data() + ((block + b) * states_ + n) * width);
        }
    }

    Index states_;
    Storage<double> shifts_;                              // k/(2k−1), then (k+1)/(2k+3)
    std::array<Index, term_counts.size()> first_time_{};  // t·m from which K terms are enough
};

}  // namespace s4::inline S4_ABI::detail
