// A sequence model in training: loss and gradient of a batch, on all threads.
#pragma once

#include <s4/block/trainable_block.hpp>
#include <s4/core/parallel.hpp>
#include <s4/model/sequence_model.hpp>

#include <algorithm>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace s4::inline S4_ABI {

/// How a batch is shared out.
struct BatchSharing {
    /// Into how many parts the gradient of a batch is summed before the parts are added up, in order. The result
    /// depends on this number, not on the number of threads, of which no more than this can help.
    Index parts = 16;
    /// Sequences that go through the model together: more of them make better use of small layers, fewer stay in the
    /// cache.
    Index together = 1;
};

/// A batch of B sequences of L steps.
template <RealScalar Scalar>
struct SequenceBatch {
    SequenceView<Scalar> inputs;          ///< [B·L × d_input]
    Index size = 1;                       ///< B
    std::span<const Index> lengths = {};  ///< of each sequence, the rest being padding; empty: all are full
};

/// Which masks of dropout: those of a run and a step of its optimiser.
struct DropoutStep {
    std::uint64_t seed = 0;  ///< of the run
    std::uint64_t step = 0;  ///< of the optimiser
};

/// Loss, gradient and predictions of a SequenceModel for sequences of `length` steps. All memory of a pass over
/// sequences is made here; kernels and their gradients still allocate.
///
/// Memory for each thread and sequence that goes together with others: about L·(5 + heads·(M/L))·H numbers a block.
template <class Model_, class Fft = Fftw<typename Model_::Scalar>>
class TrainableModel {
public:
    using Model = Model_;
    using Block = typename Model::Block;
    using Scalar = typename Model::Scalar;
    using Parameters = typename Model::Parameters;
    /// What a step is made of.
    using Batch = SequenceBatch<Scalar>;

    /// For parameters of the sizes of `p`. Error on bad parameters, a length out of range or when memory runs out.
    TrainableModel(const Parameters& p, Index length, const BatchSharing& sharing = {},
                   Planning planning = Planning::estimate)
        : length_{length}, sharing_{checked(sharing)} {
        Model::validate(p);
        detail::or_out_of_memory("TrainableModel", [&] {
            for (const auto& block : p.blocks) blocks_.emplace_back(block, length, planning);
            for (Index part = 0; part < sharing_.parts; ++part) parts_.emplace_back(*this, p);
            const Index threads = std::min(max_threads(), sharing_.parts);
            for (Index thread = 0; thread < threads; ++thread) scratch_.emplace_back(*this, p);
        });
    }

    /// L.
    [[nodiscard]] Index length() const noexcept { return length_; }

    /// The loss of a batch, and its gradient, which is added to `gradient`. `loss(first, outputs, doutputs)` gets the
    /// outputs of a few sequences, the first of which is number `first` of the batch, [their number × d_output] ([·L]
    /// without pooling), returns their share of the loss, and writes the cotangents; it may be called by several
    /// threads at once. The result does not depend on the number of threads.
    template <class Loss>
    [[nodiscard]] double gradient(const Parameters& p, const Batch& batch, const DropoutStep& step, const Loss& loss,
                                  Parameters& gradient) {
        prepare(p);
        for_each_part(batch, [&](Part& part, Scratch& scratch, Index first, Index count) {
            forward(p, batch, scratch, first, count, &step);
            part.loss += loss(first, SequenceView<Scalar>(scratch.outputs_of(p, count, length_)),
                              scratch.doutputs_of(p, count, length_));
            reverse(p, batch, scratch, first, count, step, part);
        });
        double sum = 0;
        for (Part& part : parts_) {
            sum += part.loss;
            Model::for_each_tensor([](const TensorInfo&, auto& to, const auto& from) { to += from; }, gradient,
                                   part.gradient);
        }
        for (std::size_t i = 0; i < blocks_.size(); ++i) {
            for (std::size_t part = 1; part < parts_.size(); ++part)
                parts_.front().by_kernels[i].add(parts_[part].by_kernels[i]);
            blocks_[i].finish(p.blocks[i], parts_.front().by_kernels[i], gradient.blocks[i]);
        }
        return sum;
    }

    /// Makes the kernels of the parameters as they are now: once before any number of `predict`. Allocates.
    void prepare(const Parameters& p) {
        for (std::size_t i = 0; i < blocks_.size(); ++i) blocks_[i].prepare(p.blocks[i]);
    }

