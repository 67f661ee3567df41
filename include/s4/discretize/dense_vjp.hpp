// Reverse passes of the dense rules: from a time step's A_bar and B_bar back to A, B and dt.
#pragma once

#include <s4/discretize/dense.hpp>

#include <type_traits>

namespace s4::inline S4_ABI {

/// What a loss gains by a dense system and its step size.
template <RealScalar Real>
struct DenseGradient {
    Eigen::Matrix<Real, Dynamic, Dynamic> A;  ///< [N × N]
    Eigen::Matrix<Real, Dynamic, 1> B;        ///< [N]
    Real dt;                                  ///< d/d dt
};

namespace detail {

/// The gradient by dt A and dt B, spread over A, B and dt.
template <RealScalar Real>
DenseGradient<Real> unscaled(const Eigen::Matrix<Real, Dynamic, Dynamic>& A, const Eigen::Matrix<Real, Dynamic, 1>& B,
                             Real dt, const Eigen::Matrix<Real, Dynamic, Dynamic>& by_A,
                             const Eigen::Matrix<Real, Dynamic, 1>& by_B) {
    return {dt * by_A, dt * by_B, A.cwiseProduct(by_A).sum() + B.cwiseProduct(by_B).sum()};
}

/// With M = I − w dt A, X = M⁻¹ dt A and b = M⁻¹ dt B: dX = M⁻¹ d(dt A)(I + w X), db = M⁻¹ (d(dt B) + w d(dt A) b).
template <RealScalar Real>
DenseGradient<Real> dense_step_vjp(const WeightedRule auto& rule, const Eigen::Matrix<Real, Dynamic, Dynamic>& A,
                                   const Eigen::Matrix<Real, Dynamic, 1>& B, Real dt,
                                   const DenseStep<Real>& cotangent) {
    using Matrix = Eigen::Matrix<Real, Dynamic, Dynamic>;
    const auto weight = static_cast<Real>(rule.weight());
    if (!(weight > 0) || A.rows() == 0) return unscaled<Real>(A, B, dt, cotangent.A_bar, cotangent.B_bar);
    const auto lu = implicit_part<Real>(rule, A, dt);
    Matrix right = lu.solve(dt * A);  // I + w X
    right *= weight;
    right.diagonal().array() += Real{1};
    const Eigen::Matrix<Real, Dynamic, 1> B_bar = lu.solve(dt * B);
    const Eigen::Matrix<Real, Dynamic, 1> by_B = lu.transpose().solve(cotangent.B_bar);
    const Matrix solved = lu.transpose().solve(cotangent.A_bar);
    Matrix by_A = weight * (by_B * B_bar.transpose());
    by_A.noalias() += solved * right.transpose();
    return unscaled<Real>(A, B, dt, by_A, by_B);
}

/// The gradient by Z of a loss that gains `cotangent` by e^Z: the derivative of the exponential at Zᵀ in its direction,
/// the upper right block of exp [[Zᵀ, cotangent], [0, Zᵀ]]. (Mathias 1996; Higham, Functions of Matrices, 10.6)
template <RealScalar Real>
Eigen::Matrix<Real, Dynamic, Dynamic> exponential_vjp(const Eigen::Matrix<Real, Dynamic, Dynamic>& Z,
                                                      const Eigen::Matrix<Real, Dynamic, Dynamic>& cotangent) {
    using Matrix = Eigen::Matrix<Real, Dynamic, Dynamic>;
    const Index N = Z.rows();
    const Real scale = N > 0 ? cotangent.cwiseAbs().maxCoeff() : Real{0};
    if (scale == Real{0}) return Matrix::Zero(N, N);
    // It is linear in the direction: a large one would only cost squarings and the digits they take.
    Matrix block = Matrix::Zero(2 * N, 2 * N);
    block.topLeftCorner(N, N) = Z.transpose();
    block.bottomRightCorner(N, N) = Z.transpose();
    block.topRightCorner(N, N) = cotangent / scale;
    const Matrix exponential = block.exp();
    return scale * exponential.topRightCorner(N, N);
}

template <RealScalar Real>
DenseGradient<Real> dense_step_vjp(const ZeroOrderHold&, const Eigen::Matrix<Real, Dynamic, Dynamic>& A,
                                   const Eigen::Matrix<Real, Dynamic, 1>& B, Real dt,
                                   const DenseStep<Real>& cotangent) {
    using Matrix = Eigen::Matrix<Real, Dynamic, Dynamic>;
    const Index N = A.rows();
    Matrix by_exponential = Matrix::Zero(N + 1, N + 1);
    by_exponential.topLeftCorner(N, N) = cotangent.A_bar;
    by_exponential.topRightCorner(N, 1) = cotangent.B_bar;
    const Matrix by_block = exponential_vjp<Real>(held_block<Real>(A, B, dt), by_exponential);
    return unscaled<Real>(A, B, dt, by_block.topLeftCorner(N, N), by_block.topRightCorner(N, 1));
}

template <RealScalar Real>
DenseGradient<Real> dense_step_vjp(const Dirac&, const Eigen::Matrix<Real, Dynamic, Dynamic>& A,
                                   const Eigen::Matrix<Real, Dynamic, 1>&, Real dt, const DenseStep<Real>& cotangent) {
    const Eigen::Matrix<Real, Dynamic, Dynamic> by_A = exponential_vjp<Real>(dt * A, cotangent.A_bar);
    return {dt * by_A, cotangent.B_bar, A.cwiseProduct(by_A).sum()};
}

}  // namespace detail

/// The reverse pass of `discretize(rule, A, B, dt)`: the gradients of A [N × N], B [N] and dt, given those of A_bar and
/// B_bar. O(N³), for the exponentials of ZeroOrderHold and Dirac with twice as many rows as those of the forward pass.
/// Error as the forward pass, and unless the cotangent has the sizes of the step.
template <DiscretizationRule Rule, class MatrixA, class VectorB>
requires RealScalar<typename MatrixA::Scalar>
[[nodiscard]] DenseGradient<typename MatrixA::Scalar> discretize_vjp(
    const Rule& rule, const Eigen::MatrixBase<MatrixA>& A, const Eigen::MatrixBase<VectorB>& B,
    std::type_identity_t<typename MatrixA::Scalar> dt, const DenseStep<typename MatrixA::Scalar>& cotangent) {
    using Real = typename MatrixA::Scalar;
    const Eigen::Matrix<Real, Dynamic, Dynamic> A_values = A;
    const Eigen::Matrix<Real, Dynamic, Dynamic> B_values = B;
    detail::check_dense_system<Rule, Real>(rule, A_values, B_values, dt);
    detail::require(
        cotangent.A_bar.rows() == A.rows() && cotangent.A_bar.cols() == A.rows() && cotangent.B_bar.size() == A.rows(),
        "discretize_vjp ", rule.name, ": the cotangent must have the sizes of A and B, N = ", A.rows(),
        ", found A_bar ", cotangent.A_bar.rows(), " x ", cotangent.A_bar.cols(), " and B_bar ", cotangent.B_bar.size());
    return detail::dense_step_vjp<Real>(rule, A_values, B_values.col(0), dt, cotangent);
}

}  // namespace s4::inline S4_ABI
