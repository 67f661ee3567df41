// Online memory of the whole past: scale-invariant LegS, O(N) a sample.
#pragma once

#include <s4/core/error.hpp>
#include <s4/core/sequence.hpp>
#include <s4/discretize/bilinear.hpp>
#include <s4/discretize/zero_order_hold.hpp>
#include <s4/hippo/reconstruction.hpp>
#include <s4/recurrence/legs_hold.hpp>
#include <s4/recurrence/legs_sums.hpp>

#include <cmath>
#include <type_traits>
#include <utility>

namespace s4::inline S4_ABI {

/// A rule that LegsMemory has: a weight between the two Euler rules, or a held input.
template <class Rule>
concept LegsRule = WeightedRule<Rule> || std::same_as<Rule, ZeroOrderHold>;

/// Compresses everything each of H channels has heard so far into N coefficients c: after t samples those of the best
/// polynomial of degree N − 1 over [0, t], in the orthonormal Legendre basis of the whole past, which stretches as it
/// grows. The memory c' = (A c + B u)/t of LegS needs no step size and forgets nothing. (HiPPO, theorem 2, section 3)
///
/// The rule at sample t = 1, 2, …, with c_0 = 0: weighted (Euler, Bilinear, BackwardEuler, GeneralisedBilinear)
/// (I − w A/t) c_t = (I + (1−w) A/t) c_{t−1} + B u_t/t; ZeroOrderHold c_t = e c_{t−1} + A⁻¹(e − I) B u_t with
/// e = e^(A log((t+1)/t)). Euler grows like 2^N while t < N before the growth dies out: for small N only.
///
/// Cost per sample and channel: O(N), whatever t. What depends on n and t alone is shared by the channels: a division
/// for each n by the weighted rules, some tens of N operations in double by ZeroOrderHold. That rule takes blocks of
/// about N samples and merges each while the next one comes, a few rows at a time: one sample costs O(N) too, not only
/// their mean, but coefficients() merges what is left, O(N²). SIMD lanes are channels. `step` and `scan` give the same
/// bits, are noexcept and do not allocate.
///
/// Accuracy, relative to the largest coefficient: in double the error is 4e-14 after a million samples (N = 64), by
/// ZeroOrderHold at most 5e-14 up to N = 256. In float it is 4e-8 after a thousand as after twenty million (N = 64):
/// what rounding takes from a sum is kept and added again, so that the memory neither drifts nor stops to learn when
/// u/t falls below half a unit in the last place. ZeroOrderHold turns c by a large angle in each block while t is below
/// N³: up to 6e-7 there, 5e-8 after.
template <RealScalar S, LegsRule Rule = Bilinear>
class LegsMemory {
    using Sums =
        std::conditional_t<std::same_as<Rule, ZeroOrderHold>, detail::HeldLegsSums<S>, detail::WeightedLegsSums<S>>;

public:
    using Scalar = S;
    /// c [H × N].
    using Coefficients = detail::RowMajorMatrix<Scalar, Dynamic, Dynamic>;

    /// The memory of one stream of frames; nothing heard at first.
    class State {
    public:
        void reset() noexcept {
            z_.set_zero();
            samples_ = 0;
            work_.reset();
        }
        /// t: how many samples have been heard.
        [[nodiscard]] Index samples() const noexcept { return samples_; }

    private:
        friend class LegsMemory;
        State(Index size, typename Sums::Workspace work) : z_{size}, work_{std::move(work)} {}
        Storage<Scalar> z_;  // c_n / √(2n+1)
        Index samples_ = 0;
        typename Sums::Workspace work_;
    };

    /// Error unless H ≥ 1 and 1 ≤ N ≤ max_state_size. O(N).
    LegsMemory(Index channels, Index state_size, const Rule& rule = {})
        : channels_{checked("channels", channels, max_channels)},
          states_{checked("state_size", state_size, max_state_size)},
          sums_{make_sums(states_, rule)} {}

    /// The largest N.
    static constexpr Index max_state_size = Index{1} << 20;
    /// The largest H.
    static constexpr Index max_channels = Index{1} << 30;

    [[nodiscard]] Index channels() const noexcept { return channels_; }
    [[nodiscard]] Index state_size() const noexcept { return states_; }
    /// Error when memory runs out.
    [[nodiscard]] State make_state() const {
        return State{lane_blocks<Scalar>(channels_) * states_ * fields * width, sums_.make_workspace(channels_)};
    }

