// A kernel that ends: 1e5 samples by windowed steps against the convolution with the truncated kernel.
#include "tests/support/systems.hpp"
#include "tests/support/tolerances.hpp"
#include <s4/fft/fftw.hpp>
#include <s4/s4.hpp>

#include <gtest/gtest.h>

#include <cmath>
#include <complex>
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

// Modes that hardly move in the window: what leaves is nearly what entered.
TEST(WindowedStep, KeepsTheDigitsOfSlowModes) {
    auto p = random_parameters<Diagonal<double>>(1, 64, 5);
    p.inv_dt(0, 0) = std::log(1e-6);
    p.kernel_limit = 10;
    p.D.setZero();
    Diagonal<float>::Parameters narrow;
    static_cast<SsmOptions&>(narrow) = p;
    narrow.inv_dt = p.inv_dt.cast<float>();
    narrow.A_real = p.A_real.cast<float>();
    narrow.A_imag = p.A_imag.cast<float>();
    narrow.B = p.B.cast<std::complex<float>>();
    narrow.C = p.C.cast<std::complex<float>>();
    narrow.D = p.D.cast<float>();
    const S4Layer<Diagonal<double>, Mode::recurrence> wide_layer(p);
    const S4Layer<Diagonal<float>, Mode::recurrence> narrow_layer(narrow);
    auto wide_state = wide_layer.make_state();
    auto narrow_state = narrow_layer.make_state();
    Sequence<float> u = white_noise<float>(300'000, 1, 4);
    u.array() += 0.5F;
    const Sequence<double> u_wide = u.cast<double>();
    Sequence<double> y_wide(u.rows(), 1);
    Sequence<float> y(u.rows(), 1);
    wide_layer.scan(wide_state, u_wide, y_wide);
    narrow_layer.scan(narrow_state, u, y);
    const double error = relative_error(y, y_wide);
    std::printf("Diagonal in float, dt = 1e-6, kernel of 10 samples: %.1e\n", error);
    EXPECT_LE(error, 2e-4);
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
