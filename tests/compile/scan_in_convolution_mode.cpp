// expected: (satisfaction of|satisfy) 'RecurrenceMode
#include <s4/fft/kiss_fft.hpp>
#include <s4/s4.hpp>

using Layer = s4::S4D<double, s4::Mode::convolution, s4::KissFft<double>>;

void run(const Layer& layer, const s4::Sequence<double>& u, s4::Sequence<double>& y) {
    auto state = layer.make_state();
#ifdef S4_MUST_FAIL
    layer.scan(state, u, y);
#else
    auto workspace = layer.make_workspace();
    layer.forward(workspace, state, u, y);
#endif
}
