// Batch normalisation: every feature to mean 0 and variance 1 over all positions of all sequences of a batch.
#pragma once

#include <s4/core/error.hpp>
#include <s4/core/sequence.hpp>
#include <s4/core/storage.hpp>
#include <s4/layer/lengths.hpp>
#include <s4/layer/row_product.hpp>
#include <s4/parameters/tensors.hpp>

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <span>
#include <type_traits>

namespace s4::inline S4_ABI {

/// y = (x − mean)/√(variance + eps) ∘ weight + bias, feature by feature: in training with the mean and variance of the
/// batch, afterwards with running ones. (Ioffe, Szegedy, 2015)
template <RealScalar S>
struct BatchNorm {
    using Scalar = S;
    static constexpr const char* name = "BatchNorm";

    /// The trained tensors and the running statistics, which belong to checkpoints but have no gradient.
    struct Parameters {
        Eigen::Matrix<Scalar, Dynamic, 1> weight;        ///< [F]
        Eigen::Matrix<Scalar, Dynamic, 1> bias;          ///< [F]
        Eigen::Matrix<Scalar, Dynamic, 1> running_mean;  ///< [F]
        Eigen::Matrix<Scalar, Dynamic, 1> running_var;   ///< [F], of unbiased variances
        double eps = 1e-5;                               ///< added to the variance
        double momentum = 0.1;                           ///< share of a new batch in the running statistics

        [[nodiscard]] Index features() const noexcept { return weight.size(); }
    };

    /// visit(TensorInfo, tensor of p, tensor of each of `more`): the trained tensors, and the running statistics as
    /// frozen ones.
    template <class Visitor, class P, class... More>
    static void for_each_tensor(Visitor&& visit, P&& p, More&&... more) {
        visit(TensorInfo{"weight", TensorRole::ordinary}, p.weight, more.weight...);
        visit(TensorInfo{"bias", TensorRole::ordinary}, p.bias, more.bias...);
        visit(TensorInfo{"running_mean", TensorRole::frozen}, p.running_mean, more.running_mean...);
        visit(TensorInfo{"running_var", TensorRole::frozen}, p.running_var, more.running_var...);
    }

    /// Error unless there are features, shapes agree, every entry is finite, no running variance is negative, and eps
    /// and momentum lie in (0, 1].
    static void validate(const Parameters& p) {
        const Index features = p.features();
        detail::require(features > 0, name, ": at least one feature is needed, found 0");
        detail::check_tensor(name, "weight", p.weight, features, 1);
        detail::check_tensor(name, "bias", p.bias, features, 1);
        detail::check_tensor(name, "running_mean", p.running_mean, features, 1);
        detail::check_tensor(name, "running_var", p.running_var, features, 1);
        for (Index n = 0; n < features; ++n)
            detail::require(p.running_var[n] >= 0, name, ": running_var must not be negative, found ", p.running_var[n],
                            " in feature ", n);
        detail::require(p.eps > 0 && p.eps <= 1, name, ": option eps must lie in (0, 1], found ", p.eps);
        detail::require(p.momentum > 0 && p.momentum <= 1, name, ": option momentum must lie in (0, 1], found ",
                        p.momentum);
    }

    /// Weights and running variances of one, biases and running means of zero: the start of training. Error unless
    /// `features` is positive, and possible.
    [[nodiscard]] static Parameters identity(Index features) {
        constexpr Index most = Index{1} << 24;
        detail::require(features > 0 && features <= most, name, ": option features must be positive, and at most ",
                        most, ", found ", features);
        return detail::or_out_of_memory(name, [&] {
            Parameters p;
            p.weight.setOnes(features);
            p.bias.setZero(features);
            p.running_mean.setZero(features);
            p.running_var.setOnes(features);
            return p;
        });
    }

    /// The statistics of one batch: what the reverse pass and the running statistics need of it. In double at least.
    class Tape {
    public:
        /// What sums are kept in.
        using Wide = std::conditional_t<std::same_as<Scalar, float>, double, Scalar>;

        /// Error when memory runs out.
        explicit Tape(Index features) : mean{features}, variance{features} {}

