// Both passes of a differentiable scan: not one allocator call.
#include "tests/support/allocation_guard.hpp"
#include <s4/core/random.hpp>
#include <s4/discretize/bilinear.hpp>
#include <s4/recurrence/scan_vjp.hpp>

#include <gtest/gtest.h>

namespace s4::test {
namespace {

template <class Ssm>
void expect_no_allocation(Index heads) {
    using Scalar = typename Ssm::Scalar;
    constexpr Index channels = 19;
    const ScanVjp<Ssm> scan{Ssm::random({.channels = channels, .state_size = 8, .heads = heads, .sets = 1}, 1)};
    auto workspace = scan.make_workspace();
    auto tape = scan.make_tape(150);
    auto x = scan.zero_state();
    auto dx = scan.zero_state();
    auto gradients = scan.zero_gradients();
    const Sequence<Scalar> u = white_noise<Scalar>(150, channels, 2);
    Sequence<Scalar> y(150, heads * channels);
    Sequence<Scalar> du(150, channels);
    EXPECT_EQ(allocator_calls_in([&] {
                  for (int repeat = 0; repeat < 10; ++repeat) {
                      scan.forward(workspace, tape, x, u, y, x);
                      scan.vjp(workspace, tape, u, y, dx, du, dx, gradients);
                  }
              }),
              0);
    EXPECT_NE(gradients[0].dt.norm(), 0.0);
}

TEST(ScanVjp, DoesNotAllocate) {
    for (const Index heads : {1, 2}) {
        expect_no_allocation<Diagonal<float>>(heads);
        expect_no_allocation<Diagonal<double, Bilinear>>(heads);
        expect_no_allocation<Dplr<float>>(heads);
        expect_no_allocation<Dplr<double>>(heads);
    }
}

}  // namespace
}  // namespace s4::test
