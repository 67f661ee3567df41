// Online memory of the recent past: any HiPPO measure over a window of fixed length.
#pragma once

#include <s4/core/lanes.hpp>
#include <s4/core/sequence.hpp>
#include <s4/core/storage.hpp>
#include <s4/discretize/dense.hpp>
#include <s4/hippo/reconstruction.hpp>
#include <s4/hippo/window.hpp>
#include <s4/recurrence/lane_groups.hpp>
#include <s4/recurrence/recurrence.hpp>

#include <algorithm>

namespace s4::inline S4_ABI {

/// What a HippoMemory keeps of its input.
struct HippoMemoryOptions {
    Index channels = 1;     ///< H
    Index state_size = 64;  ///< N; even, if a Fourier measure is to be reconstructed
    Hippo hippo = LegT{};   ///< the measure
    /// Length θ of the window (the time constant, for a measure without an end), in units of time. By default the
    /// shortest that N = 64 coefficients describe well.
    double window = 4096;
    double dt = 1;  ///< spacing of the samples, in the same unit: with dt = 1, the window counts samples
};

/// Compresses the last `window` of each of H channels into N coefficients x of the measure's basis: x_t = Ā x_{t−1} +
/// B̄ u_t, with Ā and B̄ those of the measure for this window by any rule. Every channel has the same Ā, so that a step
/// is a product of Ā [N × N] with x [N × H]: O(N² H), half of it for the measures whose A is triangular (LegS,
/// Laguerre). With Lmu and ZeroOrderHold it is the linear memory of the LMU. (HiPPO, section 2.3; Voelker, Kajić,
/// Eliasmith 2019)
///
/// A window holds enough samples when N² ≤ window/dt: with fewer the highest coefficients of LegT and LMU see single
/// samples, and below half of that Euler grows without bound, which is not an error here. SIMD lanes are
/// channels. `step` and `scan` give the same bits, are noexcept and do not allocate.
///
/// Accuracy in float: Ā − I, made in double, is what is rounded, so that long windows keep their digits. What is left
/// is the rounding of the states, forgotten with the window: of the largest coefficient 6e-7 for windows of 1000
/// samples and 6e-6 for 100 000 (N = 64; LegT, LMU, Fourier, LegS), for a stream of any length. Laguerre measures, with
/// their long tails, lose up to 4e-5.
template <RealScalar S>
class HippoMemory {
public:
    using Scalar = S;
    /// x [H × N].
    using Coefficients = detail::RowMajorMatrix<Scalar, Dynamic, Dynamic>;

    /// The memory of one stream of frames; silence at first.
    class State {
    public:
        void reset() noexcept { x_.set_zero(); }

    private:
        friend class HippoMemory;
        explicit State(Index size) : x_{size}, change_{size} {}
        Storage<Scalar> x_;  // [lane block][n][lane]
        Storage<Scalar> change_;
    };

    /// Error unless H ≥ 1, N ≥ 1, window and dt are finite and above 0, the measure's
    /// parameters are in range and the rule has a solution. O(N³).
    template <DiscretizationRule Rule = Bilinear>
    explicit HippoMemory(const HippoMemoryOptions& options, const Rule& rule = {})
        : hippo_{options.hippo},
          channels_{checked(options).channels},
          states_{options.state_size},
          row_blocks_{(states_ + rows_at_once - 1) / rows_at_once},
          change_{row_blocks_ * rows_at_once * states_},
          columns_{row_blocks_},
          B_bar_{row_blocks_ * rows_at_once} {
        const HippoSystem system = windowed_transition(options.hippo, states_, options.window);
        const DenseStep<double> step = discretize(rule, system.A, system.B, options.dt);
        for (Index row = 0; row < states_; ++row) {
            B_bar_.data()[row] = static_cast<Scalar>(step.B_bar[row]);
            const Index block = row / rows_at_once;
            for (Index column = 0; column < states_; ++column) {
                const double change = step.A_bar(row, column) - (row == column ? 1.0 : 0.0);
                change_.data()[(block * states_ + column) * rows_at_once + row % rows_at_once] =
                    static_cast<Scalar>(change);
                if (change != 0) columns_.data()[block] = std::max(columns_.data()[block], column + 1);
            }
        }
        detail::require_finite("HippoMemory", change_);
        detail::require_finite("HippoMemory", B_bar_);
    }

    [[nodiscard]] Index channels() const noexcept { return channels_; }
    [[nodiscard]] Index state_size() const noexcept { return states_; }
    /// The measure.
    [[nodiscard]] const Hippo& hippo() const noexcept { return hippo_; }
    /// Error when memory runs out.
    [[nodiscard]] State make_state() const { return State{lane_blocks<Scalar>(channels_) * block_size()}; }

    /// Hears one sample of every channel, u [H].
    void step(State& state, const FrameView<Scalar>& u) const noexcept {
        S4_ASSERT(u.size() == channels_, "HippoMemory::step: u must be [H]");
        run(state, 1, u.data(), 0);
    }
    /// Hears u [l × H]: the same as l steps.
    void scan(State& state, const SequenceView<Scalar>& u) const noexcept {
        S4_ASSERT(u.cols() == channels_, "HippoMemory::scan: u must be [l × H]");
        run(state, u.rows(), u.data(), u.row_stride());
    }

