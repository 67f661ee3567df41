// expected: an expression still to be computed
#include <s4/s4.hpp>

using Layer = s4::S4D<float, s4::Mode::recurrence>;

void run(const Layer& layer, Layer::State& state, const s4::Sequence<float>& u, s4::Sequence<float>& y) {
    layer.step(state, u.row(0), y.row(0));
#ifdef S4_MUST_FAIL
    layer.step(state, u.row(0) + u.row(1), y.row(0));
#endif
}
