// Compiled once for each processor; S4_RUN_LAYER is the name of the function.
#include "run_layer.hpp"

#include <s4/fft/fftw.hpp>
#include <s4/s4.hpp>

#define S4_TEXT_OF(name) #name
#define S4_TEXT(name) S4_TEXT_OF(name)

LayerRun S4_RUN_LAYER() {
    constexpr s4::Index length = 200, channels = 5;
    std::vector<s4::DiagonalSystem> systems(channels);
    for (s4::Index h = 0; h < channels; ++h) {
        s4::DiagonalSystem& system = systems[static_cast<std::size_t>(h)];
        system.lambda = Eigen::Vector3cd(std::complex(-0.5, 1.0), std::complex(-0.5, 4.0), std::complex(-1.0, 9.0));
        system.B = system.C = Eigen::Vector3cd::Ones();
        system.dt = Eigen::Vector3d::Constant(0.01 * static_cast<double>(h + 1));
    }
    const auto parameters = s4::Diagonal<float>::from_systems(systems);
    const s4::Sequence<float> u = s4::white_noise<float>(length, channels, 2);
    s4::Sequence<float> y(length, channels);
    LayerRun result;
    result.abi = S4_TEXT(S4_ABI);
    result.lanes = static_cast<int>(s4::Lanes<float>::count);

    s4::S4D<float, s4::Mode::convolution> layer{parameters};
    layer.prepare(length);
    auto workspace = layer.make_workspace();
    layer.forward(workspace, u, y);
    result.convolution.assign(y.data(), y.data() + y.size());

    const s4::S4D<float, s4::Mode::recurrence> stream{parameters};
    auto state = stream.make_state();
    stream.scan(state, u, y);
    result.recurrence.assign(y.data(), y.data() + y.size());
    return result;
}
