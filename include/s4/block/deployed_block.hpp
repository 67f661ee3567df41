// An S4 block that runs: over whole sequences or as a stream, chosen at compile time.
#pragma once

#include <s4/block/s4_block.hpp>
#include <s4/layer/s4_layer.hpp>

#include <algorithm>
#include <span>
#include <utility>

namespace s4::inline S4_ABI {

/// A block with the calls of its mode, as S4Layer: both modes hold the same parameters, and the state of one goes on in
/// the other. No dropout. Const when it runs; a Workspace or State belongs to one thread.
template <class Block_, Mode M, class Fft = Fftw<typename Block_::Scalar>>
class DeployedBlock {
public:
    using Block = Block_;
    using Ssm = typename Block::Ssm;
    using Scalar = typename Block::Scalar;
    using Parameters = typename Block::Parameters;
    /// The layer inside.
    using Layer = S4Layer<Ssm, M, Fft>;

    /// Error on bad parameters.
    explicit DeployedBlock(Parameters parameters)
        : parameters_{std::move(parameters)}, layer_{(Block::validate(parameters_), parameters_.ssm)} {}

    [[nodiscard]] const Parameters& parameters() const noexcept { return parameters_; }
    /// The layer inside.
    [[nodiscard]] const Layer& layer() const noexcept { return layer_; }
    /// H: inputs.
    [[nodiscard]] Index channels() const noexcept { return layer_.channels(); }
    [[nodiscard]] Index outputs() const noexcept { return parameters_.outputs(); }

    /// The state of one stream, with scratch for a step or a block of samples.
    class State {
    public:
        /// The state of the layer inside.
        [[nodiscard]] typename Layer::State& ssm() noexcept { return ssm_; }
        /// The state of the layer inside.
        [[nodiscard]] const typename Layer::State& ssm() const noexcept { return ssm_; }
        void reset() noexcept { ssm_.reset(); }

    private:
        friend class DeployedBlock;
        State(const DeployedBlock& block, Index rows)
            : rows_{rows}, ssm_{block.layer_.make_state()}, mixing_{block.parameters_, rows} {}
        Index rows_;
        typename Layer::State ssm_;
        detail::BlockMixing<Block> mixing_;
    };

    /// A zero state for steps, and for scans of any length, which go in blocks of `scan_rows` samples.
    [[nodiscard]] State make_state(Index scan_rows = 1) const requires RecurrenceMode<M> {
        detail::require(scan_rows >= 1, "DeployedBlock::make_state: scan_rows must be at least 1, found ", scan_rows);
        return State{*this, scan_rows};
    }

    // ---- Mode::convolution ------------------------------------------------------------------------------------------

    /// As S4Layer::prepare.
    void prepare(Index length, Planning planning = Planning::estimate) requires ConvolutionMode<M> {
        layer_.prepare(length, planning);
    }

    /// Scratch for one thread and up to `batch` sequences.
    class Workspace {
    private:
        friend class DeployedBlock;
        Workspace(const DeployedBlock& block, Index batch)
            : layer_{block.layer_.make_workspace()},
              input_(batch * block.layer_.prepared_length(), block.channels()),
              mixing_{block.parameters_, batch * block.layer_.prepared_length()} {}
        typename Layer::Workspace layer_;
        Sequence<Scalar> input_;  // without padding
        detail::BlockMixing<Block> mixing_;
    };
    /// Error before `prepare`.
    [[nodiscard]] Workspace make_workspace(Index batch = 1) const requires ConvolutionMode<M> {
        detail::require(batch >= 1, "DeployedBlock::make_workspace: batch must be at least 1, found ", batch);
        return Workspace{*this, batch};
    }

    /// y [B·l × out] from u [B·l × H], a batch of B sequences from a zero state; with `lengths` only the first
    /// lengths[b] positions of sequence b are heard. y may be u.
    void forward(Workspace& workspace, const SequenceView<Scalar>& u, const SequenceOut<Scalar>& y, Index batch = 1,
                 std::span<const Index> lengths = {}) const noexcept requires ConvolutionMode<M> {
        const SequenceOut<Scalar> v = workspace.mixing_.ssm_output(u.rows());
        if (lengths.empty()) {
            layer_.forward(workspace.layer_, u, v, batch);
        } else {
            const SequenceOut<Scalar> masked{workspace.input_.data(), u.rows(), u.cols(), u.cols()};
            detail::mask_padding<Scalar>(u, masked, batch, lengths);
            layer_.forward(workspace.layer_, masked, v, batch);
        }
        workspace.mixing_.forward(parameters_, y, no_dropout);
    }
    /// One sequence that starts from `state` and leaves its final state there.
    void forward(Workspace& workspace, typename Layer::State& state, const SequenceView<Scalar>& u,
                 const SequenceOut<Scalar>& y) const noexcept requires ConvolutionMode<M> && CausalSystem<Ssm> {
        layer_.forward(workspace.layer_, state, u, workspace.mixing_.ssm_output(u.rows()));
        workspace.mixing_.forward(parameters_, y, no_dropout);
    }

    // ---- Mode::recurrence -------------------------------------------------------------------------------------------

    /// One sample: y_t [out] from u_t [H]; may be the same if the sizes are.
    void step(State& state, const FrameView<Scalar>& u,
              const FrameOut<Scalar>& y) const noexcept requires RecurrenceMode<M> {
        const SequenceOut<Scalar> v = state.mixing_.ssm_output(1);
        layer_.step(state.ssm_, u, std::span<Scalar>{v.data(), static_cast<std::size_t>(v.cols())});
        state.mixing_.forward(parameters_, SequenceOut<Scalar>{y.data(), 1, y.size(), y.size()}, no_dropout);
    }

    /// Any number of samples, y [l × out] from u [l × H], with the state carried: the same as l steps, but faster where
    /// the state was made for blocks of samples. y may be u if the sizes are equal.
    void scan(State& state, const SequenceView<Scalar>& u,
              const SequenceOut<Scalar>& y) const noexcept requires RecurrenceMode<M> {
        for (Index start = 0; start < u.rows(); start += state.rows_) {
            const Index count = std::min(state.rows_, u.rows() - start);
            layer_.scan(state.ssm_, detail::rows_of(u, start, count), state.mixing_.ssm_output(count));
            state.mixing_.forward(parameters_, detail::rows_of(y, start, count), no_dropout);
        }
    }

private:
    static constexpr auto no_dropout = [](const SequenceView<Scalar>&, const SequenceOut<Scalar>&) noexcept {};

    Parameters parameters_;
    Layer layer_;
};

}  // namespace s4::inline S4_ABI
