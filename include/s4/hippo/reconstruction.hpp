// From the states of a HiPPO memory back to the signal: the basis functions that the states are coefficients of.
#pragma once

#include <s4/core/sequence.hpp>
#include <s4/hippo/hippo.hpp>

#include <cmath>
#include <numbers>

namespace s4::inline S4_ABI {

namespace detail {

/// values[n] = P_n(2s − 1) for n < N, where s = `from_start` and 1 − s = `from_end` both come with full accuracy. The
/// recurrence of the differences P_{n+1} − P_n = (n (P_n − P_{n−1}) + (2n+1)(x − 1) P_n)/(n+1) from the nearer end of
/// the interval: |error| stays below 1e-14 for N = 4096, where the textbook's form loses N² units next to an end.
inline void shifted_legendre(double from_start, double from_end, Index N, double* values) noexcept {
    const bool mirrored = from_start < from_end;  // P_n(−x) = (−1)^n P_n(x)
    const double x_minus_one = -2 * (mirrored ? from_start : from_end);
    double value = 1;
    double difference = 0;
    for (Index n = 0; n < N; ++n) {
        values[n] = mirrored && n % 2 == 1 ? -value : value;
        const auto order = static_cast<double>(n);
        difference = (order * difference + (2 * order + 1) * x_minus_one * value) / (order + 1);
        value += difference;
    }
}

/// values[n] = e^(−rate v) L_n^(alpha)(v) √(n!/Γ(n+alpha+1)) for n < N: Laguerre polynomials, orthonormal for the
/// weight v^alpha e^(−v) when rate = 0. A running exponent keeps the exponential from underflow where late
/// polynomials outgrow it.
inline void laguerre(double v, double alpha, double rate, Index N, double* values) noexcept {
    constexpr double large = 1e100;
    double value = 1 / std::sqrt(std::tgamma(1 + alpha));
    double before = 0;
    double exponent = -rate * v;
    for (Index n = 0; n < N; ++n) {
        values[n] = value * std::exp(exponent);
        // (n+1) L_{n+1} = (2n + 1 + alpha − v) L_n − (n + alpha) L_{n−1}, each divided by its norm
        const auto order = static_cast<double>(n);
        const double scale = std::sqrt((order + 1) * (order + 1 + alpha));
        const double next = ((2 * order + 1 + alpha - v) * value - std::sqrt(order * (order + alpha)) * before) / scale;
        before = value;
        value = next;
        if (std::abs(value) > large) {
            value /= large;
            before /= large;
            exponent += std::log(large);
        }
    }
}

inline void scale_by_norms(Index N, double* values) noexcept {
    for (Index n = 0; n < N; ++n) values[n] *= std::sqrt(static_cast<double>(2 * n + 1));
}

// basis(measure, v, N, values): the functions g_n of u(t − v) = Σ_n x_n g_n(v), v in natural windows.

inline void basis(const LegS&, double v, Index N, double* values) noexcept {
    shifted_legendre(std::exp(-v), -std::expm1(-v), N, values);
    scale_by_norms(N, values);
}
inline void basis(const LegT&, double v, Index N, double* values) noexcept {
    shifted_legendre(1 - v, v, N, values);
    scale_by_norms(N, values);
}
inline void basis(const Lmu&, double v, Index N, double* values) noexcept { shifted_legendre(v, 1 - v, N, values); }
inline void basis(const LagT& measure, double v, Index N, double* values) noexcept {
    laguerre(v, 0, 0.5, N, values);
    for (Index n = 0; n < N; ++n) values[n] /= measure.beta;
}
inline void basis(const TiltedLagT& measure, double v, Index N, double* values) noexcept {
    laguerre(v, 0, (1 - measure.beta) / 2, N, values);
    for (Index n = 0; n < N; ++n) values[n] /= measure.beta;
}
inline void basis(const GeneralisedLagT& measure, double v, Index N, double* values) noexcept {
    laguerre(v, measure.alpha, (1 - measure.beta) / 2, N, values);
    const double gain = std::pow(v, measure.alpha) * std::sqrt(std::tgamma(1 - measure.alpha)) /
                        std::pow(measure.beta, (1 - measure.alpha) / 2);
    for (Index n = 0; n < N; ++n) values[n] *= gain;
}
template <class Measure>
requires std::same_as<Measure, Fourier> || std::same_as<Measure, Fourier2>
void basis(const Measure&, double v, Index N, double* values) noexcept {
    for (Index n = 0; n < N; ++n) {
        const double turns = static_cast<double>(n / 2) * v;
        const double angle = 2 * std::numbers::pi * (turns - std::round(turns));
        values[n] = n == 0 ? 1.0 : std::numbers::sqrt2 * (n % 2 == 0 ? std::cos(angle) : std::sin(angle));
    }
}

template <class Measure>
concept MeasureWithBasis = requires(const Measure& measure, double* values) {
    basis(measure, 0.0, Index{1}, values);
};

/// Whether the measure has an end, at lag 1.
template <class Measure>
inline constexpr bool has_window = std::same_as<Measure, LegT> || std::same_as<Measure, Lmu> ||
                                   std::same_as<Measure, Fourier> || std::same_as<Measure, Fourier2>;

template <std::same_as<double> Real>
Eigen::Matrix<Real, Dynamic, Dynamic, Eigen::RowMajor> basis_table(Index points, Index N) {
    return Eigen::Matrix<Real, Dynamic, Dynamic, Eigen::RowMajor>(points, N);
}

/// [P × H]: basis [P × N] times coefficients [H × N], summed in double.
template <RealScalar Scalar, class Basis, class Coefficients>
Sequence<Scalar> reconstruct(const Basis& basis, const Coefficients& c) {
    Sequence<Scalar> signal(basis.rows(), c.rows());
    for (Index point = 0; point < basis.rows(); ++point)
        for (Index h = 0; h < c.rows(); ++h) {
            double sum = 0;
            for (Index n = 0; n < c.cols(); ++n) sum += basis(point, n) * static_cast<double>(c(h, n));
            signal(point, h) = static_cast<Scalar>(sum);
        }
    return signal;
}

}  // namespace detail

/// The basis of the memory x' = A x + B u of a measure at `lags` [P] into the past, in windows (time constants) of the
/// measure: G [P × N], and u(t − lag) ≈ G x(t). With g_n the functions below, v the lag, P_n the Legendre and L_n the
/// Laguerre polynomials:
///
/// legs          √(2n+1) P_n(2e^(−v) − 1)      the past fades as e^(−v)
/// legt          √(2n+1) P_n(1 − 2v)           0 ≤ v ≤ 1
/// lmu           P_n(2v − 1)                   0 ≤ v ≤ 1: delays u by a fraction v of the window (Voelker 2019, eq. 3)
/// fourier, fourier2    1, √2 cos 2πkv in n = 2k, √2 sin 2πkv in n = 2k + 1      0 ≤ v ≤ 1, N even
/// lagt          e^(−v/2) L_n(v)/beta          orthonormal without a weight
/// tlagt         e^(−(1−beta)v/2) L_n(v)/beta
/// glagt         v^alpha e^(−(1−beta)v/2) L_n^(alpha)(v)/l_n, times √Γ(1−alpha) beta^((alpha−1)/2)
///
/// g_n is what makes Σ x_n g_n the best approximation in the norm that the measure stands for: the impulse response of
/// state n is g_n times the measure, and the g_n are orthonormal for it. Every one of them is accurate to about 1e-14
/// of the largest at any N in use; O(P N). Error when a lag is outside of the window or negative, and for legsd,
/// fourier_decay and fourier_diag, whose states are not coefficients of an orthogonal basis.
template <std::same_as<double> Real = double>
[[nodiscard]] Eigen::Matrix<Real, Dynamic, Dynamic, Eigen::RowMajor> reconstruction_basis(const Hippo& hippo, Index N,
                                                                                          const Eigen::VectorXd& lags) {
    detail::require_state_size(name_of<Real>(hippo), N);
    auto table = detail::basis_table<Real>(lags.size(), N);
    std::visit(
        [&]<class Measure>(const Measure& measure) {
            if constexpr (detail::MeasureWithBasis<Measure>) {
                static_cast<void>(measure.template transition<Real>(1));  // checks the measure's own parameters
                if constexpr (std::same_as<Measure, Fourier> || std::same_as<Measure, Fourier2>)
                    detail::require(N % 2 == 0, "hippo ", Measure::name,
                                    ": a reconstruction needs an even state size, found N = ", N);
                for (Index point = 0; point < lags.size(); ++point) {
                    const double v = lags[point];
                    if constexpr (detail::has_window<Measure>)
                        detail::require(v >= 0 && v <= 1, "hippo ", Measure::name,
                                        ": a lag must lie in [0, 1] windows, found ", v);
                    else
                        detail::require(detail::is_finite(v) && v >= 0, "hippo ", Measure::name,
                                        ": a lag must be finite and not negative, found ", v);
                    detail::basis(measure, v, N, table.data() + point * N);
                }
            } else {
                detail::raise("hippo: measure '", Measure::name,
                              "' has no basis to reconstruct from; allowed: legs, legt, lmu, lagt, tlagt, glagt, "
                              "fourier, fourier2");
            }
        },
        hippo);
    return table;
}

/// The basis of scale-invariant LegS at `points` [P] of the whole past, 0 its first sample and 1 the newest:
/// √(2n+1) P_n(2s − 1), [P × N]. O(P N). Error unless N ≥ 1 and every point lies in [0, 1]. (HiPPO, section 2.3)
template <std::same_as<double> Real = double>
[[nodiscard]] Eigen::Matrix<Real, Dynamic, Dynamic, Eigen::RowMajor> legs_past_basis(Index N,
                                                                                     const Eigen::VectorXd& points) {
    detail::require_state_size("legs", N);
    auto table = detail::basis_table<Real>(points.size(), N);
    for (Index point = 0; point < points.size(); ++point) {
        const double s = points[point];
        detail::require(s >= 0 && s <= 1, "hippo legs: a point of the past must lie in [0, 1], found ", s);
        detail::shifted_legendre(s, 1 - s, N, table.data() + point * N);
        detail::scale_by_norms(N, table.data() + point * N);
    }
    return table;
}

}  // namespace s4::inline S4_ABI
