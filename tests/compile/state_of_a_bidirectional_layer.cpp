// expected: (satisfaction of|satisfy|evaluated to false)[^\n]*CausalSystem|CausalSystem
#include <s4/fft/kiss_fft.hpp>
#include <s4/s4.hpp>

using Layer = s4::S4Layer<s4::Bidirectional<s4::Dplr<double>>, s4::Mode::convolution, s4::KissFft<double>>;

void run(Layer& layer, const s4::Sequence<double>& u, s4::Sequence<double>& y) {
    layer.prepare(u.rows());
    auto workspace = layer.make_workspace();
    layer.forward(workspace, u, y);
#ifdef S4_MUST_FAIL
    auto state = layer.make_state();
    static_cast<void>(state);
#endif
}