        Storage<Wide> mean;      ///< [F]
        Storage<Wide> variance;  ///< [F], biased
        Index count = 0;         ///< positions that were averaged
    };
};

namespace detail {

/// body(first row, rows) for the real positions of each sequence, and padding(first row, rows) for the others.
template <class Body, class Padding>
void for_each_part(Index rows, Index batch, std::span<const Index> lengths, const Body& body,
                   const Padding& padding) noexcept {
    const Index length = positions_of(rows, batch, lengths);
    for (Index b = 0; b < batch; ++b) {
        const Index count = length_of(lengths, b, length);
        body(b * length, count);
        if (count < length) padding(b * length + count, length - count);
    }
}

/// body(first feature, features) for strips of features whose numbers fit on the stack.
inline constexpr Index feature_strip = 64;
template <class Body>
void for_each_strip(Index features, const Body& body) noexcept {
    for (Index first = 0; first < features; first += feature_strip)
        body(first, std::min(feature_strip, features - first));
}

/// Numbers of one strip of features, zero at first.
template <RealScalar Scalar>
struct Strip {
    alignas(storage_alignment) Scalar values[static_cast<std::size_t>(feature_strip)] = {};
    [[nodiscard]] RowMap<Scalar> of(Index active) noexcept { return {values, active}; }
};

template <RealScalar Scalar>
void zero_rows(const SequenceOut<Scalar>& y, Index first_row, Index rows) noexcept {
    for (Index t = first_row; t < first_row + rows; ++t) std::fill_n(y.row(t), y.cols(), Scalar{0});
}

}  // namespace detail

/// In use: y [rows × F] from x [rows × F] with the running statistics; y may be x. O(rows · F); does not allocate.
template <RealScalar Scalar>
void batch_norm(const typename BatchNorm<Scalar>::Parameters& p, const SequenceView<Scalar>& x,
                const SequenceOut<Scalar>& y) noexcept {
    S4_ASSERT(x.rows() == y.rows() && x.cols() == p.features() && y.cols() == p.features(),
              "batch_norm: x and y must be [rows × F]");
    detail::for_each_strip(p.features(), [&](Index first, Index active) {
        detail::Strip<Scalar> mean, scale;
        for (Index n = 0; n < active; ++n) {
            mean.values[n] = p.running_mean[first + n];
            scale.values[n] = p.weight[first + n] / std::sqrt(p.running_var[first + n] + static_cast<Scalar>(p.eps));
        }
        const detail::ConstRowMap<Scalar> bias(p.bias.data() + first, active);
        for (Index t = 0; t < x.rows(); ++t)
            detail::RowMap<Scalar>(y.row(t) + first, active) =
                (detail::ConstRowMap<Scalar>(x.row(t) + first, active) - mean.of(active)) * scale.of(active) + bias;
    });
}

/// In training: y [B·L × F] from x [B·L × F] with the mean and biased variance of this batch, which go to `tape`; y may
/// be x. With `lengths` (one for each sequence, or empty) only the first lengths[b] positions count; y is 0 at the
/// others. O(B L F), three passes; does not allocate. Sums are made in double at least.
template <RealScalar Scalar>
void batch_norm_train(const typename BatchNorm<Scalar>::Parameters& p, typename BatchNorm<Scalar>::Tape& tape,
                      const SequenceView<Scalar>& x, const SequenceOut<Scalar>& y, Index batch,
                      std::span<const Index> lengths = {}) noexcept {
    using Wide = typename BatchNorm<Scalar>::Tape::Wide;
    using Row = detail::ConstRowMap<Scalar>;
    S4_ASSERT(x.rows() == y.rows() && x.cols() == p.features() && y.cols() == p.features(),
              "batch_norm_train: x and y must be [B·L × F]");
    S4_ASSERT(tape.mean.size() == p.features(), "batch_norm_train: the tape was made for another number of features");
    const auto none = [](Index, Index) {};
    tape.count = 0;
    detail::for_each_part(
        x.rows(), batch, lengths, [&](Index, Index rows) { tape.count += rows; }, none);
    const Wide share = 1 / static_cast<Wide>(std::max(tape.count, Index{1}));
    detail::for_each_strip(p.features(), [&](Index first, Index active) {
        detail::RowMap<Wide> mean(tape.mean.data() + first, active);
        detail::RowMap<Wide> variance(tape.variance.data() + first, active);
        const auto for_each_row = [&](const auto& body) {
            detail::for_each_part(
                x.rows(), batch, lengths,
                [&](Index first_row, Index rows) {
                    for (Index t = first_row; t < first_row + rows; ++t) body(Row(x.row(t) + first, active), t);
                },
                none);
        };
        mean.setZero();
        for_each_row([&](const Row& row, Index) { mean += row.template cast<Wide>(); });
        mean *= share;
        variance.setZero();
        for_each_row([&](const Row& row, Index) { variance += (row.template cast<Wide>() - mean).square(); });
        variance *= share;
        detail::Strip<Scalar> centre, scale;
        for (Index n = 0; n < active; ++n) {
            centre.values[n] = static_cast<Scalar>(mean[n]);
            scale.values[n] = static_cast<Scalar>(static_cast<Wide>(p.weight[first + n]) /
                                                  std::sqrt(variance[n] + static_cast<Wide>(p.eps)));
        }
        const Row bias(p.bias.data() + first, active);
        for_each_row([&](const Row& row, Index t) {
            detail::RowMap<Scalar>(y.row(t) + first, active) = (row - centre.of(active)) * scale.of(active) + bias;
        });
    });
    detail::for_each_part(x.rows(), batch, lengths, none,
                          [&](Index first_row, Index rows) { detail::zero_rows<Scalar>(y, first_row, rows); });
}

/// Moves the running statistics of p towards those of a batch: the share `momentum` of its mean and unbiased variance,
/// as in PyTorch. A batch of less than two positions has no unbiased variance and changes nothing. O(F); does not
/// allocate.
template <RealScalar Scalar>
void update_running_statistics(typename BatchNorm<Scalar>::Parameters& p,
                               const typename BatchNorm<Scalar>::Tape& tape) noexcept {
    using Wide = typename BatchNorm<Scalar>::Tape::Wide;
    S4_ASSERT(tape.mean.size() == p.features(), "update_running_statistics: the tape is of another layer");
    if (tape.count < 2) return;
    const auto momentum = static_cast<Wide>(p.momentum);
    const Wide unbiased = static_cast<Wide>(tape.count) / static_cast<Wide>(tape.count - 1);
    const auto move = [&](Scalar& running, Wide found) {
        running = static_cast<Scalar>((1 - momentum) * static_cast<Wide>(running) + momentum * found);
    };
    for (Index n = 0; n < p.features(); ++n) {
        move(p.running_mean[n], tape.mean.data()[n]);
        move(p.running_var[n], unbiased * tape.variance.data()[n]);
    }
}

/// The reverse pass of `batch_norm_train`, through the statistics too: writes dx [B·L × F] (0 at padding), and adds to
/// `gradient` the sums of dy ∘ x̂ and dy over the positions that count, where x̂ is the normalised x. dx may be x or dy.
/// O(B L F), two passes; does not allocate.
template <RealScalar Scalar>
void batch_norm_vjp(const typename BatchNorm<Scalar>::Parameters& p, const typename BatchNorm<Scalar>::Tape& tape,
                    const SequenceView<Scalar>& x, const SequenceView<Scalar>& dy, const SequenceOut<Scalar>& dx,
                    typename BatchNorm<Scalar>::Parameters& gradient, Index batch,
                    std::span<const Index> lengths = {}) noexcept {
    using Wide = typename BatchNorm<Scalar>::Tape::Wide;
    using Row = detail::ConstRowMap<Scalar>;
    S4_ASSERT(x.rows() == dy.rows() && x.rows() == dx.rows() && x.cols() == p.features() && dy.cols() == p.features() &&
                  dx.cols() == p.features(),
              "batch_norm_vjp: x, dy and dx must be [B·L × F]");
    S4_ASSERT(gradient.weight.size() == p.features() && gradient.bias.size() == p.features() &&
                  tape.mean.size() == p.features(),
              "batch_norm_vjp: a gradient has the sizes of its parameters, a tape those of its layer");
    const auto none = [](Index, Index) {};
    const Wide share = 1 / static_cast<Wide>(std::max(tape.count, Index{1}));
    detail::for_each_strip(p.features(), [&](Index first, Index active) {
        detail::Strip<Scalar> mean, scale, by_mean, by_scale;
        detail::Strip<Wide> inverse, by_y_sum, by_x_sum;
        for (Index n = 0; n < active; ++n) {
            mean.values[n] = static_cast<Scalar>(tape.mean.data()[first + n]);
            inverse.values[n] = 1 / std::sqrt(tape.variance.data()[first + n] + static_cast<Wide>(p.eps));
        }
        const auto for_each_row = [&](const auto& body) {
            detail::for_each_part(
                x.rows(), batch, lengths,
                [&](Index first_row, Index rows) {
                    for (Index t = first_row; t < first_row + rows; ++t)
                        body(Row(x.row(t) + first, active), Row(dy.row(t) + first, active), t);
                },
                none);
        };
        for_each_row([&](const Row& input, const Row& by_y, Index) {
            by_y_sum.of(active) += by_y.template cast<Wide>();
            by_x_sum.of(active) += (by_y * (input - mean.of(active))).template cast<Wide>();
        });
        for (Index n = 0; n < active; ++n) {
            const Wide by_weight = by_x_sum.values[n] * inverse.values[n];
            gradient.weight[first + n] += static_cast<Scalar>(by_weight);
            gradient.bias[first + n] += static_cast<Scalar>(by_y_sum.values[n]);
            scale.values[n] = static_cast<Scalar>(static_cast<Wide>(p.weight[first + n]) * inverse.values[n]);
            by_mean.values[n] = static_cast<Scalar>(share * by_y_sum.values[n]);
            by_scale.values[n] = static_cast<Scalar>(share * by_weight * inverse.values[n]);
        }
        for_each_row([&](const Row& input, const Row& by_y, Index t) {
            detail::RowMap<Scalar>(dx.row(t) + first, active) =
                scale.of(active) * (by_y - by_mean.of(active) - (input - mean.of(active)) * by_scale.of(active));
        });
    });
    detail::for_each_part(x.rows(), batch, lengths, none,
                          [&](Index first_row, Index rows) { detail::zero_rows<Scalar>(dx, first_row, rows); });
}

}  // namespace s4::inline S4_ABI
