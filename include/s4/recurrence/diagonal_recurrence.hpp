// Step and scan of a diagonal system: O(N) a sample, SIMD lanes over channels.
#pragma once

#include <s4/discretize/zero_order_hold.hpp>
#include <s4/parameters/diagonal.hpp>
#include <s4/recurrence/recurrence.hpp>

#include <algorithm>
#include <cmath>
#include <complex>

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
    static constexpr int coefficient_table = state_table == Dynamic ? Dynamic : 2 * state_table;
    static constexpr bool corrects = std::same_as<S, float>;
    static constexpr int scale_table = state_table == Dynamic ? Dynamic : state_table / 2;

public:
    using Ssm = Diagonal<S, Rule, Shape>;
    using Scalar = S;
    using Parameters = typename Ssm::Parameters;
    /// x [H × N/2] in the coordinates of the parameters.
    using StateMatrix = typename Parameters::ComplexTable;

    /// s of every channel; zero at first.
    class State {
    public:
        void reset() noexcept { s_.set_zero(); }

    private:
        friend class Recurrence;
        explicit State(Index size) : s_{size} {}
        Storage<Scalar, state_table> s_;  // [lane block][n][re, im][lane]
    };

    /// O(H N). Error on bad parameters, and where the rule makes a mode grow (|Ā| > 1, explicit Euler).
    explicit Recurrence(const Parameters& parameters)
        : channels_{checked(parameters).channels()},
          pairs_{parameters.A_real.cols()},
          coefficients_{lane_blocks<Scalar>(channels_) * pairs_ * 4 * width},
          residues_{corrects ? coefficients_.size() / 2 : 0},
          feed_through_{lane_blocks<Scalar>(channels_) * width},
          scale_re_{coefficients_.size() / 4},
          scale_im_{coefficients_.size() / 4} {
        for (Index h = 0; h < channels_; ++h) set_channel(h, Ssm::system(parameters, h));
        detail::require_finite(Ssm::name, coefficients_);
    }

    [[nodiscard]] Index channels() const noexcept { return channels_; }
    [[nodiscard]] State make_state() const { return State{lane_blocks<Scalar>(channels_) * pairs_ * 2 * width}; }

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

    // Position of (channel, n) in a table of `fields` numbers a pair: [lane block][n][field][lane].
    [[nodiscard]] Index at(Index h, Index n, Index fields) const noexcept {
        return ((h / width * pairs_ + n) * fields) * width + h % width;
    }
    [[nodiscard]] std::complex<Scalar> scale(Index h, Index n) const noexcept {
        return {scale_re_.data()[at(h, n, 1)], scale_im_.data()[at(h, n, 1)]};
    }

    void set_channel(Index h, const DiagonalSystem& system) {
        double largest = static_cast<double>(std::numeric_limits<Scalar>::min()) * 0x1p+100;
        for (Index n = 0; n < pairs_; ++n)
            largest = std::max(largest, std::abs(discretize(Rule{}, system.lambda[n], system.dt[n]).b * system.B[n]));
        for (Index n = 0; n < pairs_; ++n) {
            const auto step = discretize(Rule{}, system.lambda[n], system.dt[n]);
            const double growth = 2 * step.a_minus_one.real() + std::norm(step.a_minus_one);
            detail::require(growth <= 1e-12, Ssm::name, ": the rule makes state ", n, " of channel ", h,
                            " grow: |A_bar|^2 - 1 = ", growth, ", dt = ", system.dt[n]);
            const std::complex<Scalar> a = detail::round_stable<Scalar>(step.a_minus_one);
            // A mode that the input cannot reach keeps a tiny scale instead of none, so that a state written into it
            // still sounds; what leaks into it from the input is below 1e-20 of the others.
            std::complex<double> b = step.b * system.B[n];
            if (std::abs(b) < 1e-20 * largest) b = 1e-20 * largest;
            const std::complex<double> c = 2.0 * (system.C[n] * b);
            Scalar* to = coefficients_.data() + at(h, n, 4);
            to[0] = a.real();
            to[width] = a.imag();
            if constexpr (corrects) {
                if (detail::phase_drift(step.a_minus_one) > detail::max_phase_drift) corrected_ = true;
                Scalar* residue = residues_.data() + at(h, n, 2);
                residue[0] = static_cast<Scalar>(step.a_minus_one.real() - static_cast<double>(a.real()));
                residue[width] = static_cast<Scalar>(step.a_minus_one.imag() - static_cast<double>(a.imag()));
            }
            to[2 * width] = static_cast<Scalar>(c.real());
            to[3 * width] = static_cast<Scalar>(-c.imag());
            scale_re_.data()[at(h, n, 1)] = static_cast<Scalar>(b.real());
            scale_im_.data()[at(h, n, 1)] = static_cast<Scalar>(b.imag());
        }
        feed_through_.data()[h] = static_cast<Scalar>(system.D);
    }

    template <detail::Flow flow>
    void run(State& state, Index length, const Scalar* u, Index u_stride, Scalar* y, Index y_stride) const noexcept {
        if constexpr (corrects)
            if (corrected_) return run_blocks<flow, true>(state, length, u, u_stride, y, y_stride);
        run_blocks<flow, false>(state, length, u, u_stride, y, y_stride);
    }

    // What the samples of one lane block work on.
    struct Block {
        Scalar* s;
        const Scalar* coefficients;
        const Scalar* residues;
        L D;
        Index active;
    };

    template <detail::Flow flow, bool corrected>
    void run_blocks(State& state, Index length, const Scalar* u, Index u_stride, Scalar* y,
                    Index y_stride) const noexcept {
        S4_ASSERT(state.s_.size() == coefficients_.size() / 2, "Recurrence: the state belongs to another system");
        detail::for_each_lane_block<Scalar>(channels_, [&](Index index, Index first, Index active) {
            const Block block{state.s_.data() + index * pairs_ * 2 * width,
                              coefficients_.data() + index * pairs_ * 4 * width,
                              corrected ? residues_.data() + index * pairs_ * 2 * width : nullptr,
                              L::load(feed_through_.data() + first), active};
            const auto input = [&](Index t) { return u == nullptr ? nullptr : u + first + t * u_stride; };
            const auto output = [&](Index t) { return y == nullptr ? nullptr : y + first + t * y_stride; };
            constexpr auto steps = static_cast<Index>(detail::scan_block);
            Index t = 0;
            for (; t + steps <= length; t += steps)
                advance_block<detail::scan_block, flow, corrected>(block, input(t), u_stride, output(t), y_stride);
            for (; t < length; ++t) advance_block<1, flow, corrected>(block, input(t), u_stride, output(t), y_stride);
        });
    }

    // `Steps` samples of one lane block: each pair's coefficients and state are loaded once. Even and odd pairs are
    // summed apart, which halves the chain of dependent additions; one step and several give the same bits.
    template <std::size_t Steps, detail::Flow flow, bool corrected>
    void advance_block(const Block& block, const Scalar* u, Index u_stride, Scalar* y, Index y_stride) const noexcept {
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
                even[t] = block.D * input[t];
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
        Scalar* state = block.s + n * 2 * width;
        const L a_re = L::load(c);
        const L a_im = L::load(c + width);
        const L c_re = L::load(c + 2 * width);
        const L c_im = L::load(c + 3 * width);
        const L residue_re = corrected ? L::load(block.residues + n * 2 * width) : L::zero();
        const L residue_im = corrected ? L::load(block.residues + n * 2 * width + width) : L::zero();
        L re = L::load(state);
        L im = L::load(state + width);
        for (std::size_t t = 0; t < Steps; ++t) {
            L change_re = input[t];
            L change_im = L::zero();
            if constexpr (corrected) {  // first, while the sum is small: added last it would be rounded away each time
                change_re = fma(residue_re, re, fnma(residue_im, im, change_re));
                change_im = fma(residue_re, im, residue_im * re);
            }
            change_re = fnma(a_im, im, change_re);
            change_im = fma(a_im, re, change_im);
            const L next = re + fma(a_re, re, change_re);
            im = im + fma(a_re, im, change_im);
            re = next;
            if constexpr (flow != detail::Flow::state_only) sum[t] = fma(c_im, im, fma(c_re, re, sum[t]));
        }
        re.store(state);
        im.store(state + width);
    }

    Index channels_;
    Index pairs_;
    Storage<Scalar, coefficient_table> coefficients_;  // [lane block][n][Re, Im of Ā − 1; Re, −Im of 2 C B̄][lane]
    Storage<Scalar, !corrects && state_table != Dynamic ? 0 : state_table>
        residues_;  // what Ā − 1 lost: [n][re, im][lane]
    Storage<Scalar, detail::lane_table_size<Scalar>(Shape::channels, 1)> feed_through_;  // D
    bool corrected_ = false;                                                             // whether residues_ is used
    Storage<Scalar, scale_table> scale_re_;  // B̄, to read and write states
    Storage<Scalar, scale_table> scale_im_;
};

}  // namespace s4::inline S4_ABI
