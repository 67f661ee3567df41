// Normal plus low rank: the coordinates in which a HiPPO matrix is a diagonal minus a few outer products.
#pragma once

#include <s4/hippo/hippo.hpp>
#include <s4/hippo/skew_eigen.hpp>

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

/// Fixes what an eigensolver leaves open. Phase: the first entry of each column that is not rounding is real and
/// positive. A pair with eigenvalue 0 may also be conjugated: its first imaginary part is positive.
template <std::floating_point Real>
void fix_phases(SkewEigen<Real>& eigen) {
    const Real rounding = 4096 * std::numeric_limits<Real>::epsilon();
    const Index N = eigen.V.rows();
    for (Index j = 0; j < eigen.V.cols(); ++j) {
        std::complex<Real>* column = eigen.V.data() + j * N;
        Index pivot = 0;
        while (pivot + 1 < N && std::abs(column[pivot]) <= rounding) ++pivot;
        const Real size = std::abs(column[pivot]);
        const std::complex<Real> phase = std::conj(column[pivot]) / size;
        for (Index n = 0; n < N; ++n) column[n] = multiply(column[n], phase);
        column[pivot] = size;
        if (eigen.sigma[j] > rounding * eigen.sigma[0]) continue;
        Index turned = 0;
        while (turned + 1 < N && std::abs(column[turned].imag()) <= rounding) ++turned;
        if (column[turned].imag() < 0)
            for (Index n = 0; n < N; ++n) column[n] = std::conj(column[n]);
    }
}

/// Vᴴ b [N/2] of a real vector whose N entries are `stride` apart.
template <std::floating_point Real>
std::complex<Real> project(const std::complex<Real>* column, const Real* b, Index stride, Index N) noexcept {
    std::complex<Real> sum = 0;
    for (Index n = 0; n < N; ++n) sum += b[n * stride] * std::conj(column[n]);
    return sum;
}

}  // namespace detail

/// The normal-plus-low-rank form of a measure with `rank` rows of P (zero rows beyond the natural rank). O(N³): about
/// 3 s at N = 1024; A is rebuilt to 1e-13 of its size. Error unless N is even and positive, the measure has such a
/// form, and `rank` is at least the natural one. (S4, theorem 1)
///
/// Like the functions of <s4/hippo/hippo.hpp> a template only to cost nothing where it is included but not called.
template <std::same_as<double> Real = double>
[[nodiscard]] Nplr nplr(const Hippo& hippo, Index N, Index rank) {
    detail::require(N >= 2 && N % 2 == 0, "nplr ", name_of<Real>(hippo),
                    ": the state size N must be even and positive, found ", N);
    using Matrix = Eigen::Matrix<Real, Dynamic, Dynamic>;
    const Matrix P = low_rank<Real>(hippo, N, rank);
    const HippoSystem system = transition<Real>(hippo, N);
    Matrix skew(N, N);  // of A alone: the correction is symmetric
    for (Index j = 0; j < N; ++j)
        for (Index i = 0; i < N; ++i) skew(i, j) = (system.A(i, j) - system.A(j, i)) / 2;
    detail::SkewEigen<Real> eigen = detail::skew_eigen<Real>(skew);
    detail::fix_phases(eigen);

    Nplr result;
    result.lambda.resize(N / 2);
    result.P.resize(rank, N / 2);
    result.B.resize(N / 2);
    const Real decay = normal_real_part<Real>(hippo);
    for (Index j = 0; j < N / 2; ++j) {
        const std::complex<Real>* column = eigen.V.data() + j * N;
        result.lambda[j] = {decay, -eigen.sigma[j]};
        for (Index r = 0; r < rank; ++r) result.P(r, j) = detail::project<Real>(column, P.data() + r, rank, N);
        result.B[j] = detail::project<Real>(column, system.B.data(), 1, N);
    }
    result.V.swap(eigen.V);
    return result;
}

/// The same with the measure's natural rank.
template <std::same_as<double> Real = double>
[[nodiscard]] Nplr nplr(const Hippo& hippo, Index N) {
    return nplr<Real>(hippo, N, natural_rank<Real>(hippo));
}

}  // namespace s4::inline S4_ABI
