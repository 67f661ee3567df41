// expected: the output is a temporary
#include <s4/s4.hpp>

using Layer = s4::S4D<float, s4::Mode::recurrence>;

void run(const Layer& layer, Layer::State& state, const s4::Sequence<float>& u, s4::Sequence<float>& y) {
    layer.scan(state, u.topRows(8), y.topRows(8));
#ifdef S4_MUST_FAIL
    layer.scan(state, u, s4::Sequence<float>(u.rows(), u.cols()));
#endif
}
