// expected: looks ahead of every sample, so it has no step
#include <s4/fft/kiss_fft.hpp>
#include <s4/s4.hpp>

using Layer = s4::S4Layer<s4::Bidirectional<s4::Diagonal<float>>, s4::Mode::convolution, s4::KissFft<float>>;

void run(const Layer& layer, const s4::Frame<float>& u, s4::Frame<float>& y) {
    static_cast<void>(layer);
    static_cast<void>(u);
    static_cast<void>(y);
#ifdef S4_MUST_FAIL
    int state = 0;
    layer.step(state, u, y);
#endif
}
