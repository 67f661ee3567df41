// Normal plus low rank: the coordinates in which a HiPPO matrix is a diagonal minus a few outer products.
#pragma once

#include <s4/hippo/hippo.hpp>

#include <Eigen/Eigenvalues>

#include <cmath>
#include <complex>
#include <concepts>
#include <limits>
#include <utility>

namespace s4::inline S4_ABI {

/// A = V̂ (diag(λ̂) − Σ_r p̂_r p̂_rᴴ) V̂ᴴ and B = V̂ B̂, where a hat doubles: [z, conj z]. V̂ = [V, conj V] is unitary.
/// Only one half of the conjugate pairs is stored: the one with Im λ ≤ 0, most negative first.
struct Nplr {
    Eigen::VectorXcd lambda;  ///< [N/2]
    Eigen::MatrixXcd V;       ///< [N × N/2]; its first row is real and not negative
    Eigen::MatrixXcd P;       ///< [rank × N/2] = the real correction times conj V
    Eigen::VectorXcd B;       ///< [N/2] = Vᴴ B
};

namespace detail {

/// The eigenpairs (−iσ_j, V_j) of a real skew matrix of even size N: σ [N/2] descending and ≥ 0, V [N × N/2].
template <std::floating_point Real>
struct SkewEigen {
    Eigen::Matrix<Real, Dynamic, 1> sigma;
    Eigen::Matrix<std::complex<Real>, Dynamic, Dynamic> V;
};

/// An orthonormal basis [rows × rank] of the span of `vectors` [rows × ≥ rank], largest first (Gram–Schmidt, twice).
template <std::floating_point Real>
Eigen::Matrix<Real, Dynamic, Dynamic> orthonormal_basis(Eigen::Matrix<Real, Dynamic, Dynamic> vectors, Index rank) {
    for (Index j = 0; j < rank; ++j) {
        Index largest = 0;
        vectors.rightCols(vectors.cols() - j).colwise().squaredNorm().maxCoeff(&largest);
        vectors.col(j).swap(vectors.col(j + largest));
        for (int repeat = 0; repeat < 2; ++repeat)
            for (Index i = 0; i < j; ++i) vectors.col(j) -= vectors.col(i).dot(vectors.col(j)) * vectors.col(i);
        vectors.col(j).normalize();
        for (Index k = j + 1; k < vectors.cols(); ++k)
            vectors.col(k) -= vectors.col(j).dot(vectors.col(k)) * vectors.col(j);
    }
    return vectors.leftCols(rank);
}

/// S = Q T Qᵀ with T tridiagonal and skew (Householder; the Hessenberg form of a skew matrix is that), and with
/// D = diag(1, i, −1, −i, …) T = −i D M D⁻¹, where M is real, symmetric and has a zero diagonal. An eigenvector
/// M y = σ y gives S (Q D y) = −iσ (Q D y): its even entries make the real part and its odd ones the imaginary part,
/// and each of the two sets of half vectors is orthogonal. Seeing to the latter (in the null space, where M mixes
/// them, and by one Newton step against the solver's own 1e-13) makes [V, conj V] unitary to rounding whatever the
/// multiplicities, which a Hermitian solver on iS does not; and all arithmetic is real. O(N³).
template <std::floating_point Real>
SkewEigen<Real> skew_eigen(const Eigen::Matrix<Real, Dynamic, Dynamic>& S) {
    using Matrix = Eigen::Matrix<Real, Dynamic, Dynamic>;
    using Vector = Eigen::Matrix<Real, Dynamic, 1>;
    const Index N = S.rows();
    const Index pairs = N / 2;
    const Eigen::HessenbergDecomposition<Matrix> reduction(S);
    const Matrix Q = reduction.matrixQ();
    const Matrix T = reduction.matrixH();
    const Vector diagonal = Vector::Zero(N);
    const Vector below = (T.diagonal(-1) - T.diagonal(1)) / 2;
    Eigen::SelfAdjointEigenSolver<Matrix> solver;
    solver.computeFromTridiagonal(diagonal, below);
    require(solver.info() == Eigen::Success, "nplr: the eigenvalue solver did not converge at N = ", N);

    // The largest half of the eigenvalues of M, descending; they come in pairs ±σ, ascending.
    SkewEigen<Real> result;
    result.sigma = solver.eigenvalues().tail(pairs).reverse().cwiseMax(Real{0});
    const Real rounding = static_cast<Real>(N) * std::numeric_limits<Real>::epsilon() * result.sigma(0);
    Index zeros = 0;
    while (zeros < pairs && result.sigma(pairs - 1 - zeros) <= rounding) ++zeros;

    result.V.resize(N, pairs);
    for (const Index parity : {Index{0}, Index{1}}) {
        const auto half_of = [parity, pairs](const auto& matrix, Index first, Index count) {
            Matrix half(pairs, count);
            for (Index j = 0; j < pairs; ++j) half.row(j) = matrix.row(2 * j + parity).segment(first, count);
            return half;
        };
        Matrix half = half_of(solver.eigenvectors(), pairs, pairs) * std::sqrt(Real{2});
        half = half.rowwise().reverse().eval();
        if (zeros > 0)
            half.rightCols(zeros) =
                orthonormal_basis<Real>(half_of(solver.eigenvectors(), pairs - zeros, 2 * zeros), zeros);
        Matrix excess = half.transpose() * half;
        excess.diagonal().array() -= Real{1};
        half -= (half * excess / 2).eval();
        Matrix basis(N, pairs);
        for (Index j = 0; j < pairs; ++j)
            basis.col(j) = (j % 2 == 0 ? std::sqrt(Real{0.5}) : -std::sqrt(Real{0.5})) * Q.col(2 * j + parity);
        if (parity == 0)
            result.V.real().noalias() = basis * half;
        else
            result.V.imag().noalias() = basis * half;
    }
    return result;
}

/// Fixes what an eigensolver leaves open. Phase: the first entry of each column that is not rounding is real and
/// positive. A pair with eigenvalue 0 may also be conjugated: its first imaginary part is positive.
template <std::floating_point Real>
void fix_phases(SkewEigen<Real>& eigen) {
    const Real rounding = 4096 * std::numeric_limits<Real>::epsilon();
    for (Index j = 0; j < eigen.V.cols(); ++j) {
        auto column = eigen.V.col(j);
        Index pivot = 0;
        while (pivot + 1 < column.size() && std::abs(column(pivot)) <= rounding) ++pivot;
        const Real size = std::abs(column(pivot));
        column *= std::conj(column(pivot)) / size;
        column(pivot) = size;
        if (eigen.sigma(j) > rounding * eigen.sigma(0)) continue;
        for (Index n = 0; n < column.size(); ++n) {
            if (std::abs(column(n).imag()) <= rounding) continue;
            if (column(n).imag() < 0) column = column.conjugate().eval();
            break;
        }
    }
}

}  // namespace detail

/// The normal-plus-low-rank form of a measure with `rank` rows of P (zero rows beyond the natural rank). O(N³): about
/// 5 s at N = 1024; A is rebuilt to 1e-13 of its size. Error unless N is even and positive, the measure has such a
/// form, and `rank` is at least the natural one. (S4, theorem 1)
///
/// A template only to keep Eigen's solvers out of every file that includes this header but does not call it.
template <std::same_as<double> Real = double>
[[nodiscard]] Nplr nplr(const Hippo& hippo, Index N, Index rank) {
    detail::require(N >= 2 && N % 2 == 0, "nplr ", name_of(hippo),
                    ": the state size N must be even and positive, found ", N);
    const Eigen::Matrix<Real, Dynamic, Dynamic> P = low_rank(hippo, N, rank);
    const HippoSystem system = transition(hippo, N);
    Eigen::Matrix<Real, Dynamic, Dynamic> normal = system.A;
    normal.noalias() += P.transpose() * P;
    const Eigen::Matrix<Real, Dynamic, Dynamic> skew = (normal - normal.transpose()) / 2;

    detail::SkewEigen<Real> eigen = detail::skew_eigen<Real>(skew);
    detail::fix_phases(eigen);

    Nplr result;
    result.lambda.resize(N / 2);
    result.lambda.real().setConstant(normal_real_part(hippo));
    result.lambda.imag() = -eigen.sigma;
    result.P.noalias() = P.template cast<std::complex<Real>>() * eigen.V.conjugate();
    result.B.noalias() = eigen.V.adjoint() * system.B.template cast<std::complex<Real>>();
    result.V = std::move(eigen.V);
    return result;
}

/// The same with the measure's natural rank.
template <std::same_as<double> Real = double>
[[nodiscard]] Nplr nplr(const Hippo& hippo, Index N) {
    return nplr<Real>(hippo, N, natural_rank(hippo));
}

}  // namespace s4::inline S4_ABI