    /// The outputs [B × d_output] ([B·L × d_output] without pooling) of a batch, without dropout, for the parameters of
    /// the last `prepare`. Does not allocate on one thread.
    void predict(const Parameters& p, const Batch& batch, const SequenceOut<Scalar>& outputs) {
        S4_ASSERT(outputs.rows() == rows_after(p.pooling, batch.size, length_) && outputs.cols() == p.outputs(),
                  "TrainableModel::predict: outputs must be [B × d_output]");
        for_each_part(batch, [&](Part&, Scratch& scratch, Index first, Index count) {
            forward(p, batch, scratch, first, count, nullptr);
            const SequenceOut<Scalar> found = scratch.outputs_of(p, count, length_);
            const Index before = rows_after(p.pooling, first, length_);
            for (Index row = 0; row < found.rows(); ++row)
                std::copy_n(found.row(row), found.cols(), outputs.row(before + row));
        });
    }

private:
    using TBlock = TrainableBlock<Block, Fft>;

    // What the sequences of one part add up to.
    struct Part {
        Part(const TrainableModel& model, const Parameters& p) : gradient{zero_like<Model>(p)} {
            for (const TBlock& block : model.blocks_) by_kernels.push_back(block.make_kernel_gradient());
        }
        void set_zero() {
            loss = 0;
            Model::for_each_tensor([](const TensorInfo&, auto& tensor) { tensor.setZero(); }, gradient);
            for (auto& sum : by_kernels) sum.set_zero();
        }
        double loss = 0;
        Parameters gradient;
        std::vector<typename TBlock::KernelGradient> by_kernels;
    };

    // The memory of one thread: x before each block (and norm), what it adds, and the tapes of the blocks.
    struct Scratch {
        Scratch(const TrainableModel& model, const Parameters& p) {
            const Index together = model.sharing_.together;
            const Index rows = together * model.length_;
            const Index H = p.features();
            for (std::size_t i = 0; i < model.blocks_.size(); ++i) {
                workspaces.emplace_back(model.blocks_[i]);
                tapes.emplace_back(model.blocks_[i], p.blocks[i], together);
                sums.emplace_back(rows, H);
            }
            x.resize(rows, H);
            inner.resize(rows, H);
            pooled.resize(rows_after(p.pooling, together, model.length_), H);
            outputs.resize(pooled.rows(), p.outputs());
            doutputs.resize(pooled.rows(), p.outputs());
        }
        [[nodiscard]] SequenceOut<Scalar> outputs_of(const Parameters& p, Index count, Index length) noexcept {
            return top(outputs, rows_after(p.pooling, count, length));
        }
        [[nodiscard]] SequenceOut<Scalar> doutputs_of(const Parameters& p, Index count, Index length) noexcept {
            return top(doutputs, rows_after(p.pooling, count, length));
        }
        std::vector<typename TBlock::Workspace> workspaces;
        std::vector<typename TBlock::Tape> tapes;
        std::vector<Sequence<Scalar>> sums;  // what the norm of each block is of
        Sequence<Scalar> x, inner, pooled, outputs, doutputs;
    };

    static const BatchSharing& checked(const BatchSharing& sharing) {
        detail::require(sharing.parts >= 1 && sharing.parts <= 4096,
                        "TrainableModel: option parts must lie in [1, 4096], found ", sharing.parts);
        detail::require(sharing.together >= 1 && sharing.together <= 4096,
                        "TrainableModel: option together must lie in [1, 4096], found ", sharing.together);
        return sharing;
    }
    static SequenceOut<Scalar> top(Sequence<Scalar>& x, Index rows) noexcept {
        return {x.data(), rows, x.cols(), x.cols()};
    }

    /// body(part, scratch, first, count) for groups of sequences: those of a part in order, parts on all threads.
    template <class Body>
    void for_each_part(const Batch& batch, const Body& body) {
        S4_ASSERT(batch.inputs.rows() == batch.size * length_, "TrainableModel: inputs must be [B·L × d_input]");
        const auto threads = static_cast<Index>(scratch_.size());
        parallel_for(threads, [&](Index thread) {
            for (Index number = thread; number < sharing_.parts; number += threads) {
                Part& part = parts_[static_cast<std::size_t>(number)];
                part.set_zero();
                const Index end = batch.size * (number + 1) / sharing_.parts;
                for (Index first = batch.size * number / sharing_.parts; first < end; first += sharing_.together)
                    body(part, scratch_[static_cast<std::size_t>(thread)], first,
                         std::min(sharing_.together, end - first));
            }
        });
    }

