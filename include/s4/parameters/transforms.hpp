// How a trained number becomes a positive one: the decay −Re A and the step size dt are stored through a transform.
#pragma once

#include <s4/core/error.hpp>
#include <s4/core/scalar.hpp>

#include <array>
#include <cmath>
#include <cstddef>
#include <iterator>
#include <string_view>

namespace s4::inline S4_ABI {

/// none x; exp e^x; relu max(x, 0) + 1e-4; sigmoid 1/(1 + e^−x); softplus log(1 + e^x).
enum class Transform { none, exp, relu, sigmoid, softplus };

namespace detail {

inline constexpr std::array<std::string_view, 5> transform_names{"none", "exp", "relu", "sigmoid", "softplus"};

/// What relu adds: the least value it gives.
inline constexpr double relu_floor = 1e-4;

/// Whether the enumerator is one of the above: a cast from a file may give any number.
[[nodiscard]] constexpr bool is_transform(Transform transform) noexcept {
    return static_cast<int>(transform) >= 0 && static_cast<int>(transform) < std::ssize(transform_names);
}

}  // namespace detail

[[nodiscard]] inline std::string_view name_of(Transform transform) {
    return detail::transform_names[static_cast<std::size_t>(transform)];
}

/// The transform of that name. Error that lists the names otherwise.
[[nodiscard]] inline Transform transform_from_name(std::string_view name) {
    for (std::size_t i = 0; i < detail::transform_names.size(); ++i)
        if (detail::transform_names[i] == name) return static_cast<Transform>(i);
    detail::raise("transform: none is called '", name, "'; known are none, exp, relu, sigmoid, softplus");
}

/// The value that the stored number x stands for. No overflow but that of e^x itself.
[[nodiscard]] inline double apply(Transform transform, double x) noexcept {
    switch (transform) {
        case Transform::none:
            return x;
        case Transform::exp:
            return std::exp(x);
        case Transform::relu:
            return (x > 0 ? x : 0.0) + detail::relu_floor;
        case Transform::sigmoid:
            return x >= 0 ? 1 / (1 + std::exp(-x)) : std::exp(x) / (1 + std::exp(x));
        case Transform::softplus:
            return (x > 0 ? x : 0.0) + std::log1p(std::exp(-std::abs(x)));
    }
    return x;
}

/// The slope of `apply` at x; that of relu is 0 at x = 0.
[[nodiscard]] inline double derivative(Transform transform, double x) noexcept {
    switch (transform) {
        case Transform::none:
            return 1;
        case Transform::exp:
            return std::exp(x);
        case Transform::relu:
            return x > 0 ? 1 : 0;
        case Transform::sigmoid: {
            const double small = std::exp(-std::abs(x));
            return small / ((1 + small) * (1 + small));
        }
        case Transform::softplus:
            return apply(Transform::sigmoid, x);
    }
    return 1;
}

/// Whether the transform takes the value y anywhere: y finite, and above 0 (exp, softplus), at least 1e-4 (relu),
/// between 0 and 1 (sigmoid).
[[nodiscard]] inline bool has_inverse(Transform transform, double y) noexcept {
    if (!detail::is_finite(y)) return false;
    switch (transform) {
        case Transform::none:
            return true;
        case Transform::exp:
        case Transform::softplus:
            return y > 0;
        case Transform::relu:
            return y >= detail::relu_floor;
        case Transform::sigmoid:
            return y > 0 && y < 1;
    }
    return false;
}

/// The number x with apply(transform, x) = y; for relu the x ≥ 0. Keeps the digits of tiny and of huge y. Error when
/// the transform never takes the value y: allowed are y > 0 (exp, softplus), y ≥ 1e-4 (relu), 0 < y < 1 (sigmoid).
[[nodiscard]] inline double inverse(Transform transform, double y) {
    const auto require_range = [transform, y](bool inside, std::string_view range) {
        detail::require(detail::is_finite(y) && inside, "transform ", name_of(transform), ": it has no inverse at ", y,
                        "; allowed is a finite y ", range);
    };
    switch (transform) {
        case Transform::none:
            require_range(true, "");
            return y;
        case Transform::exp:
            require_range(y > 0, "above 0");
            return std::log(y);
        case Transform::relu:
            require_range(y >= detail::relu_floor, "of at least 1e-4");
            return y - detail::relu_floor;
        case Transform::sigmoid:
            require_range(y > 0 && y < 1, "between 0 and 1");
            // Near 1/2 the difference 2y − 1 is exact, at the ends the logarithms are.
            return std::abs(y - 0.5) < 0.25 ? 2 * std::atanh(2 * y - 1) : std::log(y) - std::log1p(-y);
        case Transform::softplus:
            require_range(y > 0, "above 0");
            return y < 1 ? std::log(std::expm1(y)) : y + std::log1p(-std::exp(-y));
    }
    return y;
}

}  // namespace s4::inline S4_ABI
