// The reverse pass of a differentiable scan over one lane block and a block of samples.
#pragma once

#include <s4/recurrence/lane_groups.hpp>
#include <s4/recurrence/scan_forward.hpp>

#include <algorithm>
#include <cstddef>
#include <type_traits>

namespace s4::inline S4_ABI::detail {

/// Passes in both directions over up to tape_block samples.
template <class Coefficients>
class ScanPass : public ScanForward<Coefficients> {
    using Base = ScanForward<Coefficients>;
    using Base::width;
    using typename Base::Complex;
    using typename Base::L;
    using typename Base::Scalar;
    template <bool corrected>
    using Factor = typename Base::template Factor<corrected>;
    template <bool one_head>
    using ByOutputs = typename Base::template ByOutputs<one_head>;
    using Base::add;
    using Base::add_product;
    using Base::add_scaled;
    using Base::c_;
    using Base::carried_sigma;
    using Base::dy;
    using Base::feed_through;
    using Base::fields;
    using Base::load;
    using Base::output_fields;
    using Base::rank_fields;
    using Base::s_;
    using Base::store;
    using Base::with_correction;
    using Base::with_heads;
    using Base::with_rank;

public:
    using Base::Base;

    /// The reverse pass of `advance` over the `length` samples that begin at the state in `state`: from dy and the
    /// adjoint after them to the adjoint before them and du; adds to the sums of the fields and, before that, to
    /// those of D. Inputs and cotangents are those in the scratch.
    void reverse(Index length) const noexcept {
        reverse_feed_through(length);
        with_heads([&]<bool one_head>(std::bool_constant<one_head>) {
            if (c_.rank > 0) {
                with_rank(
                    [&]<Index rank>(std::integral_constant<Index, rank>) { reverse_ranks<rank, one_head>(length); });
                return;
            }
            with_correction([&]<bool corrected>(std::bool_constant<corrected>) {
                Index n = 0;
                for (; n + modes_at_once <= c_.pairs; n += modes_at_once)
                    reverse_modes<modes_at_once, corrected, one_head>(n, length);
                for (; n < c_.pairs; ++n) reverse_modes<1, corrected, one_head>(n, length);
            });
        });
        add_sums();
    }

    /// Begins at the end of a sequence, with the adjoint of its final state in `adjoint`.
    void begin_reverse() const noexcept {
        s_.by_sigma.set_zero();
        s_.totals.set_zero();
        s_.feed_through.set_zero();
    }
    /// Ends at its beginning: `adjoint` is that of the initial state.
    void end_reverse() const noexcept {
        for (Index n = 0; n < c_.pairs; ++n) {
            Scalar* h = s_.adjoint.data() + n * 2 * width;
            Complex sum = load(h);
            for (Index r = 0; r < c_.rank; ++r)
                add_scaled(sum, rank_fields(n, r) + 2 * width, carried_sigma() + r * width);
            store(sum, h);
        }
    }

private:
    void reverse_feed_through(Index length) const noexcept {
        s_.du.set_zero();
        for (Index head = 0; head < c_.heads; ++head) {
            const L D = feed_through(head);
            L sum = L::zero();
            for (Index t = 0; t < length; ++t) {
                const L cotangent = L::load(dy(head, t));
                Scalar* du = s_.du.data() + t * width;
                fma(D, cotangent, L::load(du)).store(du);
                sum = fma(L::load(s_.u.data() + t * width), cotangent, sum);
            }
            alignas(storage_alignment) Scalar lanes[static_cast<std::size_t>(width)];
            sum.store(lanes);
            for (Index lane = 0; lane < width; ++lane)
                s_.feed_through.data()[head * width + lane] += static_cast<double>(lanes[lane]);
        }
    }

