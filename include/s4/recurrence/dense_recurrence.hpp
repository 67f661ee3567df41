// Step and scan of a dense system: O(N²) a sample, the textbook form.
#pragma once

#include <s4/discretize/dense.hpp>
#include <s4/parameters/dense.hpp>
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
        void reset() noexcept { x_.set_zero(); }

    private:
        friend class Recurrence;
        explicit State(Index size) : x_{size}, next_{size} {}
        Storage<Scalar> x_;  // [lane block][n][lane]
        Storage<Scalar> next_;
    };

    /// O(H N³). Error on bad parameters or where the rule has no solution.
    explicit Recurrence(const Parameters& parameters)
        : channels_{checked(parameters).channels()},
          states_{parameters.state_size()},
          A_bar_{lane_blocks<Scalar>(channels_) * width * states_ * states_},
          B_bar_{lane_blocks<Scalar>(channels_) * width * states_},
          C_{B_bar_.size()},
          feed_through_{lane_blocks<Scalar>(channels_) * width} {
        const Eigen::MatrixXd A = parameters.A.template cast<double>();
        const Eigen::VectorXd B = parameters.B.template cast<double>();
        for (Index h = 0; h < channels_; ++h) {
            const auto step = discretize(Rule{}, A, B, Ssm::step_size(parameters, h));
            for (Index row = 0; row < states_; ++row) {
                const Index to = (h / width * states_ + row) * width + h % width;
                for (Index column = 0; column < states_; ++column)
                    A_bar_.data()[((h / width * states_ + row) * states_ + column) * width + h % width] =
                        static_cast<Scalar>(step.A_bar(row, column));
                B_bar_.data()[to] = static_cast<Scalar>(step.B_bar[row]);
                C_.data()[to] = parameters.C(h, row);
            }
            feed_through_.data()[h] = parameters.D[h];
        }
        detail::require_finite(Ssm::name, A_bar_);
        detail::require_finite(Ssm::name, B_bar_);
    }

    [[nodiscard]] Index channels() const noexcept { return channels_; }
    [[nodiscard]] State make_state() const { return State{lane_blocks<Scalar>(channels_) * width * states_}; }

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
        S4_ASSERT(state.x_.size() == B_bar_.size(), "Recurrence: the state belongs to another system");
        detail::for_each_lane_block<Scalar>(channels_, [&](Index block, Index first, Index active) {
            const L D = L::load(feed_through_.data() + first);
            const Scalar* x = state.x_.data() + block * states_ * width;
            const Scalar* C = C_.data() + block * states_ * width;
            for (Index t = 0; t < length; ++t) {
                const L input =
                    flow == detail::Flow::free ? L::zero() : L::load_first(u + first + t * u_stride, active);
                update(state, block, input);
                if constexpr (flow == detail::Flow::state_only) continue;
                L output = flow == detail::Flow::free ? L::load_first(y + first + t * y_stride, active) : D * input;
                for (Index n = 0; n < states_; ++n)
                    output = fma(L::load(C + n * width), L::load(x + n * width), output);
                output.store_first(y + first + t * y_stride, active);
            }
        });
    }

    void update(State& state, Index block, L input) const noexcept {
        Scalar* x = state.x_.data() + block * states_ * width;
        Scalar* next = state.next_.data() + block * states_ * width;
        const Scalar* A = A_bar_.data() + block * states_ * states_ * width;
        const Scalar* B = B_bar_.data() + block * states_ * width;
        for (Index row = 0; row < states_; ++row) {
            L sum = L::load(B + row * width) * input;
            for (Index column = 0; column < states_; ++column, A += width)
                sum = fma(L::load(A), L::load(x + column * width), sum);
            sum.store(next + row * width);
        }
        std::copy_n(next, states_ * width, x);
    }

    Index channels_;
    Index states_;
    Storage<Scalar> A_bar_;  // [lane block][row][column][lane]
    Storage<Scalar> B_bar_;  // [lane block][n][lane]
    Storage<Scalar> C_;
    Storage<Scalar> feed_through_;  // D
};

}  // namespace s4::inline S4_ABI
