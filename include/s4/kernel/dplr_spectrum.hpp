// The generating function of a DPLR kernel at the roots of unity: Cauchy sums and Woodbury's identity, and their
// reverse pass (S4 paper, section 3 and app. C.3).
#pragma once

#include <s4/discretize/dplr.hpp>
#include <s4/kernel/cauchy_sums.hpp>
#include <s4/parameters/dplr.hpp>

#include <algorithm>
#include <array>
#include <complex>
#include <span>

namespace s4::inline S4_ABI::detail {

/// What the reverse pass needs of the forward pass: at every node the row k_CP (I + k_QP)⁻¹ and the column
/// (I + k_QP)⁻¹ (k_QB' − κ), 4·rank numbers a node.
template <RealScalar Scalar>
class DplrTape {
public:
    DplrTape(Index nodes, Index rank) : rank_{rank}, values_{nodes * 2 * rank} {}

    [[nodiscard]] Index rank() const noexcept { return rank_; }
    [[nodiscard]] std::complex<Scalar>* row(Index node) noexcept { return values_.data() + node * 2 * rank_; }
    [[nodiscard]] const std::complex<Scalar>* row(Index node) const noexcept {
        return values_.data() + node * 2 * rank_;
    }
    [[nodiscard]] std::complex<Scalar>* column(Index node) noexcept { return row(node) + rank_; }
    [[nodiscard]] const std::complex<Scalar>* column(Index node) const noexcept { return row(node) + rank_; }

private:
    Index rank_;
    Storage<std::complex<Scalar>> values_;
};

/// The generating function of a DPLR kernel of length n at ω = e^{-2πik/n}, k = 0 … n/2, with the sums in `Compute`.
///
/// Algorithm 1 of the S4 paper evaluates 2/(1 + ω) [k_CB − k_CP (1 + k_PP)⁻¹ k_PB] with k_vw = Σ_n dt v_n w_n/(g − dt
/// λ_n) and g = 2(1 − ω)/(1 + ω). Here ω is on the unit circle, so with t = tan(πk/n) that is g = 2it and 2/(1 + ω) = 1
/// + it: k_vw = Σ_n (dt/2) v_n w_n/(it − μ_n) with μ = dt λ/2, sums over nodes on the imaginary axis. ω = −1 (t
/// infinite) has the limit Σ_n dt C_n B_n/2 over all states. Only the projection of B on P, below, is not in the paper.
template <RealScalar Compute>
class DplrSpectrum {
public:
    explicit DplrSpectrum(Index n) : n_{n}, nodes_{n} {}

    /// How many bins come from sums: all but the last.
    [[nodiscard]] Index nodes() const noexcept { return nodes_.count(); }

    /// spectrum[k] = Σ_l K[l] e^{-2πikl/n} for a system that holds C~ for length n; writes to `tape` unless it is null.
    /// O(rank² N n); allocates.
    template <RealScalar Scalar>
    void evaluate(const DplrSystem& system, std::complex<Scalar>* spectrum, DplrTape<Scalar>* tape = nullptr) const {
        using Complex = std::complex<Scalar>;
        const Index rank = system.P.rows();
        const Index side = rank + 1;
        const std::array<double, max_rank> kappa = project_on_low_rank(system);
        CauchySums<Compute> sums{system.lambda.size(), side * side};
        std::complex<double> nyquist = 0;
        for (Index n = 0; n < system.lambda.size(); ++n) {
            set_state(system, kappa, n, sums);
            nyquist += system.dt[n] * system.C[n] * system.B[n];
        }
        const Index padded = nodes_.padded();
        Storage<Compute> values{2 * side * side * padded};
        sums.evaluate(nodes_, values.data());

        for (Index k = 0; k < nodes_.count(); ++k) {
            std::array<std::complex<double>, (max_rank + 1) * (max_rank + 1)> entries;
            for (Index s = 0; s < side * side; ++s) {
                const Compute* value = values.data() + 2 * s * padded + k;
                entries[static_cast<std::size_t>(s)] = {static_cast<double>(value[0]),
                                                        static_cast<double>(value[padded])};
            }
            for (Index r = 0; r < rank; ++r)
                entries[static_cast<std::size_t>((r + 1) * side)] -= kappa[static_cast<std::size_t>(r)];
            spectrum[k] = static_cast<Complex>(multiply({1.0, node(k)}, woodbury(entries, side)));
            if (tape != nullptr) solve(entries, side, tape->row(k), tape->column(k));
        }
        spectrum[n_ / 2] = static_cast<Complex>(std::complex<double>{nyquist.real(), 0.0});
    }

