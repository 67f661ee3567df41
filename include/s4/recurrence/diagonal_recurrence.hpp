// Step and scan of a diagonal system: O(N) a sample, SIMD lanes over channels.
#pragma once

#include <s4/discretize/zero_order_hold.hpp>
#include <s4/parameters/diagonal.hpp>
#include <s4/recurrence/past_inputs.hpp>
#include <s4/recurrence/recurrence.hpp>

#include <algorithm>
#include <cmath>
#include <complex>
#include <limits>
#include <type_traits>
#include <vector>

namespace s4::inline S4_ABI {

namespace detail {

/// Rounds Ā − 1 to Scalar so that |Ā| stays ≤ 1: half of all roundings of a very slow mode would make it grow. Where
/// one does, Ā is shrunk by as few roundings of Ā − 1 as it takes. (RELIABILITY 1.4: checked after the rounding.)
template <RealScalar Scalar>
[[nodiscard]] std::complex<Scalar> round_stable(std::complex<double> a_minus_one) noexcept {
    const auto growth = [](const auto& difference) {  // |Ā|² − 1
        const std::complex<long double> wide(difference);
        return 2 * wide.real() + std::norm(wide);
    };
    std::complex<Scalar> rounded(a_minus_one);
    const double ulp = static_cast<double>(std::numeric_limits<Scalar>::epsilon()) * std::abs(a_minus_one);
    for (double shrink = ulp; growth(rounded) > 0 && shrink < 1; shrink *= 2)
        rounded = std::complex<Scalar>(a_minus_one - shrink * (1.0 + a_minus_one));
    return rounded;
}

/// Rounding Ā − 1 to float turns a mode by up to 2^-25 |Ā − 1| too much in every step, which adds up over the
/// 1/(1 − |Ā|) steps that it remembers. Above this sum (its effect on a state is about a third) the rounding error of
/// the coefficient is kept too, and multiplied along: 40 % more arithmetic for the whole layer, and what is left
/// is the rounding of the state itself.
inline constexpr double max_phase_drift = 1e-5;

[[nodiscard]] inline double phase_drift(std::complex<double> a_minus_one) noexcept {
    const double decay = -(2 * a_minus_one.real() + std::norm(a_minus_one));  // 1 − |Ā|² ≈ 2 (1 − |Ā|)
    return decay > 0 ? 0x1p-24 * std::abs(a_minus_one) / decay : 1.0;
}

}  // namespace detail

/// The state is kept divided by B̄ (s_n = x_n / B̄_n), so that a step reads 6 and writes 2 numbers per pair:
/// s ← s + (Ā − 1) s + u and y = 2 Re(C B̄ s) + D u. The difference form keeps the digits of slow modes.
template <RealScalar S, class Rule, class Shape>
class Recurrence<Diagonal<S, Rule, Shape>> {
    using L = Lanes<S>;
    static constexpr Index width = L::count;
    static constexpr int state_table =
        detail::lane_table_size<S>(Shape::channels, Shape::pairs == Dynamic ? Dynamic : 2 * Shape::pairs);
    static constexpr int pair_table = state_table == Dynamic ? Dynamic : state_table / 2;
    static constexpr int coefficient_table =
        pair_table == Dynamic || Shape::heads == Dynamic ? Dynamic : pair_table * (2 + 2 * Shape::heads);
    static constexpr bool corrects = std::same_as<S, float>;

public:
    using Ssm = Diagonal<S, Rule, Shape>;
    using Scalar = S;
    using Parameters = typename Ssm::Parameters;
    /// x [H × N/2] in the coordinates of the parameters.
    using StateMatrix = detail::RowMajorMatrix<std::complex<Scalar>, Shape::channels, Shape::pairs>;

    /// s of every channel; zero at first.
    class State {
    public:
        void reset() noexcept {
            s_.set_zero();
            past_.reset();
        }

