// Reverse passes of what dplr.hpp does: the bilinear rule of a DPLR system, and C~ from the plain C.
#pragma once

#include <s4/discretize/dplr.hpp>

#include <cmath>
#include <complex>
#include <concepts>
#include <utility>

namespace s4::inline S4_ABI {

// As in dplr.hpp, functions are templates of one type so that Eigen compiles only where they are used.

/// A gradient of zeros for `system`: of its sizes, rate and kernel length.
template <std::same_as<DplrSystem> System>
[[nodiscard]] System zero_gradient(const System& system) {
    System gradient;
    gradient.lambda.setZero(system.lambda.size());
    gradient.P.setZero(system.P.rows(), system.P.cols());
    gradient.B.setZero(system.B.size());
    gradient.C.setZero(system.C.size());
    gradient.dt.setZero(system.dt.size());
    gradient.rate = system.rate;
    gradient.kernel_length = system.kernel_length;
    return gradient;
}

/// The reverse pass of `discretize(Bilinear, system)`: adds to `gradient` (the sizes of `system`) what a loss with this
/// cotangent of the discrete system gains by λ, P, B (d/d Re + i d/d Im) and dt. C and D take no part. O(rank² N).
template <std::same_as<DplrSystem> System>
void discretize_vjp(Bilinear, const System& system, const DiscreteDplr& cotangent, System& gradient) {
    using Complex = std::complex<double>;
    const Index pairs = system.lambda.size();
    const Index rank = system.P.rows();
    S4_ASSERT(gradient.lambda.size() == pairs && gradient.P.rows() == rank && gradient.P.cols() == pairs &&
                  gradient.B.size() == pairs && gradient.dt.size() == pairs,
              "discretize_vjp: a gradient has the sizes of its system");
    const auto delta_of = [&](Index n) { return 1.0 / (1.0 - 0.5 * (system.rate * system.dt[n] * system.lambda[n])); };

    // Forward again: the inverse S of I + P*ΔdtP/2, and P*Δ dt B. With s = Δ dt P, F = −s S.
    double inverse[max_rank][max_rank] = {};
    double projected[max_rank] = {};
    for (Index r = 0; r < rank; ++r) {
        inverse[r][r] = 1;
        for (Index n = 0; n < pairs; ++n) {
            const Complex g = detail::multiply(std::conj(system.P(r, n)), delta_of(n) * system.rate * system.dt[n]);
            projected[r] += 2 * detail::multiply(g, system.B[n]).real();
            for (Index s = 0; s < rank; ++s) inverse[r][s] += detail::multiply(g, system.P(s, n)).real();
        }
    }
    detail::invert(inverse, rank);

    // The sums over states that the reverse pass needs before it can go back to one state.
    double by_inverse[max_rank][max_rank] = {};
    double by_projected[max_rank] = {};
    const auto f_cotangent = [&](Index n, Index r) {  // B_bar holds F · projected/2
        return cotangent.F(n, r) + 0.5 * projected[r] * cotangent.B_bar[n];
    };
    for (Index n = 0; n < pairs; ++n) {
        const Complex delta_dt = delta_of(n) * system.rate * system.dt[n];
        for (Index r = 0; r < rank; ++r) {
            Complex f = 0;
            for (Index s = 0; s < rank; ++s) {
                const Complex scaled = detail::multiply(delta_dt, system.P(s, n));
                f -= scaled * inverse[s][r];
                by_inverse[s][r] -= detail::multiply(std::conj(scaled), f_cotangent(n, r)).real();
            }
            by_projected[r] += 0.5 * detail::multiply(std::conj(f), cotangent.B_bar[n]).real();
        }
    }
    double by_sum[max_rank][max_rank] = {};  // of I + P*ΔdtP/2: −Sᵀ (by_inverse) Sᵀ
    for (Index r = 0; r < rank; ++r)
        for (Index s = 0; s < rank; ++s)
            for (Index i = 0; i < rank; ++i)
                for (Index j = 0; j < rank; ++j) by_sum[r][s] -= inverse[i][r] * by_inverse[i][j] * inverse[s][j];

    for (Index n = 0; n < pairs; ++n) {
        const double dt = system.rate * system.dt[n];
        const Complex delta = delta_of(n);
        const Complex B = system.B[n];
        const Complex b_cotangent = cotangent.B_bar[n];
        Complex by_delta = dt * detail::multiply(std::conj(B), b_cotangent);
        double by_dt = detail::multiply(std::conj(detail::multiply(delta, B)), b_cotangent).real();
        Complex by_b = dt * detail::multiply(std::conj(delta), b_cotangent);
        for (Index r = 0; r < rank; ++r) {
            const Complex P = system.P(r, n);
            const Complex delta_p = detail::multiply(delta, P);
            const Complex G = detail::multiply(std::conj(P), delta);
            Complex by_scaled = 0;  // of s = δ dt P
            for (Index s = 0; s < rank; ++s) {
                by_scaled += by_sum[s][r] * system.P(s, n) - inverse[r][s] * f_cotangent(n, s);
                gradient.P(r, n) += by_sum[r][s] * dt * detail::multiply(delta, system.P(s, n));
            }
            const Complex by_g = cotangent.G(r, n) + 2 * dt * by_projected[r] * std::conj(B);
            by_b += 2 * dt * by_projected[r] * std::conj(G);
            by_dt += 2 * by_projected[r] * detail::multiply(G, B).real() +
                     detail::multiply(std::conj(delta_p), by_scaled).real();
            by_delta += detail::multiply(P, by_g) + dt * detail::multiply(std::conj(P), by_scaled);
            gradient.P(r, n) +=
                detail::multiply(delta, std::conj(by_g)) + dt * detail::multiply(std::conj(delta), by_scaled);
        }
        const Complex by_z =
            detail::multiply(std::conj(detail::multiply(delta, delta)), cotangent.a_minus_one[n] + 0.5 * by_delta);
        gradient.lambda[n] += dt * by_z;
        gradient.dt[n] += system.rate * (by_dt + detail::multiply(std::conj(system.lambda[n]), by_z).real());
        gradient.B[n] += by_b;
    }
}

namespace detail {

/// The reverse pass of `real_matrix`.
template <std::same_as<Eigen::MatrixXd> Matrix>
[[nodiscard]] DiscreteDplr real_matrix_vjp(const DiscreteDplr& discrete, const Matrix& cotangent) {
    const Index pairs = discrete.a_minus_one.size();
    const Index rank = discrete.G.rows();
    DiscreteDplr gradient;
    gradient.a_minus_one.resize(pairs);
    gradient.F.setZero(pairs, rank);
    gradient.G.setZero(rank, pairs);
    gradient.B_bar.setZero(pairs);
    for (Index n = 0; n < pairs; ++n)
        gradient.a_minus_one[n] = {cotangent(n, n) + cotangent(pairs + n, pairs + n),
                                   cotangent(pairs + n, n) - cotangent(n, pairs + n)};
    for (Index column = 0; column < pairs; ++column)
        for (Index row = 0; row < pairs; ++row) {
            // An entry is F G on the left half and i F G on the right half of a column of complex numbers.
            const std::complex<double> left{cotangent(row, column), cotangent(pairs + row, column)};
            const std::complex<double> right{cotangent(row, pairs + column), cotangent(pairs + row, pairs + column)};
            for (Index r = 0; r < rank; ++r) {
                const std::complex<double> f = std::conj(discrete.F(row, r));
                gradient.F(row, r) +=
                    2.0 * (discrete.G(r, column).real() * left - discrete.G(r, column).imag() * right);
                gradient.G(r, column) +=
                    2.0 * std::complex<double>{multiply(f, left).real(), -multiply(f, right).real()};
            }
        }
    return gradient;
}

/// Σ_{j < exponent} (Mᵀ)^j uᵀ w (Mᵀ)^{exponent−1−j} with rows u, w [1 × N]: what M gains when M^exponent gains uᵀ w. By
/// binary powers from the highest bit, S_{2m} = A^m S_m + S_m A^m and S_{m+1} = A^m S_1 + S_m A. O(N³ log exponent).
template <std::same_as<Eigen::MatrixXd> Matrix>
[[nodiscard]] Matrix power_vjp(const Matrix& matrix, Index exponent, const Matrix& u, const Matrix& w) {
    const Index size = matrix.rows();
    Matrix sum(size, size);
    sum.setZero();
    if (exponent == 0) return sum;
    const Matrix transposed = matrix.transpose();
    Matrix power = transposed;
    Matrix next(size, size);
    Matrix column(size, 1);
    sum.noalias() = u.transpose() * w;
    Index bit = 1;
    while (bit <= exponent / 2) bit *= 2;
    for (bit /= 2; bit > 0; bit /= 2) {
        next.noalias() = power * sum;
        next.noalias() += sum * power;
        sum.swap(next);
        next.noalias() = power * power;
        power.swap(next);
        if ((exponent & bit) != 0) {
            column.noalias() = power * u.transpose();
            next.noalias() = sum * transposed;
            next.noalias() += column * w;
            sum.swap(next);
            next.noalias() = power * transposed;
            power.swap(next);
        }
        double largest = 0;
        for (Index n = 0; n < size * size; ++n)
            largest = std::fmax(largest, std::fmax(std::abs(power.data()[n]), std::abs(sum.data()[n])));
        if (largest < 1e-40) {
            sum.setZero();
            break;
        }
    }
    return sum;
}

/// Reverse pass of StructuredSteps.
template <std::same_as<Eigen::MatrixXd> Matrix>
class StructuredStepsVjp : StructuredSteps<Matrix> {
public:
    explicit StructuredStepsVjp(const DiscreteDplr& discrete) : StructuredSteps<Matrix>{discrete} {}

