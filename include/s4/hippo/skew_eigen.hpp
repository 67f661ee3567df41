// Eigenvalues and eigenvectors of a real skew matrix, in real arithmetic. Plain loops: Eigen's general solvers took
// twenty seconds to compile here and twice as long to run.
#pragma once

#include <s4/core/error.hpp>
#include <s4/core/scalar.hpp>

#include <cmath>
#include <complex>
#include <concepts>
#include <limits>
#include <utility>
#include <vector>

namespace s4::inline S4_ABI::detail {

/// The eigenpairs (−iσ_j, V_j) of a real skew matrix of even size N: σ [N/2] descending and ≥ 0, V [N × N/2].
template <std::floating_point Real>
struct SkewEigen {
    Eigen::Matrix<Real, Dynamic, 1> sigma;
    Eigen::Matrix<std::complex<Real>, Dynamic, Dynamic> V;
};

/// S = Q T Qᵀ with T skew and tridiagonal, from the lower half of S [N × N], in place: T(k+1, k) goes to `below`, and
/// Q = H_0 H_1 … with H_k = I − scale_k v_k v_kᵀ, where v_k = [1, S(k+2…, k)] acts on the rows from k + 1 on. O(N³).
template <std::floating_point Real>
void reduce_skew(Eigen::Matrix<Real, Dynamic, Dynamic>& S, std::vector<Real>& below, std::vector<Real>& scale) {
    const Index N = S.rows();
    const Index stride = S.outerStride();
    std::vector<Real> p(static_cast<std::size_t>(N));
    for (Index k = 0; k + 1 < N; ++k) {
        const auto at = static_cast<std::size_t>(k);
        const Index size = N - k - 1;
        Real* v = S.data() + k * stride + k + 1;
        Real largest = 0;
        for (Index i = 1; i < size; ++i) largest = std::fmax(largest, std::abs(v[i]));
        below[at] = v[0];
        if (!(largest > 0)) continue;  // the column has its form already, H_k = I
        largest = std::fmax(largest, std::abs(v[0]));
        Real squares = 0;
        for (Index i = 0; i < size; ++i) squares += (v[i] / largest) * (v[i] / largest);
        below[at] = -std::copysign(largest * std::sqrt(squares), v[0]);
        scale[at] = (below[at] - v[0]) / below[at];
        const Real head = v[0] - below[at];
        for (Index i = 1; i < size; ++i) v[i] /= head;
        v[0] = 1;
        // H R H = R + v pᵀ − p vᵀ with p = scale R v, as vᵀ R v = 0 for the skew rest R; its lower half is enough.
        for (Index i = 0; i < size; ++i) p[static_cast<std::size_t>(i)] = 0;
        for (Index j = 0; j < size; ++j) {
            const Real* column = S.data() + (k + 1 + j) * stride + k + 1;
            Real upper = 0;
            for (Index i = j + 1; i < size; ++i) {
                p[static_cast<std::size_t>(i)] += column[i] * v[j];
                upper += column[i] * v[i];
            }
            p[static_cast<std::size_t>(j)] -= upper;
        }
        for (Index i = 0; i < size; ++i) p[static_cast<std::size_t>(i)] *= scale[at];
        for (Index j = 0; j < size; ++j) {
            Real* column = S.data() + (k + 1 + j) * stride + k + 1;
            const Real p_j = p[static_cast<std::size_t>(j)];
            for (Index i = j + 1; i < size; ++i) column[i] += v[i] * p_j - p[static_cast<std::size_t>(i)] * v[j];
        }
    }
}

/// The plane rotation (c, s) with c·f + s·g = r and c·g − s·f = 0.
template <std::floating_point Real>
struct PlaneRotation {
    Real c = 1, s = 0, r;
    PlaneRotation(Real f, Real g) noexcept : r{f} {
        if (g == 0) return;
        r = std::hypot(f, g);
        c = f / r;
        s = g / r;
    }
    /// (a, b) ← (c a + s b, c b − s a), `count` times.
    void turn(Real* a, Real* b, Index count) const noexcept {
        for (Index i = 0; i < count; ++i) {
            const Real first = a[i];
            a[i] = c * first + s * b[i];
            b[i] = c * b[i] - s * first;
        }
    }
};

/// The singular values of an upper bidiagonal matrix [n × n], `diagonal` [n] over `above` [n − 1], into `diagonal`
/// (unsorted, of any sign); U and W [n × n], identities before, take the singular vectors. Implicit QR with the
/// smallest singular value of the last two rows as shift. False when it does not converge. O(n³). (Golub and Kahan
/// 1965; the step is that of Demmel and Kahan 1990)
template <std::floating_point Real>
bool bidiagonal_svd(std::vector<Real>& diagonal, std::vector<Real>& above, Eigen::Matrix<Real, Dynamic, Dynamic>& U,
                    Eigen::Matrix<Real, Dynamic, Dynamic>& W) {
    Real* const d = diagonal.data();
    Real* const e = above.data();
    const Index n = U.rows();
    Real norm = 0;
    for (Index i = 0; i < n; ++i) norm = std::fmax(norm, std::abs(d[i]) + (i + 1 < n ? std::abs(e[i]) : Real{0}));
    constexpr Real rounding = std::numeric_limits<Real>::epsilon() / 2;
    const auto negligible = [=](Index i) {
        return std::abs(e[i]) <= rounding * std::fmax(std::abs(d[i]) + std::abs(d[i + 1]), norm / 16);
    };
    Index steps = 30 * n;  // two a singular value are usual
    for (Index last = n - 1; last > 0;) {
        if (negligible(last - 1)) {
            --last;
            continue;
        }
        Index first = last - 1;
        while (first > 0 && !negligible(first - 1)) --first;
        if (steps-- == 0) return false;

        const Real f_last = std::abs(d[last - 1]);
        const Real h_last = std::abs(d[last]);
        const Real larger = (std::hypot(f_last + h_last, e[last - 1]) + std::hypot(f_last - h_last, e[last - 1])) / 2;
        Real shift = h_last / larger * f_last;
        for (Index i = first; i <= last; ++i) {
            if (std::abs(d[i]) > rounding * (norm / 16)) continue;
            d[i] = 0;  // a singular block: a step without shift splits it
            shift = 0;
        }
        Real f = d[first];
        if (shift > 0 && f != 0) f = (std::abs(f) - shift) * (std::copysign(Real{1}, f) + shift / f);
        Real g = e[first];
        for (Index i = first; i < last; ++i) {
            const PlaneRotation<Real> right{f, g};
            if (i > first) e[i - 1] = right.r;
            f = right.c * d[i] + right.s * e[i];
            e[i] = right.c * e[i] - right.s * d[i];
            g = right.s * d[i + 1];
            d[i + 1] *= right.c;
            const PlaneRotation<Real> left{f, g};
            d[i] = left.r;
            f = left.c * e[i] + left.s * d[i + 1];
            d[i + 1] = left.c * d[i + 1] - left.s * e[i];
            if (i + 1 < last) {
                g = left.s * e[i + 1];
                e[i + 1] *= left.c;
            }
            right.turn(W.data() + i * n, W.data() + (i + 1) * n, n);
            left.turn(U.data() + i * n, U.data() + (i + 1) * n, n);
        }
        e[last - 1] = f;
    }
    return true;
}

/// S = Q T Qᵀ with T tridiagonal and skew, and with D = diag(1, i, −1, −i, …) T = −i D M D⁻¹, where M is real,
/// symmetric and has a zero diagonal: it maps even entries to odd ones by an upper bidiagonal matrix B = U Σ Wᵀ, and
/// back by Bᵀ. So an eigenvector of S is Q D y, with √½ of a column of W in the even entries of y (the real part of D
/// y) and of U in the odd ones (the imaginary part). U and W are orthogonal, hence [V, conj V] is unitary to rounding
/// whatever the multiplicities, which a Hermitian solver on iS does not give. O(N³); error where it does not converge.
template <std::floating_point Real>
SkewEigen<Real> skew_eigen(const Eigen::Matrix<Real, Dynamic, Dynamic>& S) {
    using Matrix = Eigen::Matrix<Real, Dynamic, Dynamic>;
    const Index N = S.rows();
    const Index pairs = N / 2;
    Matrix reflectors = S;
    std::vector<Real> below(static_cast<std::size_t>(N)), scale(static_cast<std::size_t>(N));
    reduce_skew(reflectors, below, scale);

    std::vector<Real> sigma(static_cast<std::size_t>(pairs)), above(static_cast<std::size_t>(pairs));
    Matrix U(pairs, pairs), W(pairs, pairs);
    for (Index j = 0; j < pairs; ++j) {
        sigma[static_cast<std::size_t>(j)] = below[static_cast<std::size_t>(2 * j)];
        above[static_cast<std::size_t>(j)] = below[static_cast<std::size_t>(2 * j + 1)];
        for (Index i = 0; i < pairs; ++i) U(i, j) = W(i, j) = i == j ? Real{1} : Real{0};
    }
    require(bidiagonal_svd(sigma, above, U, W), "nplr: the eigenvalue solver did not converge at N = ", N);

    SkewEigen<Real> result{Eigen::Matrix<Real, Dynamic, 1>(pairs),
                           Eigen::Matrix<std::complex<Real>, Dynamic, Dynamic>(N, pairs)};
    std::vector<char> taken(static_cast<std::size_t>(pairs));
    for (Index j = 0; j < pairs; ++j) {
        std::size_t largest = 0;
        while (taken[largest] != 0) ++largest;
        for (std::size_t i = largest; i < taken.size(); ++i)
            if (taken[i] == 0 && std::abs(sigma[i]) > std::abs(sigma[largest])) largest = i;
        taken[largest] = 1;
        result.sigma[j] = std::abs(sigma[largest]);
        Real weight = std::sqrt(Real{0.5});
        const Real sign = std::copysign(Real{1}, sigma[largest]);
        std::complex<Real>* column = result.V.data() + j * N;
        for (Index i = 0; i < pairs; ++i) {
            column[2 * i] = {weight * W(i, static_cast<Index>(largest)), 0};
            column[2 * i + 1] = {0, sign * weight * U(i, static_cast<Index>(largest))};
            weight = -weight;
        }
        for (Index k = N - 2; k >= 0; --k) {
            const Real factor = scale[static_cast<std::size_t>(k)];
            if (factor == 0) continue;
            const Real* v = reflectors.data() + k * N;
            std::complex<Real> sum = 0;
            for (Index i = k + 1; i < N; ++i) sum += v[i] * column[i];
            sum *= factor;
            for (Index i = k + 1; i < N; ++i) column[i] -= v[i] * sum;
        }
    }
    return result;
}

}  // namespace s4::inline S4_ABI::detail