    [[nodiscard]] static std::span<const Index> lengths_of(const Batch& batch, Index first, Index count) noexcept {
        return batch.lengths.empty()
                   ? std::span<const Index>{}
                   : batch.lengths.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count));
    }

    /// Dropout number `place` of a block; none without a step.
    [[nodiscard]] static auto drop(const Dropout& options, const DropoutStep* step, std::size_t block, int place,
                                   Index first, Index count) noexcept {
        const DropoutKey key{step == nullptr ? 0 : step->seed, step == nullptr ? 0 : step->step,
                             2 * static_cast<std::uint64_t>(block) + static_cast<std::uint64_t>(place)};
        return [=](const SequenceView<Scalar>& x, const SequenceOut<Scalar>& y) noexcept {
            if (step != nullptr && options.probability > 0) dropout<Scalar>(options, key, first, count, x, y);
        };
    }

    void forward(const Parameters& p, const Batch& batch, Scratch& scratch, Index first, Index count,
                 const DropoutStep* step) const noexcept {
        const Index rows = count * length_;
        const auto lengths = lengths_of(batch, first, count);
        const SequenceOut<Scalar> x = top(scratch.x, rows);
        const SequenceOut<Scalar> inner = top(scratch.inner, rows);
        linear<Scalar>(p.encoder, detail::rows_of(batch.inputs, first * length_, rows), x);
        for (std::size_t i = 0; i < blocks_.size(); ++i) {
            const SequenceOut<Scalar> sum = top(scratch.sums[i], rows);
            const bool norm = p.norm == Normalisation::layer;
            if (norm && p.prenorm) {
                copy(x, sum);
                layer_norm<Scalar>(p.norms[i], sum, inner);
            } else {
                copy(x, inner);
            }
            blocks_[i].forward(scratch.workspaces[i], scratch.tapes[i], p.blocks[i], inner, inner, count, lengths,
                               drop(p.blocks[i].dropout, step, i, 0, first, count));
            drop(p.dropout, step, i, 1, first, count)(inner, inner);
            if (!norm || p.prenorm) {
                add(inner, x);
            } else {
                copy(x, sum);
                add(inner, sum);
                layer_norm<Scalar>(p.norms[i], sum, x);
            }
        }
        const SequenceOut<Scalar> pooled = top(scratch.pooled, rows_after(p.pooling, count, length_));
        pool<Scalar>(p.pooling, x, pooled, count, lengths);
        linear<Scalar>(p.decoder, pooled, scratch.outputs_of(p, count, length_));
    }

    void reverse(const Parameters& p, const Batch& batch, Scratch& scratch, Index first, Index count,
                 const DropoutStep& step, Part& part) const noexcept {
        const Index rows = count * length_;
        const auto lengths = lengths_of(batch, first, count);
        const SequenceOut<Scalar> dx = top(scratch.x, rows);
        const SequenceOut<Scalar> inner = top(scratch.inner, rows);
        const SequenceOut<Scalar> pooled = top(scratch.pooled, rows_after(p.pooling, count, length_));
        linear_vjp<Scalar>(p.decoder, pooled, scratch.doutputs_of(p, count, length_), pooled, part.gradient.decoder);
        pool_vjp<Scalar>(p.pooling, pooled, dx, count, lengths);
        for (std::size_t i = blocks_.size(); i-- > 0;) {
            const SequenceOut<Scalar> sum = top(scratch.sums[i], rows);
            auto& by_block = part.gradient.blocks[i];
            const bool norm = p.norm == Normalisation::layer;
            if (norm && !p.prenorm) layer_norm_vjp<Scalar>(p.norms[i], sum, dx, dx, part.gradient.norms[i]);
            copy(dx, inner);
            drop(p.dropout, &step, i, 1, first, count)(inner, inner);
            blocks_[i].vjp(scratch.workspaces[i], scratch.tapes[i], p.blocks[i], inner, inner, count, lengths, by_block,
                           part.by_kernels[i], drop(p.blocks[i].dropout, &step, i, 0, first, count));
            if (norm && p.prenorm) layer_norm_vjp<Scalar>(p.norms[i], sum, inner, inner, part.gradient.norms[i]);
            add(inner, dx);
        }
        linear_vjp<Scalar>(p.encoder, detail::rows_of(batch.inputs, first * length_, rows), dx, part.gradient.encoder);
    }

    // Both are whole blocks of rows without gaps.
    static void copy(const SequenceView<Scalar>& from, const SequenceOut<Scalar>& to) noexcept {
        std::copy_n(from.data(), from.rows() * from.cols(), to.data());
    }
    static void add(const SequenceView<Scalar>& from, const SequenceOut<Scalar>& to) noexcept {
        for (Index n = 0; n < from.rows() * from.cols(); ++n) to.data()[n] += from.data()[n];
    }

    Index length_;
    BatchSharing sharing_;
    std::vector<TBlock> blocks_;
    std::vector<Part> parts_;
    std::vector<Scratch> scratch_;
};

}  // namespace s4::inline S4_ABI
