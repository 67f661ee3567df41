// The recurrence needs Eigen and nothing else.
#include <s4/s4.hpp>

#include <iostream>

int main() {
    const s4::S4D<float, s4::Mode::recurrence> stream{s4::Diagonal<float>::random({.channels = 2, .state_size = 8}, 1)};
    auto state = stream.make_state();
    s4::Frame<float> u = s4::Frame<float>::Ones(2), y(2);
    for (int t = 0; t < 100; ++t) stream.step(state, u, y);
    std::cout << "after 100 samples: " << y << '\n';
    return y.allFinite() ? 0 : 1;
}
