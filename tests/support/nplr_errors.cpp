#include <algorithm>
#include <tests/support/nplr_errors.hpp>

namespace s4::test {

NplrErrors nplr_errors(const Hippo& hippo, Index N, const Nplr& nplr) {
    const HippoSystem system = transition(hippo, N);
    const Eigen::MatrixXd P_real = low_rank(hippo, N, nplr.P.rows());
    const Eigen::MatrixXd normal = system.A + P_real.transpose() * P_real;

    // A sum over both halves of the pairs is twice the real part of the sum over one.
    const Eigen::MatrixXcd scaled = nplr.V * nplr.lambda.asDiagonal();
    const Eigen::MatrixXd normal_rebuilt = 2 * (scaled * nplr.V.adjoint()).real();
    const Eigen::MatrixXd P_rebuilt = 2 * (nplr.P * nplr.V.transpose()).real();
    const Eigen::VectorXd B_rebuilt = 2 * (nplr.V * nplr.B).real();
    const Eigen::MatrixXd A_rebuilt = normal_rebuilt - P_rebuilt.transpose() * P_rebuilt;

    Eigen::MatrixXcd gram = nplr.V.adjoint() * nplr.V;
    gram.diagonal().array() -= 1.0;
    const Eigen::MatrixXcd conjugate_gram = nplr.V.transpose() * nplr.V;

    NplrErrors errors{};
    errors.normal_part = (normal_rebuilt - normal).norm() / std::max(normal.norm(), system.A.norm());
    errors.orthogonality = std::max(gram.cwiseAbs().maxCoeff(), conjugate_gram.cwiseAbs().maxCoeff());
    errors.A = (A_rebuilt - system.A).norm() / system.A.norm();
    errors.B = (B_rebuilt - system.B).norm() / system.B.norm();
    errors.P = P_real.size() == 0 ? 0.0 : (P_rebuilt - P_real).norm() / P_real.norm();
    return errors;
}

}  // namespace s4::test
