// How well a decomposition holds. Eigen's solvers are compiled once, in instances.cpp; these products in
// nplr_errors.cpp.
#pragma once

#include <s4/hippo/nplr.hpp>

#include <tests/support/instances.hpp>

namespace s4::test {

/// Relative errors in the Frobenius norm; all of them are rounding for a right decomposition.
struct NplrErrors {
    double normal_part;    ///< A + PᵀP = V̂ Λ̂ V̂ᴴ, relative to the larger of its norm and that of A
    double orthogonality;  ///< V̂ᴴ V̂ = I, largest entry
    double A;              ///< A from Λ, P and V
    double B;              ///< B from its coordinates
    double P;              ///< the real P from its coordinates
};

[[nodiscard]] NplrErrors nplr_errors(const Hippo& hippo, Index N, const Nplr& nplr);

}  // namespace s4::test
