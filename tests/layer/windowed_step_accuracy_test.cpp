// A kernel that ends: 1e5 samples by windowed steps against the convolution with the truncated kernel.
#include "tests/support/systems.hpp"
#include "tests/support/tolerances.hpp"
#include <s4/fft/fftw.hpp>
#include <s4/s4.hpp>

#include <gtest/gtest.h>

#include <cstdio>

namespace s4::test {
namespace {

template <class Ssm>
double disagreement(Index kernel_limit) {
    using Scalar = typename Ssm::Scalar;
    constexpr Index length = 100'000;
    constexpr Index channels = 3;
    auto p = random_parameters<Ssm>(channels, 64, 5);
    for (Index h = 0; h < channels; ++h)  // dt = 1e-4 … 1e-2: what is cut off is large
        p.inv_dt(h, 0) = static_cast<Scalar>(std::log(std::pow(10.0, static_cast<double>(h) - 4)));
    p.kernel_limit = kernel_limit;
    Sequence<Scalar> u = white_noise<Scalar>(length, channels, 4);
    u.array() += Scalar(0.5);
    Sequence<Scalar> convolved(length, channels);
    Sequence<Scalar> stepped(length, channels);
    S4Layer<Ssm, Mode::convolution> convolution(p);
    convolution.prepare(length);
    auto workspace = convolution.make_workspace();
    convolution.forward(workspace, u, convolved);
    const S4Layer<Ssm, Mode::recurrence> recurrence(p);
    auto state = recurrence.make_state();
    for (Index t = 0; t < length; ++t) recurrence.step(state, u.row(t), stepped.row(t));
    const double error = relative_error(stepped, convolved);
    std::printf("%s, kernel of %ld samples: %.1e\n", Ssm::name, static_cast<long>(kernel_limit), error);
    return error;
}

TEST(WindowedStep, IsTheTruncatedConvolutionOverAHundredThousandSamples) {
    for (const Index limit : {1, 100, 1000, 16'384}) {
        EXPECT_LE(disagreement<Dplr<double>>(limit), 1e-10);
        EXPECT_LE(disagreement<Diagonal<double>>(limit), 1e-10);
        EXPECT_LE(disagreement<Dplr<float>>(limit), 2e-4);
        EXPECT_LE(disagreement<Diagonal<float>>(limit), 2e-4);
    }
}

}  // namespace
}  // namespace s4::test
