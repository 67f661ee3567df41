// From the parameters of any system to its convolution kernels.
#pragma once

#include <s4/core/error.hpp>
#include <s4/core/parallel.hpp>
#include <s4/core/sequence.hpp>
#include <s4/fft/backend.hpp>
#include <s4/fft/good_size.hpp>
#include <s4/parameters/bidirectional.hpp>

#include <algorithm>
#include <limits>
#include <span>
#include <type_traits>

namespace s4::inline S4_ABI {

/// Makes one kernel after the other: specialised beside the kernels of every system. `generator(workspace, c·H + h,
/// kernel)` writes K_ch[l] = C_ch Ā_h^l B̄_h (without D), l < kernel.size() ≤ the length it was made for.
template <class Ssm, class Fft>
class KernelGenerator {
    static_assert(!std::is_same_v<Fft, Fft>,
                  "s4: there are no kernels of this system with this FFT: a Dplr system needs the definition of its "
                  "FFT, #include "
                  "<s4/fft/fftw.hpp> or <s4/fft/kiss_fft.hpp>; any other the header of its kernel in <s4/kernel/…>");
};

/// Kernels of a bidirectional system are those of the system, the anticausal ones behind the causal ones.
template <class Ssm, class Fft>
class KernelGenerator<Bidirectional<Ssm>, Fft> : public KernelGenerator<Ssm, Fft> {
public:
    using KernelGenerator<Ssm, Fft>::KernelGenerator;
};

/// All kernels [rows of C × L] of a system, without D, zero from its kernel_limit on; on all threads with the component
/// s4::openmp. `Fft` matters to Dplr only. Cost: that of diagonal_kernel, DplrKernel or krylov, times the rows of C.
/// Error on bad parameters, a length out of range or a kernel that is not finite.
template <class Ssm, class Fft = Fftw<typename Ssm::Scalar>>
[[nodiscard]] Sequence<typename Ssm::Scalar> convolution_kernels(const typename Ssm::Parameters& parameters,
                                                                 Index length, Planning planning = Planning::estimate) {
    using Scalar = typename Ssm::Scalar;
    Ssm::validate(parameters);
    detail::require(length >= 1 && length <= max_fft_size, Ssm::name, ": kernel length must lie in [1, ", max_fft_size,
                    "], found ", length);
    const Index rows = parameters.C.rows();
    detail::require(length <= std::numeric_limits<Index>::max() / 64 / rows, Ssm::name, ": ", rows,
                    " kernels of length ", length, " do not fit in memory");
    const Index end = detail::kernel_end(parameters);
    const Index limit = end > 0 ? std::min(end, length) : length;
    const KernelGenerator<Ssm, Fft> generator{parameters, limit, planning};
    Sequence<Scalar> kernels(rows, length);
    parallel_for(
        rows, [&] { return generator.make_workspace(); },
        [&](auto& workspace, Index row) {
            Scalar* kernel = kernels.data() + row * length;
            generator(workspace, row, std::span{kernel, static_cast<std::size_t>(limit)});
            std::fill(kernel + limit, kernel + length, Scalar{0});
        });
    detail::require(detail::all_finite(kernels), Ssm::name, ": a kernel of length ", length,
                    " is not finite: parameters are too large for the scalar");
    return kernels;
}

}  // namespace s4::inline S4_ABI
