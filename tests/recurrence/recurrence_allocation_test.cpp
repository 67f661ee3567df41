// Not one allocator call: the real-time promise of the online memories, and both passes of a differentiable scan.
#include "tests/support/allocation_guard.hpp"
#include <s4/core/random.hpp>
#include <s4/discretize/bilinear.hpp>
#include <s4/recurrence/hippo_memory.hpp>
#include <s4/recurrence/legs_memory.hpp>
#include <s4/recurrence/scan_vjp.hpp>

#include <gtest/gtest.h>

namespace s4::test {
namespace {

template <class Memory>
void expect_no_allocation(const Memory& memory) {
    using Scalar = typename Memory::Scalar;
    auto state = memory.make_state();
    const Sequence<Scalar> u = white_noise<Scalar>(1000, memory.channels(), 1);
    EXPECT_EQ(allocator_calls_in([&] {
                  for (int repeat = 0; repeat < 100; ++repeat)
                      for (Index t = 0; t < u.rows(); ++t) memory.step(state, u.row(t));
              }),
              0);
    EXPECT_EQ(allocator_calls_in([&] {
                  for (int repeat = 0; repeat < 10; ++repeat) memory.scan(state, u);
              }),
              0);
    auto copy = memory.make_state();
    EXPECT_EQ(allocator_calls_in([&] {
                  copy = state;
                  state.reset();
              }),
              0);
    const auto c = memory.coefficients(copy);
    EXPECT_TRUE(detail::all_finite(c));
    EXPECT_GT(c.norm(), Scalar{0});
}

TEST(LegsMemory, DoesNotAllocateWhileItListens) {
    expect_no_allocation(LegsMemory<float>(19, 16));
    expect_no_allocation(LegsMemory<double, BackwardEuler>(19, 16));
    expect_no_allocation(LegsMemory<float, ZeroOrderHold>(19, 16));  // blocks, merged as the next one comes
    expect_no_allocation(LegsMemory<double, ZeroOrderHold>(3, 16));
}

TEST(HippoMemory, DoesNotAllocateWhileItListens) {
    const HippoMemoryOptions options{.channels = 19, .state_size = 15, .hippo = LegT{}, .window = 200};
    expect_no_allocation(HippoMemory<float>(options));
    expect_no_allocation(HippoMemory<double>(options, ZeroOrderHold{}));
}

template <class Ssm>
void expect_no_allocation_in_passes(Index heads) {
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
        expect_no_allocation_in_passes<Diagonal<float>>(heads);
        expect_no_allocation_in_passes<Diagonal<double, Bilinear>>(heads);
        expect_no_allocation_in_passes<Dplr<float>>(heads);
        expect_no_allocation_in_passes<Dplr<double>>(heads);
    }
}

}  // namespace
}  // namespace s4::test
