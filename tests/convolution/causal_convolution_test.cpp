// The right-angle convolution against the definition.
#include "tests/reference/reference.hpp"
#include "tests/support/expect_error.hpp"
#include "tests/support/tolerances.hpp"
#include <s4/convolution/causal_convolution.hpp>
#include <s4/core/random.hpp>
#include <s4/fft/fftw.hpp>
#include <s4/fft/kiss_fft.hpp>

#include <gtest/gtest.h>

namespace s4::test {
namespace {

template <class Fft>
class CausalConvolutions : public ::testing::Test {};
using Backends = ::testing::Types<Fftw<float>, Fftw<double>, KissFft<float>, KissFft<double>>;
TYPED_TEST_SUITE(CausalConvolutions, Backends);

TYPED_TEST(CausalConvolutions, MatchTheDefinitionForAnyLengthWidthAndBatch) {
    using Scalar = typename TypeParam::Scalar;
    for (const Planning planning : {Planning::estimate, Planning::measure})
        for (const Index channels : {1, 2, 17})
            for (const Index prepared : {1, 2, 3, 16, 61, 128, 300})
                for (const Index length : {Index{1}, prepared / 2 + 1, prepared}) {
                    constexpr Index batch = 2;
                    const Sequence<Scalar> kernels = white_noise<Scalar>(channels, prepared, 3);
                    const CausalConvolution<TypeParam> convolution(kernels, planning);
                    typename CausalConvolution<TypeParam>::Workspace workspace(convolution);
                    const Sequence<Scalar> u = white_noise<Scalar>(batch * length, channels, 4);
                    Sequence<Scalar> y(batch * length, channels);
                    convolution(workspace, u, y, batch);
                    for (Index h = 0; h < channels; ++h) {
                        const Eigen::Matrix<Wide, Dynamic, 1> row = kernels.row(h).template cast<Wide>();
                        for (Index b = 0; b < batch; ++b) {
                            const Eigen::Matrix<Wide, Dynamic, 1> input =
                                u.col(h).segment(b * length, length).template cast<Wide>();
                            const auto expected =
                                direct_convolution({row.begin(), row.end()}, {input.begin(), input.end()});
                            // An FFT spreads its rounding over all outputs: it is relative to |K|·|u|.
                            Wide error = 0;
                            for (Index t = 0; t < length; ++t)
                                error = std::max(error, std::abs(static_cast<Wide>(y(b * length + t, h)) -
                                                                 expected[static_cast<std::size_t>(t)]));
                            ASSERT_LE(static_cast<double>(error / (row.norm() * input.norm())),
                                      Tolerance<Scalar>::rounding)
                                << "H " << channels << ", prepared " << prepared << ", length " << length;
                        }
                    }
                }
}

TYPED_TEST(CausalConvolutions, NeverSeeTheFuture) {  // what wraps around stays in the imaginary part
    using Scalar = typename TypeParam::Scalar;
    const Sequence<Scalar> kernels = white_noise<Scalar>(1, 64, 5);
    const CausalConvolution<TypeParam> convolution(kernels);
    typename CausalConvolution<TypeParam>::Workspace workspace(convolution);
    Sequence<Scalar> u = Sequence<Scalar>::Zero(64, 1);
    u(60, 0) = Scalar{1};
    Sequence<Scalar> y(64, 1);
    convolution(workspace, u, y);
    EXPECT_LE(y.topRows(60).cwiseAbs().maxCoeff(), Tolerance<Scalar>::rounding);
    EXPECT_LE(relative_error(y.bottomRows(4), kernels.leftCols(4).transpose()), Tolerance<Scalar>::rounding);
}

TYPED_TEST(CausalConvolutions, RejectSizesTheyCannotTake) {
    using Scalar = typename TypeParam::Scalar;
    EXPECT_S4_ERROR(CausalConvolution<TypeParam>{Sequence<Scalar>(0, 5)}, "at least one channel");
    EXPECT_S4_ERROR(CausalConvolution<TypeParam>{Sequence<Scalar>(3, 0)}, "L = 0");
}

#if defined(GTEST_HAS_DEATH_TEST) && !defined(NDEBUG) && !defined(__SANITIZE_THREAD__)
TEST(CausalConvolutionDeath, WrongSizesAreCaughtInDebug) {
    const Sequence<float> kernels = white_noise<float>(2, 8, 5);
    const CausalConvolution<KissFft<float>> convolution(kernels);
    CausalConvolution<KissFft<float>>::Workspace workspace(convolution);
    const Sequence<float> narrow(8, 1);
    const Sequence<float> tall(9, 2);
    Sequence<float> y(8, 2);
    Sequence<float> tall_y(9, 2);
    EXPECT_DEATH(convolution(workspace, narrow, y), "u must be");
    EXPECT_DEATH(convolution(workspace, tall, tall_y), "longer than the prepared length");
    EXPECT_DEATH(convolution(workspace, y, y, 3), "batch must divide");
    const CausalConvolution<KissFft<float>> longer(white_noise<float>(2, 100, 5));
    EXPECT_DEATH(longer(workspace, y, y), "make it after the last prepare");
}
#endif

}  // namespace
}  // namespace s4::test
