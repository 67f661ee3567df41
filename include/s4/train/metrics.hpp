// What a run is judged by, beside its loss: accuracy, confusions, RMSE, bits per dimension.
#pragma once

#include <s4/core/error.hpp>
#include <s4/core/sequence.hpp>
#include <s4/train/loss.hpp>

#include <cmath>
#include <cstddef>
#include <iterator>
#include <numbers>
#include <span>

namespace s4::inline S4_ABI {

/// The class of the largest logit, the first one of equals; −1 where every logit is NaN. O(classes).
template <RealScalar Scalar>
[[nodiscard]] Index predicted_class(FrameView<Scalar> logits) noexcept {
    Index best = -1;
    for (Index k = 0; k < logits.size(); ++k) {
        const Scalar value = logits.data()[k];
        if (best < 0 ? !(value != value) : value > logits.data()[best]) best = k;
    }
    return best;
}

/// Number of rows of logits [rows × classes] whose predicted class is the target [rows]: what parts of a data set sum
/// up. O(rows · classes). Does not allocate.
template <RealScalar Scalar>
[[nodiscard]] Index correct_predictions(SequenceView<Scalar> logits, std::span<const Index> targets) noexcept {
    S4_ASSERT(logits.rows() == std::ssize(targets), "one target for every row");
    Index correct = 0;
    for (Index t = 0; t < logits.rows(); ++t) {
        const FrameView<Scalar> row{std::span{logits.row(t), static_cast<std::size_t>(logits.cols())}};
        if (predicted_class<Scalar>(row) == targets[static_cast<std::size_t>(t)]) ++correct;
    }
    return correct;
}

/// The share of correct_predictions, in [0, 1]; NaN where there are no rows.
template <RealScalar Scalar>
[[nodiscard]] double accuracy(SequenceView<Scalar> logits, std::span<const Index> targets) noexcept {
    return static_cast<double>(correct_predictions<Scalar>(logits, targets)) / static_cast<double>(logits.rows());
}

/// Square root of the mean of (prediction − target)² over all elements; both [rows × K]. O(rows · K). Does not
/// allocate.
template <RealScalar Scalar>
[[nodiscard]] Accumulator<Scalar> rmse(SequenceView<Scalar> prediction, SequenceView<Scalar> target) noexcept {
    return std::sqrt(mse<Scalar>(prediction, target));
}

/// A cross-entropy of `nats` per predicted number, in bits.
[[nodiscard]] constexpr double bits_per_dimension(double nats) noexcept { return nats / std::numbers::ln2; }

/// How often each class was taken for each: counts [classes × classes], the row is the target and the column the
/// prediction.
struct ConfusionTable {
    Eigen::Matrix<Index, Dynamic, Dynamic, Eigen::RowMajor> counts;

    /// All counts zero. Error unless there is a class, or when memory runs out.
    explicit ConfusionTable(Index classes) {
        detail::require(classes > 0, "ConfusionTable: classes must be positive, found ", classes);
        detail::or_out_of_memory("ConfusionTable", [&] { counts.setZero(classes, classes); });
    }

    /// Counts the predictions of logits [rows × classes] with their targets [rows]; a row of NaN is left out.
    /// O(rows · classes). Does not allocate.
    template <RealScalar Scalar>
    void add(SequenceView<Scalar> logits, std::span<const Index> targets) noexcept {
        S4_ASSERT(logits.rows() == std::ssize(targets) && logits.cols() == counts.cols(),
                  "one target for every row, and as many classes as the table");
        for (Index t = 0; t < logits.rows(); ++t) {
            const FrameView<Scalar> row{std::span{logits.row(t), static_cast<std::size_t>(logits.cols())}};
            const Index predicted = predicted_class<Scalar>(row);
            if (predicted >= 0) ++counts(targets[static_cast<std::size_t>(t)], predicted);
        }
    }

    /// The share of the diagonal, in [0, 1]; NaN where nothing was counted.
    [[nodiscard]] double accuracy() const noexcept {
        return static_cast<double>(counts.trace()) / static_cast<double>(counts.sum());
    }
};

}  // namespace s4::inline S4_ABI
