// What is done to whole gradients between the reverse pass and the optimiser: sums, norm, clipping, checks.
#pragma once

#include <s4/core/error.hpp>
#include <s4/parameters/tensors.hpp>
#include <s4/train/reals.hpp>

#include <cmath>
#include <optional>
#include <string>

namespace s4::inline S4_ABI {

/// Sets every number of `gradient` to zero. O(numbers). Does not allocate.
template <class Layer>
void zero_gradient(typename Layer::Parameters& gradient) noexcept {
    Layer::for_each_tensor([](const TensorInfo&, auto& tensor) { tensor.setZero(); }, gradient);
}

/// sum += part, number by number: several mini-batches, or the parts of one, as one. Frozen tensors too. O(numbers).
/// Does not allocate.
template <class Layer>
void add_gradient(const typename Layer::Parameters& part, typename Layer::Parameters& sum) noexcept {
    Layer::for_each_tensor(
        [](const TensorInfo&, auto& to, const auto& from) {
            S4_ASSERT(to.rows() == from.rows() && to.cols() == from.cols(), "gradients of the same shapes");
            to += from;
        },
        sum, part);
}

/// Multiplies every number by `factor`. O(numbers). Does not allocate.
template <class Layer>
void scale_gradient(typename Layer::Parameters& gradient, double factor) noexcept {
    Layer::for_each_tensor(
        [factor](const TensorInfo&, auto& tensor) {
            auto values = detail::real_array(tensor);
            values *= static_cast<typename decltype(values)::Scalar>(factor);
        },
        gradient);
}

/// Square root of the sum of the squares of all numbers, real and imaginary parts alike, of tensors that are not
/// frozen; the sum is kept in double. O(numbers). Does not allocate.
template <class Layer>
[[nodiscard]] double gradient_norm(const typename Layer::Parameters& gradient) noexcept {
    double sum = 0;
    Layer::for_each_tensor(
        [&sum](const TensorInfo& info, const auto& tensor) {
            if (info.role != TensorRole::frozen)
                sum += detail::real_array(tensor).template cast<double>().square().sum();
        },
        gradient);
    return std::sqrt(sum);
}

/// Scales `gradient` to the norm `limit` if its norm is larger; returns the norm before. A gradient whose norm is not
/// finite is left as it is: first_not_finite names the tensor. O(numbers). Does not allocate. (Pascanu et al., 2013)
template <class Layer>
double clip_gradient(typename Layer::Parameters& gradient, double limit) noexcept {
    S4_ASSERT(limit > 0, "the largest norm is positive");
    const double before = gradient_norm<Layer>(gradient);
    if (before > limit && detail::is_finite(before)) scale_gradient<Layer>(gradient, limit / before);
    return before;
}

/// The full name of the first tensor that holds an infinity or NaN; empty when there is none. O(numbers). Does not
/// allocate unless there is one.
template <class Layer>
[[nodiscard]] std::optional<std::string> first_not_finite(const typename Layer::Parameters& p) {
    std::optional<std::string> found;
    Layer::for_each_tensor(
        [&found](const TensorInfo& info, const auto& tensor) {
            if (!found && !detail::all_finite(tensor)) found = full_name(info);
        },
        p);
    return found;
}

}  // namespace s4::inline S4_ABI
