// The right-angle convolution against the definition.
#include "tests/reference/reference.hpp"
#include "tests/support/expect_error.hpp"
#include "tests/support/tolerances.hpp"
#include <s4/convolution/causal_convolution.hpp>
#include <s4/core/random.hpp>
#include <s4/fft/fftw.hpp>
#include <s4/fft/kiss_fft.hpp>

#include <gtest/gtest.h>

#include <string>

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

/// Direct sums of what the heads and directions of a convolution are, and of its reverse pass.
template <class Fft>
void expect_definition(Index channels, const KernelRows& rows, Index prepared, Index length) {
    using Scalar = typename Fft::Scalar;
    constexpr Index batch = 2;
    const Index outputs = rows.heads * channels;
    const Index count = outputs * (rows.bidirectional ? 2 : 1);
    const Sequence<Scalar> kernels = white_noise<Scalar>(count, prepared, 3);
    const CausalConvolution<Fft> convolution(kernels, rows);
    typename CausalConvolution<Fft>::Workspace workspace(convolution);
    typename CausalConvolution<Fft>::VjpWorkspace vjp_workspace(convolution);
    const Sequence<Scalar> u = white_noise<Scalar>(batch * length, channels, 4);
    const Sequence<Scalar> dy = white_noise<Scalar>(batch * length, outputs, 5);
    Sequence<Scalar> y(batch * length, outputs);
    Sequence<Scalar> du(batch * length, channels);
    Sequence<Scalar> dkernels(count, prepared);
    convolution(workspace, u, y, batch);
    convolution.vjp(vjp_workspace, u, dy, du, dkernels, batch);

    using Table = Eigen::Matrix<Wide, Dynamic, Dynamic>;
    Table expected_y = Table::Zero(y.rows(), y.cols());
    Table expected_du = Table::Zero(du.rows(), du.cols());
    Table expected_dkernels = Table::Zero(count, prepared);
    for (Index row = 0; row < count; ++row) {
        const Index output = row % outputs;
        for (Index b = 0; b < batch; ++b)
            for (Index t = 0; t < length; ++t)
                for (Index j = 0; j < prepared; ++j) {
                    const Index from = row < outputs ? t - j : t + 1 + j;
                    if (from < 0 || from >= length) continue;
                    const Index here = b * length + t;
                    const Index there = b * length + from;
                    const Wide kernel = kernels(row, j), input = u(there, output % channels), slope = dy(here, output);
                    expected_y(here, output) += kernel * input;
                    expected_du(there, output % channels) += kernel * slope;
                    expected_dkernels(row, j) += input * slope;
                }
    }
    const auto what = [&] {
        return "H " + std::to_string(channels) + ", heads " + std::to_string(rows.heads) + ", prepared " +
               std::to_string(prepared) + ", length " + std::to_string(length);
    };
    constexpr double bound = 4 * Tolerance<Scalar>::rounding;
    EXPECT_LE(relative_error(y, expected_y), bound) << what();
    EXPECT_LE(relative_error(du, expected_du), bound) << what();
    EXPECT_LE(relative_error(dkernels, expected_dkernels), bound) << what();

    // The same from kept transforms; the sums of two batches are those of both; kernels can be replaced.
    using Convolution = CausalConvolution<Fft>;
    typename Convolution::InputSpectra kept(convolution, batch);
    Sequence<Scalar> again(batch * length, outputs);
    convolution(workspace, u, again, kept, batch);
    EXPECT_LE(relative_error(again, expected_y), bound) << what();
    typename Convolution::KernelGradient sum(convolution);
    Sequence<Scalar> du_again(batch * length, channels);
    convolution.vjp(vjp_workspace, kept, dy, du_again, sum, batch);
    EXPECT_LE(relative_error(du_again, expected_du), bound) << what();
    typename Convolution::KernelGradient other(convolution);
    convolution.vjp(vjp_workspace, u, dy, du_again, other, batch);
    sum.add(other);
    convolution.read(vjp_workspace, sum, dkernels);
    EXPECT_LE(relative_error(dkernels, 2 * expected_dkernels), bound) << what();
    sum.set_zero();
    convolution.read(vjp_workspace, sum, dkernels);
    EXPECT_TRUE(dkernels.isZero(0));
    Convolution replaced(white_noise<Scalar>(count, prepared, 6), rows);
    replaced.replace_kernels(workspace, kernels);
    replaced(workspace, u, again, batch);
    EXPECT_EQ(again, y);

    Sequence<Scalar> in_place = u;  // du may be u
    convolution.vjp(vjp_workspace, in_place, dy, in_place, dkernels, batch);
    EXPECT_EQ((in_place - du).cwiseAbs().maxCoeff(), Scalar{0});
}

TYPED_TEST(CausalConvolutions, HaveHeadsDirectionsAndAReversePass) {
    for (const bool bidirectional : {false, true})
        for (const Index heads : {1, 3})
            for (const Index channels : {1, 5, 18})
                for (const Index prepared : {1, 2, 7, 64, 97})
                    expect_definition<TypeParam>(channels, {.heads = heads, .bidirectional = bidirectional}, prepared,
                                                 prepared / 2 + 1);
    expect_definition<TypeParam>(3, {}, 64, 64);
    expect_definition<TypeParam>(3, {.bidirectional = true}, 97, 97);
}

TYPED_TEST(CausalConvolutions, NeedAWholeNumberOfChannels) {
    const Sequence<typename TypeParam::Scalar> kernels = white_noise<typename TypeParam::Scalar>(6, 4, 3);
    EXPECT_S4_ERROR((CausalConvolution<TypeParam>{kernels, {.heads = 4}}), "4 kernels are needed", "found 6");
    EXPECT_S4_ERROR((CausalConvolution<TypeParam>{kernels, {.heads = 2, .bidirectional = true}}), "found 6");
    EXPECT_S4_ERROR((CausalConvolution<TypeParam>{kernels, {.heads = 0}}), "at least one head", "found 0");
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