    // Modes n … n + Count − 1 that do not depend on others: states again, then cotangents, then sums.
    template <Index Count, bool corrected, bool one_head>
    void reverse_modes(Index n, Index length) const noexcept {
        Registers<Factor<corrected>, Count> a;
        Registers<L, Count> b_re;
        Registers<L, Count> b_im;
        Registers<Complex, Count> x;
        const auto states = [this](Index mode) { return s_.states.data() + mode * (tape_block + 1) * s_.row; };
        const auto cotangents = [this](Index mode) { return s_.cotangents.data() + mode * tape_block * s_.row; };
        for (Index mode = 0; mode < Count; ++mode) {
            a[mode] = this->template factor<corrected>(n + mode);
            b_re[mode] = L::load(fields(n + mode) + 2 * width);
            b_im[mode] = L::load(fields(n + mode) + 3 * width);
            const Scalar* from = s_.state.data() + (n + mode) * 2 * width;
            x[mode] = load(from);
        }
        for (Index mode = 0; mode < Count; ++mode) store(x[mode], states(mode));
        for (Index t = 0; t < length; ++t) {
            const L input = L::load(s_.u.data() + t * width);
            for (Index mode = 0; mode < Count; ++mode) {
                x[mode] = a[mode].advance(x[mode], {b_re[mode] * input, b_im[mode] * input});
                store(x[mode], states(mode) + (t + 1) * s_.row);
            }
        }
        Registers<Complex, Count> h;
        Registers<ByOutputs<one_head>, Count> by_outputs;
        for (Index mode = 0; mode < Count; ++mode) {
            const Scalar* from = s_.adjoint.data() + (n + mode) * 2 * width;
            h[mode] = load(from);
            by_outputs[mode] = {*this, n + mode};
        }
        for (Index t = length - 1; t >= 0; --t) {
            Scalar* du = s_.du.data() + t * width;
            L by_input = L::load(du);
            for (Index mode = 0; mode < Count; ++mode) {
                const Complex g = by_outputs[mode].add_to(h[mode], t);
                store(g, cotangents(mode) + t * s_.row);
                by_input = fma(b_re[mode], g.re, fma(b_im[mode], g.im, by_input));
                h[mode] = a[mode].adjoint(g);
            }
            by_input.store(du);
        }
        for (Index mode = 0; mode < Count; ++mode) {
            store(h[mode], s_.adjoint.data() + (n + mode) * 2 * width);
            add_products(n + mode, 0, length, states(mode), cotangents(mode));
        }
    }

    // All modes of a system of that rank.
    template <Index rank, bool one_head>
    void reverse_ranks(Index length) const noexcept {
        std::copy_n(s_.state.data(), c_.pairs * 2 * width, s_.states.data());
        Registers<L, rank> sigma;
        this->template sigma_of<rank>(s_.states.data(), sigma);
        for (Index t = 0; t < length; ++t) {
            for (Index r = 0; r < rank; ++r) sigma[r].store(s_.sigma.data() + (t * rank + r) * width);
            Scalar* from = s_.states.data() + t * s_.row;
            this->template advance_sample<rank>(L::load(s_.u.data() + t * width), sigma, from, from + s_.row,
                                                [](Index, Complex) {});
        }
        Registers<L, rank> by_sigma;
        for (Index r = 0; r < rank; ++r) by_sigma[r] = L::load(carried_sigma() + r * width);
        for (Index end = length; end > 0;) {
            const Index begin = std::max<Index>(end - cotangent_tile, 0);
            for (Index t = end - 1; t >= begin; --t) {
                reverse_sample<rank, one_head>(t, by_sigma, s_.cotangents.data() + (t - begin) * s_.row);
                for (Index r = 0; r < rank; ++r)
                    by_sigma[r].store(s_.by_sigma.data() + ((t - begin) * rank + r) * width);
            }
            for (Index n = 0; n < c_.pairs; ++n) {
                const Scalar* states = s_.states.data() + begin * s_.row + n * 2 * width;
                const Scalar* cotangents = s_.cotangents.data() + n * 2 * width;
                add_products(n, begin, end, states, cotangents);
                for (Index r = 0; r < rank; ++r) add_rank_products(n, r, begin, end, states, cotangents);
            }
            end = begin;
        }
        for (Index r = 0; r < rank; ++r) by_sigma[r].store(carried_sigma() + r * width);
    }

