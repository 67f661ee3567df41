// After the sound has ended: a layer under the guard comes to rest, exactly.
#include "tests/support/systems.hpp"
#include <s4/core/denormals.hpp>
#include <s4/s4.hpp>

#include <gtest/gtest.h>

#include <cmath>

namespace s4::test {
namespace {

template <class Matrix>
Index subnormals(const Matrix& values) {
    Index count = 0;
    const auto is_subnormal = [](float value) { return std::fpclassify(value) == FP_SUBNORMAL; };
    for (Index i = 0; i < values.size(); ++i) {
        if constexpr (Eigen::NumTraits<typename Matrix::Scalar>::IsComplex) {
            count += is_subnormal(values.data()[i].real()) + is_subnormal(values.data()[i].imag());
        } else {
            count += is_subnormal(values.data()[i]);
        }
    }
    return count;
}

/// Subnormal numbers in the state and the output after a burst and then silence.
template <class Ssm>
Index subnormals_after_silence() {
    const S4Layer<Ssm, Mode::recurrence> layer(
        Ssm::random({.channels = 4, .state_size = 16, .timescale = {0.1, 0.1}}, 1));
    auto state = layer.make_state();
    Sequence<float> y(100, 4);
    layer.scan(state, white_noise<float>(100, 4, 2), y);
    const Sequence<float> silence = Sequence<float>::Zero(100, 4);
    Index most = 0;
    for (int block = 0; block < 60; ++block) {  // e^{-0.05·6000} is far below the least float
        layer.scan(state, silence, y);
        most = std::max(most, subnormals(layer.read_state(state)) + subnormals(y));
    }
    return most;
}

TEST(Silence, LeavesNoSubnormalNumberUnderTheGuard) {
    // Without the guard there are some, so that the count below means something.
    EXPECT_GT(subnormals_after_silence<Diagonal<float>>(), 0);
    EXPECT_GT(subnormals_after_silence<Dplr<float>>(), 0);
#if defined(__SSE2__) || defined(__aarch64__)
    const ScopedFlushDenormals guard;
    EXPECT_EQ(subnormals_after_silence<Diagonal<float>>(), 0);
    EXPECT_EQ(subnormals_after_silence<Dplr<float>>(), 0);
#endif
}

TEST(Silence, TheGuardRestoresWhatWasSet) {
    volatile float small = 1e-30F;
    const auto product = [&] { return small * 1e-10F; };
    EXPECT_GT(product(), 0.0F);
#if defined(__SSE2__) || defined(__aarch64__)
    {
        const ScopedFlushDenormals outer;
        EXPECT_EQ(product(), 0.0F);
        { const ScopedFlushDenormals inner; }
        EXPECT_EQ(product(), 0.0F);
    }
#endif
    EXPECT_GT(product(), 0.0F);
}

}  // namespace
}  // namespace s4::test
