// expected: looks ahead of every sample, so it cannot run sample by sample
#include <s4/s4.hpp>

using Ssm = s4::Bidirectional<s4::Diagonal<float>>;

void run(const Ssm::Parameters& parameters, const s4::Frame<float>& u, s4::Frame<float>& y) {
#ifdef S4_MUST_FAIL
    const s4::S4Layer<Ssm, s4::Mode::recurrence> layer{parameters};
    auto state = layer.make_state();
    layer.step(state, u, y);
#else
    Ssm::validate(parameters);
    static_cast<void>(u);
    static_cast<void>(y);
#endif
}
