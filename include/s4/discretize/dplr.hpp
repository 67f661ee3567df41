// The bilinear rule for a diagonal-plus-low-rank system keeps its structure: Ā is diagonal plus low rank again.
// (S4 paper, appendix C.2, lemma C.1 and theorem C.1, written here for any rank and one step size per state.)
#pragma once

#include <s4/discretize/bilinear.hpp>
#include <s4/parameters/dplr.hpp>

#include <Eigen/LU>

#include <concepts>

namespace s4::inline S4_ABI {

/// x_t = x_{t−1} + a_minus_one ∘ x_{t−1} + F · 2 Re(G x_{t−1}) + B_bar u_t, over the stored half of the pairs.
struct DiscreteDplr {
    Eigen::VectorXcd a_minus_one;  ///< [N/2], kept as the difference: near dt·λ → 0 the digits are there
    Eigen::MatrixXcd F;            ///< [N/2 × rank]
    Eigen::MatrixXcd G;            ///< [rank × N/2]
    Eigen::VectorXcd B_bar;        ///< [N/2]
};

namespace detail {

/// Inverts the leading [size × size] block in place by Gauss–Jordan elimination. No pivoting: the matrices here are the
/// identity plus one with a positive definite symmetric part.
inline void invert(double (&matrix)[max_rank][max_rank], Index size) noexcept {
    for (Index pivot = 0; pivot < size; ++pivot) {
        const double reciprocal = 1 / matrix[pivot][pivot];
        matrix[pivot][pivot] = 1;
        for (Index column = 0; column < size; ++column) matrix[pivot][column] *= reciprocal;
        for (Index row = 0; row < size; ++row) {
            if (row == pivot) continue;
            const double factor = matrix[row][pivot];
            matrix[row][pivot] = 0;
            for (Index column = 0; column < size; ++column) matrix[row][column] -= factor * matrix[pivot][column];
        }
    }
}

}  // namespace detail

/// Bilinear discretisation by Woodbury's identity. With E = dt(Λ − P P*), Δ = (I − dtΛ/2)⁻¹ and S = (I + P*ΔdtP/2)⁻¹:
/// Ā = 2(I − E/2)⁻¹ − I = 2Δ − I − ΔdtP · S · P*Δ and B̄ = (I − E/2)⁻¹ dt B. Sums over both halves of the pairs are
/// real, so S is a real [rank × rank] matrix. O(rank² N).
[[nodiscard]] inline DiscreteDplr discretize(Bilinear, const DplrSystem& system) {
    const Index pairs = system.lambda.size();
    const Index rank = system.P.rows();
    DiscreteDplr discrete{Eigen::VectorXcd(pairs), Eigen::MatrixXcd(pairs, rank), Eigen::MatrixXcd(rank, pairs),
                          Eigen::VectorXcd(pairs)};
    Eigen::MatrixXcd scaled_p(pairs, rank);  // Δ dt P
    for (Index n = 0; n < pairs; ++n) {
        const std::complex<double> z = system.dt[n] * system.lambda[n];
        const std::complex<double> delta = 1.0 / (1.0 - 0.5 * z);
        discrete.a_minus_one[n] = z * delta;
        discrete.B_bar[n] = delta * system.dt[n] * system.B[n];
        for (Index r = 0; r < rank; ++r) {
            scaled_p(n, r) = delta * system.dt[n] * system.P(r, n);
            discrete.G(r, n) = std::conj(system.P(r, n)) * delta;
        }
    }
    // Rows of [S⁻¹ | projected B]: S⁻¹ = I + P*ΔdtP/2, and P*Δ dt B, both real.
    double inverse[max_rank][max_rank] = {};
    double projected[max_rank] = {};
    for (Index r = 0; r < rank; ++r) {
        inverse[r][r] = 1;
        for (Index n = 0; n < pairs; ++n) {
            projected[r] += 2 * (discrete.G(r, n) * system.dt[n] * system.B[n]).real();
            for (Index s = 0; s < rank; ++s) inverse[r][s] += (std::conj(system.P(r, n)) * scaled_p(n, s)).real();
        }
    }
    detail::invert(inverse, rank);
    for (Index n = 0; n < pairs; ++n) {
        for (Index r = 0; r < rank; ++r) {
            std::complex<double> f = 0;
            for (Index s = 0; s < rank; ++s) f -= scaled_p(n, s) * inverse[s][r];
            discrete.F(n, r) = f;
            discrete.B_bar[n] += 0.5 * f * projected[r];
        }
    }
    return discrete;
}

namespace detail {

/// Ā as a real matrix [N × N] that acts on [Re x; Im x].
[[nodiscard]] inline Eigen::MatrixXd real_matrix(const DiscreteDplr& discrete) {
    const Index pairs = discrete.a_minus_one.size();
    Eigen::MatrixXd matrix = Eigen::MatrixXd::Zero(2 * pairs, 2 * pairs);
    for (Index n = 0; n < pairs; ++n) {
        matrix(n, n) = matrix(pairs + n, pairs + n) = 1 + discrete.a_minus_one[n].real();
        matrix(pairs + n, n) = discrete.a_minus_one[n].imag();
        matrix(n, pairs + n) = -discrete.a_minus_one[n].imag();
    }
    for (Index r = 0; r < discrete.G.rows(); ++r) {
        for (Index column = 0; column < pairs; ++column) {
            const double g_re = 2 * discrete.G(r, column).real();
            const double g_im = 2 * discrete.G(r, column).imag();
            for (Index row = 0; row < pairs; ++row) {
                const std::complex<double> f = discrete.F(row, r);
                matrix(row, column) += f.real() * g_re;
                matrix(pairs + row, column) += f.imag() * g_re;
                matrix(row, pairs + column) -= f.real() * g_im;
                matrix(pairs + row, pairs + column) -= f.imag() * g_im;
            }
        }
    }
    return matrix;
}

/// rows · matrix^exponent by repeated squaring; zero as soon as the power is below any rounding. O(N³ log exponent).
/// (A template only so that Eigen's products are compiled where they are used, not in every file that includes this.)
template <std::same_as<Eigen::MatrixXd> Matrix>
[[nodiscard]] Matrix times_power(Matrix rows, Matrix matrix, Index exponent) {
    Matrix product(rows.rows(), rows.cols());
    Matrix square(matrix.rows(), matrix.cols());
    while (exponent > 0) {
        if (exponent % 2 == 1) {
            product.noalias() = rows * matrix;
            rows.swap(product);
        }
        exponent /= 2;
        if (exponent == 0) break;
        square.noalias() = matrix * matrix;
        matrix.swap(square);
        if (matrix.cwiseAbs().maxCoeff() < 1e-40) return Matrix::Zero(rows.rows(), rows.cols());
    }
    return rows;
}

/// The functional 2 Re(C x) as a row [1 × N] over [Re x; Im x], and back from a column [N × 1].
[[nodiscard]] inline Eigen::RowVectorXd real_row(const Eigen::VectorXcd& C) {
    Eigen::RowVectorXd row(2 * C.size());
    for (Index n = 0; n < C.size(); ++n) {
        row[n] = 2 * C[n].real();
        row[C.size() + n] = -2 * C[n].imag();
    }
    return row;
}
[[nodiscard]] inline Eigen::VectorXcd complex_row(const Eigen::MatrixXd& row) {
    const Index pairs = row.size() / 2;
    Eigen::VectorXcd C(pairs);
    for (Index n = 0; n < pairs; ++n) C[n] = {0.5 * row(n, 0), -0.5 * row(pairs + n, 0)};
    return C;
}

}  // namespace detail

/// The plain output vector of a system that holds C~ = C (I − Ā^n). O(N³ log n). Error where I − Ā^n is singular.
/// (A template for the same reason.)
template <std::same_as<DplrSystem> System>
[[nodiscard]] System to_plain(const System& system) {
    if (system.kernel_length == 0) return system;
    const Eigen::MatrixXd a_bar = detail::real_matrix(discretize(Bilinear{}, system));
    const Eigen::MatrixXd identity = Eigen::MatrixXd::Identity(a_bar.rows(), a_bar.cols());
    Eigen::MatrixXd transposed = identity - detail::times_power(identity, a_bar, system.kernel_length);
    transposed.transposeInPlace();
    const Eigen::MatrixXd column = detail::real_row(system.C).transpose();
    const Eigen::MatrixXd plain_column = Eigen::PartialPivLU<Eigen::MatrixXd>(transposed).solve(column);
    detail::require(detail::all_finite(plain_column), "Dplr: C cannot be recovered from C~, since I - A^",
                    system.kernel_length, " is singular");
    System plain = system;
    plain.C = detail::complex_row(plain_column);
    plain.kernel_length = 0;
    return plain;
}

/// The same system with C~ for kernels of length `length` (0: plain C). O(N³ log length).
template <std::same_as<DplrSystem> System>
[[nodiscard]] System to_length(const System& system, Index length) {
    if (system.kernel_length == length) return system;
    System changed = to_plain(system);
    if (length == 0) return changed;
    const Eigen::MatrixXd row = detail::real_row(changed.C);
    const Eigen::MatrixXd a_bar = detail::real_matrix(discretize(Bilinear{}, changed));
    const Eigen::MatrixXd truncated = row - detail::times_power(row, a_bar, length);
    changed.C = detail::complex_row(truncated.transpose());
    changed.kernel_length = length;
    return changed;
}

/// All channels with C~ for kernels of length `length` (0: plain C); double inside, rounded once. O(H N³ log length).
template <class Ssm>
[[nodiscard]] typename Ssm::Parameters to_length(typename Ssm::Parameters parameters, Index length) {
    detail::require(length >= 0, Ssm::name, ": a kernel length must not be negative, found ", length);
    for (Index h = 0; h < parameters.channels(); ++h)
        parameters.C.row(h) = to_length(Ssm::system(parameters, h), length)
                                  .C.transpose()
                                  .template cast<std::complex<typename Ssm::Scalar>>();
    parameters.kernel_length = length;
    return parameters;
}

/// All channels with plain C. Cost as `to_length`.
template <class Ssm>
[[nodiscard]] typename Ssm::Parameters to_plain(const typename Ssm::Parameters& parameters) {
    return to_length<Ssm>(parameters, 0);
}

}  // namespace s4::inline S4_ABI
