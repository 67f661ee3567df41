// expected: (cannot convert|cannot bind|no known conversion)[^\n]*State
#include <s4/s4.hpp>

using Small = s4::S4Layer<s4::Dplr<float, s4::Shape<8, 4>>, s4::Mode::recurrence>;
using Large = s4::S4Layer<s4::Dplr<float, s4::Shape<16, 4>>, s4::Mode::recurrence>;

void run(const Small& small, Small::State& small_state, Large::State& large_state, const s4::Frame<float>& u,
         s4::Frame<float>& y) {
    static_cast<void>(large_state);
    small.step(small_state, u, y);
#ifdef S4_MUST_FAIL
    small.step(large_state, u, y);
#endif
}
