// A layer of the oracles as plain numbers, and what the library computes of it in one scalar.
#pragma once

#include <s4/parameters/transforms.hpp>

#include <map>
#include <string>
#include <tests/golden_test/golden_file.hpp>
#include <tuple>
#include <utility>
#include <vector>

namespace s4::golden {

/// Parameters and inputs of one file. The library has one output per input channel: a layer with several outputs c is
/// run as that many layers, which share all but C[c] and D[c].
struct LayerProblem {
    bool low_rank = false;  ///< Dplr, otherwise Diagonal under `rule`
    std::string rule;       ///< "zoh" or "bilinear"
    Transform dt_transform = Transform::exp;
    Transform real_transform = Transform::exp;
    Transform imag_transform = Transform::none;

    Index heads = 0;  ///< H
    Index pairs = 0;  ///< N/2
    Index rank = 0;
    Index outputs = 0;  ///< kernels for each head: rows of C
    Index batch = 0;
    Index length = 0;
    Index kernel_length = 0;  ///< 0: C is plain

    Eigen::MatrixXd inv_dt;           ///< [H × 1] or [H × N/2]
    Eigen::MatrixXd A_real, A_imag;   ///< [H × N/2]
    Eigen::MatrixXcd B;               ///< [H × N/2]
    Eigen::MatrixXcd P;               ///< [rank·H × N/2], row r·H + h
    std::vector<Eigen::MatrixXcd> C;  ///< [H × N/2] of each output
    std::vector<Eigen::VectorXd> D;   ///< [H] of each output; fewer than C where the rest is anticausal

    Values u;       ///< [B, H, L]
    Values state0;  ///< [B, H, N/2], or empty

    std::vector<std::pair<std::string, Index>> kernels;         ///< name and length
    std::vector<std::tuple<std::string, double, Index>> rates;  ///< name, rate and length of kernels at other rates
    std::vector<std::pair<std::string, Index>> transformed;     ///< C~ for a length: prefix of the name, length
};

/// Results by the name of their tensor.
using Results = std::map<std::string, Values>;

struct LayerResults {
    Results system;      ///< dA, dB, dC, C~, kernels at other rates: no FFT involved
    Results recurrence;  ///< y_step, y_scan, x_step_final, y_state, K_state, state1
    Results fftw;        ///< kernels, y, y_state, K_state, state1
    Results kiss;
};

// One file each, for the compile time.
[[nodiscard]] LayerResults run_dplr_in_double(const LayerProblem& problem);
[[nodiscard]] LayerResults run_dplr_in_float(const LayerProblem& problem);
[[nodiscard]] LayerResults run_diagonal_in_double(const LayerProblem& problem);
[[nodiscard]] LayerResults run_diagonal_in_float(const LayerProblem& problem);

}  // namespace s4::golden
