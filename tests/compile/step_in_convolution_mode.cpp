// expected: (satisfaction of|satisfy) 'RecurrenceMode
#include <s4/fft/fftw.hpp>
#include <s4/s4.hpp>

void run(const s4::S4<float, s4::Mode::convolution>& layer, const s4::Frame<float>& u, s4::Frame<float>& y) {
    auto state = layer.make_state();
#ifdef S4_MUST_FAIL
    layer.step(state, u, y);
#else
    auto workspace = layer.make_workspace();
    layer.forward(workspace, state, u, y);
#endif
}
