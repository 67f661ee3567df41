// expected: (cannot convert|cannot bind|no known conversion)[^\n]*State
#include <s4/s4.hpp>

using Stream = s4::S4<float, s4::Mode::recurrence>;
using OtherStream = s4::S4D<float, s4::Mode::recurrence>;

void run(const Stream& stream, const OtherStream& other, const s4::Frame<float>& u, s4::Frame<float>& y) {
    auto state = stream.make_state();
    auto other_state = other.make_state();
    stream.step(state, u, y);
    other.step(other_state, u, y);
#ifdef S4_MUST_FAIL
    stream.step(other_state, u, y);
#endif
}
