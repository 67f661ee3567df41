// An S4 block of the oracles as plain numbers, and what the library computes of it in one scalar.
#pragma once

#include <s4/block/s4_block.hpp>

#include <string>
#include <tests/golden_test/layer_problem.hpp>
#include <vector>

namespace s4::golden {

/// Parameters of one block, and the inputs of one file: sequences are [B, L, features] whatever the file's layout.
struct BlockProblem {
    LayerProblem layer;  ///< its parameters, sizes, state0 and kernel lengths
    S4BlockOptions options;
    Eigen::MatrixXd weight;  ///< [out × F], or empty: no linear map
    Eigen::VectorXd bias;    ///< [out]
    Index limit = 0;         ///< the kernel ends after so many samples; 0: it does not

    std::vector<Index> lengths;  ///< of the sequences, or empty
    Values u;                    ///< [B, L, H]
    Values g;                    ///< [B, L, out], or empty: no gradients
};

struct BlockResults {
    Results system;      ///< C~
    Results recurrence;  ///< y_step, y_step_scan, y by steps, x_step_final, y_state, state1
    Results fftw;        ///< y, y_state, state1, the output of the block in training, and its gradients
    Results kiss;
};

/// The name that the library has for a tensor of the oracles' blocks, "layer.kernel.C" or "output_linear.0.weight",
/// and of their minimal layers, "kernel.log_dt", behind any prefix and as part of any model.
[[nodiscard]] std::string library_name(std::string name);
/// Whether the library has minus that tensor: minimal layers store the conjugate eigenvalues' imaginary parts.
[[nodiscard]] bool is_negated(const std::string& name, bool minimal);
[[nodiscard]] Values negated(Values values);

/// A block called `prefix` (behind "sd."), with the options that the metadata state: of its own system or `minimal`.
/// H, N/2, L and the SSM's options are those of `problem`.
void read_block(Case& test, const std::string& prefix, bool minimal, BlockProblem& problem);

// One file each, for the compile time.
[[nodiscard]] BlockResults run_dplr_block_in_double(const BlockProblem& problem);
[[nodiscard]] BlockResults run_dplr_block_in_float(const BlockProblem& problem);
[[nodiscard]] BlockResults run_diagonal_block_in_double(const BlockProblem& problem);
[[nodiscard]] BlockResults run_diagonal_block_in_float(const BlockProblem& problem);

}  // namespace s4::golden
