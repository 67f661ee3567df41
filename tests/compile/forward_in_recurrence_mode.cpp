// expected: (satisfaction of|satisfy) 'ConvolutionMode
#include <s4/fft/fftw.hpp>
#include <s4/s4.hpp>

using Convolution = s4::S4<float, s4::Mode::convolution>;
using Stream = s4::S4<float, s4::Mode::recurrence>;

void run(const Stream& stream, Convolution::Workspace& workspace, const s4::Sequence<float>& u,
         s4::Sequence<float>& y) {
    static_cast<void>(workspace);
#ifdef S4_MUST_FAIL
    stream.forward(workspace, u, y);
#else
    auto state = stream.make_state();
    stream.scan(state, u, y);
#endif
}
