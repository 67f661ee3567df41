// The bilinear rule for a diagonal-plus-low-rank system keeps its structure: Ā is diagonal plus low rank again.
// (S4 paper, appendix C.2, lemma C.1 and theorem C.1, written here for any rank and one step size per state.)
#pragma once

#include <s4/core/parallel.hpp>
#include <s4/discretize/bilinear.hpp>
#include <s4/parameters/dplr.hpp>

#include <cmath>
#include <complex>
#include <concepts>
#include <utility>

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
/// real, so S is a real [rank × rank] matrix. At the rate of the system. O(rank² N).
template <std::same_as<DplrSystem> System>
[[nodiscard]] DiscreteDplr discretize(Bilinear, const System& system) {
    const Index pairs = system.lambda.size();
    const Index rank = system.P.rows();
    DiscreteDplr discrete;
    discrete.a_minus_one.resize(pairs);
    discrete.F.resize(pairs, rank);
    discrete.G.resize(rank, pairs);
    discrete.B_bar.resize(pairs);
    Eigen::MatrixXcd scaled_p;  // Δ dt P
    scaled_p.resize(pairs, rank);
    for (Index n = 0; n < pairs; ++n) {
        const double dt = system.rate * system.dt[n];
        const std::complex<double> z = dt * system.lambda[n];
        const std::complex<double> delta = 1.0 / (1.0 - 0.5 * z);
        discrete.a_minus_one[n] = z * delta;
        discrete.B_bar[n] = delta * dt * system.B[n];
        for (Index r = 0; r < rank; ++r) {
            scaled_p(n, r) = delta * dt * system.P(r, n);
            discrete.G(r, n) = std::conj(system.P(r, n)) * delta;
        }
    }
    // Rows of [S⁻¹ | projected B]: S⁻¹ = I + P*ΔdtP/2, and P*Δ dt B, both real.
    double inverse[max_rank][max_rank] = {};
    double projected[max_rank] = {};
    for (Index r = 0; r < rank; ++r) {
        inverse[r][r] = 1;
        for (Index n = 0; n < pairs; ++n) {
            projected[r] += 2 * (discrete.G(r, n) * system.rate * system.dt[n] * system.B[n]).real();
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

// The functions from here on are templates, always of one type, only so that Eigen's products and assignments are
// compiled where they are used, not in every file that includes this.

/// Eigen::MatrixXd, as a type that depends on `System`.
template <std::same_as<DplrSystem> System>
using MatrixFor = Eigen::Matrix<decltype(System::D), Dynamic, Dynamic>;

/// Ā as a real matrix [N × N] that acts on [Re x; Im x].
template <std::same_as<Eigen::MatrixXd> Matrix = Eigen::MatrixXd>
[[nodiscard]] Matrix real_matrix(const DiscreteDplr& discrete) {
    const Index pairs = discrete.a_minus_one.size();
    Matrix matrix(2 * pairs, 2 * pairs);
    matrix.setZero();
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
        double largest = 0;
        for (Index n = 0; n < matrix.size(); ++n) largest = std::fmax(largest, std::abs(matrix.data()[n]));
        if (largest < 1e-40) {
            rows.setZero();
            break;
        }
    }
    return rows;
}

/// Replaces the row x [N] by the solution y of y · matrix = x: Gaussian elimination by columns, with the largest pivot
/// of the row. Infinite or NaN where the matrix is singular. O(N³).
template <std::same_as<Eigen::MatrixXd> Matrix>
void solve_from_left(Matrix matrix, Matrix& x) noexcept {
    const Index N = matrix.rows();
    for (Index k = 0; k < N; ++k) {
        Index pivot = k;
        for (Index j = k + 1; j < N; ++j)
            if (std::abs(matrix(k, j)) > std::abs(matrix(k, pivot))) pivot = j;
        if (pivot != k) {
            for (Index i = 0; i < N; ++i) std::swap(matrix(i, k), matrix(i, pivot));
            std::swap(x(0, k), x(0, pivot));
        }
        for (Index j = k + 1; j < N; ++j) {
            const double factor = matrix(k, j) / matrix(k, k);
            for (Index i = k + 1; i < N; ++i) matrix(i, j) -= factor * matrix(i, k);
            x(0, j) -= factor * x(0, k);
        }
    }
    for (Index k = N - 1; k >= 0; --k) {
        for (Index i = k + 1; i < N; ++i) x(0, k) -= x(0, i) * matrix(i, k);
        x(0, k) /= matrix(k, k);
    }
}

/// The functional 2 Re(C x) as a row [1 × N] over [Re x; Im x], and back.
template <std::same_as<Eigen::MatrixXd> Matrix>
[[nodiscard]] Matrix real_row(const Eigen::VectorXcd& C) {
    Matrix row(1, 2 * C.size());
    for (Index n = 0; n < C.size(); ++n) {
        row(0, n) = 2 * C[n].real();
        row(0, C.size() + n) = -2 * C[n].imag();
    }
    return row;
}
template <std::same_as<Eigen::MatrixXd> Matrix>
void set_complex_row(Eigen::VectorXcd& C, const Matrix& row) noexcept {
    for (Index n = 0; n < C.size(); ++n) C[n] = {0.5 * row(0, n), -0.5 * row(0, C.size() + n)};
}

/// Whether `steps` products with the structure of Ā cost less than powers of a full matrix. The reverse pass keeps
/// every step: 2 MiB at most.
[[nodiscard]] constexpr bool prefers_steps(Index pairs, Index steps) noexcept {
    return steps <= 4 * pairs * pairs && steps * pairs <= Index{1} << 17;
}

/// C ← C Ā of a functional 2 Re(C x): C ∘ (1 + a) + Σ_r 2 Re(C F_r) G_r, in O(rank N). Complex rows are kept as columns
/// of numbers [Re; Im].
template <std::same_as<Eigen::MatrixXd> Matrix>
class StructuredSteps {
public:
    explicit StructuredSteps(const DiscreteDplr& discrete)
        : pairs_{discrete.a_minus_one.size()},
          keep_(2 * pairs_, 1),
          F_(2 * pairs_, discrete.G.rows()),
          G_(2 * pairs_, discrete.G.rows()) {
        for (Index n = 0; n < pairs_; ++n) {
            keep_(n, 0) = 1 + discrete.a_minus_one[n].real();
            keep_(pairs_ + n, 0) = discrete.a_minus_one[n].imag();
            for (Index r = 0; r < rank(); ++r) {
                F_(n, r) = 2 * discrete.F(n, r).real();  // 2 Re(C F) is a product of two columns
                F_(pairs_ + n, r) = -2 * discrete.F(n, r).imag();
                G_(n, r) = discrete.G(r, n).real();
                G_(pairs_ + n, r) = discrete.G(r, n).imag();
            }
        }
    }

    [[nodiscard]] Index pairs() const noexcept { return pairs_; }
    [[nodiscard]] Index rank() const noexcept { return G_.cols(); }

    /// C = (C[n]) as a column.
    [[nodiscard]] static Matrix column(const Eigen::VectorXcd& C) {
        Matrix column(2 * C.size(), 1);
        for (Index n = 0; n < C.size(); ++n) {
            column(n, 0) = C[n].real();
            column(C.size() + n, 0) = C[n].imag();
        }
        return column;
    }

    /// next [N] from C [N], and 2 Re(C F_r) for every r.
    void step(const double* C, double* next, double* projections) const noexcept {
        const Numbers re(C, pairs_), im(C + pairs_, pairs_);
        Out next_re(next, pairs_), next_im(next + pairs_, pairs_);
        for (Index r = 0; r < rank(); ++r) projections[r] = (Numbers(C, 2 * pairs_) * of(F_, r)).sum();
        next_re = re * keep_re() - im * keep_im();
        next_im = re * keep_im() + im * keep_re();
        for (Index r = 0; r < rank(); ++r) Out(next, 2 * pairs_) += projections[r] * of(G_, r);
    }

    /// C Ā^steps; zero as soon as it is below any rounding.
    [[nodiscard]] Matrix run(Matrix C, Index steps) const {
        Matrix next(C.rows(), 1);
        double projections[max_rank];
        const double least = negligible(C.data());
        for (Index j = 0; j < steps; ++j) {
            step(C.data(), next.data(), projections);
            C.swap(next);
            if (j % look_every == 0 && largest(C.data()) <= least) {
                C.setZero();
                break;
            }
        }
        return C;
    }

protected:
    using Numbers = Eigen::Map<const Eigen::Array<double, Dynamic, 1>>;
    using Out = Eigen::Map<Eigen::Array<double, Dynamic, 1>>;
    static constexpr Index look_every = 32;  // steps

    [[nodiscard]] Numbers of(const Matrix& columns, Index r) const noexcept {
        return {columns.data() + 2 * pairs_ * r, 2 * pairs_};
    }
    [[nodiscard]] Numbers keep_re() const noexcept { return {keep_.data(), pairs_}; }
    [[nodiscard]] Numbers keep_im() const noexcept { return {keep_.data() + pairs_, pairs_}; }
    [[nodiscard]] double largest(const double* C) const noexcept { return Numbers(C, 2 * pairs_).abs().maxCoeff(); }
    [[nodiscard]] double negligible(const double* C) const noexcept { return 1e-40 * largest(C); }

    Index pairs_;
    Matrix keep_;   // 1 + a
    Matrix F_, G_;  // [N × rank]
};

}  // namespace detail

/// The same system with plain C, and its rate in dt: what a recurrence or a kernel of any other length starts from.
/// O(N³ log n) if it holds C~ = C (I − Ā^n), with Ā at rate 1. Error where I − Ā^n is singular.
template <std::same_as<DplrSystem> System>
[[nodiscard]] System to_plain(const System& system) {
    System plain = system;
    plain.rate = 1;
    if (system.kernel_length > 0) {
        using Matrix = detail::MatrixFor<System>;
        Matrix power = detail::real_matrix<Matrix>(discretize(Bilinear{}, plain));
        Matrix identity(power.rows(), power.cols());
        identity.setIdentity();
        power = detail::times_power(std::move(identity), std::move(power), system.kernel_length);
        for (Index j = 0; j < power.cols(); ++j)
            for (Index i = 0; i < power.rows(); ++i) power(i, j) = (i == j ? 1.0 : 0.0) - power(i, j);
        Matrix row = detail::real_row<Matrix>(system.C);
        detail::solve_from_left(std::move(power), row);
        detail::require(detail::all_finite(row), "Dplr: C cannot be recovered from C~, since I - A^",
                        system.kernel_length, " is singular");
        detail::set_complex_row(plain.C, row);
        plain.kernel_length = 0;
    }
    for (Index n = 0; n < plain.dt.size(); ++n) plain.dt[n] *= system.rate;
    return plain;
}

/// The same system, with its rate in dt, and C~ for kernels of length `length` (0: plain C). From plain C O(rank N
/// length), or O(N³ log length) where that is less; O(N³ log n) more if it holds another C~.
template <std::same_as<DplrSystem> System>
[[nodiscard]] System to_length(const System& system, Index length) {
    if (system.kernel_length == length && system.rate == 1) return system;
    System changed = to_plain(system);
    if (length == 0) return changed;
    using Matrix = detail::MatrixFor<System>;
    const DiscreteDplr discrete = discretize(Bilinear{}, changed);
    const Index pairs = changed.C.size();
    if (detail::prefers_steps(pairs, length)) {
        const detail::StructuredSteps<Matrix> steps{discrete};
        const Matrix rest = steps.run(steps.column(changed.C), length);
        for (Index n = 0; n < pairs; ++n) changed.C[n] -= std::complex<double>{rest(n, 0), rest(pairs + n, 0)};
    } else {
        Matrix row = detail::real_row<Matrix>(changed.C);
        const Matrix rest = detail::times_power(row, detail::real_matrix<Matrix>(discrete), length);
        for (Index n = 0; n < row.size(); ++n) row(0, n) -= rest(0, n);
        detail::set_complex_row(changed.C, row);
    }
    changed.kernel_length = length;
    return changed;
}

/// All channels with C~ for kernels of length `length` at rate 1 (0: plain C); double inside, rounded once. A band
/// limit speaks of the entries of C as they were: it is carried out, and the result has none. Costs of `to_length`
/// above, for each row of C.
template <class Ssm>
[[nodiscard]] typename Ssm::Parameters to_length(typename Ssm::Parameters parameters, Index length) {
    detail::require(length >= 0, Ssm::name, ": a kernel length must not be negative, found ", length);
    Ssm::validate(parameters);
    const double rate = std::exchange(parameters.rate, 1.0);
    typename Ssm::Parameters result = parameters;
    const Index channels = parameters.channels();
    parallel_for(parameters.C.rows(), [&](Index row) {
        const auto changed = to_length(Ssm::system(parameters, row % channels, row / channels), length);
        for (Index n = 0; n < changed.C.size(); ++n)
            result.C(row, n) = static_cast<std::complex<typename Ssm::Scalar>>(changed.C[n]);
    });
    result.kernel_length = length;
    result.band_limit = 0;
    result.rate = rate;
    return result;
}

/// All channels with plain C. Cost as `to_length`.
template <class Ssm>
[[nodiscard]] typename Ssm::Parameters to_plain(const typename Ssm::Parameters& parameters) {
    return to_length<Ssm>(parameters, 0);
}

namespace detail {

/// Ā^steps B̄ [N/2] of a plain system: what `steps` samples later is left of an input. O(N³ log steps).
template <std::same_as<DplrSystem> System>
[[nodiscard]] Eigen::VectorXcd delayed_input(const System& system, Index steps) {
    using Matrix = MatrixFor<System>;
    const DiscreteDplr discrete = discretize(Bilinear{}, system);
    const Index pairs = discrete.B_bar.size();
    Matrix transposed = real_matrix<Matrix>(discrete);
    for (Index j = 0; j < transposed.cols(); ++j)
        for (Index i = 0; i < j; ++i) std::swap(transposed(i, j), transposed(j, i));
    Matrix row(1, 2 * pairs);  // Bᵀ (Āᵀ)^steps
    for (Index n = 0; n < pairs; ++n) {
        row(0, n) = discrete.B_bar[n].real();
        row(0, pairs + n) = discrete.B_bar[n].imag();
    }
    row = times_power(std::move(row), std::move(transposed), steps);
    Eigen::VectorXcd input;
    input.resize(pairs);
    for (Index n = 0; n < pairs; ++n) input[n] = {row(0, n), row(0, pairs + n)};
    return input;
}

}  // namespace detail
}  // namespace s4::inline S4_ABI
