// A million samples: the convolution and the recurrence still agree.
#include "tests/support/systems.hpp"
#include <s4/fft/fftw.hpp>
#include <s4/s4.hpp>

#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>

namespace s4::test {
namespace {

/// max|convolution − step| / RMS of each channel, for dt = 1e-3, 1e-2, 1e-1 in three channels.
template <class Ssm>
Eigen::Array3d disagreement(const typename Ssm::Parameters& parameters) {
    using Scalar = typename Ssm::Scalar;
    constexpr Index length = 1'000'000;
    Sequence<Scalar> u = white_noise<Scalar>(length, 3, 4);
    u.array() += Scalar(0.5);
    Sequence<Scalar> convolved(length, 3);
    Sequence<Scalar> stepped(length, 3);
    S4Layer<Ssm, Mode::convolution> convolution(parameters);
    convolution.prepare(length);
    auto workspace = convolution.make_workspace();
    convolution.forward(workspace, u, convolved);
    const S4Layer<Ssm, Mode::recurrence> recurrence(parameters);
    auto state = recurrence.make_state();
    for (Index t = 0; t < length; ++t) recurrence.step(state, u.row(t), stepped.row(t));
    Eigen::Array3d result;
    for (Index h = 0; h < 3; ++h) {
        const double rms =
            std::sqrt(stepped.col(h).template cast<double>().squaredNorm() / static_cast<double>(length));
        result[h] = static_cast<double>((convolved.col(h) - stepped.col(h)).cwiseAbs().maxCoeff()) / rms;
    }
    std::printf("%s<%s>: dt 1e-3 %.2e, 1e-2 %.2e, 1e-1 %.2e of RMS\n", Ssm::name,
                std::is_same_v<Scalar, float> ? "float" : "double", result[0], result[1], result[2]);
    return result;
}

template <class Ssm>
typename Ssm::Parameters with_step_sizes() {
    auto parameters = random_parameters<Ssm>(3, 64, 5);
    parameters.D.setZero();  // the plain feed-through would hide the state's error
    for (Index h = 0; h < 3; ++h)
        parameters.inv_dt(h, 0) =
            static_cast<typename Ssm::Scalar>(std::log(std::pow(10.0, static_cast<double>(h) - 3)));
    return parameters;
}

TEST(AMillionSamples, ConvolutionIsStepInFloat) {
    EXPECT_LE(disagreement<Dplr<float>>(with_step_sizes<Dplr<float>>()).maxCoeff(), 2e-4);
    EXPECT_LE(disagreement<Diagonal<float>>(with_step_sizes<Diagonal<float>>()).maxCoeff(), 2e-4);
}

TEST(AMillionSamples, ConvolutionIsStepInDouble) {
    EXPECT_LE(disagreement<Dplr<double>>(with_step_sizes<Dplr<double>>()).maxCoeff(), 1e-10);
    EXPECT_LE(disagreement<Diagonal<double>>(with_step_sizes<Diagonal<double>>()).maxCoeff(), 1e-10);
}

}  // namespace
}  // namespace s4::test
