// What the tests of the layers beside the SSM share: their losses, and the differences of them.
#pragma once

#include "tests/support/finite_difference.hpp"
#include "tests/support/tolerances.hpp"
#include <s4/core/random.hpp>
#include <s4/parameters/tensors.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <string>

namespace s4::test {

using Wide = long double;

/// Σ weights ∘ y: the loss whose gradient by y is `weights`.
[[nodiscard]] inline Wide weighted_sum(const Sequence<Wide>& weights, const Sequence<Wide>& y) {
    return weights.cwiseProduct(y).sum();
}

/// Every tensor of `gradient` against the differences of `loss()`, which reads `p`.
template <class Layer, class Loss>
void expect_gradient(typename Layer::Parameters& p, const typename Layer::Parameters& gradient, const Loss& loss) {
    Layer::for_each_tensor(
        [&](const TensorInfo& info, auto& value, const auto& found) {
            if (info.role == TensorRole::frozen) return;
            EXPECT_LE(relative_error(as_column(found), central_differences_of(loss, value)), reverse_pass)
                << full_name(info);
        },
        p, gradient);
}

/// Every tensor of `p` in another scalar type.
template <class To, class From>
[[nodiscard]] typename To::Parameters cast_parameters(const typename From::Parameters& p) {
    typename To::Parameters result;
    // In this order: a layer may visit a tensor of the result only where there is one.
    From::for_each_tensor(
        [](const TensorInfo&, const auto& from, auto& to) { to = from.template cast<typename To::Scalar>(); }, p,
        result);
    return result;
}

}  // namespace s4::test
