// Layer normalisation: every row of a sequence to mean 0 and variance 1 over its features.
#pragma once

#include <s4/core/error.hpp>
#include <s4/layer/row_product.hpp>
#include <s4/parameters/tensors.hpp>

#include <algorithm>
#include <cmath>

namespace s4::inline S4_ABI {

/// y = (x − mean)/√(variance + eps) ∘ weight + bias, row by row. (Ba, Kiros, Hinton, 2016)
template <RealScalar S>
struct LayerNorm {
    using Scalar = S;
    static constexpr const char* name = "LayerNorm";

    /// The trained tensors; also the type of their gradient.
    struct Parameters {
        Eigen::Matrix<Scalar, Dynamic, 1> weight;  ///< [F]
        Eigen::Matrix<Scalar, Dynamic, 1> bias;    ///< [F]
        double eps = 1e-5;                         ///< added to the variance

        [[nodiscard]] Index features() const noexcept { return weight.size(); }
    };

    /// visit(TensorInfo, tensor of p, tensor of each of `more`) for every trained tensor.
    template <class Visitor, class P, class... More>
    static void for_each_tensor(Visitor&& visit, P&& p, More&&... more) {
        visit(TensorInfo{"weight", TensorRole::ordinary}, p.weight, more.weight...);
        visit(TensorInfo{"bias", TensorRole::ordinary}, p.bias, more.bias...);
    }

    /// Error unless there are features, shapes agree, every entry is finite, and eps is positive and at most 1.
    static void validate(const Parameters& p) {
        detail::require(p.features() > 0, name, ": at least one feature is needed, found 0");
        detail::check_tensor(name, "weight", p.weight, p.features(), 1);
        detail::check_tensor(name, "bias", p.bias, p.features(), 1);
        detail::require(p.eps > 0 && p.eps <= 1, name, ": option eps must lie in (0, 1], found ", p.eps);
    }

    /// Weights of one and biases of zero, the start of training. Error unless `features` is positive, and possible.
    [[nodiscard]] static Parameters identity(Index features) {
        constexpr Index most = Index{1} << 24;
        detail::require(features > 0 && features <= most, name, ": option features must be positive, and at most ",
                        most, ", found ", features);
        return detail::or_out_of_memory(name, [&] {
            Parameters p;
            p.weight.setOnes(features);
            p.bias.setZero(features);
            return p;
        });
    }
};

namespace detail {

/// What the normalisation of a row needs of it.
template <RealScalar Scalar>
struct RowStatistics {
    Scalar mean;
    Scalar scale;  ///< 1/√(variance + eps)
};

/// Mean and biased variance in two passes, so that a large mean costs no digits of the variance.
template <RealScalar Scalar>
[[nodiscard]] RowStatistics<Scalar> row_statistics(const Scalar* x, Index features, Scalar eps) noexcept {
    const ConstRowMap<Scalar> row(x, features);
    const Scalar count = static_cast<Scalar>(features);
    const Scalar mean = row.sum() / count;
    const Scalar variance = (row - mean).square().sum() / count;
    return {mean, 1 / std::sqrt(variance + eps)};
}

}  // namespace detail

/// y [rows × F] from x [rows × F]; y may be x. O(rows · F); does not allocate.
template <RealScalar Scalar>
void layer_norm(const typename LayerNorm<Scalar>::Parameters& p, const SequenceView<Scalar>& x,
                const SequenceOut<Scalar>& y) noexcept {
    const Index features = p.features();
    S4_ASSERT(x.rows() == y.rows() && x.cols() == features && y.cols() == features,
              "layer_norm: x and y must be [rows × F]");
    const detail::ConstRowMap<Scalar> weight(p.weight.data(), features);
    const detail::ConstRowMap<Scalar> bias(p.bias.data(), features);
    const auto eps = static_cast<Scalar>(p.eps);
    for (Index t = 0; t < x.rows(); ++t) {
        const auto [mean, scale] = detail::row_statistics(x.row(t), features, eps);
        detail::RowMap<Scalar>(y.row(t), features) =
            (detail::ConstRowMap<Scalar>(x.row(t), features) - mean) * scale * weight + bias;
    }
}

/// The reverse pass of `layer_norm`: writes dx [rows × F], and adds to `gradient` the sums over the rows of dy ∘ x̂ and
/// dy, where x̂ is the normalised row. Means and scales are computed again, not kept. dx may be x or dy. O(rows · F);
/// does not allocate.
template <RealScalar Scalar>
void layer_norm_vjp(const typename LayerNorm<Scalar>::Parameters& p, const SequenceView<Scalar>& x,
                    const SequenceView<Scalar>& dy, const SequenceOut<Scalar>& dx,
                    typename LayerNorm<Scalar>::Parameters& gradient) noexcept {
    const Index features = p.features();
    S4_ASSERT(x.rows() == dy.rows() && x.rows() == dx.rows() && x.cols() == features && dy.cols() == features &&
                  dx.cols() == features,
              "layer_norm_vjp: x, dy and dx must be [rows × F]");
    S4_ASSERT(gradient.weight.size() == features && gradient.bias.size() == features,
              "layer_norm_vjp: a gradient has the sizes of its parameters");
    using Row = detail::ConstRowMap<Scalar>;
    constexpr Index block = 32;  // rows, summed up before they meet the gradient: fewer roundings in a row
    constexpr Index strip = 64;  // features
    const Row weight(p.weight.data(), features);
    const auto eps = static_cast<Scalar>(p.eps);
    const Scalar share = 1 / static_cast<Scalar>(features);
    detail::RowStatistics<Scalar> statistics[static_cast<std::size_t>(block)];
    for (Index first_row = 0; first_row < x.rows(); first_row += block) {
        const Index count = std::min(block, x.rows() - first_row);
        for (Index n = 0; n < count; ++n) statistics[n] = detail::row_statistics(x.row(first_row + n), features, eps);
        for (Index first = 0; first < features; first += strip) {
            const Index active = std::min(strip, features - first);
            alignas(storage_alignment) Scalar sums[2][static_cast<std::size_t>(strip)] = {};
            detail::RowMap<Scalar> by_weight(sums[0], active);
            detail::RowMap<Scalar> by_bias(sums[1], active);
            for (Index n = 0; n < count; ++n) {
                const Row input(x.row(first_row + n) + first, active);
                const Row by_y(dy.row(first_row + n) + first, active);
                by_weight += by_y * ((input - statistics[n].mean) * statistics[n].scale);
                by_bias += by_y;
            }
            detail::RowMap<Scalar>(gradient.weight.data() + first, active) += by_weight;
            detail::RowMap<Scalar>(gradient.bias.data() + first, active) += by_bias;
        }
        for (Index n = 0; n < count; ++n) {
            const Row input(x.row(first_row + n), features);
            const Row by_y(dy.row(first_row + n), features);
            const auto [mean, scale] = statistics[n];
            const Scalar by_mean = share * (by_y * weight).sum();
            const Scalar by_scale = share * (by_y * weight * (input - mean)).sum() * scale * scale;
            detail::RowMap<Scalar>(dx.row(first_row + n), features) =
                scale * (by_y * weight - by_mean - (input - mean) * by_scale);
        }
    }
}

}  // namespace s4::inline S4_ABI
