// One const layer in many threads, each with its own workspace and state; preparing in all of them at once.
#include "tests/support/expect_error.hpp"
#include "tests/support/systems.hpp"
#include "tests/support/tolerances.hpp"
#include <s4/fft/fftw.hpp>
#include <s4/s4.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace s4::test {
namespace {

template <class Work>
void in_eight_threads(const Work& work) {
    std::vector<std::thread> workers;
    for (int worker = 0; worker < 8; ++worker) workers.emplace_back([&work, worker] { work(worker); });
    for (std::thread& worker : workers) worker.join();
}

template <class Ssm>
void expect_shared_layers_agree() {
    using Scalar = typename Ssm::Scalar;
    const auto parameters = random_parameters<Ssm>(5, 8, 1);
    S4Layer<Ssm, Mode::convolution> shared(parameters);
    shared.prepare(200);
    const S4Layer<Ssm, Mode::recurrence> stream(parameters);
    const Sequence<Scalar> u = white_noise<Scalar>(200, 5, 2);
    Sequence<Scalar> expected(200, 5);
    auto state = stream.make_state();
    stream.scan(state, u, expected);
    std::atomic<int> wrong{0};
    in_eight_threads([&](int worker) {
        auto workspace = shared.make_workspace();
        auto own_state = stream.make_state();
        Sequence<Scalar> y(200, 5);
        for (int repeat = 0; repeat < 5; ++repeat) {
            shared.forward(workspace, u, y);
            if (!(relative_error(y, expected) <= Tolerance<Scalar>::law)) ++wrong;
            own_state.reset();
            stream.scan(own_state, u, y);
            if (y != expected) ++wrong;
            // and a layer of its own, planned while the others plan and run
            S4Layer<Ssm, Mode::convolution> own(parameters);
            own.prepare(190 + worker + repeat);
            auto own_workspace = own.make_workspace();
            own.forward(own_workspace, u.topRows(150), y.topRows(150));
            if (!(relative_error(y.topRows(150), expected.topRows(150)) <= Tolerance<Scalar>::law)) ++wrong;
        }
    });
    EXPECT_EQ(wrong, 0);
}

TEST(SharedLayer, RunsAndPreparesInEightThreadsAtOnce) {
    expect_shared_layers_agree<Dplr<float>>();
    expect_shared_layers_agree<Diagonal<double>>();
}

TEST(ParallelFor, GivesTheSameKernelsAsOneThread) {
    const auto parameters = random_parameters<Dplr<double>>(33, 8, 3);
    const Sequence<double> kernels = convolution_kernels<Dplr<double>>(parameters, 77);
    const KernelGenerator<Dplr<double>, Fftw<double>> generator(parameters, 77, Planning::estimate);
    auto workspace = generator.make_workspace();
    for (Index h = 0; h < 33; ++h) {
        std::vector<double> kernel(77);
        generator(workspace, h, kernel);
        for (Index l = 0; l < 77; ++l) ASSERT_EQ(kernels(h, l), kernel[static_cast<std::size_t>(l)]);
    }
}

#if defined(__cpp_exceptions)
TEST(ParallelFor, HandsAnErrorToTheCaller) {
    EXPECT_S4_ERROR(parallel_for(100, [](Index index) { detail::require(index != 57, "index ", index); }), "index 57");
}
#endif

}  // namespace
}  // namespace s4::test
