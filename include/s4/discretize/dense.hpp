// The dense form of every rule: whole matrices A and B. The only header here that needs Eigen's solvers.
#pragma once

#include <s4/core/error.hpp>
#include <s4/discretize/bilinear.hpp>
#include <s4/discretize/dirac.hpp>
#include <s4/discretize/euler.hpp>
#include <s4/discretize/generalised_bilinear.hpp>
#include <s4/discretize/zero_order_hold.hpp>

#include <Eigen/LU>
#include <unsupported/Eigen/MatrixFunctions>

#include <limits>
#include <type_traits>

namespace s4::inline S4_ABI {

/// One time step x_l = A_bar x_{l−1} + B_bar u_l.
template <RealScalar Real>
struct DenseStep {
    Eigen::Matrix<Real, Dynamic, Dynamic> A_bar;  ///< [N × N]
    Eigen::Matrix<Real, Dynamic, 1> B_bar;        ///< [N]
};

namespace detail {

/// I − w dt A, factorised. Error where it is singular.
template <RealScalar Real>
Eigen::PartialPivLU<Eigen::Matrix<Real, Dynamic, Dynamic>> implicit_part(const WeightedRule auto& rule,
                                                                         const Eigen::Matrix<Real, Dynamic, Dynamic>& A,
                                                                         Real dt) {
    using Matrix = Eigen::Matrix<Real, Dynamic, Dynamic>;
    const auto weight = static_cast<Real>(rule.weight());
    const Matrix left = Matrix::Identity(A.rows(), A.rows()) - weight * dt * A;
    Eigen::PartialPivLU<Matrix> lu(left);
    // Eigen's condition estimate is meaningless after a pivot of exactly 0.
    const bool regular =
        (lu.matrixLU().diagonal().array() != Real{0}).all() && lu.rcond() > std::numeric_limits<Real>::epsilon();
    require(regular, "discretize ", rule.name, ": the matrix I - w dt A is singular at w = ", weight, ", dt = ", dt);
    return lu;
}

template <RealScalar Real>
DenseStep<Real> dense_step(const WeightedRule auto& rule, const Eigen::Matrix<Real, Dynamic, Dynamic>& A,
                           const Eigen::Matrix<Real, Dynamic, 1>& B, Real dt) {
    DenseStep<Real> step{dt * A, dt * B};
    if (rule.weight() > 0 && A.rows() > 0) {
        const auto lu = implicit_part<Real>(rule, A, dt);
        step.A_bar = lu.solve(step.A_bar).eval();
        step.B_bar = lu.solve(step.B_bar).eval();
    }
    step.A_bar.diagonal().array() += Real{1};  // (I − w dt A)⁻¹(I + (1−w) dt A) = I + (I − w dt A)⁻¹ dt A
    return step;
}

/// [[A, B], [0, 0]]·dt, whose exponential holds both results of a hold, whether A is singular or not. (Van Loan 1978)
template <RealScalar Real>
Eigen::Matrix<Real, Dynamic, Dynamic> held_block(const Eigen::Matrix<Real, Dynamic, Dynamic>& A,
                                                 const Eigen::Matrix<Real, Dynamic, 1>& B, Real dt) {
    const Index N = A.rows();
    Eigen::Matrix<Real, Dynamic, Dynamic> block = Eigen::Matrix<Real, Dynamic, Dynamic>::Zero(N + 1, N + 1);
    block.topLeftCorner(N, N) = dt * A;
    block.topRightCorner(N, 1) = dt * B;
    return block;
}

template <RealScalar Real>
DenseStep<Real> dense_step(const ZeroOrderHold&, const Eigen::Matrix<Real, Dynamic, Dynamic>& A,
                           const Eigen::Matrix<Real, Dynamic, 1>& B, Real dt) {
    const Index N = A.rows();
    const Eigen::Matrix<Real, Dynamic, Dynamic> exponential = held_block<Real>(A, B, dt).exp();
    return {exponential.topLeftCorner(N, N), exponential.topRightCorner(N, 1)};
}

template <RealScalar Real>
DenseStep<Real> dense_step(const Dirac&, const Eigen::Matrix<Real, Dynamic, Dynamic>& A,
                           const Eigen::Matrix<Real, Dynamic, 1>& B, Real dt) {
    const Eigen::Matrix<Real, Dynamic, Dynamic> scaled = dt * A;
    return {scaled.exp(), B};
}

/// What every rule asks of a system.
template <class Rule, RealScalar Real>
void check_dense_system(const Rule& rule, const Eigen::Matrix<Real, Dynamic, Dynamic>& A,
                        const Eigen::Matrix<Real, Dynamic, Dynamic>& B, Real dt) {
    require(A.rows() == A.cols(), "discretize ", rule.name, ": A must be square, found ", A.rows(), " x ", A.cols());
    require(B.rows() == A.rows() && B.cols() == 1, "discretize ", rule.name, ": B must be ", A.rows(),
            " x 1 like A, found ", B.rows(), " x ", B.cols());
    require(is_finite(dt) && dt > 0, "discretize ", rule.name, ": dt must be finite and above 0, found ", dt);
    require(all_finite(A), "discretize ", rule.name, ": an entry of A is not finite");
    require(all_finite(B), "discretize ", rule.name, ": an entry of B is not finite");
}

/// matrix^exponent · vector, by squaring. O(N³ log exponent).
template <std::same_as<Eigen::MatrixXd> Matrix>
Eigen::VectorXd power_times(Matrix matrix, Index exponent, Eigen::VectorXd vector) {
    for (; exponent > 0; exponent /= 2) {
        if (exponent % 2 == 1) vector = (matrix * vector).eval();
        if (exponent > 1) matrix = (matrix * matrix).eval();
    }
    return vector;
}

/// Whether the powers of a matrix stay bounded, seen by squaring it until they vanish, explode or 2^40 is reached (an
/// eigenvalue of modulus 1 + 1e-10 explodes by then). O(N³) for each squaring.
template <std::same_as<Eigen::MatrixXd> Matrix>
bool is_bounded(Matrix matrix) {
    for (int squaring = 0; squaring < 40; ++squaring) {
        const double largest = matrix.cwiseAbs().maxCoeff();
        if (!(largest < 1e30)) return false;
        if (largest < 1e-30) return true;
        matrix = (matrix * matrix).eval();
    }
    return true;
}

}  // namespace detail

/// The time step of x' = A x + B u, A [N × N], B [N], at step size `dt`, by any rule. O(N³). Error unless A is square,
/// B has its size, everything is finite, dt > 0 and the rule's I − w dt A can be inverted.
template <DiscretizationRule Rule, class MatrixA, class VectorB>
requires RealScalar<typename MatrixA::Scalar>
[[nodiscard]] DenseStep<typename MatrixA::Scalar> discretize(const Rule& rule, const Eigen::MatrixBase<MatrixA>& A,
                                                             const Eigen::MatrixBase<VectorB>& B,
                                                             std::type_identity_t<typename MatrixA::Scalar> dt) {
    using Real = typename MatrixA::Scalar;
    const Eigen::Matrix<Real, Dynamic, Dynamic> A_values = A;
    const Eigen::Matrix<Real, Dynamic, Dynamic> B_values = B;
    detail::check_dense_system<Rule, Real>(rule, A_values, B_values, dt);
    return detail::dense_step<Real>(rule, A_values, B_values.col(0), dt);
}

}  // namespace s4::inline S4_ABI
