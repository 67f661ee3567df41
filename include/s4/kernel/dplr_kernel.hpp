// The S4 convolution kernel: Cauchy sums at the roots of unity, Woodbury's identity, an inverse FFT (S4 paper, alg. 1).
#pragma once

#include <s4/discretize/dplr_vjp.hpp>
#include <s4/fft/backend.hpp>
#include <s4/fft/forward_real.hpp>
#include <s4/fft/good_size.hpp>
#include <s4/kernel/dplr_spectrum.hpp>
#include <s4/kernel/kernel.hpp>
#include <s4/parameters/dplr.hpp>

#include <algorithm>
#include <complex>
#include <span>
#include <vector>

namespace s4::inline S4_ABI {

/// `standard`: Cauchy sums in the scalar's own precision (float: about 5e-7 of the largest value). `accurate`: in
/// double (float: 1–2e-7), about twice as slow.
enum class KernelPrecision { standard, accurate };

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

    /// What the forward pass of one system leaves for its reverse pass: 4·rank·(n/2) numbers. Belongs to the caller,
    /// who may keep one for each channel, or none.
    class Tape {
    public:
        /// For systems of that rank.
        Tape(const DplrKernel& kernel, Index rank) : values_{kernel.spectrum_.nodes(), rank} {}

    private:
        friend class DplrKernel;
        detail::DplrTape<Scalar> values_;
    };

    /// kernel[l] for l < min(length, kernel.size()). O(rank² N n + n log n), and the time of `to_length` if the
    /// system's C is not C~ for this length. Allocates.
    void operator()(Workspace& workspace, const DplrSystem& system, std::span<Scalar> kernel) const {
        run(workspace, system, kernel, nullptr);
    }
    /// The same, of a system that will be differentiated: also writes `tape`, made for its rank.
    void operator()(Workspace& workspace, const DplrSystem& system, std::span<Scalar> kernel, Tape& tape) const {
        S4_ASSERT(tape.values_.rank() == system.P.rows(), "DplrKernel: the tape was made for another rank");
        run(workspace, system, kernel, &tape.values_);
    }

    /// The reverse pass: adds to `gradient` (the sizes of `system`) what a loss with the cotangent dK of the kernel (as
    /// long as that was) gains by λ, P, B, C (d/d Re + i d/d Im) and dt; D is no part of a kernel. C is the one that
    /// the system holds, plain or C~; where it is not C~ for this length at rate 1, its conversion is differentiated
    /// too. `tape` is from the forward pass of the same system. About twice the time of the forward sums, and that of
    /// `to_length` and its reverse pass if C had to be converted; in float three times the sums where a pole lies next
    /// to a node, as in Fourier systems. Allocates; error as the forward pass.
    void vjp(Workspace& workspace, const DplrSystem& system, std::span<const Scalar> cotangent, const Tape& tape,
             DplrSystem& gradient) const {
        S4_ASSERT(tape.values_.rank() == system.P.rows(), "DplrKernel: the tape was made for another rank");
        if (system.kernel_length == n_ && system.rate == 1)
            return run_vjp(workspace, system, cotangent, tape.values_, gradient);
        const DplrSystem ready = to_length(system, n_);
        DplrSystem by_ready = zero_gradient(ready);
        run_vjp(workspace, ready, cotangent, tape.values_, by_ready);
        to_length_vjp(system, n_, by_ready.C, gradient);
        for (Index n = 0; n < system.lambda.size(); ++n) {
            gradient.lambda[n] += by_ready.lambda[n];
            gradient.B[n] += by_ready.B[n];
            gradient.dt[n] += system.rate * by_ready.dt[n];
            for (Index r = 0; r < system.P.rows(); ++r) gradient.P(r, n) += by_ready.P(r, n);
        }
    }
    /// The same without a tape: the forward sums are made again first, half as much time on top.
    void vjp(Workspace& workspace, const DplrSystem& system, std::span<const Scalar> cotangent,
             DplrSystem& gradient) const {
        Tape tape{*this, system.P.rows()};
        run(workspace, system, std::span<Scalar>{}, &tape.values_);
        vjp(workspace, system, cotangent, tape, gradient);
    }

private:
    void run(Workspace& workspace, const DplrSystem& system, std::span<Scalar> kernel,
             detail::DplrTape<Scalar>* tape) const {
        S4_ASSERT(std::ssize(kernel) <= length_, "DplrKernel: longer than it was made for");
        typename Fft::RealBuffer& buffer = workspace.buffer_;
        const DplrSystem ready = to_length(system, n_);
        if (accurate_ || !fits_scalar(ready)) {
            detail::DplrSpectrum<double>{n_}.evaluate(ready, buffer.spectrum(), tape);
        } else {
            spectrum_.evaluate(ready, buffer.spectrum(), tape);
        }
        if (kernel.empty()) return;
        plan_.inverse(buffer);
        const Scalar scale = Scalar{1} / static_cast<Scalar>(n_);
        for (std::size_t l = 0; l < kernel.size(); ++l) kernel[l] = scale * buffer.signal()[l];
    }

