// A sequence model of the oracles as plain numbers, and what the library computes of it in one scalar.
#pragma once

#include <s4/train/adamw.hpp>

#include <string>
#include <tests/golden_test/block_problem.hpp>
#include <vector>

namespace s4::golden {

/// Parameters, batch and optimiser of one file.
struct ModelProblem {
    std::vector<BlockProblem> blocks;
    std::vector<Eigen::VectorXd> norm_weights, norm_biases;  ///< [H], of each block
    Eigen::MatrixXd encoder_weight, decoder_weight;          ///< [H × d_input], [d_output × H]
    Eigen::VectorXd encoder_bias, decoder_bias;
    bool prenorm = false;

    Index batch = 0;
    Index length = 0;
    Values x;                    ///< [B, L, d_input]
    std::vector<Index> targets;  ///< [B]
    AdamWOptions optimiser;
    Index steps = 0;  ///< of the optimiser, all on this batch
};

/// logits, loss, grad.…, and after n steps of the optimiser n.… and loss_after_n; trained.…: the parameters before
/// them. By the FFT that they were computed with.
struct ModelResults {
    Results fftw;
    Results kiss;
};

// One file each, for the compile time.
[[nodiscard]] ModelResults run_dplr_model_in_double(const ModelProblem& problem);
[[nodiscard]] ModelResults run_dplr_model_in_float(const ModelProblem& problem);
[[nodiscard]] ModelResults run_diagonal_model_in_double(const ModelProblem& problem);
[[nodiscard]] ModelResults run_diagonal_model_in_float(const ModelProblem& problem);

}  // namespace s4::golden