    /// The coefficients x [H × N]. O(H N).
    [[nodiscard]] Coefficients coefficients(const State& state) const {
        require_fit(state);
        Coefficients x(channels_, states_);
        for (Index h = 0; h < channels_; ++h)
            for (Index n = 0; n < states_; ++n) x(h, n) = state.x_.data()[at(h, n)];
        return x;
    }
    /// Sets x [H × N], to go on from there. Error unless the shape fits and x is finite.
    void write_coefficients(State& state, const Coefficients& x) const {
        detail::require(x.rows() == channels_ && x.cols() == states_, "HippoMemory: the coefficients must be [",
                        channels_, " x ", states_, "], found [", x.rows(), " x ", x.cols(), "]");
        require_fit(state);
        detail::require(detail::all_finite(x), "HippoMemory: a coefficient is not finite");
        for (Index h = 0; h < channels_; ++h)
            for (Index n = 0; n < states_; ++n) state.x_.data()[at(h, n)] = x(h, n);
    }

    /// The input at `lags` [P] into the past, in windows: [P × H]. O(P N H); for the same lags again and again, keep
    /// reconstruction_basis(hippo(), N, lags), [P × N], and multiply it with the coefficients. Errors as there.
    [[nodiscard]] Sequence<Scalar> reconstruct(const State& state, const Eigen::VectorXd& lags) const {
        return detail::reconstruct<Scalar>(reconstruction_basis(hippo_, states_, lags), coefficients(state));
    }

private:
    void require_fit(const State& state) const {
        detail::require(state.x_.size() == lane_blocks<Scalar>(channels_) * block_size(),
                        "HippoMemory: the state belongs to another memory");
    }

    using L = Lanes<Scalar>;
    static constexpr Index width = L::count;
    static constexpr Index rows_at_once = 4;

    static const HippoMemoryOptions& checked(const HippoMemoryOptions& options) {
        constexpr Index max_channels = Index{1} << 30;
        constexpr Index max_state_size = Index{1} << 12;
        detail::require(options.channels >= 1 && options.channels <= max_channels,
                        "HippoMemory: channels must lie in [1, ", max_channels, "], found ", options.channels);
        detail::require(options.state_size >= 1 && options.state_size <= max_state_size,
                        "HippoMemory: state_size must lie in [1, ", max_state_size, "], found ", options.state_size);
        return options;
    }
    [[nodiscard]] Index block_size() const noexcept { return row_blocks_ * rows_at_once * width; }
    [[nodiscard]] Index at(Index h, Index n) const noexcept { return h / width * block_size() + n * width + h % width; }

    void run(State& state, Index length, const Scalar* u, Index stride) const noexcept {
        S4_ASSERT(state.x_.size() == lane_blocks<Scalar>(channels_) * block_size(),
                  "HippoMemory: the state belongs to another memory");
        detail::for_each_group(
            lane_blocks<Scalar>(channels_), [&]<Index Blocks>(Index block, std::integral_constant<Index, Blocks>) {
                const Index first = block * width;
                for (Index t = 0; t < length; ++t)
                    advance<Blocks>(state.x_.data() + block * block_size(), state.change_.data() + block * block_size(),
                                    channels_ - first, u + t * stride + first);
            });
    }

    // One sample of `Blocks` lane blocks: four rows of Ā − I at a time, so that each x_k and each entry is loaded once
    // for several products.
    template <Index Blocks>
    void advance(Scalar* x, Scalar* change, Index channels, const Scalar* u) const noexcept {
        detail::Registers<L, Blocks> input;
        for (Index b = 0; b < Blocks; ++b)
            input[b] = L::load_first(u + b * width, std::min(width, channels - b * width));
        for (Index block = 0; block < row_blocks_; ++block) {
            detail::Registers<detail::Registers<L, Blocks>, rows_at_once> sum;
            for (Index row = 0; row < rows_at_once; ++row)
                for (Index b = 0; b < Blocks; ++b)
                    sum[row][b] = L::broadcast(B_bar_.data()[block * rows_at_once + row]) * input[b];
            const Scalar* entry = change_.data() + block * states_ * rows_at_once;
            for (Index column = 0; column < columns_.data()[block]; ++column, entry += rows_at_once)
                detail::unrolled<Blocks>([&](auto b) {
                    const L value = L::load(x + b * block_size() + column * width);
                    detail::unrolled<rows_at_once>(
                        [&](auto row) { sum[row][b] = fma(L::broadcast(entry[row]), value, sum[row][b]); });
                });
            for (Index row = 0; row < rows_at_once; ++row)
                for (Index b = 0; b < Blocks; ++b)
                    sum[row][b].store(change + b * block_size() + (block * rows_at_once + row) * width);
        }
        for (Index i = 0; i < Blocks * block_size(); i += width) (L::load(x + i) + L::load(change + i)).store(x + i);
    }

    Hippo hippo_;
    Index channels_;
    Index states_;
    Index row_blocks_;
    Storage<Scalar> change_;  // Ā − I: [block of rows][column][row]
    Storage<Index> columns_;  // of each block of rows: how many until the last that is not zero
    Storage<Scalar> B_bar_;
};

}  // namespace s4::inline S4_ABI