    private:
        friend class Recurrence;
        explicit State(const Recurrence& of)
            : s_{lane_blocks<Scalar>(of.channels_) * of.pairs_ * 2 * width},
              past_{of.channels_, of.kernel_limit_},
              sums_{of.heads_ > 1 ? of.heads_ * static_cast<Index>(detail::scan_block) * width : 0} {}
        Storage<Scalar, state_table> s_;  // [lane block][n][re, im][lane]
        PastInputs<Scalar> past_;
        Storage<Scalar, detail::head_sums_size<Scalar>(Shape::heads)> sums_;  // [head][step][lane], scratch
    };

    /// O(heads·H N). Error on bad parameters, and where the rule makes a mode grow (|Ā| > 1, explicit Euler).
    explicit Recurrence(const Parameters& parameters)
        : channels_{checked(parameters).channels()},
          heads_{parameters.heads()},
          pairs_{parameters.A_real.cols()},
          kernel_limit_{parameters.kernel_limit},
          coefficients_{lane_blocks<Scalar>(channels_) * pairs_ * fields() * width},
          residues_{corrects ? lane_blocks<Scalar>(channels_) * pairs_ * 2 * width : 0},
          forgotten_{kernel_limit_ > 0 ? lane_blocks<Scalar>(channels_) * pairs_ * 2 * width : 0},
          feed_through_{heads_ * lane_blocks<Scalar>(channels_) * width},
          scale_re_{lane_blocks<Scalar>(channels_) * pairs_ * width},
          scale_im_{scale_re_.size()} {
        for (Index h = 0; h < channels_; ++h) set_channel(parameters, h);
        detail::require_finite(Ssm::name, coefficients_);
    }

    [[nodiscard]] Index channels() const noexcept { return channels_; }
    [[nodiscard]] Index outputs() const noexcept { return heads_ * channels_; }
    [[nodiscard]] Index state_columns() const noexcept { return pairs_; }
    [[nodiscard]] State make_state() const { return State{*this}; }

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
        for (Index h = 0; h < channels_; ++h)
            for (Index n = 0; n < pairs_; ++n) {
                const Scalar* s = state.s_.data() + at(h, n, 2);
                x(h, n) = detail::multiply(scale(h, n), std::complex<Scalar>{s[0], s[width]});
            }
    }
    template <class Derived>
    void write(State& state, const Eigen::MatrixBase<Derived>& x) const noexcept {
        state.past_.reset();
        for (Index h = 0; h < channels_; ++h)
            for (Index n = 0; n < pairs_; ++n) {
                Scalar* s = state.s_.data() + at(h, n, 2);
                const std::complex<Scalar> value = static_cast<std::complex<Scalar>>(std::complex<double>(x(h, n)) /
                                                                                     std::complex<double>(scale(h, n)));
                s[0] = value.real();
                s[width] = value.imag();
            }
    }

private:
    static const Parameters& checked(const Parameters& parameters) {
        Ssm::validate(parameters);
        return parameters;
    }

    // Numbers a pair: Ā − 1, and 2 C B̄ of every head, all complex.
    [[nodiscard]] Index fields() const noexcept { return 2 + 2 * heads_; }
    // Position of (channel, n) in a table of `fields` numbers a pair: [lane block][n][field][lane].
    [[nodiscard]] Index at(Index h, Index n, Index fields) const noexcept {
        return ((h / width * pairs_ + n) * fields) * width + h % width;
    }
    [[nodiscard]] std::complex<Scalar> scale(Index h, Index n) const noexcept {
        return {scale_re_.data()[at(h, n, 1)], scale_im_.data()[at(h, n, 1)]};
    }

