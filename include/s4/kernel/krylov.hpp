// The kernel of a dense system: products of powers of a matrix with two vectors, in two tables (baby and giant steps).
#pragma once

#include <s4/core/sequence.hpp>
#include <s4/discretize/dense.hpp>
#include <s4/kernel/kernel.hpp>
#include <s4/parameters/dense.hpp>

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

namespace s4::inline S4_ABI {

/// kernel[l] = C Ā^l B̄ for l < kernel.size(), with A_bar [N × N], B_bar [N], C [N], all in double: rows C Ā^{iT} times
/// columns Ā^j B̄ with T = 64. O(N² (T + L/T) + N L); allocates. (LSSL paper, section 3.1)
template <RealScalar Scalar>
void krylov(const Eigen::MatrixXd& A_bar, const Eigen::VectorXd& B_bar, const Eigen::RowVectorXd& C,
            std::span<Scalar> kernel) {
    const Index length = std::ssize(kernel);
    if (length == 0) return;
    const Index states = A_bar.rows();
    const Index block = std::min<Index>(64, length);
    const Index blocks = (length + block - 1) / block;

    Eigen::MatrixXd columns(states, block);
    columns.col(0) = B_bar;
    for (Index j = 1; j < block; ++j) columns.col(j).noalias() = A_bar * columns.col(j - 1);
    Eigen::MatrixXd power = A_bar;  // Ā^T by repeated squaring; T is a power of two unless there is one block
    if (blocks > 1) {
        Eigen::MatrixXd square(states, states);
        for (Index exponent = 1; exponent < block; exponent *= 2) {
            square.noalias() = power * power;
            power.swap(square);
        }
    }
    Eigen::RowVectorXd row = C;
    Eigen::RowVectorXd next(states);
    Eigen::RowVectorXd values(block);
    for (Index i = 0; i < blocks; ++i) {
        values.noalias() = row * columns;
        const Index count = std::min(block, length - i * block);
        for (Index j = 0; j < count; ++j)
            kernel[static_cast<std::size_t>(i * block + j)] = static_cast<Scalar>(values[j]);
        if (i + 1 < blocks) {
            next.noalias() = row * power;
            row.swap(next);
        }
    }
}

/// The reverse pass of `krylov`: adds what a loss with the cotangent dK [L] of the kernel gains by A_bar and B_bar to
/// `gradient` and by C to `C_gradient` (the sizes of the step and of C). The same tables, and their cotangents
/// backwards. O(N² (T + L/T) + N L), and O(N³ log T) for kernels longer than T; allocates.
template <RealScalar Scalar>
void krylov_vjp(const DenseStep<double>& step, const Eigen::RowVectorXd& C, std::span<const Scalar> cotangent,
                DenseStep<double>& gradient, Eigen::RowVectorXd& C_gradient) {
    S4_ASSERT(gradient.A_bar.rows() == step.A_bar.rows() && gradient.A_bar.cols() == step.A_bar.cols() &&
                  gradient.B_bar.size() == step.B_bar.size() && C_gradient.size() == C.size(),
              "krylov_vjp: a gradient has the sizes of its step");
    const Index length = std::ssize(cotangent);
    if (length == 0) return;
    const Index states = step.A_bar.rows();
    const Index block = std::min<Index>(64, length);
    const Index blocks = (length + block - 1) / block;

    Eigen::MatrixXd columns(states, block);  // Ā^j B̄
    columns.col(0) = step.B_bar;
    for (Index j = 1; j < block; ++j) columns.col(j).noalias() = step.A_bar * columns.col(j - 1);
    std::vector<Eigen::MatrixXd> powers{step.A_bar};  // Ā, Ā², Ā⁴ … Ā^T
    for (Index exponent = 1; blocks > 1 && exponent < block; exponent *= 2) {
        Eigen::MatrixXd square(states, states);
        square.noalias() = powers.back() * powers.back();
        powers.push_back(std::move(square));
    }
    Sequence<double> rows(blocks, states);  // C Ā^{iT}
    rows.row(0) = C;
    for (Index i = 1; i < blocks; ++i) rows.row(i).noalias() = rows.row(i - 1) * powers.back();

    Sequence<double> by_kernel = Sequence<double>::Zero(blocks, block);
    for (Index l = 0; l < length; ++l)
        by_kernel(l / block, l % block) = static_cast<double>(cotangent[static_cast<std::size_t>(l)]);
    Sequence<double> by_rows(blocks, states);
    by_rows.noalias() = by_kernel * columns.transpose();
    Eigen::MatrixXd by_columns(states, block);
    by_columns.noalias() = rows.transpose() * by_kernel;

    Eigen::MatrixXd by_power = Eigen::MatrixXd::Zero(states, states);
    for (Index i = blocks - 1; i > 0; --i) {
        by_power.noalias() += rows.row(i - 1).transpose() * by_rows.row(i);
        by_rows.row(i - 1).noalias() += by_rows.row(i) * powers.back().transpose();
    }
    C_gradient += by_rows.row(0);
    Eigen::MatrixXd by_root(states, states);
    for (std::size_t k = powers.size() - 1; k > 0; --k) {
        by_root.noalias() = by_power * powers[k - 1].transpose();
        by_root.noalias() += powers[k - 1].transpose() * by_power;
        by_power.swap(by_root);
    }
    if (blocks > 1) gradient.A_bar += by_power;
    for (Index j = block - 1; j > 0; --j) by_columns.col(j - 1).noalias() += step.A_bar.transpose() * by_columns.col(j);
    if (block > 1)
        gradient.A_bar.noalias() += by_columns.rightCols(block - 1) * columns.leftCols(block - 1).transpose();
    gradient.B_bar += by_columns.col(0);
}

/// Kernels of dense systems, by powers of Ā; no FFT.
template <RealScalar S, class Rule, class Shape, class Fft>
class KernelGenerator<Dense<S, Rule, Shape>, Fft> {
public:
    using Ssm = Dense<S, Rule, Shape>;
    struct Workspace {};

    KernelGenerator(const typename Ssm::Parameters& parameters, Index, Planning) : parameters_{parameters} {}
    [[nodiscard]] Workspace make_workspace() const { return {}; }
    void operator()(Workspace&, Index row, std::span<S> kernel) const {
        const auto step = discretize(parameters_.rule, Eigen::MatrixXd(parameters_.A.template cast<double>()),
                                     Eigen::VectorXd(parameters_.B.template cast<double>()),
                                     Ssm::step_size(parameters_, row % parameters_.channels()));
        detail::require(detail::is_bounded(step.A_bar), Ssm::name,
                        ": the powers of A_bar grow without bound in channel ", row % parameters_.channels(),
                        ": an eigenvalue of A has a positive real part, or the rule does not suit it");
        krylov<S>(step.A_bar, step.B_bar, parameters_.C.row(row).template cast<double>(), kernel);
    }

private:
    const typename Ssm::Parameters& parameters_;
};

}  // namespace s4::inline S4_ABI
