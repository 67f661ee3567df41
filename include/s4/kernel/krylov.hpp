// The kernel of a dense system: products of powers of a matrix with two vectors, in two tables (baby and giant steps).
#pragma once

#include <s4/core/sequence.hpp>
#include <s4/discretize/dense.hpp>
#include <s4/kernel/kernel.hpp>
#include <s4/parameters/dense.hpp>

#include <algorithm>
#include <span>

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
