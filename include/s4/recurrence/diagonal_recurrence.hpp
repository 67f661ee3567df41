// Step and scan of a diagonal system: O(N) a sample, SIMD lanes over channels.
#pragma once

#include <s4/parameters/diagonal.hpp>
#include <s4/recurrence/diagonal_coefficients.hpp>
#include <s4/recurrence/past_inputs.hpp>
#include <s4/recurrence/recurrence.hpp>

#include <complex>
#include <cstddef>
#include <type_traits>

namespace s4::inline S4_ABI {

/// The state is kept divided by B̄ (s_n = x_n / B̄_n), so that a step reads 6 and writes 2 numbers per pair:
/// s ← s + (Ā − 1) s + u and y = 2 Re(C B̄ s) + D u. The difference form keeps the digits of slow modes.
template <RealScalar S, class Rule, class Shape>
class Recurrence<Diagonal<S, Rule, Shape>> {
    using L = Lanes<S>;
    static constexpr Index width = L::count;
    using Coefficients = detail::DiagonalCoefficients<S, Rule, Shape>;

public:
    using Ssm = Diagonal<S, Rule, Shape>;
    using Scalar = S;
    using Parameters = typename Ssm::Parameters;
    /// x [H × N/2] in the coordinates of the parameters.
    using StateMatrix = detail::RowMajorMatrix<std::complex<Scalar>, Shape::channels, Shape::pairs>;

    /// s of every channel; zero at first. What is kept is s, not x: read and write convert.
    class State {
    public:
        void reset() noexcept {
            s_.set_zero();
            past_.reset();
        }

    private:
        friend class Recurrence;
        explicit State(const Recurrence& of)
            : s_{of.c_.state_size()},
              past_{of.c_.channels, of.c_.kernel_limit},
              sums_{of.c_.heads > 1 ? of.c_.heads * static_cast<Index>(detail::scan_block) * width : 0} {}
        Storage<Scalar, Coefficients::state_table> s_;  // [lane block][n][re, im][lane]
        PastInputs<Scalar> past_;
        Storage<Scalar, detail::head_sums_size<Scalar>(Shape::heads)> sums_;  // [head][step][lane], scratch
    };

    /// O(heads·H N). Error on bad parameters, and where the rule makes a mode grow (|Ā| > 1, explicit Euler).
    explicit Recurrence(const Parameters& parameters) : c_{parameters} {}

    [[nodiscard]] Index channels() const noexcept { return c_.channels; }
    [[nodiscard]] Index outputs() const noexcept { return c_.heads * c_.channels; }
    [[nodiscard]] Index state_columns() const noexcept { return c_.pairs; }
    [[nodiscard]] State make_state() const { return State{*this}; }
    /// Whether the state has the sizes of this system's.
    [[nodiscard]] bool fits(const State& state) const noexcept {
        return state.s_.size() == c_.state_size() &&
               state.past_.size() == lane_blocks<Scalar>(c_.channels) * width * c_.kernel_limit &&
               state.sums_.size() == (c_.heads > 1 ? c_.heads * static_cast<Index>(detail::scan_block) * width : 0);
    }

    void step(State& state, const Scalar* u, Scalar* y) const noexcept { scan(state, 1, u, 0, y, 0); }

    void scan(State& state, Index length, const Scalar* u, Index u_stride, Scalar* y, Index y_stride) const noexcept {
        run<detail::Flow::full>(state, length, u, u_stride, y, y_stride);
    }
    void advance(State& state, Index length, const Scalar* u, Index u_stride) const noexcept {
        run<detail::Flow::state_only>(state, length, u, u_stride, nullptr, 0);
    }
    void add_free_response(State& state, Index length, Scalar* y, Index y_stride) const noexcept {
        run<detail::Flow::free>(state, length, nullptr, 0, y, y_stride);
    }

    template <class Derived>
    void read(const State& state, Eigen::MatrixBase<Derived>& x) const noexcept {
        for (Index h = 0; h < c_.channels; ++h)
            for (Index n = 0; n < c_.pairs; ++n) {
                const Scalar* s = state.s_.data() + c_.at(h, n, 2);
                x(h, n) = detail::multiply(c_.scale(h, n), std::complex<Scalar>{s[0], s[width]});
            }
    }
    template <class Derived>
    void write(State& state, const Eigen::MatrixBase<Derived>& x) const noexcept {
        state.past_.reset();
        for (Index h = 0; h < c_.channels; ++h)
            for (Index n = 0; n < c_.pairs; ++n) {
                Scalar* s = state.s_.data() + c_.at(h, n, 2);
                const std::complex<Scalar> value = static_cast<std::complex<Scalar>>(
                    std::complex<double>(x(h, n)) / std::complex<double>(c_.scale(h, n)));
                s[0] = value.real();
                s[width] = value.imag();
            }
    }

private:
    // One lane block of a pass.
    struct Block {
        Scalar* s;
        const Scalar* coefficients;
        const Scalar* residues;
        const Scalar* forgotten;
        Index number;
        Index first;
        Index active;
    };

