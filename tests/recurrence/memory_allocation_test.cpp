// The real-time promise of the online memories: not one allocator call while they listen.
#include "tests/support/allocation_guard.hpp"
#include <s4/core/random.hpp>
#include <s4/recurrence/hippo_memory.hpp>
#include <s4/recurrence/legs_memory.hpp>

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

}  // namespace
}  // namespace s4::test
