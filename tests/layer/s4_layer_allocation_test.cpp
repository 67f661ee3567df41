// The real-time promise: not one allocator call in a million steps, a thousand convolutions, or a static layer's life.
#include "tests/support/allocation_guard.hpp"
#include "tests/support/systems.hpp"
#include <s4/fft/fftw.hpp>
#include <s4/fft/kiss_fft.hpp>
#include <s4/s4.hpp>

#include <gtest/gtest.h>

#include <array>
#include <memory>

namespace s4::test {
namespace {

TEST(AllocationGuard, SeesEveryKindOfAllocation) {
    void* volatile seen = nullptr;  // keeps the compiler from leaving an allocation out
    EXPECT_EQ(allocator_calls_in([&] {
                  Eigen::VectorXf values(1000);
                  seen = values.data();
              }),
              2);
    EXPECT_EQ(allocator_calls_in([&] {
                  const auto value = std::make_unique<std::array<int, 100>>();
                  seen = value.get();
              }),
              2);
    EXPECT_EQ(allocator_calls_in([&] {
                  Storage<float> values(100);
                  seen = values.data();
              }),
              2);
    EXPECT_EQ(allocator_calls_in([] {}), 0);
}

template <class Ssm>
void expect_no_allocation_in_a_million_steps() {
    using Scalar = typename Ssm::Scalar;
    constexpr Index channels = 19;
    const S4Layer<Ssm, Mode::recurrence> layer(random_parameters<Ssm>(channels, 8, 1));
    auto state = layer.make_state();
    const Sequence<Scalar> u = white_noise<Scalar>(1000, channels, 2);
    Sequence<Scalar> y(1000, channels);
    EXPECT_EQ(allocator_calls_in([&] {
                  for (int repeat = 0; repeat < 1000; ++repeat)
                      for (Index t = 0; t < 1000; ++t) layer.step(state, u.row(t), y.row(t));
              }),
              0);
    EXPECT_EQ(allocator_calls_in([&] { layer.scan(state, u, y); }), 0);
    EXPECT_EQ(allocator_calls_in([&] { state.reset(); }), 0);
}

template <class Ssm>
void expect_no_allocation_with_options() {
    using Scalar = typename Ssm::Scalar;
    constexpr Index channels = 19;
    const auto p = Ssm::random({.channels = channels, .state_size = 8, .heads = 2, .ssm = {.kernel_limit = 33}}, 1);
    const S4Layer<Ssm, Mode::recurrence> layer(p);
    S4Layer<Ssm, Mode::convolution> whole(p);
    whole.prepare(1000);
    auto workspace = whole.make_workspace();
    auto state = layer.make_state();
    const Sequence<Scalar> u = white_noise<Scalar>(1000, channels, 2);
    Sequence<Scalar> y(1000, 2 * channels);
    EXPECT_EQ(allocator_calls_in([&] {
                  for (Index t = 0; t < 1000; ++t) layer.step(state, u.row(t), y.row(t));
                  layer.scan(state, u, y);
                  state.reset();
                  for (int repeat = 0; repeat < 10; ++repeat) {
                      whole.forward(workspace, u, y);
                      whole.forward(workspace, state, u, y);
                  }
              }),
              0);
}

TEST(Recurrence, DoesNotAllocateWithSeveralHeadsAndAKernelThatEnds) {
    expect_no_allocation_with_options<Dplr<float>>();
    expect_no_allocation_with_options<Diagonal<double>>();
}

TEST(Recurrence, DoesNotAllocateInAMillionSteps) {
    expect_no_allocation_in_a_million_steps<Dplr<float>>();
    expect_no_allocation_in_a_million_steps<Dplr<double>>();
    expect_no_allocation_in_a_million_steps<Diagonal<float>>();
    expect_no_allocation_in_a_million_steps<Dense<float>>();
}

template <class Ssm, class Fft>
void expect_no_allocation_in_a_thousand_convolutions(Index length) {
    using Scalar = typename Ssm::Scalar;
    constexpr Index channels = 19;
    S4Layer<Ssm, Mode::convolution, Fft> layer(random_parameters<Ssm>(channels, 8, 1));
    layer.prepare(length);
    auto workspace = layer.make_workspace();
    auto state = layer.make_state();
    const Sequence<Scalar> u = white_noise<Scalar>(2 * length, channels, 2);
    Sequence<Scalar> y(2 * length, channels);
    EXPECT_EQ(allocator_calls_in([&] {
                  for (int repeat = 0; repeat < 1000; ++repeat) layer.forward(workspace, u, y, 2);
              }),
              0)
        << "length " << length;
    EXPECT_EQ(allocator_calls_in([&] { layer.forward(workspace, state, u.topRows(length), y.topRows(length)); }), 0);
}

TEST(Convolution, DoesNotAllocateInAThousandCalls) {
    for (const Index length : {1, 37, 200, 257}) {
        expect_no_allocation_in_a_thousand_convolutions<Dplr<float>, Fftw<float>>(length);
        expect_no_allocation_in_a_thousand_convolutions<Dplr<double>, Fftw<double>>(length);
        expect_no_allocation_in_a_thousand_convolutions<Diagonal<float>, KissFft<float>>(length);
        expect_no_allocation_in_a_thousand_convolutions<Diagonal<double>, KissFft<double>>(length);
    }
}

template <class Ssm>
void expect_a_life_without_heap() {
    using Layer = S4Layer<Ssm, Mode::recurrence>;
    using Scalar = typename Ssm::Scalar;
    const Layer layer(random_parameters<Ssm>(16, 32, 1));
    const Sequence<Scalar> u = white_noise<Scalar>(10, 16, 2);
    Sequence<Scalar> y(10, 16);
    Sequence<Scalar> expected(10, 16);
    auto state = layer.make_state();
    layer.scan(state, u, expected);
    EXPECT_EQ(allocator_calls_in([&] {
                  const Layer copy = layer;  // all of a layer: parameters, coefficients
                  auto own_state = copy.make_state();
                  copy.scan(own_state, u, y);
              }),
              0);
    EXPECT_EQ((y - expected).cwiseAbs().maxCoeff(), Scalar{0});
}

TEST(StaticShape, LivesOnTheStack) {
    expect_a_life_without_heap<Dplr<float, Shape<32, 16>>>();
    expect_a_life_without_heap<Diagonal<float, ZeroOrderHold, Shape<32, 16>>>();
    expect_a_life_without_heap<Diagonal<double, Bilinear, Shape<32, 16>>>();
}

}  // namespace
}  // namespace s4::test
