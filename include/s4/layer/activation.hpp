// Activations: functions of each number of a sequence, and the gated linear unit.
#pragma once

#include <s4/core/error.hpp>
#include <s4/layer/gated_linear_unit.hpp>
#include <s4/layer/lane_functions.hpp>

#include <array>
#include <cmath>
#include <cstddef>
#include <string_view>

namespace s4::inline S4_ABI {

/// gelu x Φ(x) with the normal distribution Φ (the exact one, by erf); relu max(x, 0); silu x/(1 + e^−x);
/// sigmoid 1/(1 + e^−x); elu x or e^x − 1 below 0; softplus log(1 + e^x); glu halves the features (gated_linear_unit).
enum class Activation { identity, gelu, relu, silu, tanh, sigmoid, elu, softplus, glu };

namespace detail {

inline constexpr std::array<std::string_view, 9> activation_names{"identity", "gelu", "relu",     "silu", "tanh",
                                                                  "sigmoid",  "elu",  "softplus", "glu"};

}  // namespace detail

/// The name that `activation_from_name` takes.
[[nodiscard]] inline std::string_view name_of(Activation activation) {
    return detail::activation_names[static_cast<std::size_t>(activation)];
}

/// The activation of that name; "id", "linear", "none" and "null" are identity too, and "swish" is silu, as in PyTorch
/// models. Error that lists the names otherwise.
[[nodiscard]] inline Activation activation_from_name(std::string_view name) {
    for (std::size_t i = 0; i < detail::activation_names.size(); ++i)
        if (detail::activation_names[i] == name) return static_cast<Activation>(i);
    if (name == "id" || name == "linear" || name == "none" || name == "null") return Activation::identity;
    if (name == "swish") return Activation::silu;
    detail::raise("activation: none is called '", name,
                  "'; known are identity (id, linear, none, null), gelu, relu, silu (swish), tanh, sigmoid, elu, "
                  "softplus, glu");
}

/// How many features come out of `features`: half of them for glu, all of them otherwise. Error when glu gets an odd
/// number.
[[nodiscard]] inline Index features_after(Activation activation, Index features) {
    if (activation != Activation::glu) return features;
    detail::require(features % 2 == 0, "activation glu: the number of features must be even, found ", features);
    return features / 2;
}

namespace detail {

/// x within [−bound, bound].
template <RealScalar Scalar>
[[nodiscard]] Lanes<Scalar> clamp(Lanes<Scalar> x, Scalar bound) noexcept {
    return max(min(x, Lanes<Scalar>::broadcast(bound)), Lanes<Scalar>::broadcast(-bound));
}

/// x Φ(x) = max(x, 0) − |x| Φ(−|x|).
template <RealScalar Scalar>
[[nodiscard]] Lanes<Scalar> gelu(Lanes<Scalar> x) noexcept {
    using L = Lanes<Scalar>;
    const L near = clamp(x, std::same_as<Scalar, float> ? Scalar{15} : Scalar{200});
    return fnma(abs(near), normal_tail(near).tail, max(x, L::zero()));
}

/// Φ(x) + x φ(x).
template <RealScalar Scalar>
[[nodiscard]] Lanes<Scalar> gelu_slope(Lanes<Scalar> x) noexcept {
    const Lanes<Scalar> near = clamp(x, std::same_as<Scalar, float> ? Scalar{15} : Scalar{200});
    const NormalTail<Scalar> normal = normal_tail(near);
    const Lanes<Scalar> rest = Lanes<Scalar>::broadcast(1) - normal.tail;
    return fma(near, normal.density, where_positive(near, rest, normal.tail));
}

/// x below which the sigmoid is 0 for all that silu sees of it.
template <RealScalar Scalar>
inline constexpr Scalar sigmoid_vanishes = std::same_as<Scalar, float> ? Scalar{-100} : Scalar{-12000};

template <RealScalar Scalar>
[[nodiscard]] Lanes<Scalar> silu(Lanes<Scalar> x) noexcept {
    return max(x, Lanes<Scalar>::broadcast(sigmoid_vanishes<Scalar>)) * sigmoid(x);
}

template <RealScalar Scalar>
[[nodiscard]] Lanes<Scalar> silu_slope(Lanes<Scalar> x) noexcept {
    const Lanes<Scalar> one = Lanes<Scalar>::broadcast(1);
    const Lanes<Scalar> gate = sigmoid(x);
    const Lanes<Scalar> near = clamp(x, -sigmoid_vanishes<Scalar>);
    return gate * fma(near, one - gate, one);
}

}  // namespace detail

/// y = activation(x), number by number; y may be x. For glu x is [rows × 2F] and y [rows × F]. O(rows · F); does not
/// allocate. In float all but elu and softplus are vectors of Eigen's functions, with errors below 1e-6 of the largest
/// value; NaN stays NaN.
template <RealScalar Scalar>
void activate(Activation activation, const SequenceView<Scalar>& x, const SequenceOut<Scalar>& y) noexcept {
    using L = Lanes<Scalar>;
    if (activation == Activation::glu) return gated_linear_unit<Scalar>(x, y);
    S4_ASSERT(x.rows() == y.rows() && x.cols() == y.cols(), "activate: x and y must have one shape");
    switch (activation) {
        case Activation::identity:
            if (x.data() == y.data()) return;
            return detail::map_lanes<Scalar>(x, y, [](L v) { return v; });
        case Activation::gelu:
            return detail::map_lanes<Scalar>(x, y, [](L v) { return detail::gelu(v); });
        case Activation::relu:
            return detail::map_lanes<Scalar>(x, y, [](L v) { return detail::max(v, L::zero()); });
        case Activation::silu:
            return detail::map_lanes<Scalar>(x, y, [](L v) { return detail::silu(v); });
        case Activation::tanh:
            return detail::map_lanes<Scalar>(x, y, [](L v) { return detail::tanh(v); });
        case Activation::sigmoid:
            return detail::map_lanes<Scalar>(x, y, [](L v) { return detail::sigmoid(v); });
        case Activation::elu:
            return detail::map_lanes<Scalar>(
                x, y, [](L v) { return detail::each_lane([](Scalar n) { return n > 0 ? n : std::expm1(n); }, v); });
        case Activation::softplus:
            return detail::map_lanes<Scalar>(x, y, [](L v) {
                const auto softplus = [](Scalar n) {
                    return (n < 0 ? Scalar{0} : n) + std::log1p(std::exp(-std::abs(n)));
                };
                return detail::each_lane(softplus, v);
            });
        case Activation::glu:
            return;
    }
}

/// The reverse pass of `activate`: dx = activation'(x) dy; dx may be x or, but for glu, dy. The slope of relu is 0 at
/// x = 0. O(rows · F); does not allocate.
template <RealScalar Scalar>
void activate_vjp(Activation activation, const SequenceView<Scalar>& x, const SequenceView<Scalar>& dy,
                  const SequenceOut<Scalar>& dx) noexcept {
    using L = Lanes<Scalar>;
    if (activation == Activation::glu) return gated_linear_unit_vjp<Scalar>(x, dy, dx);
    S4_ASSERT(x.rows() == dy.rows() && x.cols() == dy.cols() && x.rows() == dx.rows() && x.cols() == dx.cols(),
              "activate_vjp: x, dy and dx must have one shape");
    switch (activation) {
        case Activation::identity:
            if (dx.data() == dy.data()) return;
            return detail::map_lanes<Scalar>(dy, dx, [](L by_y) { return by_y; });
        case Activation::gelu:
            return detail::map_lanes<Scalar>(x, dy, dx, [](L v, L by_y) { return detail::gelu_slope(v) * by_y; });
        case Activation::relu:
            return detail::map_lanes<Scalar>(x, dy, dx,
                                             [](L v, L by_y) { return detail::where_positive(v, by_y, L::zero()); });
        case Activation::silu:
            return detail::map_lanes<Scalar>(x, dy, dx, [](L v, L by_y) { return detail::silu_slope(v) * by_y; });
        case Activation::tanh:
            return detail::map_lanes<Scalar>(x, dy, dx, [](L v, L by_y) {
                const L y = detail::tanh(v);
                return fnma(y, y, L::broadcast(1)) * by_y;
            });
        case Activation::sigmoid:
            return detail::map_lanes<Scalar>(x, dy, dx, [](L v, L by_y) {
                const L y = detail::sigmoid(v);
                return y * (L::broadcast(1) - y) * by_y;
            });
        case Activation::elu:
            return detail::map_lanes<Scalar>(x, dy, dx, [](L v, L by_y) {
                return detail::each_lane([](Scalar n) { return n > 0 ? Scalar{1} : std::exp(n); }, v) * by_y;
            });
        case Activation::softplus:
            return detail::map_lanes<Scalar>(x, dy, dx, [](L v, L by_y) { return detail::sigmoid(v) * by_y; });
        case Activation::glu:
            return;
    }
}

}  // namespace s4::inline S4_ABI