    /// The reverse pass: adds to `gradient` what a loss gains by λ, P, B, C~ and dt, given its gain by the real and the
    /// imaginary part of every bin (of the last bin, which is real, only the real part counts).
    ///
    /// κ is held constant, since the spectrum is the same for every κ. A bin's cotangent g reaches the sum in row r and
    /// column s as conj(y_r x_s) g, with y = (1, −row of the tape) and x = (1, −column of the tape).
    /// O(rank² N n), about twice the time of the forward sums; allocates.
    template <RealScalar Scalar>
    void evaluate_vjp(const DplrSystem& system, const std::complex<Scalar>* cotangent, const DplrTape<Scalar>& tape,
                      DplrSystem& gradient) const {
        const Index rank = system.P.rows();
        const Index side = rank + 1;
        const std::array<double, max_rank> kappa = project_on_low_rank(system);
        CauchySums<Compute> sums{system.lambda.size(), side * side};
        for (Index n = 0; n < system.lambda.size(); ++n) set_state(system, kappa, n, sums);

        const Index padded = nodes_.padded();
        Storage<Compute> values{2 * side * side * padded};
        for (Index k = 0; k < nodes_.count(); ++k) {
            const std::complex<double> g = multiply({1.0, -node(k)}, static_cast<std::complex<double>>(cotangent[k]));
            for (Index row = 0; row < side; ++row) {
                const std::complex<double> left =
                    row == 0 ? g : multiply(-std::conj(static_cast<std::complex<double>>(tape.row(k)[row - 1])), g);
                for (Index column = 0; column < side; ++column) {
                    const std::complex<double> value =
                        column == 0
                            ? left
                            : multiply(-std::conj(static_cast<std::complex<double>>(tape.column(k)[column - 1])), left);
                    Compute* to = values.data() + 2 * (row * side + column) * padded + k;
                    to[0] = static_cast<Compute>(value.real());
                    to[padded] = static_cast<Compute>(value.imag());
                }
            }
        }
        typename CauchySums<Compute>::Gradient folded{sums};
        sums.evaluate_vjp(nodes_, values.data(), folded);
        const auto nyquist = static_cast<double>(cotangent[n_ / 2].real());
        for (Index n = 0; n < system.lambda.size(); ++n) set_state_vjp(system, kappa, n, folded, nyquist, gradient);
    }

private:
    /// The sums form a matrix: rows C and P_r*, columns B − P κ and P_s. Their numerators are dt/2 times the products.
    struct Factors {
        std::array<std::complex<double>, max_rank + 1> left, right;

        Factors(const DplrSystem& system, const std::array<double, max_rank>& kappa, Index n) noexcept {
            left[0] = system.C[n];
            right[0] = system.B[n];
            for (Index r = 0; r < system.P.rows(); ++r) {
                const auto at = static_cast<std::size_t>(r);
                right[0] -= kappa[at] * system.P(r, n);
                left[at + 1] = std::conj(system.P(r, n));
                right[at + 1] = system.P(r, n);
            }
        }
    };

    static void set_state(const DplrSystem& system, const std::array<double, max_rank>& kappa, Index n,
                          CauchySums<Compute>& sums) noexcept {
        const Index side = system.P.rows() + 1;
        const Factors factors{system, kappa, n};
        const std::complex<double> mu = 0.5 * system.dt[n] * system.lambda[n];
        sums.set_pole(n, mu);
        for (Index row = 0; row < side; ++row)
            for (Index column = 0; column < side; ++column)
                sums.set_numerator(row * side + column, n,
                                   0.5 * system.dt[n] *
                                       multiply(factors.left[static_cast<std::size_t>(row)],
                                                factors.right[static_cast<std::size_t>(column)]),
                                   mu);
    }

    static void set_state_vjp(const DplrSystem& system, const std::array<double, max_rank>& kappa, Index n,
                              const typename CauchySums<Compute>::Gradient& folded, double nyquist,
                              DplrSystem& gradient) noexcept {
        const Index rank = system.P.rows();
        const Index side = rank + 1;
        const Factors factors{system, kappa, n};
        const double half_dt = 0.5 * system.dt[n];
        const std::complex<double> mu = half_dt * system.lambda[n];
        std::complex<double> by_mu = 0;
        CauchySums<Compute>::set_pole_vjp(folded, n, mu, by_mu);
        std::array<std::complex<double>, max_rank + 1> by_left = {};
        std::array<std::complex<double>, max_rank + 1> by_right = {};
        double by_dt = 0;
        for (Index row = 0; row < side; ++row) {
            const std::complex<double> left = factors.left[static_cast<std::size_t>(row)];
            for (Index column = 0; column < side; ++column) {
                const std::complex<double> right = factors.right[static_cast<std::size_t>(column)];
                const std::complex<double> product = multiply(left, right);
                std::complex<double> by_numerator = 0;
                CauchySums<Compute>::set_numerator_vjp(folded, row * side + column, n, half_dt * product, mu,
                                                       by_numerator, by_mu);
                by_left[static_cast<std::size_t>(row)] += half_dt * multiply(std::conj(right), by_numerator);
                by_right[static_cast<std::size_t>(column)] += half_dt * multiply(std::conj(left), by_numerator);
                by_dt += 0.5 * multiply(std::conj(product), by_numerator).real();
            }
        }
        by_dt += 0.5 * multiply(std::conj(system.lambda[n]), by_mu).real();
        by_dt += nyquist * multiply(system.C[n], system.B[n]).real();
        gradient.dt[n] += by_dt;
        gradient.lambda[n] += half_dt * by_mu;
        gradient.C[n] += by_left[0] + nyquist * system.dt[n] * std::conj(system.B[n]);
        gradient.B[n] += by_right[0] + nyquist * system.dt[n] * std::conj(system.C[n]);
        for (Index r = 0; r < rank; ++r) {
            const auto at = static_cast<std::size_t>(r);
            gradient.P(r, n) += std::conj(by_left[at + 1]) + by_right[at + 1] - kappa[at] * by_right[0];
        }
    }

