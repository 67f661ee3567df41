// Central differences in long double: what every reverse pass is held to, entry by entry.
#pragma once

#include <s4/core/scalar.hpp>

#include <complex>

namespace s4::test {

/// The step of the differences, exact in binary.
inline constexpr double difference_step = 0x1p-20;

/// d f / d value by central differences of fourth order, where `f()` is computed in long double from `value`, which is
/// changed and put back. Divides by the steps that `value` really took.
template <RealScalar Real, class Function>
[[nodiscard]] long double central_difference_of(const Function& f, Real& value) {
    const Real before = value;
    const auto slope = [&](Real step) {
        const Real above = before + step;
        const Real below = before - step;
        value = above;
        const long double high = f();
        value = below;
        const long double low = f();
        return (high - low) / (static_cast<long double>(above) - static_cast<long double>(below));
    };
    const long double narrow = slope(static_cast<Real>(difference_step));
    const long double wide = slope(static_cast<Real>(2 * difference_step));
    value = before;
    return (4 * narrow - wide) / 3;
}

/// d f / d Re + i d f / d Im.
template <RealScalar Real, class Function>
[[nodiscard]] std::complex<long double> central_difference_of(const Function& f, std::complex<Real>& value) {
    Real(&parts)[2] = reinterpret_cast<Real(&)[2]>(value);
    const long double re = central_difference_of(f, parts[0]);
    return {re, central_difference_of(f, parts[1])};
}

/// The differences by every entry of an Eigen matrix or a vector, in order, as a column.
template <class Values, class Function>
[[nodiscard]] auto central_differences_of(const Function& f, Values& values) {
    using Slope = decltype(central_difference_of(f, *values.data()));
    Eigen::Matrix<Slope, Dynamic, 1> slopes(static_cast<Index>(values.size()));
    for (Index n = 0; n < slopes.size(); ++n) slopes[n] = central_difference_of(f, values.data()[n]);
    return slopes;
}

/// The entries of an Eigen matrix or a vector, in order, as a column.
template <class Values>
[[nodiscard]] auto as_column(const Values& values) {
    using Entry = std::remove_cvref_t<decltype(*values.data())>;
    return Eigen::Map<const Eigen::Matrix<Entry, Dynamic, 1>>(values.data(), static_cast<Index>(values.size()));
}

}  // namespace s4::test
