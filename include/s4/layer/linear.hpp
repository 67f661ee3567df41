// The linear layer y = x Wᵀ + b: encoder, decoder and channel mixing.
#pragma once

#include <s4/core/random.hpp>
#include <s4/layer/row_product.hpp>
#include <s4/parameters/tensors.hpp>

#include <cmath>
#include <cstdint>

namespace s4::inline S4_ABI {

/// Every row of a sequence through the same matrix: y = x Wᵀ + b.
template <RealScalar S>
struct Linear {
    using Scalar = S;
    static constexpr const char* name = "Linear";

    /// The trained tensors; also the type of their gradient.
    struct Parameters {
        Eigen::Matrix<Scalar, Dynamic, Dynamic, Eigen::RowMajor> weight;  ///< [out × in]
        Eigen::Matrix<Scalar, Dynamic, 1> bias;                           ///< [out], or empty: none

        [[nodiscard]] Index inputs() const noexcept { return weight.cols(); }
        [[nodiscard]] Index outputs() const noexcept { return weight.rows(); }
    };

    /// visit(TensorInfo, tensor of p, tensor of each of `more`): weight, and bias where there is one.
    template <class Visitor, class P, class... More>
    static void for_each_tensor(Visitor&& visit, P&& p, More&&... more) {
        visit(TensorInfo{"weight", TensorRole::ordinary}, p.weight, more.weight...);
        if (p.bias.size() > 0) visit(TensorInfo{"bias", TensorRole::ordinary}, p.bias, more.bias...);
    }

    /// Error unless there are inputs and outputs, the bias is [out] or empty, and every entry is finite.
    static void validate(const Parameters& p) {
        detail::require(p.inputs() > 0 && p.outputs() > 0, name, ": weight must be [out x in], both positive, found [",
                        p.outputs(), " x ", p.inputs(), "]");
        detail::check_tensor(name, "weight", p.weight, p.outputs(), p.inputs());
        if (p.bias.size() > 0) detail::check_tensor(name, "bias", p.bias, p.outputs(), 1);
    }

    /// What `random` makes.
    struct Options {
        Index inputs = 1;   ///< columns of the weight
        Index outputs = 1;  ///< rows of the weight
        bool bias = true;   ///< whether there is one
    };

    /// Weights and biases uniform in [−1/√in, 1/√in], PyTorch's start. Error when a size is not positive, too large, or
    /// memory runs out.
    [[nodiscard]] static Parameters random(const Options& options, RandomEngine& engine) {
        constexpr Index most = Index{1} << 24;
        detail::require(options.inputs > 0 && options.inputs <= most, name,
                        ": option inputs must be positive, and at most ", most, ", found ", options.inputs);
        detail::require(options.outputs > 0 && options.outputs <= most, name,
                        ": option outputs must be positive, and at most ", most, ", found ", options.outputs);
        return detail::or_out_of_memory(name, [&] {
            Parameters p;
            p.weight.resize(options.outputs, options.inputs);
            p.bias.resize(options.bias ? options.outputs : 0);
            const double bound = 1 / std::sqrt(static_cast<double>(options.inputs));
            const auto draw = [&] { return static_cast<Scalar>(bound * (2 * uniform(engine) - 1)); };
            for (Index n = 0; n < p.weight.size(); ++n) p.weight.data()[n] = draw();
            for (Index n = 0; n < p.bias.size(); ++n) p.bias[n] = draw();
            return p;
        });
    }

