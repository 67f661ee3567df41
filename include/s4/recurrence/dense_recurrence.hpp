// Step and scan of a dense system: O(N²) a sample, the textbook form.
#pragma once

#include <s4/discretize/dense.hpp>
#include <s4/parameters/dense.hpp>
#include <s4/recurrence/past_inputs.hpp>
#include <s4/recurrence/recurrence.hpp>

#include <algorithm>

namespace s4::inline S4_ABI {

/// x ← Ā x + B̄ u, y = C x + D u with an own Ā for every channel (its dt differs), SIMD lanes over channels.
template <RealScalar S, class Rule, class Shape>
class Recurrence<Dense<S, Rule, Shape>> {
public:
    using Ssm = Dense<S, Rule, Shape>;
    using Scalar = S;
    using Parameters = typename Ssm::Parameters;
    /// x [H × N].
    using StateMatrix = detail::RowMajorMatrix<Scalar, Dynamic, Dynamic>;

    /// x of every channel; zero at first.
    class State {
    public:
        void reset() noexcept {
            x_.set_zero();
            past_.reset();
        }

    private:
        friend class Recurrence;
        State(Index size, Index channels, Index kernel_limit) : x_{size}, next_{size}, past_{channels, kernel_limit} {}
        Storage<Scalar> x_;  // [lane block][n][lane]
        Storage<Scalar> next_;
        PastInputs<Scalar> past_;
    };

    /// O(H N³). Error on bad parameters, where the rule has no solution, and where the system grows without bound.
    explicit Recurrence(const Parameters& parameters)
        : channels_{checked(parameters).channels()},
          heads_{parameters.heads()},
          states_{parameters.state_size()},
          kernel_limit_{detail::kernel_end(parameters)},
          A_bar_{lane_blocks<Scalar>(channels_) * width * states_ * states_},
          B_bar_{lane_blocks<Scalar>(channels_) * width * states_},
          forgotten_{kernel_limit_ > 0 ? B_bar_.size() : 0},
          C_{heads_ * B_bar_.size()},
          feed_through_{heads_ * lane_blocks<Scalar>(channels_) * width} {
        const Eigen::MatrixXd A = parameters.A.template cast<double>();
        const Eigen::VectorXd B = parameters.B.template cast<double>();
        for (Index h = 0; h < channels_; ++h) {
            const auto step = discretize(parameters.rule, A, B, Ssm::step_size(parameters, h));
            detail::require(detail::is_bounded(step.A_bar), Ssm::name,
                            ": the powers of A_bar grow without bound in "
                            "channel ",
                            h, ": an eigenvalue of A has a positive real part, or the rule does not suit it");
            const Eigen::VectorXd gone = detail::power_times(step.A_bar, kernel_limit_, step.B_bar);
            for (Index row = 0; row < states_; ++row) {
                for (Index column = 0; column < states_; ++column)
                    A_bar_.data()[((h / width * states_ + row) * states_ + column) * width + h % width] =
                        static_cast<Scalar>(step.A_bar(row, column));
                B_bar_.data()[at(h, row)] = static_cast<Scalar>(step.B_bar[row]);
                if (kernel_limit_ > 0) forgotten_.data()[at(h, row)] = static_cast<Scalar>(gone[row]);
                for (Index head = 0; head < heads_; ++head)
                    C_.data()[head * B_bar_.size() + at(h, row)] = parameters.C(head * channels_ + h, row);
            }
            for (Index head = 0; head < heads_; ++head)
                feed_through_.data()[head * lane_blocks<Scalar>(channels_) * width + h] =
                    parameters.D[head * channels_ + h];
        }
        detail::require_finite(Ssm::name, A_bar_);
        detail::require_finite(Ssm::name, B_bar_);
    }

