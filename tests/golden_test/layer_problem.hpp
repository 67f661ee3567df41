// A layer of the oracles as plain numbers, and what the library computes of it in one scalar.
#pragma once

#include <s4/parameters/ssm_options.hpp>

#include <map>
#include <string>
#include <string_view>
#include <tests/golden_test/golden_file.hpp>
#include <tests/golden_test/report.hpp>
#include <tuple>
#include <utility>
#include <vector>

namespace s4::golden {

/// A kernel at another rate.
struct RatedKernel {
    std::string name;
    double rate = 1;
    Index length = 0;
    Index reference_kernel_length = 0;  ///< what the C~ of the reference refers to; 0 for Diagonal
};

/// Parameters and inputs of one file.
struct LayerProblem {
    bool low_rank = false;       ///< Dplr, otherwise Diagonal under `rule`
    bool bidirectional = false;  ///< twice the rows of C
    std::string rule;            ///< "zoh" or "bilinear"
    SsmOptions options;

    Index channels = 0;  ///< H
    Index heads = 0;     ///< outputs for each channel
    Index pairs = 0;     ///< N/2; N where the states are real
    Index batch = 0;
    Index length = 0;
    Index kernel_length = 0;  ///< 0: C is plain

    Eigen::MatrixXd inv_dt;          ///< [H × 1] or [H × N/2]
    Eigen::MatrixXd A_real, A_imag;  ///< [S × N/2]
    Eigen::MatrixXcd B;              ///< [S × N/2]
    Eigen::MatrixXcd P;              ///< [rank·S × N/2], row r·S + s
    Eigen::MatrixXcd C;              ///< [rows × N/2], row c·H + h
    Eigen::VectorXd D;               ///< [heads·H]

    Values u;                    ///< [B, H, L]
    Values g;                    ///< [B, heads, H, L], the cotangent of y, or empty: no gradients
    bool raw_gradients = false;  ///< Dplr: those with plain C as well
    Values state0;               ///< [B, H, N/2], or empty

    /// Name, length, and (Dplr) the length that the reference's C~ refers to when it makes them.
    std::vector<std::tuple<std::string, Index, Index>> kernels;
    std::vector<RatedKernel> rates;
    std::vector<std::pair<std::string, Index>> transformed;  ///< C~ for a length: prefix of the name, length
};

/// Results by the name of their tensor.
using Results = std::map<std::string, Values>;

struct LayerResults {
    Results system;      ///< dA, dB, dC, C~: no FFT involved
    Results recurrence;  ///< y_step, y_scan, x_step_final, y_state, K_state, state1
    Results fftw;        ///< kernels, also at other rates, y, y_state, K_state, state1, gradients
    Results kiss;
    Results truth;  ///< kernels at other rates by the textbook, where the oracle only approximates
};

/// Entry [row, column] of a real tensor of two axes.
[[nodiscard]] double entry(const Tensor& tensor, Index row, Index column);
/// A value that the metadata may leave out or set to "null".
[[nodiscard]] bool is_set(const GoldenFile& file, std::string_view key);
[[nodiscard]] Index last_axis(const Tensor& tensor);

/// Options that every file of these families states, from the metadata.
void read_ssm_options(const GoldenFile& file, SsmOptions& options);
/// The tensors called `prefix`inv_dt, A_real and so on; `problem` has H, N/2 and the options. Error when a shape is
/// not what it should be.
void read_kernel(Case& test, const std::string& prefix, LayerProblem& problem);
/// D [heads × H] and the number of heads, which is that of the rows of C, or half of them.
void read_feed_through(Case& test, const std::string& name, LayerProblem& problem);
/// log_dt, log_A_real, A_imag and C of a minimal diagonal layer, and its D, as a Diagonal system with frozen B = 1.
void read_minimal_kernel(Case& test, const std::string& prefix, LayerProblem& problem);
/// The length that C~ refers to when `length` samples are asked for: l_kernel, otherwise l_max or the first length,
/// doubled until it serves.
[[nodiscard]] Index transformed_length(const GoldenFile& file, Index kernel_length, Index length);

/// A gradient for every tensor of a file called sd.`…`, and for the input: error unless all of them, called
/// `prefix``…`, are there.
void require_gradients(const GoldenFile& file, const std::string& prefix, bool with_input);

// One file each, for the compile time.
[[nodiscard]] LayerResults run_dplr_in_double(const LayerProblem& problem);
[[nodiscard]] LayerResults run_dplr_in_float(const LayerProblem& problem);
[[nodiscard]] LayerResults run_diagonal_in_double(const LayerProblem& problem);
[[nodiscard]] LayerResults run_diagonal_in_float(const LayerProblem& problem);

}  // namespace s4::golden
