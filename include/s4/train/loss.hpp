// Losses with their gradients: what training makes small. All of them are means, computed in double (or more) whatever
// the scalar, and stay finite for every finite input.
#pragma once

#include <s4/core/error.hpp>
#include <s4/core/sequence.hpp>

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <iterator>
#include <numbers>
#include <span>
#include <type_traits>

namespace s4::inline S4_ABI {

/// What sums over many numbers are kept in, and losses are given as: double, or long double for long double.
template <RealScalar Scalar>
using Accumulator = std::conditional_t<std::same_as<Scalar, long double>, long double, double>;

/// How the losses are averaged. A batch that is split into parts sums to the mean of the whole – values and gradients –
/// when every part is given the number of rows of the whole batch.
struct MeanOptions {
    Index rows = 0;  ///< rows that the sum is divided by (for regression: times the columns); 0: those of the argument
};

/// How cross_entropy sees its targets.
struct CrossEntropyOptions {
    double label_smoothing = 0;  ///< in [0, 1]: this much of every target is spread evenly over all classes
    Index rows = 0;              ///< rows that the sum is divided by, as in MeanOptions
};

/// How gaussian_nll computes.
struct GaussianNllOptions {
    double min_variance = 1e-6;     ///< smaller variances count as this one
    bool with_normalising = false;  ///< add ½ log 2π to every element, which makes it the logarithm of a density
    Index rows = 0;                 ///< rows that the sum is divided by, as in MeanOptions
};

/// Error that names the row unless every target is a class, in [0, classes).
inline void validate_targets(std::span<const Index> targets, Index classes) {
    for (std::size_t row = 0; row < targets.size(); ++row)
        detail::require(targets[row] >= 0 && targets[row] < classes, "targets: expected classes in [0, ", classes - 1,
                        "], found ", targets[row], " in row ", row);
}

/// Error that names the option unless all are in range.
inline void validate(const CrossEntropyOptions& options) {
    detail::require(options.label_smoothing >= 0 && options.label_smoothing <= 1,
                    "cross_entropy: option label_smoothing must lie in [0, 1], found ", options.label_smoothing);
    detail::require(options.rows >= 0, "cross_entropy: option rows must not be negative, found ", options.rows);
}
/// Error that names the option unless all are in range.
inline void validate(const GaussianNllOptions& options) {
    detail::require(detail::is_finite(options.min_variance) && options.min_variance > 0,
                    "gaussian_nll: option min_variance must be positive and finite, found ", options.min_variance);
    detail::require(options.rows >= 0, "gaussian_nll: option rows must not be negative, found ", options.rows);
}

namespace detail {

/// 1 / the rows to divide by; 1 where there are none, so that the mean over nothing is 0.
template <RealScalar Real>
[[nodiscard]] Real share_of_a_row(Index rows, Index found) noexcept {
    return Real{1} / static_cast<Real>(std::max<Index>(rows > 0 ? rows : found, 1));
}

/// The loss of one row of cross_entropy. Where `slopes` is not null, it receives the gradient times `share`.
template <RealScalar Scalar, RealScalar Real>
[[nodiscard]] Real cross_entropy_row(const Scalar* z, Index classes, Index target, Real smoothing, Real share,
                                     Scalar* slopes) noexcept {
    const Scalar* top = std::max_element(z, z + classes);
    const Real largest = *top;
    const auto relative = [&](Index k) { return std::exp(static_cast<Real>(z[k]) - largest); };
    // The sum of exp(z − largest) without its largest term, which is 1: what is small beside 1 keeps its digits.
    Real others = 0;
    Real below = 0;
    for (Index k = 0; k < classes; ++k) {
        if (z + k != top) others += relative(k);
        below += largest - static_cast<Real>(z[k]);
    }
    const Real even = smoothing / static_cast<Real>(classes);
    Real loss = std::log1p(others) + (1 - smoothing) * (largest - static_cast<Real>(z[target]));
    if (smoothing > 0) loss += even * below;  // without, a class that a logit of −∞ rules out has no share
    if (slopes != nullptr) {
        Real wrong = 0;  // 1 − the probability of the target, without that subtraction
        for (Index k = 0; k < classes; ++k) {
            if (k == target) continue;
            const Real probability = relative(k) / (1 + others);
            wrong += probability;
            slopes[k] = static_cast<Scalar>((probability - even) * share);
        }
        slopes[target] = static_cast<Scalar>((smoothing - even - wrong) * share);
    }
    return loss;
}

template <RealScalar Scalar>
[[nodiscard]] Accumulator<Scalar> cross_entropy(SequenceView<Scalar> logits, std::span<const Index> targets,
                                                const CrossEntropyOptions& options,
                                                const SequenceOut<Scalar>* dlogits) noexcept {
    using Real = Accumulator<Scalar>;
    S4_ASSERT(logits.rows() == std::ssize(targets) && (logits.rows() == 0 || logits.cols() > 0),
              "one target for every row, and at least one class");
    S4_ASSERT(dlogits == nullptr || (dlogits->rows() == logits.rows() && dlogits->cols() == logits.cols()),
              "dlogits has the shape of the logits");
    const Real share = share_of_a_row<Real>(options.rows, logits.rows());
    Real sum = 0;
    for (Index t = 0; t < logits.rows(); ++t) {
        const Index target = targets[static_cast<std::size_t>(t)];
        S4_ASSERT(target >= 0 && target < logits.cols(), "a target is a class: see validate_targets");
        sum += cross_entropy_row(logits.row(t), logits.cols(), target, static_cast<Real>(options.label_smoothing),
                                 share, dlogits != nullptr ? dlogits->row(t) : nullptr);
    }
    return sum * share;
}

/// A function of one number and its derivative there.
template <RealScalar Real>
struct Slope {
    Real value;
    Real slope;
};

/// Mean over all elements of f(prediction, target).value; where `gradient` is not null, it receives the gradient.
template <RealScalar Scalar, class F>
[[nodiscard]] Accumulator<Scalar> mean_of_elements(SequenceView<Scalar> prediction, SequenceView<Scalar> target,
                                                   Index rows, const SequenceOut<Scalar>* gradient,
                                                   const F& f) noexcept {
    using Real = Accumulator<Scalar>;
    S4_ASSERT(prediction.rows() == target.rows() && prediction.cols() == target.cols(),
              "one target for every predicted number");
    S4_ASSERT(gradient == nullptr || (gradient->rows() == prediction.rows() && gradient->cols() == prediction.cols()),
              "the gradient has the shape of the prediction");
    const Real share =
        share_of_a_row<Real>(rows, prediction.rows()) / static_cast<Real>(std::max<Index>(prediction.cols(), 1));
    Real sum = 0;
    for (Index t = 0; t < prediction.rows(); ++t) {
        const Scalar* found = prediction.row(t);
        const Scalar* wanted = target.row(t);
        Scalar* slopes = gradient != nullptr ? gradient->row(t) : nullptr;
        for (Index k = 0; k < prediction.cols(); ++k) {
            const Slope<Real> of_element = f(static_cast<Real>(found[k]), static_cast<Real>(wanted[k]));
            sum += of_element.value;
            if (slopes != nullptr) slopes[k] = static_cast<Scalar>(of_element.slope * share);
        }
    }
    return sum * share;
}

template <RealScalar Real>
[[nodiscard]] Slope<Real> squared_error(Real found, Real wanted) noexcept {
    const Real error = found - wanted;
    return {error * error, 2 * error};
}
template <RealScalar Real>
[[nodiscard]] Slope<Real> absolute_error(Real found, Real wanted) noexcept {
    const Real error = found - wanted;
    return {std::abs(error), error > 0 ? Real{1} : error < 0 ? Real{-1} : error};  // NaN stays NaN
}
template <RealScalar Real>
[[nodiscard]] Slope<Real> binary_cross_entropy(Real logit, Real wanted) noexcept {
    const Real small = std::exp(-std::abs(logit));
    const Real probability = (logit >= 0 ? Real{1} : small) / (1 + small);
    return {std::max(logit, Real{0}) - logit * wanted + std::log1p(small), probability - wanted};
}

template <RealScalar Scalar>
[[nodiscard]] Accumulator<Scalar> gaussian_nll(SequenceView<Scalar> mean, SequenceView<Scalar> log_variance,
                                               SequenceView<Scalar> target, const GaussianNllOptions& options,
                                               const SequenceOut<Scalar>* dmean,
                                               const SequenceOut<Scalar>* dlog_variance) noexcept {
    using Real = Accumulator<Scalar>;
    S4_ASSERT(mean.rows() == target.rows() && mean.cols() == target.cols() && log_variance.rows() == mean.rows() &&
                  log_variance.cols() == mean.cols(),
              "one mean and one variance for every target");
    const Real share =
        share_of_a_row<Real>(options.rows, mean.rows()) / static_cast<Real>(std::max<Index>(mean.cols(), 1));
    const auto min_variance = static_cast<Real>(options.min_variance);
    const Real smallest = std::log(min_variance);
    Real sum = 0;
    for (Index t = 0; t < mean.rows(); ++t) {
        for (Index k = 0; k < mean.cols(); ++k) {
            const auto given = static_cast<Real>(log_variance.row(t)[k]);
            const bool is_small = given < smallest;
            const Real precision = is_small ? 1 / min_variance : std::exp(-given);
            const Real error = static_cast<Real>(mean.row(t)[k]) - static_cast<Real>(target.row(t)[k]);
            const Real scaled = error * precision;
            sum += (is_small ? smallest : given) + error * scaled;
            if (dmean == nullptr) continue;
            const Real slope = 1 - error * scaled;  // by the logarithm of the variance that counts, times 2
            dmean->row(t)[k] = static_cast<Scalar>(scaled * share);
            dlog_variance->row(t)[k] =
                static_cast<Scalar>((is_small ? slope * std::exp(given) * precision : slope) / 2 * share);
        }
    }
    sum /= 2;
    if (options.with_normalising)
        sum += static_cast<Real>(mean.rows() * mean.cols()) * std::log(2 * std::numbers::pi_v<Real>) / 2;
    return sum * share;
}

}  // namespace detail

/// Mean over the rows of −log softmax(logits)[target], in nats; logits [rows × classes], targets [rows] in [0, classes)
/// (validate_targets). Writes its gradient to dlogits [rows × classes], which may be the logits themselves.
/// O(rows · classes). Does not allocate. NaN where a row of logits is.
template <RealScalar Scalar>
[[nodiscard]] Accumulator<Scalar> cross_entropy(SequenceView<Scalar> logits, std::span<const Index> targets,
                                                const CrossEntropyOptions& options,
                                                SequenceOut<Scalar> dlogits) noexcept {
    return detail::cross_entropy<Scalar>(logits, targets, options, &dlogits);
}
/// The value alone.
template <RealScalar Scalar>
[[nodiscard]] Accumulator<Scalar> cross_entropy(SequenceView<Scalar> logits, std::span<const Index> targets,
                                                const CrossEntropyOptions& options = {}) noexcept {
    return detail::cross_entropy<Scalar>(logits, targets, options, nullptr);
}

/// Mean over all elements of (prediction − target)²; both [rows × K]. Writes its gradient to dprediction [rows × K].
/// O(rows · K). Does not allocate.
template <RealScalar Scalar>
[[nodiscard]] Accumulator<Scalar> mse(SequenceView<Scalar> prediction, SequenceView<Scalar> target,
                                      const MeanOptions& options, SequenceOut<Scalar> dprediction) noexcept {
    return detail::mean_of_elements<Scalar>(prediction, target, options.rows, &dprediction,
                                            detail::squared_error<Accumulator<Scalar>>);
}
/// The value alone.
template <RealScalar Scalar>
[[nodiscard]] Accumulator<Scalar> mse(SequenceView<Scalar> prediction, SequenceView<Scalar> target,
                                      const MeanOptions& options = {}) noexcept {
    return detail::mean_of_elements<Scalar>(prediction, target, options.rows, nullptr,
                                            detail::squared_error<Accumulator<Scalar>>);
}

/// Mean over all elements of |prediction − target|; both [rows × K]. Writes its gradient to dprediction [rows × K],
/// 0 where the prediction is the target. O(rows · K). Does not allocate.
template <RealScalar Scalar>
[[nodiscard]] Accumulator<Scalar> mae(SequenceView<Scalar> prediction, SequenceView<Scalar> target,
                                      const MeanOptions& options, SequenceOut<Scalar> dprediction) noexcept {
    return detail::mean_of_elements<Scalar>(prediction, target, options.rows, &dprediction,
                                            detail::absolute_error<Accumulator<Scalar>>);
}
/// The value alone.
template <RealScalar Scalar>
[[nodiscard]] Accumulator<Scalar> mae(SequenceView<Scalar> prediction, SequenceView<Scalar> target,
                                      const MeanOptions& options = {}) noexcept {
    return detail::mean_of_elements<Scalar>(prediction, target, options.rows, nullptr,
                                            detail::absolute_error<Accumulator<Scalar>>);
}

/// Mean over all elements of the cross-entropy, in nats, between the probability sigmoid(logit) and that of the target,
/// in [0, 1]; both [rows × K]. Writes its gradient to dlogits [rows × K]. O(rows · K). Does not allocate.
template <RealScalar Scalar>
[[nodiscard]] Accumulator<Scalar> bce(SequenceView<Scalar> logits, SequenceView<Scalar> target,
                                      const MeanOptions& options, SequenceOut<Scalar> dlogits) noexcept {
    return detail::mean_of_elements<Scalar>(logits, target, options.rows, &dlogits,
                                            detail::binary_cross_entropy<Accumulator<Scalar>>);
}
/// The value alone.
template <RealScalar Scalar>
[[nodiscard]] Accumulator<Scalar> bce(SequenceView<Scalar> logits, SequenceView<Scalar> target,
                                      const MeanOptions& options = {}) noexcept {
    return detail::mean_of_elements<Scalar>(logits, target, options.rows, nullptr,
                                            detail::binary_cross_entropy<Accumulator<Scalar>>);
}

/// Mean over all elements of ½ (log v + (mean − target)²/v), v = max(exp(log_variance), min_variance); all [rows × K],
/// such as the left and right columns of one prediction. Writes its gradients to dmean and dlog_variance [rows × K].
/// O(rows · K). Does not allocate. (PyTorch's GaussianNLLLoss of var = exp(log_variance), eps = min_variance; as there,
/// the gradient passes by the limit: below it, it is that of log_variance with v in place of the variance, so that a
/// variance that became too small can grow again.)
template <RealScalar Scalar>
[[nodiscard]] Accumulator<Scalar> gaussian_nll(SequenceView<Scalar> mean, SequenceView<Scalar> log_variance,
                                               SequenceView<Scalar> target, const GaussianNllOptions& options,
                                               SequenceOut<Scalar> dmean, SequenceOut<Scalar> dlog_variance) noexcept {
    return detail::gaussian_nll<Scalar>(mean, log_variance, target, options, &dmean, &dlog_variance);
}
/// The value alone.
template <RealScalar Scalar>
[[nodiscard]] Accumulator<Scalar> gaussian_nll(SequenceView<Scalar> mean, SequenceView<Scalar> log_variance,
                                               SequenceView<Scalar> target,
                                               const GaussianNllOptions& options = {}) noexcept {
    return detail::gaussian_nll<Scalar>(mean, log_variance, target, options, nullptr, nullptr);
}

}  // namespace s4::inline S4_ABI
