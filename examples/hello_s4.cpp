// One S4 layer in both modes: the whole sequence by FFT, then the same samples one at a time. They agree.
#include <s4/fft/fftw.hpp>
#include <s4/s4.hpp>

#include <iostream>

int main() {
    const auto parameters =
        s4::Dplr<float>::random({.channels = 16, .state_size = 64, .hippo = s4::LegS{}}, /*seed=*/1);
    s4::Sequence<float> u = s4::white_noise<float>(48'000, 16, /*seed=*/2), y(48'000, 16), y_stream(48'000, 16);

    s4::S4<float, s4::Mode::convolution> layer{parameters};  // whole sequence, FFT
    layer.prepare(u.rows());
    auto workspace = layer.make_workspace();
    layer.forward(workspace, u, y);

    s4::S4<float, s4::Mode::recurrence> stream{parameters};  // one sample at a time, no allocation
    auto state = stream.make_state();
    for (s4::Index t = 0; t < u.rows(); ++t) stream.step(state, u.row(t), y_stream.row(t));

    std::cout << "largest difference: " << (y - y_stream).cwiseAbs().maxCoeff() << '\n';
}
