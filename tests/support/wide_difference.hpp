// Differences in double of a function that is computed in double, for whole paths that exist in no wider scalar.
#pragma once

#include <s4/core/scalar.hpp>

#include <algorithm>
#include <cmath>

namespace s4::test {

/// d loss / d value, of sixth order; with this step truncation and rounding are both near 1e-12.
template <class Loss>
[[nodiscard]] double wide_difference_of(const Loss& loss, double& value) {
    constexpr double step = 0x1p-11;
    const double before = value;
    const auto slope = [&](double h) {
        value = before + h;
        const double above = loss();
        value = before - h;
        const double below = loss();
        value = before;
        return (above - below) / (2 * h);
    };
    return (64 * slope(step) - 20 * slope(2 * step) + slope(4 * step)) / 45;
}

/// The largest error of `slopes`, relative to the largest difference by the entries of `tensor` (or to 1e-3).
template <class Loss, class Tensor>
[[nodiscard]] double wide_difference_error(const Loss& loss, Tensor& tensor, const Tensor& slopes) {
    constexpr Index parts = Eigen::NumTraits<typename Tensor::Scalar>::IsComplex ? 2 : 1;
    auto* values = reinterpret_cast<double*>(tensor.data());
    const auto* found = reinterpret_cast<const double*>(slopes.data());
    double largest = 1e-3;
    double error = 0;
    for (Index n = 0; n < tensor.size() * parts; ++n) {
        const double expected = wide_difference_of(loss, values[n]);
        largest = std::max(largest, std::abs(expected));
        error = std::max(error, std::abs(expected - found[n]));
    }
    return error / largest;
}

}  // namespace s4::test
