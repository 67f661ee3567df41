// Vandermonde products: the kernel of a diagonal system is a sum of geometric sequences (S4D paper, eq. 9).
#pragma once

#include <s4/core/sequence.hpp>
#include <s4/core/storage.hpp>

#include <algorithm>
#include <cmath>
#include <complex>
#include <span>

namespace s4::inline S4_ABI {

namespace detail {

/// powers[j] = e^{x j} for j < count. e^{x 2^k} is taken from the exponential (x 2^k is exact, and the phase is
/// reduced in double), the rest are products of those: an error of log2(count) roundings, for slow modes too. A mode
/// that dies at once, Re x = −∞, gives 1, 0, 0, …
inline void exponential_powers(std::complex<double> x, std::span<std::complex<double>> powers) noexcept {
    if (powers.empty()) return;
    powers[0] = 1.0;
    for (std::size_t filled = 1; filled < powers.size(); filled *= 2) {
        const double scale = static_cast<double>(filled);
        const double modulus = std::exp(scale * x.real());
        const double phase = scale * x.imag();
        const std::complex<double> base{modulus * std::cos(phase), modulus * std::sin(phase)};
        const std::size_t more = std::min(filled, powers.size() - filled);
        for (std::size_t j = 0; j < more; ++j) powers[filled + j] = multiply(base, powers[j]);
    }
}

/// The block length of the two tables below: l = i·T + j.
inline constexpr Index vandermonde_block = 64;

/// table(j, n) = Re and −Im (planes side by side) of e^{x_n j}: [2N × T], T = min(64, length).
template <RealScalar Scalar>
[[nodiscard]] RowMajorMatrix<Scalar, Dynamic, Dynamic> power_table(std::span<const std::complex<double>> x,
                                                                   Index length) {
    const Index pairs = std::ssize(x);
    const Index block = std::min(vandermonde_block, length);
    RowMajorMatrix<Scalar, Dynamic, Dynamic> table(2 * pairs, block);
    std::complex<double> powers[vandermonde_block];
    for (Index n = 0; n < pairs; ++n) {
        exponential_powers(x[static_cast<std::size_t>(n)], {powers, static_cast<std::size_t>(block)});
        for (Index j = 0; j < block; ++j) {
            table(n, j) = static_cast<Scalar>(powers[j].real());
            table(pairs + n, j) = static_cast<Scalar>(-powers[j].imag());
        }
    }
    return table;
}

}  // namespace detail

/// kernel[l] = 2 Re Σ_n v_n e^{x_n l} for l < kernel.size(), with v, x [N] and Re x ≤ 0.
///
/// Two tables: with l = iT + j the sum is a real matrix product [L/T × 2N] · [2N × T] of e^{x iT} and e^{x j}, so the
/// work is 4 N L flops at the speed of a matrix product, with O(N log L) exponentials, all in double and rounded once.
/// O(N L) time, O(N (T + L/T)) memory; allocates. (S4D paper, eq. 9 and appendix A.)
template <RealScalar Scalar>
void vandermonde(std::span<const std::complex<double>> v, std::span<const std::complex<double>> x,
                 std::span<Scalar> kernel) {
    using Table = detail::RowMajorMatrix<Scalar, Dynamic, Dynamic>;
    S4_ASSERT(v.size() == x.size(), "vandermonde: one coefficient for every exponent");
    const Index length = std::ssize(kernel);
    if (length == 0) return;
    const Index pairs = std::ssize(x);
    const Table within = detail::power_table<Scalar>(x, length);
    const Index block = within.cols();
    const Index blocks = (length + block - 1) / block;

    Table starts(blocks, 2 * pairs);
    Storage<std::complex<double>> powers(blocks);
    for (Index n = 0; n < pairs; ++n) {
        const auto at = static_cast<std::size_t>(n);
        detail::exponential_powers(static_cast<double>(block) * x[at],
                                   {powers.data(), static_cast<std::size_t>(blocks)});
        for (Index i = 0; i < blocks; ++i) {
            const std::complex<double> start = 2.0 * detail::multiply(v[at], powers.data()[i]);
            starts(i, n) = static_cast<Scalar>(start.real());
            starts(i, pairs + n) = static_cast<Scalar>(start.imag());
        }
    }

    const Index whole = length / block;
    Eigen::Map<Table> result(kernel.data(), whole, block);
    result.noalias() = starts.topRows(whole) * within;
    const Index rest = length - whole * block;
    if (rest > 0) {
        Eigen::Map<Frame<Scalar>> tail(kernel.data() + whole * block, rest);
        tail.noalias() = starts.row(whole) * within.leftCols(rest);
    }
}

/// result[n] = v_n Σ_l u[l] e^{x_n l}: the transposed product (no factor 2), for final states and gradients. Accuracy
/// and cost as `vandermonde`.
template <RealScalar Scalar>
void vandermonde_transpose(std::span<const std::complex<double>> v, std::span<const std::complex<double>> x,
                           std::span<const Scalar> u, std::span<std::complex<Scalar>> result) {
    using Table = detail::RowMajorMatrix<Scalar, Dynamic, Dynamic>;
    S4_ASSERT(v.size() == x.size() && result.size() == x.size(), "vandermonde_transpose: sizes must agree");
    const Index length = std::ssize(u);
    const Index pairs = std::ssize(x);
    if (length == 0) {
        std::fill(result.begin(), result.end(), std::complex<Scalar>{});
        return;
    }
    const Table within = detail::power_table<Scalar>(x, length);
    const Index block = within.cols();
    const Index blocks = (length + block - 1) / block;
    Table sums = Table::Zero(blocks, 2 * pairs);  // of each block, as if it began at l = 0: real part, −imaginary part
    const Index whole = length / block;
    const Eigen::Map<const Table> rows(u.data(), whole, block);
    sums.topRows(whole).noalias() = rows * within.transpose();
    const Index rest = length - whole * block;
    if (rest > 0) {
        const Eigen::Map<const Frame<Scalar>> tail(u.data() + whole * block, rest);
        sums.row(whole).noalias() = tail * within.leftCols(rest).transpose();
    }
    Storage<std::complex<double>> powers(blocks);
    for (Index n = 0; n < pairs; ++n) {
        const auto at = static_cast<std::size_t>(n);
        detail::exponential_powers(static_cast<double>(block) * x[at],
                                   {powers.data(), static_cast<std::size_t>(blocks)});
        std::complex<double> sum = 0;
        for (Index i = 0; i < blocks; ++i)
            sum += detail::multiply(powers.data()[i], std::complex<double>{static_cast<double>(sums(i, n)),
                                                                           -static_cast<double>(sums(i, pairs + n))});
        result[at] = static_cast<std::complex<Scalar>>(detail::multiply(v[at], sum));
    }
}

}  // namespace s4::inline S4_ABI
