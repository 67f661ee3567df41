// The systems and signals that the benchmarks run on, and the truth about their kernels.
#pragma once

#include "tests/reference/reference.hpp"
#include <s4/core/random.hpp>
#include <s4/fft/good_size.hpp>
#include <s4/parameters/diagonal.hpp>
#include <s4/parameters/dplr.hpp>

#include <algorithm>
#include <cstdint>

namespace s4::bench {

/// The step size that the targets speak of.
inline constexpr double target_dt = 1e-2;

/// Parameters at the start of training, `pairs` stored pairs a channel (S4D-Lin; HiPPO-LegS of rank 1), all channels
/// with one step size, so that no row depends on the luck of a draw.
template <class Ssm>
[[nodiscard]] typename Ssm::Parameters parameters(Index channels, Index pairs, double dt = target_dt) {
    typename Ssm::Options options;
    options.channels = channels;
    options.state_size = 2 * pairs;
    options.timescale = {dt, dt};
    return Ssm::random(options, /*seed=*/1);
}

/// The same where C is C~ for kernels of `length`, as in training: no power of Ā is needed.
template <class Ssm>
[[nodiscard]] typename Ssm::Parameters trained_parameters(Index channels, Index pairs, Index length) {
    typename Ssm::Parameters p = parameters<Ssm>(channels, pairs);
    p.kernel_length = good_fft_size(length);
    return p;
}

/// Normal noise [rows × columns]; from row 1024 on it repeats, for a large one would take longer to make than to
/// transform.
template <RealScalar Scalar>
[[nodiscard]] Sequence<Scalar> noise(Index rows, Index columns) {
    const Index different = std::min<Index>(rows, 1024);
    const Sequence<Scalar> block = white_noise<Scalar>(different, columns, /*seed=*/2);
    Sequence<Scalar> repeated(rows, columns);
    for (Index start = 0; start < rows; start += different) {
        const Index count = std::min(different, rows - start);
        repeated.middleRows(start, count) = block.topRows(count);
    }
    return repeated;
}

/// The largest max|error|/max|truth| of the first and the last kernel, against the long-double references of the tests:
/// the zero-order hold from its definition, the DPLR recurrence. They share no algorithm with the kernels, so one that
/// is fast and wrong shows here.
template <class Ssm>
[[nodiscard]] double kernel_error(const typename Ssm::Parameters& p, const Sequence<typename Ssm::Scalar>& kernels) {
    double error = 0;
    for (const Index h : {Index{0}, kernels.rows() - 1}) {
        const auto system = Ssm::system(p, h);
        const auto truth = [&] {
            if constexpr (requires { system.kernel_length; }) {
                return test::dplr_kernel_reference(to_plain(system), kernels.cols());
            } else {
                return test::zoh_kernel_reference(system, kernels.cols());
            }
        }();
        error = std::max(error, test::error_against(kernels.row(h), truth));
    }
    return error;
}

}  // namespace s4::bench