    // K[l] is a mean of Re(X_k e^{2πikl/n}), in which all bins but the first and the last count twice.
    void run_vjp(Workspace& workspace, const DplrSystem& ready, std::span<const Scalar> cotangent,
                 const detail::DplrTape<Scalar>& tape, DplrSystem& gradient) const {
        S4_ASSERT(std::ssize(cotangent) <= length_, "DplrKernel: longer than it was made for");
        typename Fft::RealBuffer& buffer = workspace.buffer_;
        const Scalar scale = Scalar{1} / static_cast<Scalar>(n_);
        for (Index l = 0; l < n_; ++l)
            buffer.signal()[l] = l < std::ssize(cotangent) ? scale * cotangent[static_cast<std::size_t>(l)] : Scalar{0};
        forward_real<Fft>(plan_, buffer);
        for (Index k = 1; k < n_ / 2; ++k) buffer.spectrum()[k] *= Scalar{2};
        // What a pole gains is a difference of all sums, which loses two digits for rank 2 (LegT) in float, and up to
        // all of its digits next to a node, where the numbers on the tape need more digits than it has.
        if (!fits_scalar(ready, next_to_a_node)) {
            detail::DplrTape<double> exact{spectrum_.nodes(), ready.P.rows()};
            std::vector<std::complex<double>> bins(static_cast<std::size_t>(n_ / 2 + 1));
            const detail::DplrSpectrum<double> spectrum{n_};
            spectrum.evaluate(ready, bins.data(), &exact);
            std::copy_n(buffer.spectrum(), bins.size(), bins.begin());
            spectrum.evaluate_vjp(ready, bins.data(), exact, gradient);
        } else if (accurate_ || ready.P.rows() > 1) {
            detail::DplrSpectrum<double>{n_}.evaluate_vjp(ready, buffer.spectrum(), tape, gradient);
        } else {
            spectrum_.evaluate_vjp(ready, buffer.spectrum(), tape, gradient);
        }
    }

    static Index grid(Index length, Index kernel_length) {
        detail::require(length >= 1, "kernel length: at least 1 is needed, found ", length);
        const Index good = std::max<Index>(good_fft_size(length), 2);
        const bool serves = kernel_length >= length && kernel_length % 2 == 0 && kernel_length <= 2 * good;
        return serves ? kernel_length : good;
    }

    // Of |dt λ/2|, in float: sums square its square once more, and poles nearer to zero would leave the range; in
    // reverse, poles nearer than the second bound (a Fourier system has one) leave no digits.
    static constexpr double in_range = 1e-7;
    static constexpr double next_to_a_node = 1e-4;
    static bool fits_scalar(const DplrSystem& system, double smallest = in_range) noexcept {
        if constexpr (std::same_as<Scalar, float>) {
            for (Index n = 0; n < system.lambda.size(); ++n) {
                const double modulus = 0.5 * system.dt[n] * std::abs(system.lambda[n]);
                if (modulus < smallest || modulus > 1e7) return false;
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
        : parameters_{parameters},
          kernel_{length, parameters.rate == 1 ? parameters.kernel_length : 0, KernelPrecision::standard, planning} {}
    [[nodiscard]] Workspace make_workspace() const { return Workspace{kernel_}; }
    void operator()(Workspace& workspace, Index row, std::span<S> kernel) const {
        kernel_(workspace, Ssm::system(parameters_, row % parameters_.channels(), row / parameters_.channels()),
                kernel);
    }

private:
    const typename Ssm::Parameters& parameters_;
    DplrKernel<Fft> kernel_;
};

}  // namespace s4::inline S4_ABI
