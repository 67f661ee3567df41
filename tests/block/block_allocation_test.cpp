// Blocks do not allocate when they run: as streams, over whole sequences, and in training.
#include "tests/support/allocation_guard.hpp"
#include <s4/block/deployed_block.hpp>
#include <s4/block/trainable_block.hpp>
#include <s4/core/random.hpp>
#include <s4/discretize/zero_order_hold.hpp>
#include <s4/fft/fftw.hpp>
#include <s4/fft/kiss_fft.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <vector>

namespace s4::test {
namespace {

TEST(AllocationGuard, SeesAllocations) {
    void* volatile seen = nullptr;  // keeps the compiler from leaving the allocation out
    EXPECT_EQ(allocator_calls_in([&] {
                  const auto value = std::make_unique<int>();
                  seen = value.get();
              }),
              2);
}

template <class Ssm>
typename S4Block<Ssm>::Parameters parameters(const S4BlockOptions& block, bool linear) {
    typename S4Block<Ssm>::Options options;
    options.ssm.channels = 19;
    options.ssm.state_size = 8;
    options.ssm.heads = 2;
    options.block = block;
    options.linear = linear;
    return S4Block<Ssm>::random(options, 1);
}

template <class Ssm, class Fft>
void expect_no_allocation(const S4BlockOptions& options, bool linear = true) {
    using Scalar = typename Ssm::Scalar;
    using Block = S4Block<Ssm>;
    const auto p = parameters<Ssm>(options, linear);
    Sequence<Scalar> u = white_noise<Scalar>(4 * 50, 19, 2);
    Sequence<Scalar> y(u.rows(), p.outputs()), du(u.rows(), 19);
    const std::vector<Index> lengths{50, 20, 1, 49};

    DeployedBlock<Block, Mode::convolution, Fft> whole{p};
    whole.prepare(50);
    auto workspace = whole.make_workspace(4);
    EXPECT_EQ(allocator_calls_in([&] {
                  whole.forward(workspace, u, y, 4);
                  whole.forward(workspace, u, y, 4, lengths);
              }),
              0);
    if constexpr (is_causal<Ssm>) {
        auto carried = whole.layer().make_state();
        EXPECT_EQ(allocator_calls_in([&] { whole.forward(workspace, carried, u.topRows(50), y.topRows(50)); }), 0);
        const DeployedBlock<Block, Mode::recurrence, Fft> stream{p};
        auto state = stream.make_state(7);
        EXPECT_EQ(allocator_calls_in([&] {
                      for (Index t = 0; t < u.rows(); ++t) stream.step(state, u.row(t), y.row(t));
                      stream.scan(state, u, y);
                      state.reset();
                  }),
                  0);
    }

    TrainableBlock<Block, Fft> block{p, 50};
    typename TrainableBlock<Block, Fft>::Workspace scratch{block};
    typename TrainableBlock<Block, Fft>::Tape tape{block, p, 4};
    auto gradient = zero_like<Block>(p);
    auto by_kernels = block.make_kernel_gradient();
    block.prepare(p);
    const auto no_dropout = [](const SequenceView<Scalar>&, const SequenceOut<Scalar>&) noexcept {};
    EXPECT_EQ(allocator_calls_in([&] {
                  block.forward(scratch, tape, p, u, y, 4, lengths, no_dropout);
                  block.vjp(scratch, tape, p, y, du, 4, lengths, gradient, by_kernels, no_dropout);
                  by_kernels.set_zero();
              }),
              0);
}

template <class Ssm, class Fft>
void expect_no_allocation_with_every_option() {
    expect_no_allocation<Ssm, Fft>({});
    expect_no_allocation<Ssm, Fft>({.activation = Activation::glu,
                                    .mult_act = Activation::tanh,
                                    .final_act = Activation::softplus,
                                    .swap_channels = true});
    expect_no_allocation<Ssm, Fft>({.activation = Activation::elu}, false);
}

TEST(DiagonalBlock, DoesNotAllocateWhenItRuns) {
    expect_no_allocation_with_every_option<Diagonal<float>, Fftw<float>>();
    expect_no_allocation_with_every_option<Diagonal<double>, KissFft<double>>();
}

TEST(DplrBlock, DoesNotAllocateWhenItRuns) {
    expect_no_allocation_with_every_option<Dplr<float>, KissFft<float>>();
    expect_no_allocation_with_every_option<Dplr<double>, Fftw<double>>();
}

TEST(BidirectionalBlock, DoesNotAllocateWhenItRuns) {
    expect_no_allocation_with_every_option<Bidirectional<Diagonal<float>>, Fftw<float>>();
}

}  // namespace
}  // namespace s4::test
