// Both modes of a layer, from an installed s4.
#include <s4/fft/fftw.hpp>
#include <s4/s4.hpp>

#include <iostream>

int main() {
    const auto parameters = s4::S4D<float, s4::Mode::convolution>::Ssm::random({.channels = 3, .state_size = 8}, 1);
    const s4::Sequence<float> u = s4::white_noise<float>(100, 3, 2);
    s4::Sequence<float> y(100, 3), y_stream(100, 3);

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
