// The forward pass of a differentiable scan over one lane block and a block of samples.
#pragma once

#include <s4/recurrence/lane_groups.hpp>
#include <s4/recurrence/scan_lanes.hpp>

#include <cstddef>
#include <type_traits>

namespace s4::inline S4_ABI::detail {

/// Passes forward over up to tape_block samples.
template <class Coefficients>
class ScanForward : public ScanLanes<Coefficients> {
protected:
    using Base = ScanLanes<Coefficients>;
    using Base::width;
    using typename Base::Complex;
    using typename Base::L;
    using typename Base::Scalar;
    template <bool corrected>
    using Factor = typename Base::template Factor<corrected>;
    using Base::active_;
    using Base::add_product;
    using Base::c_;
    using Base::feed_through;
    using Base::fields;
    using Base::load;
    using Base::output_fields;
    using Base::rank_fields;
    using Base::s_;
    using Base::store;
    using Base::with_correction;
    using Base::with_rank;

public:
    using Base::Base;

    /// Advances the state by `length` samples and writes their outputs.
    void advance(Index length, const Scalar* u, Index u_stride, Scalar* y, Index y_stride) const noexcept {
        if (c_.rank == 0) {
            constexpr auto steps = static_cast<Index>(scan_block);
            with_correction([&]<bool corrected>(std::bool_constant<corrected>) {
                Index t = 0;
                for (; t + steps <= length; t += steps)
                    advance_modes<scan_block, corrected>(u + t * u_stride, u_stride, y + t * y_stride, y_stride);
                for (; t < length; ++t) advance_modes<1, corrected>(u + t * u_stride, 0, y + t * y_stride, 0);
            });
        } else {
            with_rank([&]<Index rank>(std::integral_constant<Index, rank>) {
                advance_ranks<rank>(length, u, u_stride, y, y_stride);
            });
        }
    }

protected:
    // `Steps` samples of modes that do not depend on each other.
    template <std::size_t Steps, bool corrected>
    void advance_modes(const Scalar* u, Index u_stride, Scalar* y, Index y_stride) const noexcept {
        L input[Steps];
        for (std::size_t t = 0; t < Steps; ++t) input[t] = L::load_first(u + static_cast<Index>(t) * u_stride, active_);
        const auto for_each_mode = [&](const auto& receive) {
            for (Index n = 0; n < c_.pairs; ++n) {
                const Factor<corrected> a = this->template factor<corrected>(n);
                const Scalar* b = fields(n) + 2 * width;
                const L b_re = L::load(b);
                const L b_im = L::load(b + width);
                Scalar* at = s_.state.data() + n * 2 * width;
                Complex x = load(at);
                Complex states[Steps];
                for (std::size_t t = 0; t < Steps; ++t)
                    states[t] = x = a.advance(x, {b_re * input[t], b_im * input[t]});
                store(x, at);
                receive(n, states);
            }
        };
        if (c_.heads == 1) {
            L sum[Steps];
            for (std::size_t t = 0; t < Steps; ++t) sum[t] = feed_through(0) * input[t];
            for_each_mode([&](Index n, const Complex(&states)[Steps]) {
                const Scalar* output = output_fields(n, 0);
                for (std::size_t t = 0; t < Steps; ++t) sum[t] = add_product(output, states[t], sum[t]);
            });
            for (std::size_t t = 0; t < Steps; ++t) sum[t].store_first(y + static_cast<Index>(t) * y_stride, active_);
            return;
        }
        const auto sum = [this](Index head, std::size_t t) {
            return s_.outputs.data() + (head * static_cast<Index>(Steps) + static_cast<Index>(t)) * width;
        };
        for (Index head = 0; head < c_.heads; ++head)
            for (std::size_t t = 0; t < Steps; ++t) (feed_through(head) * input[t]).store(sum(head, t));
        for_each_mode([&](Index n, const Complex(&states)[Steps]) {
            for (Index head = 0; head < c_.heads; ++head)
                for (std::size_t t = 0; t < Steps; ++t)
                    add_product(output_fields(n, head), states[t], L::load(sum(head, t))).store(sum(head, t));
        });
        for (Index head = 0; head < c_.heads; ++head)
            for (std::size_t t = 0; t < Steps; ++t)
                L::load(sum(head, t)).store_first(y + static_cast<Index>(t) * y_stride + head * c_.channels, active_);
    }

    // σ of the state at `from`.
    template <Index rank>
    void sigma_of(const Scalar* from, Registers<L, rank>& sigma) const noexcept {
        for (L& sum : sigma) sum = L::zero();
        for (Index n = 0; n < c_.pairs; ++n, from += 2 * width)
            for (Index r = 0; r < rank; ++r)
                sigma[r] = add_product(rank_fields(n, r) + 2 * width, load(from), sigma[r]);
    }

    // One sample of all modes from the state at `from` to that at `to`; receive(n, new state).
    template <Index rank, class Receive>
    void advance_sample(L input, Registers<L, rank>& sigma, const Scalar* from, Scalar* to,
                        const Receive& receive) const noexcept {
        Registers<L, rank> next_sigma;
        for (L& sum : next_sigma) sum = L::zero();
        for (Index n = 0; n < c_.pairs; ++n, from += 2 * width, to += 2 * width) {
            const Scalar* field = fields(n);
            Complex change{L::load(field + 2 * width) * input, L::load(field + 3 * width) * input};
            for (Index r = 0; r < rank; ++r) {
                const Scalar* f = field + (4 + 4 * r) * width;
                change.re = fma(L::load(f), sigma[r], change.re);
                change.im = fma(L::load(f + width), sigma[r], change.im);
            }
            const Complex x = this->factor(n).advance(load(from), change);
            store(x, to);
            for (Index r = 0; r < rank; ++r) next_sigma[r] = add_product(field + (6 + 4 * r) * width, x, next_sigma[r]);
            receive(n, x);
        }
        for (Index r = 0; r < rank; ++r) sigma[r] = next_sigma[r];
    }

    template <Index rank>
    void advance_ranks(Index length, const Scalar* u, Index u_stride, Scalar* y, Index y_stride) const noexcept {
        Scalar* x = s_.state.data();
        Registers<L, rank> sigma;
        sigma_of<rank>(x, sigma);
        for (Index t = 0; t < length; ++t) {
            const L input = L::load_first(u + t * u_stride, active_);
            Scalar* out = y + t * y_stride;
            if (c_.heads == 1) {
                L sum = feed_through(0) * input;
                advance_sample<rank>(input, sigma, x, x, [&](Index n, Complex state) {
                    sum = add_product(output_fields(n, 0), state, sum);
                });
                sum.store_first(out, active_);
                continue;
            }
            Scalar* sums = s_.outputs.data();
            for (Index head = 0; head < c_.heads; ++head) (feed_through(head) * input).store(sums + head * width);
            advance_sample<rank>(input, sigma, x, x, [&](Index n, Complex state) {
                for (Index head = 0; head < c_.heads; ++head)
                    add_product(output_fields(n, head), state, L::load(sums + head * width)).store(sums + head * width);
            });
            for (Index head = 0; head < c_.heads; ++head)
                L::load(sums + head * width).store_first(out + head * c_.channels, active_);
        }
    }
};

}  // namespace s4::inline S4_ABI::detail