    /// The same from a seed.
    [[nodiscard]] static Parameters random(const Options& options, std::uint64_t seed) {
        RandomEngine engine{seed};
        return random(options, engine);
    }
};

/// y [rows × out] = x [rows × in] Wᵀ + b. O(rows · in · out); runs on the calling thread and does not allocate.
template <RealScalar Scalar>
void linear(const typename Linear<Scalar>::Parameters& p, const SequenceView<Scalar>& x,
            const SequenceOut<Scalar>& y) noexcept {
    S4_ASSERT(x.rows() == y.rows() && x.cols() == p.inputs() && y.cols() == p.outputs(),
              "linear: x must be [rows × in] and y [rows × out]");
    for (Index first = 0; first < x.rows(); first += detail::row_block) {
        const Index count = std::min(detail::row_block, x.rows() - first);
        for (Index t = first; t < first + count; ++t) {
            if (p.bias.size() > 0) {
                std::copy_n(p.bias.data(), p.outputs(), y.row(t));
            } else {
                std::fill_n(y.row(t), p.outputs(), Scalar{0});
            }
        }
        detail::add_product<Eigen::RowMajor, Eigen::ColMajor>(p.outputs(), count, p.inputs(), p.weight.data(),
                                                              p.inputs(), x.row(first), x.row_stride(), y.row(first),
                                                              y.row_stride());
    }
}

/// One time step: y [out] = W x + b. O(in · out); does not allocate.
template <RealScalar Scalar>
void linear_step(const typename Linear<Scalar>::Parameters& p, const FrameView<Scalar>& x,
                 const FrameOut<Scalar>& y) noexcept {
    S4_ASSERT(x.size() == p.inputs() && y.size() == p.outputs(), "linear_step: x must be [in] and y [out]");
    const detail::ConstRowMap<Scalar> input(x.data(), x.size());
    for (Index n = 0; n < p.outputs(); ++n) {
        const Scalar start = p.bias.size() > 0 ? p.bias[n] : Scalar{0};
        y.data()[n] = start + (detail::ConstRowMap<Scalar>(p.weight.row(n).data(), p.inputs()) * input).sum();
    }
}

namespace detail {

/// gradient += what rows of x and dy give: dyᵀ x and the sums of dy.
template <RealScalar Scalar>
void add_linear_gradient(const SequenceView<Scalar>& x, const SequenceView<Scalar>& dy,
                         typename Linear<Scalar>::Parameters& gradient) noexcept {
    add_product<Eigen::ColMajor, Eigen::RowMajor>(x.cols(), dy.cols(), x.rows(), x.data(), x.row_stride(), dy.data(),
                                                  dy.row_stride(), gradient.weight.data(), gradient.weight.cols());
    if (gradient.bias.size() > 0) add_column_sums<Scalar>(dy, gradient.bias.data());
}

}  // namespace detail

/// The reverse pass of `linear` for a first layer, whose inputs need no gradient: adds dyᵀ x and the sums of dy to
/// `gradient`, which has a bias exactly when p has one. O(rows · in · out); does not allocate.
template <RealScalar Scalar>
void linear_vjp(const typename Linear<Scalar>::Parameters& p, const SequenceView<Scalar>& x,
                const SequenceView<Scalar>& dy, typename Linear<Scalar>::Parameters& gradient) noexcept {
    S4_ASSERT(x.rows() == dy.rows() && x.cols() == p.inputs() && dy.cols() == p.outputs(),
              "linear_vjp: x must be [rows × in] and dy [rows × out]");
    S4_ASSERT(
        gradient.inputs() == p.inputs() && gradient.outputs() == p.outputs() && gradient.bias.size() == p.bias.size(),
        "linear_vjp: a gradient has the sizes of its parameters");
    static_cast<void>(p);
    for (Index first = 0; first < x.rows(); first += detail::row_block) {
        const Index count = std::min(detail::row_block, x.rows() - first);
        detail::add_linear_gradient<Scalar>(detail::rows_of(x, first, count), detail::rows_of(dy, first, count),
                                            gradient);
    }
}

/// The reverse pass of `linear`: writes dx [rows × in] = dy W, and adds dyᵀ x and the sums of dy to `gradient`, which
/// has a bias exactly when p has one. dx may be x; not dy. O(rows · in · out); does not allocate.
template <RealScalar Scalar>
void linear_vjp(const typename Linear<Scalar>::Parameters& p, const SequenceView<Scalar>& x,
                const SequenceView<Scalar>& dy, const SequenceOut<Scalar>& dx,
                typename Linear<Scalar>::Parameters& gradient) noexcept {
    S4_ASSERT(dx.rows() == x.rows() && dx.cols() == p.inputs(), "linear_vjp: dx must be [rows × in]");
    for (Index first = 0; first < x.rows(); first += detail::row_block) {
        const Index count = std::min(detail::row_block, x.rows() - first);
        const SequenceView<Scalar> dy_rows = detail::rows_of(dy, first, count);
        linear_vjp<Scalar>(p, detail::rows_of(x, first, count), dy_rows, gradient);
        for (Index t = first; t < first + count; ++t) std::fill_n(dx.row(t), p.inputs(), Scalar{0});
        detail::add_product<Eigen::ColMajor, Eigen::ColMajor>(p.inputs(), count, p.outputs(), p.weight.data(),
                                                              p.inputs(), dy_rows.data(), dy_rows.row_stride(),
                                                              dx.row(first), dx.row_stride());
    }
}

}  // namespace s4::inline S4_ABI