    [[nodiscard]] Index channels() const noexcept { return channels_; }
    [[nodiscard]] Index outputs() const noexcept { return heads_ * channels_; }
    [[nodiscard]] Index state_columns() const noexcept { return states_; }
    /// Whether the state has the sizes of this system's.
    [[nodiscard]] bool fits(const State& state) const noexcept {
        return state.x_.size() == B_bar_.size() &&
               state.past_.size() == lane_blocks<Scalar>(channels_) * width * kernel_limit_;
    }
    [[nodiscard]] State make_state() const { return State{B_bar_.size(), channels_, kernel_limit_}; }

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
            for (Index n = 0; n < states_; ++n) x(h, n) = state.x_.data()[at(h, n)];
    }
    template <class Derived>
    void write(State& state, const Eigen::MatrixBase<Derived>& x) const noexcept {
        state.past_.reset();
        for (Index h = 0; h < channels_; ++h)
            for (Index n = 0; n < states_; ++n) state.x_.data()[at(h, n)] = x(h, n);
    }

private:
    using L = Lanes<Scalar>;
    static constexpr Index width = L::count;

    static const Parameters& checked(const Parameters& parameters) {
        Ssm::validate(parameters);
        return parameters;
    }
    [[nodiscard]] Index at(Index h, Index n) const noexcept { return (h / width * states_ + n) * width + h % width; }

    template <detail::Flow flow>
    void run(State& state, Index length, const Scalar* u, Index u_stride, Scalar* y, Index y_stride) const noexcept {
        S4_ASSERT(fits(state), "Recurrence: the state belongs to another system");
        detail::for_each_lane_block<Scalar>(channels_, [&](Index block, Index first, Index active) {
            const Scalar* x = state.x_.data() + block * states_ * width;
            for (Index t = 0; t < length; ++t) {
                const L input =
                    flow == detail::Flow::free ? L::zero() : L::load_first(u + first + t * u_stride, active);
                update(state, block, input, kernel_limit_ > 0 ? state.past_.exchange(block, t, input) : L::zero());
                if constexpr (flow == detail::Flow::state_only) continue;
                for (Index head = 0; head < heads_; ++head) {
                    Scalar* out = y + first + t * y_stride + head * channels_;
                    const Scalar* D = feed_through_.data() + head * lane_blocks<Scalar>(channels_) * width + first;
                    const Scalar* C = C_.data() + head * B_bar_.size() + block * states_ * width;
                    L output = flow == detail::Flow::free ? L::load_first(out, active) : L::load(D) * input;
                    for (Index n = 0; n < states_; ++n)
                        output = fma(L::load(C + n * width), L::load(x + n * width), output);
                    output.store_first(out, active);
                }
            }
        });
        state.past_.advance(length);
    }

    void update(State& state, Index block, L input, L delayed) const noexcept {
        Scalar* x = state.x_.data() + block * states_ * width;
        Scalar* next = state.next_.data() + block * states_ * width;
        const Scalar* A = A_bar_.data() + block * states_ * states_ * width;
        const Scalar* B = B_bar_.data() + block * states_ * width;
        const Scalar* gone = kernel_limit_ > 0 ? forgotten_.data() + block * states_ * width : nullptr;
        for (Index row = 0; row < states_; ++row) {
            L sum = L::load(B + row * width) * input;
            if (gone != nullptr) sum = fnma(L::load(gone + row * width), delayed, sum);
            for (Index column = 0; column < states_; ++column, A += width)
                sum = fma(L::load(A), L::load(x + column * width), sum);
            sum.store(next + row * width);
        }
        std::copy_n(next, states_ * width, x);
    }

    Index channels_;
    Index heads_;
    Index states_;
    Index kernel_limit_;
    Storage<Scalar> A_bar_;         // [lane block][row][column][lane]
    Storage<Scalar> B_bar_;         // [lane block][n][lane]
    Storage<Scalar> forgotten_;     // Ā^m B̄, with which an input leaves again: [lane block][n][lane]
    Storage<Scalar> C_;             // [head][lane block][n][lane]
    Storage<Scalar> feed_through_;  // D: [head][channel]
};

}  // namespace s4::inline S4_ABI
