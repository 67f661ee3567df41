// What a model is trained on: examples that fill a batch, and a score of its outputs.
#pragma once

#include <s4/core/sequence.hpp>
#include <s4/train/dataset.hpp>
#include <s4/train/loss.hpp>
#include <s4/train/metrics.hpp>
#include <s4/train/synthetic_tasks.hpp>

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <span>
#include <type_traits>
#include <utility>
#include <vector>

namespace s4::inline S4_ABI {

/// What outputs are worth. Sums over parts of a batch are those of the whole.
struct Score {
    double loss = 0;    ///< a share of the mean over all rows that count
    Index correct = 0;  ///< answers that are right
    Index answers = 0;  ///< answers that can be right or wrong; 0 for regression

    /// Adds that of another part.
    void add(const Score& other) noexcept {
        loss += other.loss;
        correct += other.correct;
        answers += other.answers;
    }
};

/// Examples for supervised training, by number: sequences of length() steps of inputs() numbers. `Targets` is what one
/// batch is scored against.
///   task.make_targets(batch)                             room for those of `batch` examples
///   task.fill(examples, u, targets)                      u [B·L × inputs()] and targets of these examples
///   task.score(targets, first, count, batch, y, dy)      the share of the loss of a batch of `batch` sequences that
///   the
///                                                        outputs y of `count` sequences from number `first` on have,
///                                                        and its gradient by them; called by several threads
/// fill and score are noexcept and do not allocate.
template <class Task>
concept TrainingTask = RealScalar<typename Task::Scalar> &&
    requires(const Task& task, typename Task::Targets& targets, const typename Task::Targets& const_targets,
             std::span<const Index> examples, SequenceOut<typename Task::Scalar> out,
             SequenceView<typename Task::Scalar> view, Index index) {
    { task.length() } -> std::convertible_to<Index>;
    { task.inputs() } -> std::convertible_to<Index>;
    { task.outputs() } -> std::convertible_to<Index>;
    { task.make_targets(index) } -> std::same_as<typename Task::Targets>;
    task.fill(examples, out, targets);
    { task.score(const_targets, index, index, index, view, out) } -> std::same_as<Score>;
};

/// Images read pixel by pixel, and named at the end: cross-entropy of the logits [B × classes].
template <RealScalar S>
class ImageClassification {
public:
    using Scalar = S;
    using Targets = std::vector<Index>;

    /// `images` stay as long as this lives.
    explicit ImageClassification(const ImageSequences& images, const CrossEntropyOptions& options = {})
        : images_{&images}, options_{options} {
        validate(options);
    }

    [[nodiscard]] Index length() const noexcept { return images_->length(); }    ///< L
    [[nodiscard]] static constexpr Index inputs() noexcept { return 1; }         ///< columns of u
    [[nodiscard]] Index outputs() const noexcept { return images_->classes(); }  ///< logits
    /// Room for those of `batch` examples.
    [[nodiscard]] Targets make_targets(Index batch) const { return Targets(static_cast<std::size_t>(batch)); }
    /// As in TrainingTask.
    void fill(std::span<const Index> examples, SequenceOut<Scalar> u, Targets& targets) const noexcept {
        images_->fill<Scalar>(examples, u, std::span{targets}.first(examples.size()));
    }
    /// As in TrainingTask.
    [[nodiscard]] Score score(const Targets& targets, Index first, Index count, Index batch,
                              SequenceView<Scalar> logits, SequenceOut<Scalar> dlogits) const noexcept {
        const std::span<const Index> labels =
            std::span{targets}.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count));
        CrossEntropyOptions options = options_;
        options.rows = batch;
        const Index correct = correct_predictions<Scalar>(logits, labels);
        return {static_cast<double>(cross_entropy<Scalar>(logits, labels, options, dlogits)), correct, count};
    }

private:
    const ImageSequences* images_;
    CrossEntropyOptions options_;
};

