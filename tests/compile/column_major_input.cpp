// expected: a sequence is row-major, time x channels
#include <s4/s4.hpp>

using Layer = s4::S4D<float, s4::Mode::recurrence>;

void run(const Layer& layer, Layer::State& state, const s4::Sequence<float>& u, const Eigen::MatrixXf& column_major,
         s4::Sequence<float>& y) {
    layer.scan(state, u, y);
    layer.scan(state, u.middleCols(1, 2), y.middleCols(1, 2));
    static_cast<void>(column_major);
#ifdef S4_MUST_FAIL
    layer.scan(state, column_major, y);
#endif
}