    /// Hears one sample of every channel, u [H].
    void step(State& state, const FrameView<Scalar>& u) const noexcept {
        S4_ASSERT(u.size() == channels_, "LegsMemory::step: u must be [H]");
        run(state, 1, u.data(), 0);
    }
    /// Hears u [l × H]: the same as l steps, but faster.
    void scan(State& state, const SequenceView<Scalar>& u) const noexcept {
        S4_ASSERT(u.cols() == channels_, "LegsMemory::scan: u must be [l × H]");
        run(state, u.rows(), u.data(), u.row_stride());
    }

    /// The coefficients c [H × N]. O(H N); with a held input O(H N²), and a copy of the state. Error when memory runs
    /// out.
    [[nodiscard]] Coefficients coefficients(const State& state) const {
        require_fit(state);
        if constexpr (std::same_as<Rule, ZeroOrderHold>) {
            State settled = state;
            sums_.settle(settled.z_.data(), settled.work_, channels_, settled.samples_);
            return read(settled);
        } else {
            return read(state);
        }
    }
    /// Sets coefficients c [H × N] that stand for `samples` samples, to go on from there. Error unless the shape fits,
    /// c is finite and samples ≥ 0.
    void write_coefficients(State& state, const Coefficients& c, Index samples) const {
        detail::require(c.rows() == channels_ && c.cols() == states_, "LegsMemory: the coefficients must be [",
                        channels_, " x ", states_, "], found [", c.rows(), " x ", c.cols(), "]");
        detail::require(detail::all_finite(c), "LegsMemory: a coefficient is not finite");
        require_fit(state);
        detail::require(samples >= 0, "LegsMemory: samples must not be negative, found ", samples);
        state.reset();
        state.samples_ = samples;
        for (Index h = 0; h < channels_; ++h)
            for (Index n = 0; n < states_; ++n)
                state.z_.data()[at(h, n)] = static_cast<Scalar>(static_cast<Extended>(c(h, n)) / norm(n));
    }

    /// The past at `points` [P] in [0, 1], 0 the first sample and 1 the newest: [P × H]. O(P N H); for the same points
    /// again and again, keep legs_past_basis(N, points), [P × N], and multiply it with the coefficients. Error when a
    /// point is outside.
    [[nodiscard]] Sequence<Scalar> reconstruct(const State& state, const Eigen::VectorXd& points) const {
        return detail::reconstruct<Scalar>(legs_past_basis(states_, points), coefficients(state));
    }

private:
    using L = Lanes<Scalar>;

    void require_fit(const State& state) const {
        detail::require(state.z_.size() == lane_blocks<Scalar>(channels_) * states_ * fields * L::count,
                        "LegsMemory: the state belongs to another memory");
    }
    using Extended = std::common_type_t<double, Scalar>;
    static constexpr Index width = L::count;
    static constexpr Index fields = detail::legs_fields<Scalar>;

    static Index checked(const char* name, Index value, Index largest) {
        detail::require(value >= 1 && value <= largest, "LegsMemory: ", name, " must lie in [1, ", largest, "], found ",
                        value);
        return value;
    }
    static Sums make_sums(Index states, [[maybe_unused]] const Rule& rule) {
        if constexpr (std::same_as<Rule, ZeroOrderHold>)
            return Sums{states};
        else
            return Sums{states, rule.weight()};
    }
    static Extended norm(Index n) noexcept { return std::sqrt(static_cast<Extended>(2 * n + 1)); }
    [[nodiscard]] Index at(Index h, Index n) const noexcept {
        return (h / width * states_ + n) * fields * width + h % width;
    }

    Coefficients read(const State& state) const {
        Coefficients c(channels_, states_);
        for (Index h = 0; h < channels_; ++h)
            for (Index n = 0; n < states_; ++n)
                c(h, n) = static_cast<Scalar>(norm(n) * static_cast<Extended>(state.z_.data()[at(h, n)]));
        return c;
    }

    void run(State& state, Index length, const Scalar* u, Index stride) const noexcept {
        S4_ASSERT(state.z_.size() == lane_blocks<Scalar>(channels_) * states_ * fields * width,
                  "LegsMemory: the state belongs to another memory");
        sums_.run(state.z_.data(), state.work_, channels_, state.samples_, length, u, stride);
        state.samples_ += length;
    }

    Index channels_;
    Index states_;
    Sums sums_;
};

}  // namespace s4::inline S4_ABI
