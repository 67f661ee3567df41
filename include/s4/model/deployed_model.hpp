// A trained sequence model that runs: over whole sequences or as a stream, chosen at compile time.
#pragma once

#include <s4/block/deployed_block.hpp>
#include <s4/model/sequence_model.hpp>

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

namespace s4::inline S4_ABI {

/// A SequenceModel with the calls of its mode, as S4Layer: Mode::convolution takes whole sequences, Mode::recurrence
/// one step after the other, without allocation and for any length. Both hold the same parameters. No dropout. Const
/// when it runs; a Workspace or State belongs to one thread.
///
/// In a stream the output after each step is what the model says of all steps so far: with pooling by mean or sum the
/// decoder sees the running mean or sum, otherwise the last features.
template <class Model_, Mode M, class Fft = Fftw<typename Model_::Scalar>>
class DeployedModel {
public:
    using Model = Model_;
    using Scalar = typename Model::Scalar;
    using Parameters = typename Model::Parameters;
    using Block = DeployedBlock<typename Model::Block, M, Fft>;

    /// Error on bad parameters.
    explicit DeployedModel(Parameters parameters) : parameters_{std::move(parameters)} {
        Model::validate(parameters_);
        detail::or_out_of_memory("DeployedModel", [this] {
            for (const auto& block : parameters_.blocks) blocks_.emplace_back(block);
        });
    }

    [[nodiscard]] const Parameters& parameters() const noexcept { return parameters_; }
    /// d_input
    [[nodiscard]] Index inputs() const noexcept { return parameters_.inputs(); }
    /// d_output
    [[nodiscard]] Index outputs() const noexcept { return parameters_.outputs(); }

    // ---- Mode::convolution ------------------------------------------------------------------------------------------

    /// Makes the kernels for sequences of up to `length` steps. Errors as S4Layer::prepare.
    void prepare(Index length, Planning planning = Planning::estimate) requires ConvolutionMode<M> {
        for (Block& block : blocks_) block.prepare(length, planning);
        length_ = length;
    }

    /// Scratch for one thread and up to `batch` sequences.
    class Workspace {
    private:
        friend class DeployedModel;
        Workspace(const DeployedModel& model, Index batch)
            : x_(batch * model.length_, model.parameters_.features()),
              inner_(x_.rows(), x_.cols()),
              pooled_(rows_after(model.parameters_.pooling, batch, model.length_), x_.cols()) {
            for (const Block& block : model.blocks_) blocks_.push_back(block.make_workspace(batch));
        }
        std::vector<typename Block::Workspace> blocks_;
        Sequence<Scalar> x_, inner_, pooled_;
    };
    /// Error before `prepare`, or when memory runs out.
    [[nodiscard]] Workspace make_workspace(Index batch = 1) const requires ConvolutionMode<M> {
        detail::require(length_ > 0, "DeployedModel::make_workspace: call prepare(length) first");
        detail::require(batch >= 1, "DeployedModel::make_workspace: batch must be at least 1, found ", batch);
        return detail::or_out_of_memory("DeployedModel::make_workspace", [&] { return Workspace{*this, batch}; });
    }

