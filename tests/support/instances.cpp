#include "tests/support/instances.hpp"

namespace s4::inline S4_ABI {

template Nplr nplr<double>(const Hippo&, Index, Index);
template Eigen::MatrixXd detail::times_power<Eigen::MatrixXd>(Eigen::MatrixXd, Eigen::MatrixXd, Index);
template DplrSystem to_plain<DplrSystem>(const DplrSystem&);
template DplrSystem to_length<DplrSystem>(const DplrSystem&, Index);

}  // namespace s4::inline S4_ABI
