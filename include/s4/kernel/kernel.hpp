// From the parameters of any system to its convolution kernels.
#pragma once

#include <s4/core/parallel.hpp>
#include <s4/discretize/dense.hpp>
#include <s4/fft/backend.hpp>
#include <s4/kernel/diagonal_kernel.hpp>
#include <s4/kernel/dplr_kernel.hpp>
#include <s4/kernel/krylov.hpp>
#include <s4/parameters/dense.hpp>

#include <span>

namespace s4::inline S4_ABI {

/// Makes the kernel of one channel after the other: specialised for every system. `generator(workspace, h, kernel)`
/// writes K_h[l] = C Ā^l B̄ (without D), l < kernel.size() ≤ the length it was made for.
template <class Ssm, class Fft>
class KernelGenerator;

template <RealScalar S, class Rule, class Shape, class Fft>
class KernelGenerator<Diagonal<S, Rule, Shape>, Fft> {
public:
    using Ssm = Diagonal<S, Rule, Shape>;
    struct Workspace {};

    KernelGenerator(const typename Ssm::Parameters& parameters, Index, Planning) : parameters_{parameters} {}
    [[nodiscard]] Workspace make_workspace() const { return {}; }
    void operator()(Workspace&, Index h, std::span<S> kernel) const {
        diagonal_kernel<S>(Rule{}, Ssm::system(parameters_, h), kernel);
    }

private:
    const typename Ssm::Parameters& parameters_;
};

template <RealScalar S, class Shape, FftBackend Fft>
class KernelGenerator<Dplr<S, Shape>, Fft> {
public:
    using Ssm = Dplr<S, Shape>;
    using Workspace = typename DplrKernel<Fft>::Workspace;

    KernelGenerator(const typename Ssm::Parameters& parameters, Index length, Planning planning)
        : parameters_{parameters},
          kernel_{length, parameters.kernel_length, KernelPrecision::standard, planning} {}
    [[nodiscard]] Workspace make_workspace() const { return Workspace{kernel_}; }
    void operator()(Workspace& workspace, Index h, std::span<S> kernel) const {
        kernel_(workspace, Ssm::system(parameters_, h), kernel);
    }

private:
    const typename Ssm::Parameters& parameters_;
    DplrKernel<Fft> kernel_;
};

template <RealScalar S, class Rule, class Shape, class Fft>
class KernelGenerator<Dense<S, Rule, Shape>, Fft> {
public:
    using Ssm = Dense<S, Rule, Shape>;
    struct Workspace {};

    KernelGenerator(const typename Ssm::Parameters& parameters, Index, Planning) : parameters_{parameters} {}
    [[nodiscard]] Workspace make_workspace() const { return {}; }
    void operator()(Workspace&, Index h, std::span<S> kernel) const {
        const auto step = discretize(Rule{}, Eigen::MatrixXd(parameters_.A.template cast<double>()),
                                     Eigen::VectorXd(parameters_.B.template cast<double>()),
                                     Ssm::step_size(parameters_, h));
        krylov<S>(step.A_bar, step.B_bar, parameters_.C.row(h).template cast<double>(), kernel);
    }

private:
    const typename Ssm::Parameters& parameters_;
};

/// All kernels [H × L] of a system, without D; on all threads with the component s4::openmp. `Fft` matters to Dplr
/// only. Cost: H times that of diagonal_kernel, DplrKernel or krylov. Error on bad parameters or a length out of range.
template <class Ssm, class Fft = Fftw<typename Ssm::Scalar>>
[[nodiscard]] Sequence<typename Ssm::Scalar> convolution_kernels(const typename Ssm::Parameters& parameters,
                                                                 Index length,
                                                                 Planning planning = Planning::estimate) {
    using Scalar = typename Ssm::Scalar;
    Ssm::validate(parameters);
    detail::require(length >= 1 && length <= max_fft_size, Ssm::name, ": kernel length must lie in [1, ", max_fft_size,
                    "], found ", length);
    const Index channels = parameters.channels();
    detail::require(length <= std::numeric_limits<Index>::max() / 64 / channels, Ssm::name, ": ", channels,
                    " kernels of length ", length, " do not fit in memory");
    const KernelGenerator<Ssm, Fft> generator{parameters, length, planning};
    Sequence<Scalar> kernels(channels, length);
    parallel_for(channels, [&](Index h) {
        auto workspace = generator.make_workspace();
        generator(workspace, h, std::span{kernels.row(h).data(), static_cast<std::size_t>(length)});
    });
    return kernels;
}

}  // namespace s4::inline S4_ABI
