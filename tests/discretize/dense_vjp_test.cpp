// Reverse passes of the dense rules, entry by entry.
#include "tests/support/expect_error.hpp"
#include "tests/support/finite_difference.hpp"
#include "tests/support/tolerances.hpp"
#include <s4/core/random.hpp>
#include <s4/discretize/dense_vjp.hpp>

#include <gtest/gtest.h>

#include <vector>

namespace s4::test {
namespace {

using Wide = long double;
template <class Real>
using Matrix = Eigen::Matrix<Real, Dynamic, Dynamic>;
template <class Real>
using Vector = Eigen::Matrix<Real, Dynamic, 1>;

Matrix<double> random_matrix(Index rows, Index cols, std::uint64_t seed) {
    RandomEngine engine{seed};
    Matrix<double> matrix(rows, cols);
    for (auto& value : matrix.reshaped()) value = normal(engine);
    return matrix;
}

/// Differences of Σ weights ∘ A_bar + weights_B · B_bar, in long double.
template <class Rule>
DenseGradient<Wide> differences(const Rule& rule, Matrix<Wide> A, Vector<Wide> B, Wide dt,
                                const DenseStep<double>& weights) {
    const auto loss = [&] {
        const DenseStep<Wide> step = discretize(rule, A, B, dt);
        return step.A_bar.cwiseProduct(weights.A_bar.cast<Wide>()).sum() + step.B_bar.dot(weights.B_bar.cast<Wide>());
    };
    return {central_differences_of(loss, A).reshaped(A.rows(), A.cols()), central_differences_of(loss, B),
            central_difference_of(loss, dt)};
}

template <class Real, class Rule>
void expect_differences(const Rule& rule, const Matrix<double>& A, double dt) {
    const Index N = A.rows();
    SCOPED_TRACE(::testing::Message() << rule.name << ", N " << N << ", dt " << dt);
    const Vector<double> B = random_matrix(N, 1, 2);
    const DenseStep<double> weights{random_matrix(N, N, 3), random_matrix(N, 1, 4)};
    const DenseGradient<Wide> expected =
        differences(rule, A.cast<Wide>(), B.cast<Wide>(), static_cast<Wide>(dt), weights);
    const DenseGradient<Real> found =
        discretize_vjp(rule, A.cast<Real>(), B.cast<Real>(), static_cast<Real>(dt),
                       DenseStep<Real>{weights.A_bar.cast<Real>(), weights.B_bar.cast<Real>()});
    EXPECT_LE(relative_error(found.A, expected.A), reverse_pass);
    EXPECT_LE(relative_error(found.B, expected.B), reverse_pass);
    EXPECT_NEAR(static_cast<double>(found.dt), static_cast<double>(expected.dt),
                reverse_pass * std::abs(static_cast<double>(expected.dt)));
}

template <class Real>
class DenseVjp : public ::testing::Test {};
using Reals = ::testing::Types<double, long double>;
TYPED_TEST_SUITE(DenseVjp, Reals);

template <class Real>
void expect_differences_of_every_rule(const Matrix<double>& A, double dt) {
    expect_differences<Real>(Euler{}, A, dt);
    expect_differences<Real>(BackwardEuler{}, A, dt);
    expect_differences<Real>(Bilinear{}, A, dt);
    for (const double alpha : {0.0, 0.3, 1.0}) expect_differences<Real>(GeneralisedBilinear{alpha}, A, dt);
    expect_differences<Real>(ZeroOrderHold{}, A, dt);
    expect_differences<Real>(Dirac{}, A, dt);
}

TYPED_TEST(DenseVjp, OfEveryRuleIsTheDifferenceOfTheRule) {
    for (const Index N : {1, 2, 5})
        for (const double dt : {0.01, 0.3, 2.0})
            expect_differences_of_every_rule<TypeParam>(random_matrix(N, N, 1) - 3 * Matrix<double>::Identity(N, N),
                                                        dt);
}

TYPED_TEST(DenseVjp, OfSingularMatricesIsTheDifferenceOfTheRule) {
    Matrix<double> nilpotent = Matrix<double>::Zero(3, 3);
    nilpotent(0, 1) = 1.5;
    nilpotent(1, 2) = -2;
    expect_differences_of_every_rule<TypeParam>(nilpotent, 0.3);
    expect_differences_of_every_rule<TypeParam>(Matrix<double>::Zero(2, 2), 0.3);
}

TYPED_TEST(DenseVjp, OfAHugeCotangentKeepsItsDigits) {  // linear in the cotangent, whose size must not cost squarings
    using Real = TypeParam;
    const Matrix<Real> A = random_matrix(4, 4, 5).cast<Real>();
    const Vector<Real> B = random_matrix(4, 1, 6).cast<Real>();
    const DenseStep<Real> cotangent{random_matrix(4, 4, 7).cast<Real>(), random_matrix(4, 1, 8).cast<Real>()};
    const auto one = discretize_vjp(ZeroOrderHold{}, A, B, Real(0.1), cotangent);
    const Real scale = 0x1p60;
    const auto huge = discretize_vjp(ZeroOrderHold{}, A, B, Real(0.1),
                                     DenseStep<Real>{scale * cotangent.A_bar, scale * cotangent.B_bar});
    EXPECT_LE(relative_error((huge.A / scale).eval(), one.A), Tolerance<double>::rounding);
    EXPECT_LE(relative_error((huge.B / scale).eval(), one.B), Tolerance<double>::rounding);
    const DenseStep<Real> zero{Matrix<Real>::Zero(4, 4), Vector<Real>::Zero(4)};
    EXPECT_EQ(discretize_vjp(ZeroOrderHold{}, A, B, Real(0.1), zero).A.norm(), Real{0});
}

TEST(DenseVjpOfAMatrix, OfADiagonalOneIsTheDiagonalForm) {
    const Eigen::Vector3d lambda(-1e-7, -0.4, -30);
    const Matrix<double> A = lambda.asDiagonal();
    const Vector<double> B = random_matrix(3, 1, 9);
    const DenseStep<double> cotangent{random_matrix(3, 3, 10), random_matrix(3, 1, 11)};
    const auto check = [&](const auto& rule) {
        const DenseGradient<double> found = discretize_vjp(rule, A, B, 0.1, cotangent);
        double by_dt = 0;
        for (Index n = 0; n < 3; ++n) {
            const auto by_step = discretize_vjp(rule, std::complex<double>(lambda[n]), 0.1,
                                                {cotangent.A_bar(n, n), cotangent.B_bar[n] * B[n]});
            EXPECT_NEAR(found.A(n, n), by_step.lambda.real(), 10 * Tolerance<double>::rounding) << rule.name << n;
            by_dt += by_step.dt;
        }
        EXPECT_NEAR(found.dt, by_dt, 100 * Tolerance<double>::rounding * (1 + std::abs(by_dt))) << rule.name;
    };
    check(Euler{});
    check(BackwardEuler{});
    check(Bilinear{});
    check(GeneralisedBilinear{0.25});
    check(ZeroOrderHold{});
    check(Dirac{});
}

TEST(DenseVjpOfAMatrix, RefusesWhatDoesNotFit) {
    const Matrix<double> A = -Matrix<double>::Identity(2, 2);
    const Vector<double> B = Vector<double>::Ones(2);
    const DenseStep<double> step{A, B};
    EXPECT_S4_ERROR(static_cast<void>(discretize_vjp(Bilinear{}, A, B, 0.1, DenseStep<double>{A, Vector<double>(3)})),
                    "bilinear", "N = 2", "B_bar 3");
    EXPECT_S4_ERROR(static_cast<void>(discretize_vjp(ZeroOrderHold{}, A, B, -1.0, step)), "zoh", "dt", "above 0");
    EXPECT_S4_ERROR(static_cast<void>(discretize_vjp(Dirac{}, A.leftCols(1), B, 0.1, step)), "dirac", "square");
    EXPECT_S4_ERROR(static_cast<void>(discretize_vjp(Bilinear{}, Matrix<double>(20 * -A), B, 0.1, step)), "singular");
}

}  // namespace
}  // namespace s4::test
