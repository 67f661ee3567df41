// The recurrence needs Eigen and nothing else: x' = -x + u from u = 1 settles at 1.
#include <s4/s4.hpp>

#include <cmath>
#include <iostream>

int main() {
    s4::DiagonalSystem system;
    system.lambda = Eigen::VectorXcd::Constant(1, -1.0);
    system.B = Eigen::VectorXcd::Ones(1);
    system.C = Eigen::VectorXcd::Constant(1, 0.5);  // y = 2 Re(C x)
    system.dt = Eigen::VectorXd::Constant(1, 0.1);
    const s4::S4D<float, s4::Mode::recurrence> stream{s4::Diagonal<float>::from_systems(std::span{&system, 1})};

    auto state = stream.make_state();
    s4::Frame<float> u = s4::Frame<float>::Ones(1), y(1);
    for (int t = 0; t < 300; ++t) stream.step(state, u, y);
    std::cout << "after 300 samples: " << y << '\n';
    return std::abs(y[0] - 1.0F) < 1e-4F ? 0 : 1;
}
