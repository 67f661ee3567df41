// Filling a batch and starting an epoch do not allocate. (The guard is in train_allocation_test.cpp.)
#include "tests/support/allocation_count.hpp"
#include <s4/train/dataset.hpp>
#include <s4/train/synthetic_tasks.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>

namespace {

using s4::Index;
using s4::test::allocator_calls_in;

TEST(BatchesDoNotAllocate, Images) {
    const s4::Idx images{"images", {10, 4, 7}, std::vector<std::uint8_t>(280)};
    const s4::Idx labels{"labels", {10}, std::vector<std::uint8_t>(10)};
    s4::ImageSequences dataset{images, labels};
    s4::BatchOrder order{{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, 5, 1};
    s4::Sequence<float> u(5 * 28, 1);
    std::vector<Index> classes(5);
    for (const bool permuted : {false, true}) {
        if (permuted) dataset.set_order(s4::random_permutation(28, 1));
        EXPECT_EQ(allocator_calls_in([&] {
                      order.start_epoch(3);
                      for (Index i = 0; i < order.batches(); ++i) dataset.fill<float>(order.batch(i), u, classes);
                  }),
                  0);
    }
}

template <class Task>
void expect_none(const Task& task) {
    s4::Sequence<float> u(3 * task.length(), task.inputs());
    s4::Sequence<float> target(3 * task.scored_steps(), task.outputs());
    EXPECT_EQ(allocator_calls_in([&] { task.template fill<float>(1, 0, u, target); }), 0);
}

TEST(BatchesDoNotAllocate, SyntheticTasks) {
    expect_none(s4::DelayTask{.cutoff = 0.1});
    expect_none(s4::DelayTask{});
    expect_none(s4::ReconstructionTask{});
    expect_none(s4::AddingTask{});
    const s4::CopyingTask copying;
    s4::Sequence<float> u(3 * copying.length(), copying.inputs());
    std::vector<Index> tokens(static_cast<std::size_t>(u.rows()));
    std::vector<Index> targets(static_cast<std::size_t>(3 * copying.scored_steps()));
    EXPECT_EQ(allocator_calls_in([&] {
                  copying.fill(1, 0, tokens, targets);
                  copying.fill<float>(1, 0, u, targets);
              }),
              0);
}

}  // namespace
