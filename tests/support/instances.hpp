// Templates that are heavy to compile (Eigen's solvers and products), instantiated once for all tests.
#pragma once

#include <s4/discretize/dplr.hpp>
#include <s4/hippo/nplr.hpp>

namespace s4::inline S4_ABI {

extern template Nplr nplr<double>(const Hippo&, Index, Index);
extern template Eigen::MatrixXd detail::times_power<Eigen::MatrixXd>(Eigen::MatrixXd, Eigen::MatrixXd, Index);
extern template DplrSystem to_plain<DplrSystem>(const DplrSystem&);
extern template DplrSystem to_length<DplrSystem>(const DplrSystem&, Index);

}  // namespace s4::inline S4_ABI
