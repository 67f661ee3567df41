// expected: (satisfaction of|satisfy) 'ConvolutionMode
#include <s4/fft/fftw.hpp>
#include <s4/s4.hpp>

void run(const s4::S4<float, s4::Mode::recurrence>& layer) {
#ifdef S4_MUST_FAIL
    static_cast<void>(layer.make_workspace());
#else
    static_cast<void>(layer.make_state());
#endif
}