    // κ with B ≈ Σ κ_r P_r, by least squares over both halves of the pairs. HiPPO's B lies in the span of P, and then
    // k_CB and k_CP (I + k_QP)⁻¹ k_QB cancel by a factor 1 + k_QP. With B = B' + P κ the difference is
    // k_CB' − k_CP (I + k_QP)⁻¹ (k_QB' − κ), where nothing cancels: exact for every κ, so this costs no accuracy where
    // B has moved away. Dependent or zero rows of P do no harm: any κ will do.
    static std::array<double, max_rank> project_on_low_rank(const DplrSystem& system) noexcept {
        const Index rank = system.P.rows();
        double gram[max_rank][max_rank] = {};
        double products[max_rank] = {};
        double largest = 0;
        for (Index r = 0; r < rank; ++r) {
            for (Index n = 0; n < system.B.size(); ++n) {
                const std::complex<double> p = std::conj(system.P(r, n));
                products[r] += multiply(p, system.B[n]).real();
                for (Index s = 0; s < rank; ++s) gram[r][s] += multiply(p, system.P(s, n)).real();
            }
            largest = std::max(largest, gram[r][r]);
        }
        std::array<double, max_rank> kappa = {};
        if (largest < 1e-200) return kappa;  // no low rank: nothing to project on, and no digits to invert
        for (Index r = 0; r < rank; ++r) gram[r][r] += 1e-12 * largest;
        invert(gram, rank);
        for (Index r = 0; r < rank; ++r)
            for (Index s = 0; s < rank; ++s) kappa[static_cast<std::size_t>(r)] += gram[r][s] * products[s];
        return kappa;
    }

    // k_CB − k_CP (I + k_QP)⁻¹ k_QB, by eliminating the rows of I + k_QP from the last to the first; in double, where
    // the cancellation of rank 2 costs nothing. I + k_QP has a positive definite Hermitian part: no pivoting needed.
    static std::complex<double> woodbury(std::span<std::complex<double>> m, Index side) noexcept {
        const auto at = [&](Index row, Index column) -> std::complex<double>& {
            return m[static_cast<std::size_t>(row * side + column)];
        };
        for (Index pivot = side - 1; pivot > 0; --pivot) {
            const std::complex<double> divisor = 1.0 + at(pivot, pivot);
            const std::complex<double> reciprocal = std::conj(divisor) / std::norm(divisor);
            for (Index row = 0; row < pivot; ++row) {
                const std::complex<double> factor = multiply(at(row, pivot), reciprocal);
                for (Index column = 0; column < pivot; ++column) at(row, column) -= multiply(factor, at(pivot, column));
            }
        }
        return at(0, 0);
    }

    // y S = the first row and S x = the first column, S = I + k_QP, from what `woodbury` has left: column p of it holds
    // what is to be solved once the columns behind it are eliminated, and so does row p.
    template <RealScalar Scalar>
    static void solve(std::span<const std::complex<double>> m, Index side, std::complex<Scalar>* row,
                      std::complex<Scalar>* column) noexcept {
        const auto at = [&](Index i, Index j) { return m[static_cast<std::size_t>(i * side + j)]; };
        std::array<std::complex<double>, max_rank + 1> y;
        std::array<std::complex<double>, max_rank + 1> x;
        for (Index p = 1; p < side; ++p) {
            const auto here = static_cast<std::size_t>(p);
            y[here] = at(0, p);
            x[here] = at(p, 0);
            for (Index r = 1; r < p; ++r) {
                y[here] -= multiply(y[static_cast<std::size_t>(r)], at(r, p));
                x[here] -= multiply(at(p, r), x[static_cast<std::size_t>(r)]);
            }
            const std::complex<double> divisor = 1.0 + at(p, p);
            const std::complex<double> reciprocal = std::conj(divisor) / std::norm(divisor);
            y[here] = multiply(y[here], reciprocal);
            x[here] = multiply(x[here], reciprocal);
            row[p - 1] = static_cast<std::complex<Scalar>>(y[here]);
            column[p - 1] = static_cast<std::complex<Scalar>>(x[here]);
        }
    }

    [[nodiscard]] double node(Index k) const noexcept {
        return static_cast<double>(nodes_.high()[k]) + static_cast<double>(nodes_.low()[k]);
    }

    Index n_;
    ImaginaryNodes<Compute> nodes_;
};

}  // namespace s4::inline S4_ABI::detail
