// expected: (satisfaction of|satisfy) 'ConvolutionMode
#include <s4/s4.hpp>

void run(s4::S4<float, s4::Mode::recurrence>& layer) {
#ifdef S4_MUST_FAIL
    layer.prepare(100);
#else
    static_cast<void>(layer.make_state());
#endif
}
