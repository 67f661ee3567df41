// Convolution kernels of diagonal systems: S4D under any rule, and DSS's normalised form.
#pragma once

#include <s4/discretize/zero_order_hold.hpp>
#include <s4/kernel/kernel.hpp>
#include <s4/kernel/vandermonde.hpp>
#include <s4/parameters/diagonal.hpp>

#include <cmath>
#include <complex>
#include <limits>
#include <span>
#include <vector>

namespace s4::inline S4_ABI {

namespace detail {

/// log(1 + z) with the digits of small z; −∞ in the real part for z = −1.
[[nodiscard]] inline std::complex<double> log1p(std::complex<double> z) noexcept {
    const double squared = 2 * z.real() + std::norm(z);  // |1 + z|² − 1
    const double modulus = squared > -1 ? 0.5 * std::log1p(squared) : -std::numeric_limits<double>::infinity();
    return {modulus, std::atan2(z.imag(), 1 + z.real())};
}

}  // namespace detail

/// kernel[l] = 2 Re Σ_n C_n Ā_n^l B̄_n for l < kernel.size(). O(N L); allocates. (S4D paper, eq. 9)
template <RealScalar Scalar, class Rule>
void diagonal_kernel(Rule rule, const DiagonalSystem& system, std::span<Scalar> kernel) {
    const auto pairs = static_cast<std::size_t>(system.lambda.size());
    std::vector<std::complex<double>> v(pairs);
    std::vector<std::complex<double>> x(pairs);
    for (std::size_t n = 0; n < pairs; ++n) {
        const auto at = static_cast<Index>(n);
        const auto step = discretize(rule, system.lambda[at], system.dt[at]);
        v[n] = detail::multiply(system.C[at], detail::multiply(step.b, system.B[at]));
        x[n] = detail::log1p(step.a_minus_one);
    }
    vandermonde<Scalar>(v, x, kernel);
}

/// DSS's kernel, normalised over its own length L = kernel.size(): K[l] = Re Σ_n B_n C_n (e^z − 1)/(λ_n (e^{zL} − 1))
/// e^{zl} with z = dt λ_n; the reciprocal of q = λ (e^{zL} − 1) is taken as conj(q)/(|q|² + 1e-7), as the authors do.
/// Only the stored half is summed, once. O(N L); allocates. (DSS paper, proposition 1a)
template <RealScalar Scalar>
void dss_kernel(const DiagonalSystem& system, std::span<Scalar> kernel) {
    const auto pairs = static_cast<std::size_t>(system.lambda.size());
    const auto length = static_cast<double>(kernel.size());
    constexpr double softening = 1e-7;
    std::vector<std::complex<double>> v(pairs);
    std::vector<std::complex<double>> x(pairs);
    for (std::size_t n = 0; n < pairs; ++n) {
        const auto at = static_cast<Index>(n);
        const std::complex<double> z = system.dt[at] * system.lambda[at];
        const std::complex<double> q = system.lambda[at] * (std::exp(z * length) - 1.0);
        const std::complex<double> reciprocal = std::conj(q) / (std::norm(q) + softening);
        v[n] = 0.5 * (system.B[at] * system.C[at] * (std::exp(z) - 1.0) * reciprocal);  // vandermonde doubles
        x[n] = z;
    }
    vandermonde<Scalar>(v, x, kernel);
}

/// Kernels of diagonal systems, by Vandermonde products; no FFT.
template <RealScalar S, class Rule, class Shape, class Fft>
class KernelGenerator<Diagonal<S, Rule, Shape>, Fft> {
public:
    using Ssm = Diagonal<S, Rule, Shape>;
    struct Workspace {};

    KernelGenerator(const typename Ssm::Parameters& parameters, Index, Planning) : parameters_{parameters} {}
    [[nodiscard]] Workspace make_workspace() const { return {}; }
    void operator()(Workspace&, Index h, std::span<S> kernel) const {
        diagonal_kernel<S>(Rule{}, Ssm::system(parameters_, h), kernel);
    }

private:
    const typename Ssm::Parameters& parameters_;
};

}  // namespace s4::inline S4_ABI
