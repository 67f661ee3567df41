// The bases against what they are the bases of: the memories themselves, and orthogonality.
#include "tests/support/expect_error.hpp"
#include "tests/support/tolerances.hpp"
#include <s4/discretize/dense.hpp>
#include <s4/hippo/reconstruction.hpp>
#include <s4/hippo/window.hpp>

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <limits>
#include <numbers>
#include <string>
#include <vector>

namespace s4::test {
namespace {

using Accuracy = Tolerance<double>;
using Wide = long double;

/// Nodes and weights of Gauss's quadrature on [0, 1], exact up to degree 2·count − 1.
struct Gauss {
    explicit Gauss(Index count) : nodes(count), weights(count) {
        for (Index i = 0; i < count; ++i) {
            Wide x =
                std::cos(std::numbers::pi_v<Wide> * (static_cast<Wide>(i) + 0.75L) / (static_cast<Wide>(count) + 0.5L));
            Wide slope = 0;
            for (int round = 0; round < 20; ++round) {
                Wide before = 0;
                Wide value = 1;
                for (Index n = 0; n < count; ++n) {
                    const auto order = static_cast<Wide>(n);
                    const Wide next = ((2 * order + 1) * x * value - order * before) / (order + 1);
                    before = value;
                    value = next;
                }
                slope = static_cast<Wide>(count) * (before - x * value) / (1 - x * x);
                x -= value / slope;
            }
            nodes[i] = static_cast<double>((1 + x) / 2);
            weights[i] = static_cast<double>(1 / ((1 - x * x) * slope * slope));
        }
    }
    Eigen::VectorXd nodes;
    Eigen::VectorXd weights;
};

Eigen::VectorXd points(std::initializer_list<double> values) {
    return Eigen::Map<const Eigen::VectorXd>(values.begin(), static_cast<Index>(values.size()));
}

/// Σ_i weight_i g_n(v_i) g_m(v_i).
Eigen::MatrixXd gram(const Eigen::MatrixXd& basis, const Eigen::VectorXd& weights) {
    return basis.transpose() * weights.asDiagonal() * basis;
}

TEST(ShiftedLegendre, IsExactAtTheEndsAndAccurateNextToThem) {
    const Index N = 1024;
    Eigen::VectorXd values(N);
    detail::shifted_legendre(1.0, 0.0, N, values.data());
    EXPECT_EQ((values.array() - 1).abs().maxCoeff(), 0);
    detail::shifted_legendre(0.0, 1.0, N, values.data());
    for (Index n = 0; n < N; ++n) ASSERT_EQ(values[n], n % 2 == 0 ? 1 : -1);

    for (const double s : {1e-9, 1e-6, 1e-5, 1e-3, 0.1, 0.3, 0.5, 0.7, 0.999, 1 - 1e-6}) {
        detail::shifted_legendre(s, 1 - s, N, values.data());
        const Wide x = 2 * static_cast<Wide>(s) - 1;  // the textbook's recurrence, 11 bits wider
        Wide before = 0;
        Wide value = 1;
        for (Index n = 0; n < N; ++n) {
            ASSERT_LE(std::abs(static_cast<double>(value - values[n])), 10 * Accuracy::rounding) << s << " " << n;
            const auto order = static_cast<Wide>(n);
            const Wide next = ((2 * order + 1) * x * value - order * before) / (order + 1);
            before = value;
            value = next;
        }
    }
}

TEST(Laguerre, SurvivesWhereItsExponentialUnderflows) {
    const Index N = 700;
    const double v = 2000;  // e^(−1000) is no double
    Eigen::VectorXd values(N);
    detail::laguerre(v, 0.0, 0.5, N, values.data());
    Wide before = 0;
    Wide value = std::exp(-0.5L * static_cast<Wide>(v));
    double largest = 0;
    for (Index n = 0; n < N; ++n) {
        ASSERT_LE(std::abs(static_cast<double>(value - values[n])), Accuracy::law) << n;
        largest = std::max(largest, std::abs(values[n]));
        const auto order = static_cast<Wide>(n);
        const Wide next = ((2 * order + 1 - static_cast<Wide>(v)) * value - order * before) / (order + 1);
        before = value;
        value = next;
    }
    EXPECT_GT(largest, 0.01);
}

TEST(ReconstructionBasis, IsOrthonormalForItsMeasure) {
    const Gauss gauss(64);
    for (const Index N : {1, 2, 9, 33}) {
        const Eigen::MatrixXd identity = Eigen::MatrixXd::Identity(N, N);
        EXPECT_LE(relative_error(gram(reconstruction_basis(LegT{}, N, gauss.nodes), gauss.weights), identity),
                  10 * Accuracy::rounding);
        EXPECT_LE(relative_error(gram(legs_past_basis(N, gauss.nodes), gauss.weights), identity),
                  10 * Accuracy::rounding);
        const Eigen::VectorXd lags = -gauss.nodes.array().log();  // e^(−v) dv = ds
        EXPECT_LE(relative_error(gram(reconstruction_basis(LegS{}, N, lags), gauss.weights), identity),
                  100 * Accuracy::rounding);  // of the logarithm of the nodes, times the slope of the polynomials
        Eigen::MatrixXd lmu = reconstruction_basis(Lmu{}, N, gauss.nodes);
        for (Index n = 0; n < N; ++n) lmu.col(n) *= std::sqrt(static_cast<double>(2 * n + 1));
        EXPECT_LE(relative_error(gram(lmu, gauss.weights), identity), 10 * Accuracy::rounding);
    }
    // A periodic function needs no Gauss; the sine of frequency 0 is none.
    const Index count = 64;
    const Eigen::VectorXd grid = Eigen::VectorXd::LinSpaced(count + 1, 0, 1).head(count);
    const Eigen::VectorXd equal = Eigen::VectorXd::Constant(count, 1.0 / count);
    Eigen::MatrixXd expected = Eigen::MatrixXd::Identity(12, 12);
    expected(1, 1) = 0;
    EXPECT_LE(relative_error(gram(reconstruction_basis(Fourier{}, 12, grid), equal), expected), Accuracy::rounding);
}

/// The answer of the states to an impulse, v after it: e^(vA) B.
Eigen::VectorXd impulse_response(const Hippo& hippo, Index N, double v) {
    const HippoSystem system = transition(hippo, N);
    if (v == 0) return system.B;
    return discretize(Dirac{}, system.A, system.B, v).A_bar * system.B;
}

TEST(ReconstructionBasis, TimesTheMeasureIsTheImpulseResponse) {
    struct Fading {
        Hippo hippo;
        std::function<double(double)> measure;
    };
    const auto kappa = [](double alpha, double beta) {
        return std::pow(beta, (1 - alpha) / 2) / std::sqrt(std::tgamma(1 - alpha));
    };
    const std::vector<Fading> cases{
        {LegS{}, [](double v) { return std::exp(-v); }},
        {LagT{}, [](double) { return 1.0; }},
        {LagT{0.5}, [](double) { return 0.25; }},
        {TiltedLagT{}, [](double v) { return std::exp(-v); }},
        {TiltedLagT{0.3}, [](double v) { return 0.09 * std::exp(-0.3 * v); }},
        {GeneralisedLagT{0.0, 0.01}, [&](double v) { return std::pow(kappa(0.0, 0.01), 2) * std::exp(-0.01 * v); }},
        {GeneralisedLagT{0.5, 0.5},
         [&](double v) { return std::pow(kappa(0.5, 0.5), 2) * std::exp(-0.5 * v) / std::sqrt(v); }},
        {GeneralisedLagT{-0.4, 0.7},
         [&](double v) { return std::pow(kappa(-0.4, 0.7), 2) * std::exp(-0.7 * v) * std::pow(v, 0.4); }},
    };
    for (const Fading& fading : cases)
        for (const Index N : {1, 2, 16})
            for (const double v : {0.01, 0.5, 1.0, 7.0}) {
                const Eigen::VectorXd basis = reconstruction_basis(fading.hippo, N, points({v})).row(0);
                EXPECT_LE(relative_error((fading.measure(v) * basis).eval(), impulse_response(fading.hippo, N, v)),
                          Accuracy::law)
                    << name_of(fading.hippo) << " " << N << " " << v;
            }
}

/// For a signal f whose piece in the window lies in the span of the basis, the coefficients of that piece solve
/// x' = A x + B f exactly: nothing is lost at the far end.
void expect_exact_trajectory(const Hippo& hippo, Index N, const std::function<double(double)>& f,
                             const std::function<double(double)>& slope, const Eigen::VectorXd& nodes,
                             const Eigen::VectorXd& weights) {
    const Eigen::MatrixXd basis = reconstruction_basis(hippo, N, nodes);
    const double window = 2.5;
    const double t = 0.3;
    Eigen::VectorXd x = Eigen::VectorXd::Zero(N);
    Eigen::VectorXd change = x;
    for (Index i = 0; i < nodes.size(); ++i)
        for (Index n = 0; n < N; ++n) {
            const double weight =
                std::holds_alternative<Lmu>(hippo) ? static_cast<double>(2 * n + 1) : 1.0;  // 1/|g_n|²
            x[n] += weight * weights[i] * basis(i, n) * f(t - window * nodes[i]);
            change[n] += weight * weights[i] * basis(i, n) * slope(t - window * nodes[i]);
        }
    const HippoSystem system = windowed_transition(hippo, N, window);
    EXPECT_LE(relative_error((system.A * x + system.B * f(t)).eval(), change), Accuracy::law) << name_of(hippo) << N;
    // and x gives the signal back
    const Eigen::VectorXd lags = points({0.0, 0.2, 0.77, 1.0});
    const Eigen::VectorXd found = reconstruction_basis(hippo, N, lags) * x;
    for (Index i = 0; i < lags.size(); ++i)
        EXPECT_NEAR(found[i], f(t - window * lags[i]), Accuracy::law) << name_of(hippo) << N;
}

TEST(ReconstructionBasis, FollowsPolynomialsThroughTheWindowOfLegTAndLmu) {
    const Gauss gauss(20);
    const auto f = [](double t) { return 1 + t * (0.5 - t * (0.2 + 0.1 * t)); };
    const auto slope = [](double t) { return 0.5 - t * (0.4 + 0.3 * t); };
    for (const Index N : {4, 5, 16}) {
        expect_exact_trajectory(LegT{}, N, f, slope, gauss.nodes, gauss.weights);
        expect_exact_trajectory(Lmu{}, N, f, slope, gauss.nodes, gauss.weights);
    }
}

TEST(ReconstructionBasis, FollowsHarmonicsThroughTheWindowOfFourier) {
    const Eigen::VectorXd grid = Eigen::VectorXd::LinSpaced(65, 0, 1).head(64);
    const Eigen::VectorXd equal = Eigen::VectorXd::Constant(64, 1.0 / 64);
    const double rate = 2 * std::numbers::pi / 2.5;
    const auto f = [&](double t) { return 0.4 + std::sin(rate * t) + 0.3 * std::cos(3 * rate * t); };
    const auto slope = [&](double t) { return rate * std::cos(rate * t) - 0.9 * rate * std::sin(3 * rate * t); };
    for (const Index N : {8, 16}) {
        expect_exact_trajectory(Fourier{}, N, f, slope, grid, equal);
        expect_exact_trajectory(Fourier2{}, N, f, slope, grid, equal);
    }
}

TEST(ReconstructionBasis, RefusesWhatItCannotGiveBack) {
    const Eigen::VectorXd inside = points({0.5});
    for (const Hippo& hippo : {Hippo{LegSD{}}, Hippo{FourierDecay{}}, Hippo{FourierDiagonal{}}})
        EXPECT_S4_ERROR(static_cast<void>(reconstruction_basis(hippo, 4, inside)), "no basis", "allowed: legs, legt");
    for (const double lag : {-0.1, 1.1, std::nan("")}) {
        EXPECT_S4_ERROR(static_cast<void>(reconstruction_basis(LegT{}, 4, points({lag}))), "legt", "[0, 1] windows");
        EXPECT_S4_ERROR(static_cast<void>(legs_past_basis(4, points({lag}))), "[0, 1]");
    }
    EXPECT_S4_ERROR(static_cast<void>(reconstruction_basis(LegS{}, 4, points({-1.0}))), "legs", "not negative");
    EXPECT_S4_ERROR(
        static_cast<void>(reconstruction_basis(LagT{}, 4, points({std::numeric_limits<double>::infinity()}))),
        "finite");
    EXPECT_S4_ERROR(static_cast<void>(reconstruction_basis(Fourier{}, 5, inside)), "even", "N = 5");
    EXPECT_S4_ERROR(static_cast<void>(reconstruction_basis(LagT{-1.0}, 4, inside)), "beta");
    EXPECT_S4_ERROR(static_cast<void>(reconstruction_basis(LegT{}, 0, inside)), "N must be at least 1");
    EXPECT_S4_ERROR(static_cast<void>(legs_past_basis(0, inside)), "N must be at least 1");
}

}  // namespace
}  // namespace s4::test
