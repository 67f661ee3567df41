// Scalars, sizes and the two numeric questions every other header asks.
#pragma once

#include <s4/core/config.hpp>

#include <bit>
#include <complex>
#include <concepts>
#include <cstdint>
#include <limits>
#include <numbers>

namespace s4::inline S4_ABI {

/// Sizes and positions: signed, as in Eigen.
using Index = Eigen::Index;

/// A size known only at run time.
inline constexpr int Dynamic = Eigen::Dynamic;

/// The real numbers a layer computes with.
template <class T>
concept RealScalar = std::same_as<T, float> || std::same_as<T, double> || std::same_as<T, long double>;

/// Sizes fixed at compile time: N states (N/2 stored conjugate pairs), H channels and outputs for each of them (heads);
/// Dynamic where unknown; in this order: Shape<64, 16> is N = 64, H = 16. Static and run-time sizes are one class: only
/// the storage differs.
template <int StateSize = Dynamic, int Channels = Dynamic, int Heads = Channels == Dynamic ? Dynamic : 1>
struct Shape {
    static_assert(StateSize == Dynamic || (StateSize > 0 && StateSize % 2 == 0),
                  "s4::Shape: the state size N is even: half of each conjugate pair is stored");
    static_assert(Channels == Dynamic || Channels > 0, "s4::Shape: at least one channel");
    static_assert(Heads == Dynamic || Heads > 0, "s4::Shape: at least one head");
    static constexpr int state_size = StateSize;
    static constexpr int pairs = StateSize == Dynamic ? Dynamic : StateSize / 2;
    static constexpr int channels = Channels;
    static constexpr int heads = Heads;
};

namespace detail {

/// Whether `value` is neither infinite nor NaN, read from its bits: right under -ffast-math too.
template <RealScalar Scalar>
[[nodiscard]] inline bool is_finite(Scalar value) noexcept {
    if constexpr (std::same_as<Scalar, float>) {
        return (std::bit_cast<std::uint32_t>(value) & 0x7f80'0000U) != 0x7f80'0000U;
    } else {
        // A long double beyond the range of double counts as infinite: no system of this library is that large.
        constexpr std::uint64_t exponent = 0x7ff0'0000'0000'0000ULL;
        return (std::bit_cast<std::uint64_t>(static_cast<double>(value)) & exponent) != exponent;
    }
}

template <RealScalar Scalar>
[[nodiscard]] inline bool is_finite(const std::complex<Scalar>& value) noexcept {
    return is_finite(value.real()) && is_finite(value.imag());
}

/// Whether every entry of an Eigen matrix, real or complex, is finite. O(size), in the order of storage.
template <class Derived>
[[nodiscard]] bool all_finite(const Eigen::DenseBase<Derived>& matrix) noexcept {
    const bool row_major = Derived::IsRowMajor;
    const Index outer = row_major ? matrix.rows() : matrix.cols();
    const Index inner = row_major ? matrix.cols() : matrix.rows();
    for (Index i = 0; i < outer; ++i)
        for (Index j = 0; j < inner; ++j)
            if (!is_finite(row_major ? matrix.derived().coeff(i, j) : matrix.derived().coeff(j, i))) return false;
    return true;
}

/// Product without the detour that std::complex takes for infinities.
template <RealScalar Scalar>
[[nodiscard]] constexpr std::complex<Scalar> multiply(const std::complex<Scalar>& a,
                                                      const std::complex<Scalar>& b) noexcept {
    return {a.real() * b.real() - a.imag() * b.imag(), a.real() * b.imag() + a.imag() * b.real()};
}

}  // namespace detail
}  // namespace s4::inline S4_ABI
