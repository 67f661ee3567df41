// All kernels of a system, made again after every step of an optimiser, and their reverse pass.
#pragma once

#include <s4/kernel/diagonal_kernel.hpp>
#include <s4/kernel/dplr_kernel.hpp>
#include <s4/kernel/kernel.hpp>
#include <s4/parameters/pole_gradient.hpp>

#include <algorithm>
#include <span>
#include <vector>

namespace s4::inline S4_ABI {

/// One kernel with its reverse pass: specialised for every system that can be trained.
/// `forward(workspace, system, kernel, tape)` and `vjp(workspace, system, cotangent, tape, gradient)`.
template <class Ssm, class Fft>
class TrainableKernel {
    static_assert(!std::is_same_v<Fft, Fft>, "s4: kernels of this system have no reverse pass");
};

/// Those of a bidirectional system are those of the system.
template <class Ssm, class Fft>
class TrainableKernel<Bidirectional<Ssm>, Fft> : public TrainableKernel<Ssm, Fft> {
public:
    using TrainableKernel<Ssm, Fft>::TrainableKernel;
};

/// Vandermonde sums: nothing needs to be kept.
template <RealScalar S, DifferentiableRule Rule, class Shape, class Fft>
class TrainableKernel<Diagonal<S, Rule, Shape>, Fft> {
public:
    using Parameters = typename Diagonal<S, Rule, Shape>::Parameters;
    struct Workspace {};
    struct Tape {};

    TrainableKernel(const Parameters& p, Index, Planning) : rule_{p.rule} {}
    [[nodiscard]] Workspace make_workspace() const { return {}; }
    /// For one kernel.
    [[nodiscard]] Tape make_tape() const { return {}; }
    void forward(Workspace&, const DiagonalSystem& system, std::span<S> kernel, Tape&) const {
        diagonal_kernel<S>(rule_, system, kernel);
    }
    void vjp(Workspace&, const DiagonalSystem& system, std::span<const S> cotangent, const Tape&,
             DiagonalSystem& gradient) const {
        diagonal_kernel_vjp<S>(rule_, system, cotangent, gradient);
    }

private:
    [[no_unique_address]] Rule rule_;
};

/// Cauchy sums; a tape keeps them.
template <RealScalar S, class Shape, FftBackend Fft>
class TrainableKernel<Dplr<S, Shape>, Fft> {
public:
    using Parameters = typename Dplr<S, Shape>::Parameters;
    using Workspace = typename DplrKernel<Fft>::Workspace;
    using Tape = typename DplrKernel<Fft>::Tape;

    TrainableKernel(const Parameters& p, Index length, Planning planning)
        : kernel_{length, p.rate == 1 ? p.kernel_length : 0, KernelPrecision::standard, planning}, rank_{p.rank()} {}
    [[nodiscard]] Workspace make_workspace() const { return Workspace{kernel_}; }
    /// For one kernel.
    [[nodiscard]] Tape make_tape() const { return Tape{kernel_, rank_}; }
    void forward(Workspace& workspace, const DplrSystem& system, std::span<S> kernel, Tape& tape) const {
        kernel_(workspace, system, kernel, tape);
    }
    void vjp(Workspace& workspace, const DplrSystem& system, std::span<const S> cotangent, const Tape& tape,
             DplrSystem& gradient) const {
        kernel_.vjp(workspace, system, cotangent, tape, gradient);
    }

private:
    DplrKernel<Fft> kernel_;
    Index rank_;
};

/// Kernels [rows of C × L] of parameters that change, with D in their first entries, so that y = K * u + D u is one
/// convolution: what a layer needs in every step of training. Kernels that run backwards (Bidirectional) have no D.
/// Plans and tapes are made once, for sizes, rank and kernel_length of the parameters; the cost of a pass is that of
/// convolution_kernels, of the reverse pass about twice that. On all threads with the component s4::openmp; the result
/// does not depend on their number.
template <class Ssm, class Fft = Fftw<typename Ssm::Scalar>>
class TrainableKernels {
public:
    using Scalar = typename Ssm::Scalar;
    using Parameters = typename Ssm::Parameters;
    /// One channel and head.
    using System = decltype(Ssm::system(std::declval<const Parameters&>(), Index{}, Index{}));

    /// Error on bad parameters or a length out of range.
    TrainableKernels(const Parameters& p, Index length, Planning planning = Planning::estimate)
        : length_{checked(p, length)}, end_{detail::kernel_end(p)}, kernel_{p, limit(), planning} {
        for (Index row = 0; row < p.C.rows(); ++row) tapes_.push_back(kernel_.make_tape());
    }

    /// L.
    [[nodiscard]] Index length() const noexcept { return length_; }

    /// Fills kernels [rows × L]. Allocates. The parameters have the sizes of those it was made for, and are valid.
    void forward(const Parameters& p, const SequenceOut<Scalar>& kernels) {
        S4_ASSERT(kernels.rows() == std::ssize(tapes_) && kernels.cols() == length_, "TrainableKernels: wrong shape");
        parallel_for(
            p.C.rows(), [this] { return kernel_.make_workspace(); },
            [&](auto& workspace, Index row) {
                Scalar* kernel = kernels.row(row);
                kernel_.forward(workspace, system(p, row), {kernel, static_cast<std::size_t>(limit())},
                                tapes_[static_cast<std::size_t>(row)]);
                std::fill(kernel + limit(), kernel + length_, Scalar{0});
                if (row < p.D.rows()) kernel[0] += p.D[row];
            });
    }

    /// Adds to `gradient` what a loss with the cotangent dkernels [rows × L] gains by every tensor of `p`, the
    /// parameters of the last forward pass. Allocates.
    void vjp(const Parameters& p, const SequenceView<Scalar>& dkernels, Parameters& gradient) const {
        S4_ASSERT(dkernels.rows() == std::ssize(tapes_) && dkernels.cols() == length_, "TrainableKernels: wrong shape");
        // Channels may share their states, so the sums over them are taken in order afterwards.
        std::vector<System> by_system(tapes_.size());
        parallel_for(
            p.C.rows(), [this] { return kernel_.make_workspace(); },
            [&](auto& workspace, Index row) {
                const Scalar* cotangent = dkernels.row(row);
                const System of_row = system(p, row);
                System sum = zero_gradient(of_row);
                kernel_.vjp(workspace, of_row, {cotangent, static_cast<std::size_t>(limit())},
                            tapes_[static_cast<std::size_t>(row)], sum);
                sum.D = static_cast<double>(cotangent[0]);
                by_system[static_cast<std::size_t>(row)] = std::move(sum);
            });
        for (Index row = 0; row < p.C.rows(); ++row)
            add_channel_gradient<Ssm>(p, row % p.channels(), row / p.channels(),
                                      by_system[static_cast<std::size_t>(row)], gradient);
    }

private:
    static Index checked(const Parameters& p, Index length) {
        Ssm::validate(p);
        detail::require(length >= 1 && length <= max_fft_size, Ssm::name, ": kernel length must lie in [1, ",
                        max_fft_size, "], found ", length);
        return length;
    }
    [[nodiscard]] Index limit() const noexcept { return end_ > 0 ? std::min(end_, length_) : length_; }
    [[nodiscard]] static System system(const Parameters& p, Index row) {
        return Ssm::system(p, row % p.channels(), row / p.channels());
    }

    Index length_;
    Index end_;
    TrainableKernel<Ssm, Fft> kernel_;
    std::vector<typename TrainableKernel<Ssm, Fft>::Tape> tapes_;
};

}  // namespace s4::inline S4_ABI
