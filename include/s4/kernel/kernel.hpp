// From the parameters of any system to its convolution kernels.
#pragma once

#include <s4/core/error.hpp>
#include <s4/core/parallel.hpp>
#include <s4/core/sequence.hpp>
#include <s4/fft/backend.hpp>
#include <s4/fft/good_size.hpp>

#include <limits>
#include <span>

namespace s4::inline S4_ABI {

/// Makes the kernel of one channel after the other: specialised beside the kernels of every system.
/// `generator(workspace, h, kernel)` writes K_h[l] = C Ā^l B̄ (without D), l < kernel.size() ≤ the length it was made
/// for.
template <class Ssm, class Fft>
class KernelGenerator;

/// All kernels [H × L] of a system, without D; on all threads with the component s4::openmp. `Fft` matters to Dplr
/// only. Cost: H times that of diagonal_kernel, DplrKernel or krylov. Error on bad parameters, a length out of range or
/// a kernel that is not finite.
template <class Ssm, class Fft = Fftw<typename Ssm::Scalar>>
[[nodiscard]] Sequence<typename Ssm::Scalar> convolution_kernels(const typename Ssm::Parameters& parameters,
                                                                 Index length, Planning planning = Planning::estimate) {
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
    detail::require(detail::all_finite(kernels), Ssm::name, ": a kernel of length ", length,
                    " is not finite: parameters are too large for the scalar");
    return kernels;
}

}  // namespace s4::inline S4_ABI
