// expected: need the same scalar type
#include <s4/s4.hpp>

using Layer = s4::S4D<float, s4::Mode::recurrence>;

void run(const Layer& layer, Layer::State& state, const s4::Sequence<double>& wide, const s4::Sequence<float>& u,
         s4::Sequence<float>& y) {
    layer.scan(state, u, y);
    static_cast<void>(wide);
#ifdef S4_MUST_FAIL
    layer.scan(state, wide, y);
#endif
}