    /// y [B × d_output] ([B·l × d_output] without pooling) from x [B·l × d_input], a batch of B sequences of l steps;
    /// with `lengths` only the first lengths[b] of sequence b count. Does not allocate.
    void forward(Workspace& workspace, const SequenceView<Scalar>& x, const SequenceOut<Scalar>& y, Index batch = 1,
                 std::span<const Index> lengths = {}) const noexcept requires ConvolutionMode<M> {
        S4_ASSERT(x.rows() <= workspace.x_.rows() && x.rows() % batch == 0 && x.cols() == inputs(),
                  "DeployedModel::forward: x must be [B·l × d_input], with l up to the prepared length");
        const SequenceOut<Scalar> features = top(workspace.x_, x.rows());
        linear<Scalar>(parameters_.encoder, x, features);
        for (std::size_t i = 0; i < blocks_.size(); ++i)
            add_block(i, features, top(workspace.inner_, x.rows()), [&](const SequenceOut<Scalar>& inner) noexcept {
                blocks_[i].forward(workspace.blocks_[i], inner, inner, batch, lengths);
            });
        const Index rows = rows_after(parameters_.pooling, batch, x.rows() / batch);
        S4_ASSERT(y.rows() == rows && y.cols() == outputs(), "DeployedModel::forward: y must be [B × d_output]");
        const SequenceOut<Scalar> pooled = top(workspace.pooled_, rows);
        pool<Scalar>(parameters_.pooling, features, pooled, batch, lengths);
        linear<Scalar>(parameters_.decoder, pooled, y);
    }

    // ---- Mode::recurrence -------------------------------------------------------------------------------------------

    /// The state of one stream, with its scratch.
    class State {
    public:
        /// Begins a new sequence.
        void reset() noexcept {
            for (auto& block : blocks_) block.reset();
            pool_.reset();
        }

    private:
        friend class DeployedModel;
        explicit State(const DeployedModel& model)
            : x_(1, model.parameters_.features()), inner_(1, x_.cols()), pool_{model.parameters_.pooling, x_.cols()} {
            for (const Block& block : model.blocks_) blocks_.push_back(block.make_state());
        }
        std::vector<typename Block::State> blocks_;
        Sequence<Scalar> x_, inner_;
        RunningPool<Scalar> pool_;
    };
    /// A stream from its beginning. Error when memory runs out.
    [[nodiscard]] State make_state() const requires RecurrenceMode<M> {
        return detail::or_out_of_memory("DeployedModel::make_state", [this] { return State{*this}; });
    }

    /// One step: y [d_output] from u [d_input]. O(layers · H (N + H)). Does not allocate.
    void step(State& state, const FrameView<Scalar>& u,
              const FrameOut<Scalar>& y) const noexcept requires RecurrenceMode<M> {
        S4_ASSERT(u.size() == inputs() && y.size() == outputs(),
                  "DeployedModel::step: u must be [d_input] and y [d_output]");
        linear_step<Scalar>(parameters_.encoder, u, state.x_.row(0));
        for (std::size_t i = 0; i < blocks_.size(); ++i)
            add_block(i, state.x_, state.inner_, [&](const SequenceOut<Scalar>& inner) noexcept {
                const std::span<Scalar> frame{inner.data(), static_cast<std::size_t>(inner.cols())};
                blocks_[i].step(state.blocks_[i], frame, frame);
            });
        state.pool_.step(state.x_.row(0), state.x_.row(0));
        linear_step<Scalar>(parameters_.decoder, state.x_.row(0), y);
    }

private:
    static SequenceOut<Scalar> top(Sequence<Scalar>& x, Index rows) noexcept {
        return {x.data(), rows, x.cols(), x.cols()};
    }

    /// x ← norm(x + run(x)), x + run(norm(x)) or x + run(x).
    template <class Run>
    void add_block(std::size_t i, const SequenceOut<Scalar>& x, const SequenceOut<Scalar>& inner,
                   const Run& run) const noexcept {
        const Index count = x.rows() * x.cols();
        const bool norm = parameters_.norm == Normalisation::layer;
        if (norm && parameters_.prenorm) {
            layer_norm<Scalar>(parameters_.norms[i], x, inner);
        } else {
            std::copy_n(x.data(), count, inner.data());
        }
        run(inner);
        for (Index n = 0; n < count; ++n) x.data()[n] += inner.data()[n];
        if (norm && !parameters_.prenorm) layer_norm<Scalar>(parameters_.norms[i], x, x);
    }

    Parameters parameters_;
    std::vector<Block> blocks_;
    Index length_ = 0;
};

}  // namespace s4::inline S4_ABI