    template <detail::Flow flow>
    void run(State& state, Index length, const Scalar* u, Index u_stride, Scalar* y, Index y_stride) const noexcept {
        S4_ASSERT(fits(state), "Recurrence: the state belongs to another system");
        detail::for_each_lane_block<Scalar>(c_.channels, [&](Index number, Index first, Index active) {
            const Index pairs_before = number * c_.pairs * width;
            const Block block{state.s_.data() + pairs_before * 2,
                              c_.coefficients.data() + pairs_before * c_.fields(),
                              Coefficients::corrects ? c_.residues.data() + pairs_before * 2 : nullptr,
                              c_.kernel_limit > 0 ? c_.forgotten.data() + pairs_before * 2 : nullptr,
                              number,
                              first,
                              active};
            // u and y from this block's first channel on.
            const Scalar* in = u == nullptr ? nullptr : u + first;
            Scalar* out = y == nullptr ? nullptr : y + first;
            if (c_.heads > 1 || c_.kernel_limit > 0) {
                sweep(length, [&]<std::size_t Steps>(Index t, std::integral_constant<std::size_t, Steps>) {
                    advance_general<Steps, flow>(state, block, t, in, u_stride, out, y_stride);
                });
                return;
            }
            const L D = L::load(c_.feed_through.data() + first);
            if constexpr (Coefficients::corrects) {
                if (c_.corrected) {
                    sweep(length, [&]<std::size_t Steps>(Index t, std::integral_constant<std::size_t, Steps>) {
                        advance_block<Steps, flow, true>(block, D, in + t * u_stride, u_stride, out + t * y_stride,
                                                         y_stride);
                    });
                    return;
                }
            }
            sweep(length, [&]<std::size_t Steps>(Index t, std::integral_constant<std::size_t, Steps>) {
                advance_block<Steps, flow, false>(block, D, in + t * u_stride, u_stride, out + t * y_stride, y_stride);
            });
        });
        state.past_.advance(length);
    }

    /// Calls body(t, steps) for blocks of several steps, then for single ones.
    template <class Body>
    static void sweep(Index length, const Body& body) noexcept {
        constexpr auto steps = static_cast<Index>(detail::scan_block);
        Index t = 0;
        for (; t + steps <= length; t += steps) body(t, std::integral_constant<std::size_t, detail::scan_block>{});
        for (; t < length; ++t) body(t, std::integral_constant<std::size_t, 1>{});
    }

    // `Steps` samples of one lane block and one head: each pair's coefficients and state are loaded once. Even and odd
    // pairs are summed apart, which halves the chain of dependent additions; one step and several give the same bits.
    template <std::size_t Steps, detail::Flow flow, bool corrected>
    void advance_block(const Block& block, L D, const Scalar* u, Index u_stride, Scalar* y,
                       Index y_stride) const noexcept {
        L input[Steps];
        L even[Steps];
        L odd[Steps];
        for (std::size_t t = 0; t < Steps; ++t) {
            const auto at = static_cast<Index>(t);
            if constexpr (flow == detail::Flow::free) {
                input[t] = L::zero();
                even[t] = L::load_first(y + at * y_stride, block.active);
            } else {
                input[t] = L::load_first(u + at * u_stride, block.active);
                even[t] = D * input[t];
            }
            odd[t] = L::zero();
        }
        Index n = 0;
        for (; n + 1 < c_.pairs; n += 2) {
            advance_pair<Steps, flow, corrected>(block, n, input, even);
            advance_pair<Steps, flow, corrected>(block, n + 1, input, odd);
        }
        if (n < c_.pairs) advance_pair<Steps, flow, corrected>(block, n, input, even);
        if constexpr (flow != detail::Flow::state_only)
            for (std::size_t t = 0; t < Steps; ++t)
                (even[t] + odd[t]).store_first(y + static_cast<Index>(t) * y_stride, block.active);
    }

    template <std::size_t Steps, detail::Flow flow, bool corrected>
    static void advance_pair(const Block& block, Index n, const L (&input)[Steps], L (&sum)[Steps]) noexcept {
        const Scalar* c = block.coefficients + n * 4 * width;
        const L c_re = L::load(c + 2 * width);
        const L c_im = L::load(c + 3 * width);
        advance_state<Steps, corrected>(
            block, n, c, [&](std::size_t t) { return input[t]; }, [](std::size_t) { return L::zero(); },
            [&](std::size_t t, L re, L im) {
                if constexpr (flow != detail::Flow::state_only) sum[t] = fma(c_im, im, fma(c_re, re, sum[t]));
            });
    }

