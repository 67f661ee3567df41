// The solver for real skew matrices against Eigen's Hermitian solver, on matrices that are hard on such solvers.
#include "tests/support/tolerances.hpp"
#include <s4/core/random.hpp>
#include <s4/hippo/skew_eigen.hpp>

#include <Eigen/Eigenvalues>
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

namespace s4::test {
namespace {

using Matrix = Eigen::MatrixXd;

/// The skew matrix with entries `lower(row, column)` below the diagonal.
Matrix skew(Index N, const std::function<double(Index, Index)>& lower) {
    Matrix S = Matrix::Zero(N, N);
    for (Index column = 0; column < N; ++column)
        for (Index row = column + 1; row < N; ++row) {
            S(row, column) = lower(row, column);
            S(column, row) = -S(row, column);
        }
    return S;
}

void expect_decomposed(const Matrix& S, const std::string& what) {
    const Index N = S.rows();
    const detail::SkewEigen<double> found = detail::skew_eigen<double>(S);
    const double size = std::max(S.norm(), std::numeric_limits<double>::min());
    const Eigen::MatrixXcd wide = S.cast<std::complex<double>>();
    const Eigen::MatrixXcd turned = found.V * (std::complex<double>{0, -1} * found.sigma).asDiagonal();
    EXPECT_LE((wide * found.V - turned).norm() / size, 1e-13) << what;
    Eigen::MatrixXcd both(N, N);
    both << found.V, found.V.conjugate();
    EXPECT_LE((both.adjoint() * both - Eigen::MatrixXcd::Identity(N, N)).norm(), 1e-13 * std::sqrt(N)) << what;
    const Eigen::SelfAdjointEigenSolver<Eigen::MatrixXcd> hermitian(Eigen::MatrixXcd(std::complex<double>{0, 1} * wide),
                                                                    Eigen::EigenvaluesOnly);
    for (Index j = 0; j < N / 2; ++j) {
        EXPECT_GE(found.sigma[j], 0.0) << what;
        EXPECT_NEAR(found.sigma[j], hermitian.eigenvalues()[N - 1 - j], 1e-13 * size) << what << ", pair " << j;
        EXPECT_LE(found.sigma[j], found.sigma[std::max<Index>(j - 1, 0)]) << what;
    }
}

TEST(SkewEigen, AgreesWithEigensHermitianSolver) {
    RandomEngine engine{20'261'121};
    for (const Index N : {2, 4, 6, 10, 32, 64}) {
        const std::string at = ", N = " + std::to_string(N);
        for (int repeat = 0; repeat < 20; ++repeat) {
            expect_decomposed(skew(N, [&](Index, Index) { return normal(engine); }), "dense" + at);
            expect_decomposed(
                skew(N, [&](Index row, Index column) { return row == column + 1 ? normal(engine) : 0.0; }),
                "tridiagonal" + at);
            expect_decomposed(skew(N,
                                   [&](Index row, Index column) {
                                       return row == column + 1 && uniform(engine) < 0.6 ? normal(engine) : 0.0;
                                   }),
                              "tridiagonal with holes" + at);
            expect_decomposed(skew(N, [&](Index, Index) { return uniform(engine) < 0.1 ? normal(engine) : 0.0; }),
                              "sparse" + at);
            expect_decomposed(skew(N, [&](Index, Index) { return std::floor(3 * uniform(engine)) - 1; }),
                              "integers" + at);
            expect_decomposed(
                skew(N,
                     [&](Index row, Index) { return normal(engine) * std::pow(10.0, -static_cast<double>(row) / 2); }),
                "graded" + at);
        }
        for (const double scale : {1e-150, 1e150})
            expect_decomposed(skew(N, [&](Index, Index) { return scale * normal(engine); }), "scaled" + at);
        expect_decomposed(Matrix::Zero(N, N), "zero" + at);
        expect_decomposed(skew(N, [](Index, Index) { return 1.0; }), "ones" + at);
        expect_decomposed(
            skew(N, [](Index row, Index column) { return row == column + 1 && column % 2 == 0 ? 1.0 : 0.0; }),
            "one eigenvalue, repeated" + at);
        const Matrix low_rank_left = Matrix::Random(N, 1);
        const Matrix low_rank_right = Matrix::Random(N, 1);
        expect_decomposed(low_rank_left * low_rank_right.transpose() - low_rank_right * low_rank_left.transpose(),
                          "rank two" + at);
    }
}

}  // namespace
}  // namespace s4::test
