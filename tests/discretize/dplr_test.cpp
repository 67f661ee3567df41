// The structured bilinear rule against the dense one, and C~ both ways.
#include "tests/reference/reference.hpp"
#include "tests/support/expect_error.hpp"
#include "tests/support/tolerances.hpp"
#include <s4/discretize/dplr.hpp>

#include <gtest/gtest.h>

namespace s4::test {
namespace {

DplrSystem random_system(Index pairs, Index rank, double dt, std::uint64_t seed, bool tied = true) {
    RandomEngine engine{seed};
    DplrSystem system{Eigen::VectorXcd(pairs),
                      Eigen::MatrixXcd(rank, pairs),
                      Eigen::VectorXcd(pairs),
                      Eigen::VectorXcd(pairs),
                      Eigen::VectorXd(pairs),
                      0.25,
                      0};
    for (Index n = 0; n < pairs; ++n) {
        system.lambda[n] = {-0.1 - uniform(engine), -3.0 * static_cast<double>(n)};
        system.B[n] = complex_normal(engine);
        system.C[n] = complex_normal(engine);
        system.dt[n] = tied ? dt : dt * (1 + uniform(engine));
        for (Index r = 0; r < rank; ++r) system.P(r, n) = complex_normal(engine);
    }
    return system;
}

// Ā over both halves, from the factors.
WideMatrix assemble(const DiscreteDplr& discrete) {
    const Index pairs = discrete.a_minus_one.size();
    WideMatrix A = WideMatrix::Identity(2 * pairs, 2 * pairs);
    for (Index n = 0; n < pairs; ++n) {
        A(n, n) += WideComplex(discrete.a_minus_one[n]);
        A(pairs + n, pairs + n) += std::conj(WideComplex(discrete.a_minus_one[n]));
    }
    for (Index r = 0; r < discrete.G.rows(); ++r)
        for (Index row = 0; row < pairs; ++row)
            for (Index column = 0; column < pairs; ++column) {
                const WideComplex f(discrete.F(row, r));
                const WideComplex g(discrete.G(r, column));
                A(row, column) += f * g;
                A(row, pairs + column) += f * std::conj(g);
                A(pairs + row, column) += std::conj(f) * g;
                A(pairs + row, pairs + column) += std::conj(f) * std::conj(g);
            }
    return A;
}

TEST(DplrBilinear, IsTheDenseBilinearRule) {
    for (const bool tied : {true, false})
        for (const Index rank : {0, 1, 2, 3, 4})
            for (const Index pairs : {1, 2, 5})
                for (const double dt : {1e-8, 1e-3, 0.3, 20.0}) {
                    const DplrSystem system = random_system(pairs, rank, dt, 3, tied);
                    const DiscreteDplr discrete = discretize(Bilinear{}, system);
                    const DenseSystem dense = dense_bilinear(system);
                    EXPECT_LE(relative_error(assemble(discrete), dense.A), 10 * Tolerance<double>::rounding)
                        << "rank " << rank << ", dt " << dt;
                    EXPECT_LE(relative_error(discrete.B_bar, dense.B.head(pairs)), 100 * Tolerance<double>::rounding);
                }
}

TEST(DplrBilinear, TheRealMatrixActsLikeTheComplexOne) {
    const DplrSystem system = random_system(4, 2, 0.1, 5);
    const DiscreteDplr discrete = discretize(Bilinear{}, system);
    const Eigen::MatrixXd real = detail::real_matrix(discrete);
    WideVector x = WideVector::Zero(8);
    RandomEngine engine{6};
    Eigen::VectorXd planes(8);
    for (Index n = 0; n < 4; ++n) {
        const std::complex<double> value = complex_normal(engine);
        x[n] = WideComplex(value);
        x[4 + n] = std::conj(WideComplex(value));
        planes[n] = value.real();
        planes[4 + n] = value.imag();
    }
    const WideVector next = assemble(discrete) * x;
    const Eigen::VectorXd next_planes = real * planes;
    for (Index n = 0; n < 4; ++n) {
        EXPECT_NEAR(next_planes[n], static_cast<double>(next[n].real()), 1e-14);
        EXPECT_NEAR(next_planes[4 + n], static_cast<double>(next[n].imag()), 1e-14);
    }
}

TEST(CTilde, IsCTimesOneMinusThePower) {
    const DplrSystem system = random_system(4, 1, 0.05, 7);
    const DenseSystem dense = dense_bilinear(system);
    for (const Index length : {1, 2, 3, 7, 16, 100}) {
        WideMatrix power = WideMatrix::Identity(8, 8);
        for (Index l = 0; l < length; ++l) power = (power * dense.A).eval();
        const WideVector expected = dense.C - power.transpose() * dense.C;
        const DplrSystem changed = to_length(system, length);
        EXPECT_EQ(changed.kernel_length, length);
        EXPECT_LE(relative_error(changed.C, expected.head(4)), 10 * Tolerance<double>::rounding) << length;
    }
}

TEST(CTilde, GoesBackToPlainAndToOtherLengths) {
    // As slow as the published models get: dt N² L small, so that I − Ā^L is nearly singular (condition about 1e3).
    for (const double dt : {1e-5, 1e-3, 0.1}) {
        DplrSystem system = random_system(8, 1, dt, 8);
        for (const Index length : {64, 1000}) {
            const DplrSystem there = to_length(system, length);
            EXPECT_LE(relative_error(to_plain(there).C, system.C), 1e-10) << dt << " " << length;
            EXPECT_LE(relative_error(to_length(there, 333).C, to_length(system, 333).C), 1e-10);
        }
    }
}

TEST(CTilde, OfALongKernelOfAFastSystemIsC) {
    const DplrSystem system = random_system(4, 1, 0.5, 9);
    EXPECT_EQ((to_length(system, Index{1} << 28).C - system.C).norm(), 0.0);
}

TEST(CTilde, ConvertsWholeParameters) {
    using Ssm = Dplr<double>;
    const Ssm::Parameters plain = Ssm::random({.channels = 3, .state_size = 8}, 1);
    const Ssm::Parameters changed = to_length<Ssm>(plain, 50);
    EXPECT_EQ(changed.kernel_length, 50);
    EXPECT_GT(relative_error(changed.C, plain.C), 1e-3);
    const Ssm::Parameters back = to_plain<Ssm>(changed);
    EXPECT_EQ(back.kernel_length, 0);
    EXPECT_LE(relative_error(back.C, plain.C), 1e-11);
    EXPECT_S4_ERROR(static_cast<void>(to_length<Ssm>(plain, -1)), "kernel length", "found -1");
}

}  // namespace
}  // namespace s4::test