    /// From the cotangent of C Ā^steps to that of C, in its place; writes that of Ā to `gradient`. O(rank N steps).
    void run(const Matrix& C, Index steps, Matrix& cotangent, DiscreteDplr& gradient) const {
        const Index pairs = this->pairs();
        const Index rank = this->rank();
        Matrix rows(2 * pairs, steps + 1);  // C Ā^j, as far as it counts
        Matrix projections(rank, steps);
        rows.col(0) = C;
        Index kept = 0;
        for (const double least = this->negligible(C.data()); kept < steps; ++kept) {
            const double* row = rows.col(kept).data();
            if (kept % look_every == 0 && this->largest(row) <= least) break;
            this->step(row, rows.col(kept + 1).data(), projections.col(kept).data());
        }

        Matrix before(2 * pairs, 1);
        Matrix by_keep(2 * pairs, 1);
        Matrix by_F(2 * pairs, rank);
        Matrix by_G(2 * pairs, rank);
        by_keep.setZero(), by_F.setZero(), by_G.setZero();
        const double least = this->negligible(cotangent.data());
        for (Index j = steps; j-- > 0;) {
            if (j % look_every == 0 && this->largest(cotangent.data()) <= least) {
                cotangent.setZero();
                break;
            }
            const Numbers by_next(cotangent.data(), 2 * pairs);
            const Numbers re(by_next.data(), pairs), im(by_next.data() + pairs, pairs);
            Out(before.data(), pairs) = this->keep_re() * re + this->keep_im() * im;
            Out(before.data() + pairs, pairs) = this->keep_re() * im - this->keep_im() * re;
            if (j < kept) {
                const Numbers row(rows.col(j).data(), 2 * pairs);
                const Numbers row_re(row.data(), pairs), row_im(row.data() + pairs, pairs);
                Out(by_keep.data(), pairs) += row_re * re + row_im * im;
                Out(by_keep.data() + pairs, pairs) += row_re * im - row_im * re;
            }
            for (Index r = 0; r < rank; ++r) {
                const double by_projection = (by_next * this->of(this->G_, r)).sum();
                Out(before.data(), 2 * pairs) += by_projection * this->of(this->F_, r);
                if (j >= kept) continue;
                Out(by_F.col(r).data(), 2 * pairs) += by_projection * Numbers(rows.col(j).data(), 2 * pairs);
                Out(by_G.col(r).data(), 2 * pairs) += projections(r, j) * by_next;
            }
            cotangent.swap(before);
        }

        gradient.a_minus_one.resize(pairs);
        gradient.F.resize(pairs, rank);
        gradient.G.resize(rank, pairs);
        gradient.B_bar.setZero(pairs);
        for (Index n = 0; n < pairs; ++n) {
            gradient.a_minus_one[n] = {by_keep(n, 0), by_keep(pairs + n, 0)};
            for (Index r = 0; r < rank; ++r) {
                gradient.F(n, r) = {2 * by_F(n, r), -2 * by_F(pairs + n, r)};
                gradient.G(r, n) = {by_G(n, r), by_G(pairs + n, r)};
            }
        }
    }

private:
    using typename StructuredSteps<Matrix>::Numbers;
    using typename StructuredSteps<Matrix>::Out;
    using StructuredSteps<Matrix>::look_every;
};

/// Replaces the row x [N] by the solution y of y · matrixᵀ = x. O(N³).
template <std::same_as<Eigen::MatrixXd> Matrix>
void solve_from_left_transposed(const Matrix& matrix, Matrix& x) {
    Matrix transposed = matrix.transpose();
    solve_from_left(std::move(transposed), x);
}

/// I − Ā^exponent.
template <std::same_as<Eigen::MatrixXd> Matrix>
[[nodiscard]] Matrix one_minus_power(const Matrix& matrix, Index exponent) {
    Matrix identity(matrix.rows(), matrix.cols());
    identity.setIdentity();
    Matrix power = times_power(identity, matrix, exponent);
    for (Index j = 0; j < power.cols(); ++j)
        for (Index i = 0; i < power.rows(); ++i) power(i, j) = identity(i, j) - power(i, j);
    return power;
}

}  // namespace detail

/// The reverse pass of the C of `to_length(system, length)`: adds to `gradient` (the sizes of `system`) what a loss
/// gains by system.C, plain or C~, and by λ, P and dt through the powers of Ā, when it gains `cotangent` [N/2]
/// (d/d Re + i d/d Im) by the C of the result. (Its other tensors are those of the system, dt times the rate.)
/// O(rank N length) from plain C, or O(N³ log length) where that is less.
template <std::same_as<DplrSystem> System>
void to_length_vjp(const System& system, Index length, const Eigen::VectorXcd& cotangent, System& gradient) {
    S4_ASSERT(cotangent.size() == system.C.size() && gradient.C.size() == system.C.size(),
              "to_length_vjp: a gradient has the sizes of its system");
    if (system.kernel_length == length && system.rate == 1) {
        for (Index n = 0; n < cotangent.size(); ++n) gradient.C[n] += cotangent[n];
        return;
    }
    using Matrix = detail::MatrixFor<System>;
    const Index pairs = system.C.size();
    if (system.kernel_length == 0 && length > 0 && detail::prefers_steps(pairs, length)) {  // C − C Ā^length
        const DiscreteDplr discrete = discretize(Bilinear{}, system);
        Matrix by_row = detail::StructuredSteps<Matrix>::column(cotangent);
        by_row *= -1;
        DiscreteDplr by_discrete;
        detail::StructuredStepsVjp<Matrix>{discrete}.run(detail::StructuredSteps<Matrix>::column(system.C), length,
                                                         by_row, by_discrete);
        discretize_vjp(Bilinear{}, system, by_discrete, gradient);
        for (Index n = 0; n < pairs; ++n)
            gradient.C[n] += cotangent[n] + std::complex<double>{by_row(n, 0), by_row(pairs + n, 0)};
        return;
    }
    const Matrix row = detail::real_row<Matrix>(to_plain(system).C);
    Matrix g(1, 2 * pairs);  // of the row [2 Re C, −2 Im C] of the result
    for (Index n = 0; n < pairs; ++n) {
        g(0, n) = 0.5 * cotangent[n].real();
        g(0, pairs + n) = -0.5 * cotangent[n].imag();
    }
    if (length > 0) {  // result = row (I − Ā^length), at the rate of the system
        const DiscreteDplr discrete = discretize(Bilinear{}, system);
        const Matrix A_bar = detail::real_matrix<Matrix>(discrete);
        const Matrix negative = -g;
        const Matrix by_matrix = detail::power_vjp(A_bar, length, row, negative);
        discretize_vjp(Bilinear{}, system, detail::real_matrix_vjp(discrete, by_matrix), gradient);
        const Matrix transposed = A_bar.transpose();
        const Matrix rest = detail::times_power(g, transposed, length);
        g -= rest;
    }
    if (system.kernel_length > 0) {  // row (I − Ā^kernel_length) = the row of the system, at rate 1
        System at_rate_one = system;
        at_rate_one.rate = 1;
        const DiscreteDplr discrete = discretize(Bilinear{}, at_rate_one);
        const Matrix A_bar = detail::real_matrix<Matrix>(discrete);
        detail::solve_from_left_transposed(detail::one_minus_power(A_bar, system.kernel_length), g);
        const Matrix by_matrix = detail::power_vjp(A_bar, system.kernel_length, row, g);
        discretize_vjp(Bilinear{}, at_rate_one, detail::real_matrix_vjp(discrete, by_matrix), gradient);
    }
    for (Index n = 0; n < pairs; ++n) gradient.C[n] += std::complex<double>{2 * g(0, n), -2 * g(0, pairs + n)};
}

}  // namespace s4::inline S4_ABI
