// Convolution kernels of diagonal systems: S4D under any rule, and DSS's normalised form.
#pragma once

#include <s4/discretize/complex_exponential.hpp>
#include <s4/discretize/zero_order_hold.hpp>
#include <s4/kernel/kernel.hpp>
#include <s4/kernel/vandermonde.hpp>
#include <s4/parameters/diagonal.hpp>

#include <cmath>
#include <complex>
#include <concepts>
#include <limits>
#include <span>
#include <vector>

namespace s4::inline S4_ABI {

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

/// A gradient of zeros for `system`: of its sizes.
template <std::same_as<DiagonalSystem> System>
[[nodiscard]] System zero_gradient(const System& system) {
    System gradient;
    gradient.lambda.setZero(system.lambda.size());
    gradient.B.setZero(system.B.size());
    gradient.C.setZero(system.C.size());
    gradient.dt.setZero(system.dt.size());
    return gradient;
}

/// The reverse pass of `diagonal_kernel`: adds to `gradient` (the sizes of `system`) what a loss with the cotangent dK
/// [L] of the kernel gains by λ, B, C (d/d Re + i d/d Im) and dt; D is no part of a kernel. It differentiates by Ā and
/// not by its logarithm, so Ā = 0 does no harm. About twice the time of the forward pass; allocates.
template <RealScalar Scalar, DifferentiableRule Rule>
void diagonal_kernel_vjp(Rule rule, const DiagonalSystem& system, std::span<const Scalar> cotangent,
                         DiagonalSystem& gradient) {
    const auto pairs = static_cast<std::size_t>(system.lambda.size());
    S4_ASSERT(gradient.lambda.size() == system.lambda.size() && gradient.B.size() == system.B.size() &&
                  gradient.C.size() == system.C.size() && gradient.dt.size() == system.dt.size(),
              "diagonal_kernel_vjp: a gradient has the sizes of its system");
    std::vector<DiagonalStep<double>> steps(pairs);
    std::vector<std::complex<double>> x(pairs);
    for (std::size_t n = 0; n < pairs; ++n) {
        const auto at = static_cast<Index>(n);
        steps[n] = discretize(rule, system.lambda[at], system.dt[at]);
        x[n] = detail::log1p(steps[n].a_minus_one);
    }
    const auto shifted = [cotangent](Index l) noexcept {  // l Ā^{l−1}: the next sample, weighted
        const auto next = static_cast<std::size_t>(l) + 1;
        return next < cotangent.size() ? static_cast<Scalar>(next) * cotangent[next] : Scalar{0};
    };
    detail::power_sums(x, cotangent, shifted, [&](Index n, std::complex<double> sum, std::complex<double> by_power) {
        const DiagonalStep<double>& step = steps[static_cast<std::size_t>(n)];
        const std::complex<double> product = detail::multiply(system.C[n], system.B[n]);
        const std::complex<double> v_cotangent = 2.0 * std::conj(sum);
        const std::complex<double> step_cotangent = detail::multiply(std::conj(step.b), v_cotangent);
        gradient.B[n] += detail::multiply(std::conj(system.C[n]), step_cotangent);
        gradient.C[n] += detail::multiply(std::conj(system.B[n]), step_cotangent);
        const DiagonalGradient<double> by_step =
            discretize_vjp(rule, system.lambda[n], system.dt[n],
                           {2.0 * std::conj(detail::multiply(detail::multiply(product, step.b), by_power)),
                            detail::multiply(std::conj(product), v_cotangent)});
        gradient.lambda[n] += by_step.lambda;
        gradient.dt[n] += by_step.dt;
    });
}

namespace detail {

/// One state of DSS's kernel: the coefficient v = ½ B C (e^z − 1) conj(q)/(|q|² + 1e-7) of e^{zl}, q = λ (e^{zL} − 1).
struct DssState {
    static constexpr double softening = 1e-7;
    std::complex<double> lambda, z, rise, whole_rise;  // e^z − 1, e^{zL} − 1
    std::complex<double> q, reciprocal, coefficient;   // the coefficient: without B and C

