// Both modes of a layer, from another project. (Parameters by hand: `random` would take the compiler much longer.)
#include <s4/fft/fftw.hpp>
#include <s4/s4.hpp>

#include <iostream>

int main() {
    s4::DiagonalSystem system;
    system.lambda = Eigen::Vector2cd(std::complex(-0.5, 1.0), std::complex(-0.5, 4.0));
    system.B = Eigen::Vector2cd::Ones();
    system.C = Eigen::Vector2cd(std::complex(1.0, 0.5), std::complex(-1.0, 0.25));
    system.dt = Eigen::Vector2d::Constant(0.1);
    const auto parameters = s4::Diagonal<float>::from_systems(std::span{&system, 1});
    const s4::Sequence<float> u = s4::white_noise<float>(100, 1, 2);
    s4::Sequence<float> y(100, 1), y_stream(100, 1);

    s4::S4D<float, s4::Mode::convolution> layer{parameters};
    layer.prepare(u.rows());
    auto workspace = layer.make_workspace();
    layer.forward(workspace, u, y);

    const s4::S4D<float, s4::Mode::recurrence> stream{parameters};
    auto state = stream.make_state();
    for (s4::Index t = 0; t < u.rows(); ++t) stream.step(state, u.row(t), y_stream.row(t));

    const float difference = (y - y_stream).cwiseAbs().maxCoeff();
    std::cout << "largest difference: " << difference << '\n';
    return difference < 1e-4F * y.cwiseAbs().maxCoeff() ? 0 : 1;
}
