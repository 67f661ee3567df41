// The S4 convolution kernel: Cauchy sums at the roots of unity, Woodbury's identity, an inverse FFT (S4 paper, alg. 1).
#pragma once

#include <s4/discretize/dplr.hpp>
#include <s4/fft/backend.hpp>
#include <s4/fft/good_size.hpp>
#include <s4/kernel/cauchy.hpp>
#include <s4/kernel/kernel.hpp>
#include <s4/parameters/dplr.hpp>

#include <algorithm>
#include <array>
#include <complex>
#include <limits>
#include <span>

namespace s4::inline S4_ABI {

/// `standard`: Cauchy sums in the scalar's own precision (float: about 5e-7 of the largest value). `accurate`: in
/// double (float: 1–2e-7), about twice as slow.
enum class KernelPrecision { standard, accurate };

namespace detail {

/// The generating function of a DPLR kernel of length n at e^{-2πik/n}, k = 0 … n/2, with the sums in `Compute`.
template <RealScalar Compute>
class DplrSpectrum {
public:
    explicit DplrSpectrum(Index n) : n_{n}, nodes_{n} {}

    /// spectrum[k] = Σ_l K[l] e^{-2πikl/n} for a system that holds C~ for length n. O(rank² N n); allocates.
    template <class Complex>
    void evaluate(const DplrSystem& system, Complex* spectrum) const {
        const Index pairs = system.lambda.size();
        const Index rank = system.P.rows();
        const Index side = rank + 1;  // the sums form a matrix: rows C and P_r*, columns B − P κ and P_s
        const std::array<double, max_rank> kappa = project_on_low_rank(system);
        CauchySums<Compute> sums{pairs, side * side};
        std::complex<double> nyquist = 0;
        for (Index n = 0; n < pairs; ++n) {
            const std::complex<double> mu = 0.5 * system.dt[n] * system.lambda[n];
            sums.set_pole(n, mu);
            std::complex<double> rest = system.B[n];
            for (Index r = 0; r < rank; ++r) rest -= kappa[static_cast<std::size_t>(r)] * system.P(r, n);
            for (Index row = 0; row < side; ++row) {
                const std::complex<double> left = row == 0 ? system.C[n] : std::conj(system.P(row - 1, n));
                for (Index column = 0; column < side; ++column) {
                    const std::complex<double> right = column == 0 ? rest : system.P(column - 1, n);
                    sums.set_numerator(row * side + column, n, 0.5 * system.dt[n] * (left * right), mu);
                }
            }
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
            const double t = static_cast<double>(nodes_.high()[k]) + static_cast<double>(nodes_.low()[k]);
            spectrum[k] = static_cast<Complex>(multiply({1.0, t}, woodbury(entries, side)));
        }
        spectrum[n_ / 2] = static_cast<Complex>(std::complex<double>{nyquist.real(), 0.0});
    }

private:
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

    Index n_;
    ImaginaryNodes<Compute> nodes_;
};

}  // namespace detail

/// Makes kernels K[l] = 2 Re(C Ā^l B̄) of DPLR systems, all of the same length. Const when it runs, shared by threads.
template <FftBackend Fft>
class DplrKernel {
public:
    using Scalar = typename Fft::Scalar;

    /// For kernels of `length` ≥ 1 entries. The transform is the next good length, or `kernel_length` where the systems
    /// hold a C~ that serves (then no power of Ā is needed). Allocates; error when the length is out of range.
    explicit DplrKernel(Index length, Index kernel_length = 0, KernelPrecision precision = KernelPrecision::standard,
                        Planning planning = Planning::estimate)
        : length_{length},
          n_{grid(length, kernel_length)},
          plan_{n_, planning},
          spectrum_{n_},
          accurate_{precision == KernelPrecision::accurate} {}

    /// The longest kernel it makes.
    [[nodiscard]] Index length() const noexcept { return length_; }
    /// The number of roots of unity: C~ refers to this length.
    [[nodiscard]] Index grid_size() const noexcept { return n_; }

    /// Scratch, one for each thread.
    class Workspace {
    public:
        explicit Workspace(const DplrKernel& kernel) : buffer_{kernel.plan_} {}

    private:
        friend class DplrKernel;
        typename Fft::RealBuffer buffer_;
    };

    /// kernel[l] for l < min(length, kernel.size()). O(rank² N n + n log n), and O(N³ log n) once if the system's C is
    /// not C~ for this length. Allocates.
    void operator()(Workspace& workspace, const DplrSystem& system, std::span<Scalar> kernel) const {
        S4_ASSERT(std::ssize(kernel) <= length_, "DplrKernel: longer than it was made for");
        typename Fft::RealBuffer& buffer = workspace.buffer_;
        const DplrSystem ready = to_length(system, n_);
        if (accurate_ || !fits_scalar(ready)) {
            detail::DplrSpectrum<double>{n_}.evaluate(ready, buffer.spectrum());
        } else {
            spectrum_.evaluate(ready, buffer.spectrum());
        }
        plan_.inverse(buffer);
        const Scalar scale = Scalar{1} / static_cast<Scalar>(n_);
        for (std::size_t l = 0; l < kernel.size(); ++l) kernel[l] = scale * buffer.signal()[l];
    }

private:
    static Index grid(Index length, Index kernel_length) {
        detail::require(length >= 1, "kernel length: at least 1 is needed, found ", length);
        const Index good = std::max<Index>(good_fft_size(length), 2);
        const bool serves = kernel_length >= length && kernel_length % 2 == 0 && kernel_length <= 2 * good;
        return serves ? kernel_length : good;
    }

    // The sums square |dt λ/2|² once more: in float, poles extremely near zero or far away would leave its range.
    static bool fits_scalar(const DplrSystem& system) noexcept {
        if constexpr (std::same_as<Scalar, float>) {
            for (Index n = 0; n < system.lambda.size(); ++n) {
                const double modulus = 0.5 * system.dt[n] * std::abs(system.lambda[n]);
                if (modulus < 1e-7 || modulus > 1e7) return false;
            }
        }
        return true;
    }

    Index length_;
    Index n_;
    typename Fft::RealPlan plan_;
    detail::DplrSpectrum<Scalar> spectrum_;
    bool accurate_;
};

/// Kernels of diagonal-plus-low-rank systems, by DplrKernel.
template <RealScalar S, class Shape, FftBackend Fft>
class KernelGenerator<Dplr<S, Shape>, Fft> {
public:
    using Ssm = Dplr<S, Shape>;
    using Workspace = typename DplrKernel<Fft>::Workspace;

    KernelGenerator(const typename Ssm::Parameters& parameters, Index length, Planning planning)
        : parameters_{parameters}, kernel_{length, parameters.kernel_length, KernelPrecision::standard, planning} {}
    [[nodiscard]] Workspace make_workspace() const { return Workspace{kernel_}; }
    void operator()(Workspace& workspace, Index h, std::span<S> kernel) const {
        kernel_(workspace, Ssm::system(parameters_, h), kernel);
    }

private:
    const typename Ssm::Parameters& parameters_;
    DplrKernel<Fft> kernel_;
};

}  // namespace s4::inline S4_ABI