    DssState(std::complex<double> eigenvalue, double dt, double length)
        : lambda{eigenvalue},
          z{dt * lambda},
          rise{expm1(z)},
          whole_rise{expm1(length * z)},
          q{multiply(lambda, whole_rise)},
          reciprocal{std::conj(q) / (std::norm(q) + softening)},
          coefficient{0.5 * multiply(rise, reciprocal)} {}  // vandermonde doubles
};

}  // namespace detail

/// DSS's kernel, normalised over its own length L = kernel.size(): K[l] = Re Σ_n B_n C_n (e^z − 1)/(λ_n (e^{zL} − 1))
/// e^{zl} with z = dt λ_n; the reciprocal of q = λ (e^{zL} − 1) is taken as conj(q)/(|q|² + 1e-7), as the authors do.
/// Only the stored half is summed, once. O(N L); allocates. (DSS paper, proposition 1a)
template <RealScalar Scalar>
void dss_kernel(const DiagonalSystem& system, std::span<Scalar> kernel) {
    const auto pairs = static_cast<std::size_t>(system.lambda.size());
    std::vector<std::complex<double>> v(pairs);
    std::vector<std::complex<double>> x(pairs);
    for (std::size_t n = 0; n < pairs; ++n) {
        const auto at = static_cast<Index>(n);
        const detail::DssState state{system.lambda[at], system.dt[at], static_cast<double>(kernel.size())};
        v[n] = detail::multiply(detail::multiply(system.B[at], system.C[at]), state.coefficient);
        x[n] = state.z;
    }
    vandermonde<Scalar>(v, x, kernel);
}

/// The reverse pass of `dss_kernel`, as `diagonal_kernel_vjp`: adds to `gradient`.
template <RealScalar Scalar>
void dss_kernel_vjp(const DiagonalSystem& system, std::span<const Scalar> cotangent, DiagonalSystem& gradient) {
    const auto pairs = static_cast<std::size_t>(system.lambda.size());
    const auto length = static_cast<double>(cotangent.size());
    std::vector<std::complex<double>> x(pairs);
    for (std::size_t n = 0; n < pairs; ++n)
        x[n] = system.dt[static_cast<Index>(n)] * system.lambda[static_cast<Index>(n)];
    using detail::multiply;
    detail::power_sums(
        x, cotangent, detail::times_index(cotangent),
        [&](Index n, std::complex<double> sum, std::complex<double> by_exponent) {
            const detail::DssState state{system.lambda[n], system.dt[n], length};
            const std::complex<double> product = multiply(system.B[n], system.C[n]);
            const std::complex<double> by_v = 2.0 * std::conj(sum);
            gradient.B[n] += multiply(std::conj(multiply(system.C[n], state.coefficient)), by_v);
            gradient.C[n] += multiply(std::conj(multiply(system.B[n], state.coefficient)), by_v);
            // v = product · (e^z − 1)/2 · conj(q)/s with s = |q|² + ε, which depends on q and on conj(q).
            const double s = std::norm(state.q) + detail::DssState::softening;
            const std::complex<double> by_reciprocal = multiply(std::conj(0.5 * multiply(product, state.rise)), by_v);
            const std::complex<double> by_q = (detail::DssState::softening * std::conj(by_reciprocal) -
                                               multiply(multiply(state.q, state.q), by_reciprocal)) /
                                              (s * s);
            const std::complex<double> by_z =
                2.0 * std::conj(multiply(multiply(product, state.coefficient), by_exponent)) +
                multiply(std::conj(0.5 * multiply(multiply(product, state.reciprocal), 1.0 + state.rise)), by_v) +
                multiply(std::conj(length * multiply(state.lambda, 1.0 + state.whole_rise)), by_q);
            gradient.lambda[n] += multiply(std::conj(state.whole_rise), by_q) + system.dt[n] * by_z;
            gradient.dt[n] += multiply(std::conj(state.lambda), by_z).real();
        });
}

/// Kernels of diagonal systems, by Vandermonde products; no FFT.
template <RealScalar S, class Rule, class Shape, class Fft>
class KernelGenerator<Diagonal<S, Rule, Shape>, Fft> {
public:
    using Ssm = Diagonal<S, Rule, Shape>;
    struct Workspace {};

    KernelGenerator(const typename Ssm::Parameters& parameters, Index, Planning) : parameters_{parameters} {}
    [[nodiscard]] Workspace make_workspace() const { return {}; }
    void operator()(Workspace&, Index row, std::span<S> kernel) const {
        const Index channels = parameters_.channels();
        diagonal_kernel<S>(parameters_.rule, Ssm::system(parameters_, row % channels, row / channels), kernel);
    }

private:
    const typename Ssm::Parameters& parameters_;
};

}  // namespace s4::inline S4_ABI