    /// `Steps` samples of one pair, driven by real and imaginary inputs; every new state goes to receive(t, re, im).
    template <std::size_t Steps, bool corrected, class InputRe, class InputIm, class Receive>
    static void advance_state(const Block& block, Index n, const Scalar* c, const InputRe& input_re,
                              const InputIm& input_im, const Receive& receive) noexcept {
        Scalar* state = block.s + n * 2 * width;
        const L a_re = L::load(c);
        const L a_im = L::load(c + width);
        const L residue_re = corrected ? L::load(block.residues + n * 2 * width) : L::zero();
        const L residue_im = corrected ? L::load(block.residues + n * 2 * width + width) : L::zero();
        L re = L::load(state);
        L im = L::load(state + width);
        for (std::size_t t = 0; t < Steps; ++t) {
            L change_re = input_re(t);
            L change_im = input_im(t);
            if constexpr (corrected) {  // first, while the sum is small: added last it would be rounded away each time
                change_re = fma(residue_re, re, fnma(residue_im, im, change_re));
                change_im = fma(residue_re, im, fma(residue_im, re, change_im));
            }
            change_re = fnma(a_im, im, change_re);
            change_im = fma(a_im, re, change_im);
            const L next = re + fma(a_re, re, change_re);
            im = im + fma(a_re, im, change_im);
            re = next;
            receive(t, re, im);
        }
        re.store(state);
        im.store(state + width);
    }

    // The same for any number of heads and a kernel that may end; t counts from the beginning of the pass.
    template <std::size_t Steps, detail::Flow flow>
    void advance_general(State& state, const Block& block, Index start, const Scalar* u, Index u_stride, Scalar* y,
                         Index y_stride) const noexcept {
        L input[Steps];
        L delayed[Steps];
        for (std::size_t t = 0; t < Steps; ++t) {
            const Index at = start + static_cast<Index>(t);
            input[t] = flow == detail::Flow::free ? L::zero() : L::load_first(u + at * u_stride, block.active);
            delayed[t] = c_.kernel_limit > 0 ? state.past_.exchange(block.number, at, input[t]) : L::zero();
        }
        alignas(storage_alignment) Scalar one_head[Steps * static_cast<std::size_t>(width)];
        Scalar* const sums = c_.heads > 1 ? state.sums_.data() : one_head;  // [head][step][lane]
        const auto sum = [sums](Index head, std::size_t t) {
            return sums + (head * static_cast<Index>(Steps) + static_cast<Index>(t)) * width;
        };
        if constexpr (flow != detail::Flow::state_only)
            for (Index head = 0; head < c_.heads; ++head) {
                const L D =
                    L::load(c_.feed_through.data() + head * lane_blocks<Scalar>(c_.channels) * width + block.first);
                for (std::size_t t = 0; t < Steps; ++t) {
                    const Scalar* there = y + (start + static_cast<Index>(t)) * y_stride + head * c_.channels;
                    const L first = flow == detail::Flow::free ? L::load_first(there, block.active) : D * input[t];
                    first.store(sum(head, t));
                }
            }
        for (Index n = 0; n < c_.pairs; ++n) {
            const Scalar* c = block.coefficients + n * c_.fields() * width;
            const L forgotten_re = c_.kernel_limit > 0 ? L::load(block.forgotten + n * 2 * width) : L::zero();
            const L forgotten_im = c_.kernel_limit > 0 ? L::load(block.forgotten + n * 2 * width + width) : L::zero();
            L re[Steps];
            L im[Steps];
            advance_state<Steps, Coefficients::corrects>(
                block, n, c, [&](std::size_t t) { return fnma(forgotten_re, delayed[t], input[t] - delayed[t]); },
                [&](std::size_t t) { return -(forgotten_im * delayed[t]); },
                [&](std::size_t t, L new_re, L new_im) {
                    re[t] = new_re;
                    im[t] = new_im;
                });
            if constexpr (flow != detail::Flow::state_only)
                for (Index head = 0; head < c_.heads; ++head) {
                    const L c_re = L::load(c + (2 + 2 * head) * width);
                    const L c_im = L::load(c + (3 + 2 * head) * width);
                    for (std::size_t t = 0; t < Steps; ++t)
                        fma(c_im, im[t], fma(c_re, re[t], L::load(sum(head, t)))).store(sum(head, t));
                }
        }
        if constexpr (flow != detail::Flow::state_only)
            for (Index head = 0; head < c_.heads; ++head)
                for (std::size_t t = 0; t < Steps; ++t)
                    L::load(sum(head, t))
                        .store_first(y + (start + static_cast<Index>(t)) * y_stride + head * c_.channels, block.active);
    }

    Coefficients c_;
};

}  // namespace s4::inline S4_ABI