    // From the adjoint after sample t to that before it, with the cotangents of σ of both.
    template <Index rank, bool one_head>
    void reverse_sample(Index t, Registers<L, rank>& by_sigma, Scalar* cotangents) const noexcept {
        Registers<L, rank> by_this_sigma;
        for (L& sum : by_this_sigma) sum = L::zero();
        Scalar* du = s_.du.data() + t * width;
        L by_input = L::load(du);
        Scalar* h = s_.adjoint.data();
        for (Index n = 0; n < c_.pairs; ++n, h += 2 * width, cotangents += 2 * width) {
            const Scalar* field = fields(n);
            Complex g = ByOutputs<one_head>{*this, n}.add_to(load(h), t);
            for (Index r = 0; r < rank; ++r) {
                g.re = fma(L::load(field + (6 + 4 * r) * width), by_sigma[r], g.re);
                g.im = fma(L::load(field + (7 + 4 * r) * width), by_sigma[r], g.im);
            }
            store(g, cotangents);
            for (Index r = 0; r < rank; ++r)
                by_this_sigma[r] = add_product(field + (4 + 4 * r) * width, g, by_this_sigma[r]);
            by_input = add_product(field + 2 * width, g, by_input);
            const Complex before = this->factor(n).adjoint(g);
            store(before, h);
        }
        by_input.store(du);
        for (Index r = 0; r < rank; ++r) by_sigma[r] = by_this_sigma[r];
    }

    // The gradients of Ā − 1, B̄ and C of mode n over samples begin … end − 1; its states and cotangents from there on.
    void add_products(Index n, Index begin, Index end, const Scalar* states, const Scalar* cotangents) const noexcept {
        const Index row = s_.row;
        Scalar* sums = s_.sums.data() + n * c_.fields() * width;
        L re_re = L::zero(), im_im = L::zero(), re_im = L::zero(), im_re = L::zero();
        L b_re = L::zero(), b_im = L::zero(), c_re = L::zero(), c_im = L::zero();
        Complex x = load(states);
        const Scalar* next = states;
        for (Index t = begin; t < end; ++t, cotangents += row) {
            const Complex g = load(cotangents);
            const L input = L::load(s_.u.data() + t * width);
            const L output = L::load(dy(0, t));
            re_re = fma(x.re, g.re, re_re);
            im_im = fma(x.im, g.im, im_im);
            re_im = fma(x.re, g.im, re_im);
            im_re = fma(x.im, g.re, im_re);
            b_re = fma(input, g.re, b_re);
            b_im = fma(input, g.im, b_im);
            next += row;
            x = load(next);
            c_re = fma(output, x.re, c_re);
            c_im = fma(output, x.im, c_im);
        }
        add(sums, re_re + im_im);
        add(sums + width, re_im - im_re);
        add(sums + 2 * width, b_re);
        add(sums + 3 * width, b_im);
        sums += (4 + 4 * c_.rank) * width;
        add(sums, c_re);
        add(sums + width, c_im);
        for (Index head = 1; head < c_.heads; ++head)
            add_correlation(sums + 2 * head * width, states + row, row, dy(head, begin), width, end - begin);
    }

    // Those of F and G of one rank.
    void add_rank_products(Index n, Index r, Index begin, Index end, const Scalar* states,
                           const Scalar* cotangents) const noexcept {
        Scalar* sums = s_.sums.data() + (n * c_.fields() + 4 + 4 * r) * width;
        const Index stride = c_.rank * width;
        const Scalar* sigma = s_.sigma.data() + begin * stride + r * width;
        const Scalar* by_sigma = s_.by_sigma.data() + r * width;
        Complex by_f = load(sums);
        Complex by_g = load(sums + 2 * width);
        for (Index t = begin; t < end; ++t, states += s_.row, cotangents += s_.row) {
            add_scaled(by_f, cotangents, sigma + (t - begin) * stride);
            add_scaled(by_g, states, by_sigma + (t - begin) * stride);
        }
        store(by_f, sums);
        store(by_g, sums + 2 * width);
    }

    // sums += Σ_t (re, im)_t · real_t.
    static void add_correlation(Scalar* sums, const Scalar* complex, Index row, const Scalar* real, Index stride,
                                Index count) noexcept {
        Complex sum = load(sums);
        for (Index t = 0; t < count; ++t) add_scaled(sum, complex + t * row, real + t * stride);
        store(sum, sums);
    }

    void add_sums() const noexcept {
        const Scalar* from = s_.sums.data();
        double* to = s_.totals.data();
        for (Index i = 0; i < s_.sums.size(); ++i) to[i] += static_cast<double>(from[i]);
        s_.sums.set_zero();
    }
};

}  // namespace s4::inline S4_ABI::detail