    void set_channel(const Parameters& parameters, Index h) {
        const DiagonalSystem system = Ssm::system(parameters, h);
        const auto input = [&](Index n) {
            return discretize(parameters.rule, system.lambda[n], system.dt[n]).b * system.B[n];
        };
        double largest = static_cast<double>(std::numeric_limits<Scalar>::min()) * 0x1p+100;
        for (Index n = 0; n < pairs_; ++n) largest = std::max(largest, std::abs(input(n)));
        std::vector<std::complex<double>> scale(static_cast<std::size_t>(pairs_));
        for (Index n = 0; n < pairs_; ++n) {
            const auto step = discretize(parameters.rule, system.lambda[n], system.dt[n]);
            const double growth = 2 * step.a_minus_one.real() + std::norm(step.a_minus_one);
            detail::require(growth <= 1e-12, Ssm::name, ": the rule makes state ", n, " of channel ", h,
                            " grow: |A_bar|^2 - 1 = ", growth, ", dt = ", system.dt[n]);
            const std::complex<Scalar> a = detail::round_stable<Scalar>(step.a_minus_one);
            std::complex<double> applied(a);  // Ā − 1 as it is multiplied
            Scalar* to = coefficients_.data() + at(h, n, fields());
            to[0] = a.real();
            to[width] = a.imag();
            if constexpr (corrects) {
                if (detail::phase_drift(step.a_minus_one) > detail::max_phase_drift) corrected_ = true;
                const std::complex<Scalar> residue(step.a_minus_one - applied);
                residues_.data()[at(h, n, 2)] = residue.real();
                residues_.data()[at(h, n, 2) + width] = residue.imag();
                applied += std::complex<double>(residue);
            }
            if (kernel_limit_ > 0) {
                const std::complex<double> power = detail::power_of_one_plus(applied, kernel_limit_);
                forgotten_.data()[at(h, n, 2)] = static_cast<Scalar>(power.real());
                forgotten_.data()[at(h, n, 2) + width] = static_cast<Scalar>(power.imag());
            }
            // A mode that the input cannot reach keeps a tiny scale instead of none, so that a state written into it
            // still sounds; what leaks into it from the input is below 1e-20 of the others.
            std::complex<double> b = input(n);
            if (std::abs(b) < 1e-20 * largest) b = 1e-20 * largest;
            scale[static_cast<std::size_t>(n)] = b;
            scale_re_.data()[at(h, n, 1)] = static_cast<Scalar>(b.real());
            scale_im_.data()[at(h, n, 1)] = static_cast<Scalar>(b.imag());
        }
        for (Index head = 0; head < heads_; ++head) {
            const DiagonalSystem outputs = Ssm::system(parameters, h, head);
            for (Index n = 0; n < pairs_; ++n) {
                const std::complex<double> c = 2.0 * (outputs.C[n] * scale[static_cast<std::size_t>(n)]);
                Scalar* to = coefficients_.data() + at(h, n, fields()) + (2 + 2 * head) * width;
                to[0] = static_cast<Scalar>(c.real());
                to[width] = static_cast<Scalar>(-c.imag());
            }
            feed_through_.data()[head * lane_blocks<Scalar>(channels_) * width + h] = static_cast<Scalar>(outputs.D);
        }
    }

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
        S4_ASSERT(state.s_.size() == lane_blocks<Scalar>(channels_) * pairs_ * 2 * width,
                  "Recurrence: the state belongs to another system");
        detail::for_each_lane_block<Scalar>(channels_, [&](Index number, Index first, Index active) {
            const Index pairs_before = number * pairs_ * width;
            const Block block{state.s_.data() + pairs_before * 2,
                              coefficients_.data() + pairs_before * fields(),
                              corrects ? residues_.data() + pairs_before * 2 : nullptr,
                              kernel_limit_ > 0 ? forgotten_.data() + pairs_before * 2 : nullptr,
                              number,
                              first,
                              active};
            // u and y from this block's first channel on.
            const Scalar* in = u == nullptr ? nullptr : u + first;
            Scalar* out = y == nullptr ? nullptr : y + first;
            if (heads_ > 1 || kernel_limit_ > 0) {
                sweep(length, [&]<std::size_t Steps>(Index t, std::integral_constant<std::size_t, Steps>) {
                    advance_general<Steps, flow>(state, block, t, in, u_stride, out, y_stride);
                });
                return;
            }
            const L D = L::load(feed_through_.data() + first);
            if constexpr (corrects) {
                if (corrected_) {
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
        for (; n + 1 < pairs_; n += 2) {
            advance_pair<Steps, flow, corrected>(block, n, input, even);
            advance_pair<Steps, flow, corrected>(block, n + 1, input, odd);
        }
        if (n < pairs_) advance_pair<Steps, flow, corrected>(block, n, input, even);
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
            delayed[t] = kernel_limit_ > 0 ? state.past_.exchange(block.number, at, input[t]) : L::zero();
        }
        alignas(storage_alignment) Scalar one_head[Steps * static_cast<std::size_t>(width)];
        Scalar* const sums = heads_ > 1 ? state.sums_.data() : one_head;  // [head][step][lane]
        const auto sum = [sums](Index head, std::size_t t) {
            return sums + (head * static_cast<Index>(Steps) + static_cast<Index>(t)) * width;
        };
        if constexpr (flow != detail::Flow::state_only)
            for (Index head = 0; head < heads_; ++head) {
                const L D = L::load(feed_through_.data() + head * lane_blocks<Scalar>(channels_) * width + block.first);
                for (std::size_t t = 0; t < Steps; ++t) {
                    const Scalar* there = y + (start + static_cast<Index>(t)) * y_stride + head * channels_;
                    const L first = flow == detail::Flow::free ? L::load_first(there, block.active) : D * input[t];
                    first.store(sum(head, t));
                }
            }
        for (Index n = 0; n < pairs_; ++n) {
            const Scalar* c = block.coefficients + n * fields() * width;
            const L forgotten_re = kernel_limit_ > 0 ? L::load(block.forgotten + n * 2 * width) : L::zero();
            const L forgotten_im = kernel_limit_ > 0 ? L::load(block.forgotten + n * 2 * width + width) : L::zero();
            L re[Steps];
            L im[Steps];
            advance_state<Steps, corrects>(
                block, n, c, [&](std::size_t t) { return fnma(forgotten_re, delayed[t], input[t]); },
                [&](std::size_t t) { return -(forgotten_im * delayed[t]); },
                [&](std::size_t t, L new_re, L new_im) {
                    re[t] = new_re;
                    im[t] = new_im;
                });
            if constexpr (flow != detail::Flow::state_only)
                for (Index head = 0; head < heads_; ++head) {
                    const L c_re = L::load(c + (2 + 2 * head) * width);
                    const L c_im = L::load(c + (3 + 2 * head) * width);
                    for (std::size_t t = 0; t < Steps; ++t)
                        fma(c_im, im[t], fma(c_re, re[t], L::load(sum(head, t)))).store(sum(head, t));
                }
        }
        if constexpr (flow != detail::Flow::state_only)
            for (Index head = 0; head < heads_; ++head)
                for (std::size_t t = 0; t < Steps; ++t)
                    L::load(sum(head, t))
                        .store_first(y + (start + static_cast<Index>(t)) * y_stride + head * channels_, block.active);
    }

    Index channels_;
    Index heads_;
    Index pairs_;
    Index kernel_limit_;
    Storage<Scalar, coefficient_table> coefficients_;  // [lane block][n][Re, Im of Ā − 1; Re, −Im of 2 C B̄][lane]
    Storage<Scalar, !corrects && state_table != Dynamic ? 0 : state_table>
        residues_;               // what Ā − 1 lost: [n][re, im][lane]
    Storage<Scalar> forgotten_;  // Ā^m, with which an input leaves again: [n][re, im][lane]
    Storage<Scalar, detail::lane_table_size<Scalar>(Shape::channels, Shape::heads)>
        feed_through_;                      // D: [head][channel]
    bool corrected_ = false;                // whether residues_ is used
    Storage<Scalar, pair_table> scale_re_;  // B̄, to read and write states
    Storage<Scalar, pair_table> scale_im_;
};

}  // namespace s4::inline S4_ABI
