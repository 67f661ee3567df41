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

namespace detail {

/// visit(n, Σ_l p[l] e^{x_n l}, Σ_l q[l] e^{x_n l}) for every n, with p, q real and of equal length: the tables of
/// `vandermonde` read the other way, 64 · 64 samples at a time. Sums of 64 terms are taken in Scalar, the rest in
/// double. `weighted(l)` gives q[l]. O(N L) time, O(N (T + L/T²)) memory; allocates.
template <RealScalar Scalar, class Weighted, class Visitor>
void power_sums(std::span<const std::complex<double>> x, std::span<const Scalar> p, const Weighted& weighted,
                const Visitor& visit) {
    using Table = RowMajorMatrix<Scalar, Dynamic, Dynamic>;
    const Index length = std::ssize(p);
    const Index pairs = std::ssize(x);
    if (length == 0) {
        for (Index n = 0; n < pairs; ++n) visit(n, std::complex<double>{}, std::complex<double>{});
        return;
    }
    const Table within = power_table<Scalar>(x, length);
    const Index block = within.cols();
    const Index blocks = (length + block - 1) / block;
    const Index chunk = std::min(vandermonde_block, blocks);
    const Index chunks = (blocks + chunk - 1) / chunk;

    // e^{x l} at the first sample of every block of a chunk [pairs × chunk], and of every chunk [pairs × chunks].
    Storage<std::complex<double>> block_starts(pairs * chunk);
    Storage<std::complex<double>> chunk_starts(pairs * chunks);
    for (Index n = 0; n < pairs; ++n) {
        const std::complex<double> step = static_cast<double>(block) * x[static_cast<std::size_t>(n)];
        exponential_powers(step, {block_starts.data() + n * chunk, static_cast<std::size_t>(chunk)});
        exponential_powers(static_cast<double>(chunk) * step,
                           {chunk_starts.data() + n * chunks, static_cast<std::size_t>(chunks)});
    }
    Storage<std::complex<double>> totals(2 * pairs);
    Table samples(2 * chunk, block);   // p of every block, then q
    Table sums(2 * chunk, 2 * pairs);  // of each block, as if it began at l = 0: real part, −imaginary part
    for (Index c = 0; c < chunks; ++c) {
        for (Index i = 0; i < chunk; ++i)
            for (Index j = 0; j < block; ++j) {
                const Index l = (c * chunk + i) * block + j;
                samples(i, j) = l < length ? p[static_cast<std::size_t>(l)] : Scalar{0};
                samples(chunk + i, j) = l < length ? weighted(l) : Scalar{0};
            }
        sums.noalias() = samples * within.transpose();
        for (Index n = 0; n < pairs; ++n)
            for (Index part = 0; part < 2; ++part) {
                std::complex<double> sum = 0;
                for (Index i = 0; i < std::min(chunk, blocks - c * chunk); ++i) {
                    const Index row = part * chunk + i;
                    sum += multiply(block_starts.data()[n * chunk + i],
                                    {static_cast<double>(sums(row, n)), -static_cast<double>(sums(row, pairs + n))});
                }
                totals.data()[2 * n + part] += multiply(chunk_starts.data()[n * chunks + c], sum);
            }
    }
    for (Index n = 0; n < pairs; ++n) visit(n, totals.data()[2 * n], totals.data()[2 * n + 1]);
}

/// The weight l of a derivative by an exponent.
template <RealScalar Scalar>
[[nodiscard]] auto times_index(std::span<const Scalar> p) noexcept {
    return [p](Index l) noexcept { return static_cast<Scalar>(l) * p[static_cast<std::size_t>(l)]; };
}

}  // namespace detail

/// The reverse pass of `vandermonde`: adds to v_gradient, x_gradient [N] what a loss with the cotangent dK [L] of the
/// kernel gains: 2 conj(Σ_l dK[l] e^{x_n l}) and 2 conj(v_n Σ_l l dK[l] e^{x_n l}) (d/d Re + i d/d Im). Up to twice
/// the time of the forward pass, O(N (T + L/T²)) memory; allocates.
template <RealScalar Scalar>
void vandermonde_vjp(std::span<const std::complex<double>> v, std::span<const std::complex<double>> x,
                     std::span<const Scalar> cotangent, std::span<std::complex<double>> v_gradient,
                     std::span<std::complex<double>> x_gradient) {
    S4_ASSERT(v.size() == x.size() && v_gradient.size() == x.size() && x_gradient.size() == x.size(),
              "vandermonde_vjp: sizes must agree");
    detail::power_sums(x, cotangent, detail::times_index(cotangent),
                       [&](Index n, std::complex<double> sum, std::complex<double> by_exponent) {
                           const auto at = static_cast<std::size_t>(n);
                           v_gradient[at] += 2.0 * std::conj(sum);
                           x_gradient[at] += 2.0 * std::conj(detail::multiply(v[at], by_exponent));
                       });
}

/// The reverse pass of `vandermonde_transpose`, given the cotangent [N] of its result (d/d Re + i d/d Im): adds to
/// v_gradient, x_gradient [N] and u_gradient [L]. Three times the time of the forward pass; allocates.
template <RealScalar Scalar>
void vandermonde_transpose_vjp(std::span<const std::complex<double>> v, std::span<const std::complex<double>> x,
                               std::span<const Scalar> u, std::span<const std::complex<double>> cotangent,
                               std::span<std::complex<double>> v_gradient, std::span<std::complex<double>> x_gradient,
                               std::span<Scalar> u_gradient) {
    S4_ASSERT(v.size() == x.size() && cotangent.size() == x.size() && v_gradient.size() == x.size() &&
                  x_gradient.size() == x.size() && u_gradient.size() == u.size(),
              "vandermonde_transpose_vjp: sizes must agree");
    Storage<std::complex<double>> weights(std::ssize(x));  // u_gradient[l] = Re Σ conj(g_n) v_n e^{x_n l}
    detail::power_sums(
        x, u, detail::times_index(u), [&](Index n, std::complex<double> sum, std::complex<double> by_exponent) {
            const auto at = static_cast<std::size_t>(n);
            v_gradient[at] += detail::multiply(std::conj(sum), cotangent[at]);
            x_gradient[at] += detail::multiply(std::conj(detail::multiply(v[at], by_exponent)), cotangent[at]);
            weights.data()[n] = 0.5 * detail::multiply(std::conj(cotangent[at]), v[at]);
        });
    Storage<Scalar> sums(std::ssize(u));
    vandermonde<Scalar>({weights.data(), x.size()}, x, {sums.data(), u.size()});
    for (std::size_t l = 0; l < u.size(); ++l) u_gradient[l] += sums.data()[l];
}

}  // namespace s4::inline S4_ABI