/// A synthetic task (see synthetic_tasks.hpp) for a model without pooling: example i is the i-th of a seed. Mean
/// squared error, or cross-entropy where the answers are classes; only the scored steps count.
template <RealScalar S, class Generator>
class SyntheticTask {
    static constexpr bool names_classes = requires(const Generator& g, SequenceOut<S> u, std::span<Index> classes) {
        g.fill(std::uint64_t{}, std::uint64_t{}, u, classes);
    };

public:
    using Scalar = S;
    using Targets = std::conditional_t<names_classes, std::vector<Index>, Sequence<Scalar>>;

    /// Error unless the options of the generator are in range.
    SyntheticTask(const Generator& generator, std::uint64_t seed) : generator_{generator}, seed_{seed} {
        generator_.validate();
    }

    [[nodiscard]] Index length() const noexcept { return generator_.length(); }       ///< L
    [[nodiscard]] Index inputs() const noexcept { return generator_.inputs(); }       ///< columns of u
    [[nodiscard]] Index outputs() const noexcept { return generator_.outputs(); }     ///< of the model at each step
    [[nodiscard]] double baseline() const noexcept { return generator_.baseline(); }  ///< the loss of a guess
    /// Room for those of `batch` examples.
    [[nodiscard]] Targets make_targets(Index batch) const {
        if constexpr (names_classes)
            return Targets(static_cast<std::size_t>(batch * scored()));
        else
            return Targets(batch * scored(), outputs());
    }
    /// As in TrainingTask.
    void fill(std::span<const Index> examples, SequenceOut<Scalar> u, Targets& targets) const noexcept {
        for (std::size_t b = 0; b < examples.size(); ++b) {
            const auto at = static_cast<Index>(b);
            const SequenceOut<Scalar> one{u.row(at * length()), length(), u.cols(), u.row_stride()};
            const auto number = static_cast<std::uint64_t>(examples[b]);
            if constexpr (names_classes) {
                generator_.fill(seed_, number, one,
                                std::span{targets}.subspan(static_cast<std::size_t>(at * scored()),
                                                           static_cast<std::size_t>(scored())));
            } else {
                generator_.fill(
                    seed_, number, one,
                    SequenceOut<Scalar>{targets.data() + at * scored() * outputs(), scored(), outputs(), outputs()});
            }
        }
    }
    /// As in TrainingTask; y [count·L × outputs()], or [count × outputs()] of a model that pools.
    [[nodiscard]] Score score(const Targets& targets, Index first, Index count, Index batch, SequenceView<Scalar> y,
                              SequenceOut<Scalar> dy) const noexcept {
        Score sum;
        const Index each = y.rows() / count;
        const Index before = each - scored();
        for (Index b = 0; b < count; ++b) {
            for (Index t = 0; t < before; ++t) std::fill_n(dy.row(b * each + t), outputs(), Scalar{0});
            const SequenceView<Scalar> found{y.row(b * each + before), scored(), y.cols(), y.row_stride()};
            const SequenceOut<Scalar> by_found{dy.row(b * each + before), scored(), dy.cols(), dy.row_stride()};
            const Index rows = batch * scored();
            const Index at = (first + b) * scored();
            if constexpr (names_classes) {
                const std::span<const Index> classes =
                    std::span{targets}.subspan(static_cast<std::size_t>(at), static_cast<std::size_t>(scored()));
                const Index correct = correct_predictions<Scalar>(found, classes);
                const auto loss = cross_entropy<Scalar>(found, classes, {.rows = rows}, by_found);
                sum.add({static_cast<double>(loss), correct, scored()});
            } else {
                const SequenceView<Scalar> wanted{targets.data() + at * outputs(), scored(), outputs(), outputs()};
                sum.add({static_cast<double>(mse<Scalar>(found, wanted, {.rows = rows}, by_found)), 0, 0});
            }
        }
        return sum;
    }

private:
    [[nodiscard]] Index scored() const noexcept { return generator_.scored_steps(); }

    Generator generator_;
    std::uint64_t seed_;
};

}  // namespace s4::inline S4_ABI
