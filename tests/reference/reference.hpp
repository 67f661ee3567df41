// The textbook, in long double and without any of the library's own mathematics: what the tests hold the library to.
#pragma once

#include "tests/support/instances.hpp"
#include <s4/parameters/diagonal.hpp>
#include <s4/parameters/dplr.hpp>

#include <complex>
#include <vector>

namespace s4::test {

using Wide = long double;
using WideComplex = std::complex<Wide>;
using WideMatrix = Eigen::Matrix<WideComplex, Dynamic, Dynamic>;
using WideVector = Eigen::Matrix<WideComplex, Dynamic, 1>;

/// A discrete system over both halves of the conjugate pairs: x ← A x + B u, y = Re(C x) + D u.
struct DenseSystem {
    WideMatrix A;
    WideVector B;
    WideVector C;
    Wide D;
};

/// The dense bilinear discretisation of a DPLR system with plain C: (I − E/2)⁻¹(I + E/2), by a linear solver. O(N³).
[[nodiscard]] DenseSystem dense_bilinear(const DplrSystem& system);

/// Outputs for the input `u` from the state `x` (both halves), which is left at the final state.
[[nodiscard]] std::vector<Wide> dense_run(const DenseSystem& system, WideVector& x, const std::vector<Wide>& u);

/// The first `length` values of the kernel (without D) by the O(N) recurrence: Sherman–Morrison–Woodbury each step.
[[nodiscard]] std::vector<Wide> dplr_kernel_reference(const DplrSystem& system, Index length);

/// The same of a system that holds C~ = C (I − Ā^n), n = kernel_length (or plain C), at its rate, by dense matrices.
/// O(N³ n).
[[nodiscard]] std::vector<Wide> dense_kernel_reference(const DplrSystem& system, Index length);

/// The C~ for length `length` of a system that holds plain C (over the stored half), by dense matrices. O(N³ length).
[[nodiscard]] WideVector dense_c_of_length(const DplrSystem& system, Index length);

/// 2 Re Σ C e^{λ dt l} (e^{λ dt} − 1)/λ B: the zero-order hold from its definition.
[[nodiscard]] std::vector<Wide> zoh_kernel_reference(const DiagonalSystem& system, Index length);

/// y[t] = Σ_j K[j] u[t − j] by the definition. O(L²).
[[nodiscard]] std::vector<Wide> direct_convolution(const std::vector<Wide>& kernel, const std::vector<Wide>& u);

/// max|a − b| / max|b| of a contiguous result against a reference.
template <class Values>
[[nodiscard]] double error_against(const Values& found, const std::vector<Wide>& truth) {
    Wide error = 0;
    Wide largest = 0;
    for (std::size_t l = 0; l < truth.size(); ++l) {
        const Wide difference = static_cast<Wide>(found[static_cast<Index>(l)]) - truth[l];
        if (!(difference == difference)) return std::numeric_limits<double>::infinity();
        error = std::max(error, std::abs(difference));
        largest = std::max(largest, std::abs(truth[l]));
    }
    return static_cast<double>(largest > 0 ? error / largest : error);
}

}  // namespace s4::test
