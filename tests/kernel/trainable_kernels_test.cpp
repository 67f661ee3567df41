#include "tests/support/expect_error.hpp"
#include "tests/support/tolerances.hpp"
#include <s4/discretize/bilinear.hpp>
#include <s4/fft/fftw.hpp>
#include <s4/fft/kiss_fft.hpp>
#include <s4/kernel/trainable_kernels.hpp>

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace s4::test {
namespace {

template <class Ssm, class Fft>
Sequence<typename Ssm::Scalar> kernels_of(const typename Ssm::Parameters& p, Index length) {
    TrainableKernels<Ssm, Fft> kernels(p, length);
    Sequence<typename Ssm::Scalar> K(p.C.rows(), length);
    kernels.forward(p, K);
    return K;
}

// Of sixth order in double; with this step truncation and rounding are both near 1e-12.
template <class Loss>
double difference(const Loss& loss, double& value) {
    constexpr double step = 0x1p-11;
    const double before = value;
    const auto slope = [&](double h) {
        value = before + h;
        const double above = loss();
        value = before - h;
        const double below = loss();
        value = before;
        return (above - below) / (2 * h);
    };
    return (64 * slope(step) - 20 * slope(2 * step) + slope(4 * step)) / 45;
}

/// The reverse pass against differences of the whole path from raw tensors to kernels, every entry of every tensor.
template <class Ssm, class Fft>
void expect_gradient(typename Ssm::Parameters p, Index length) {
    const Sequence<double> g = white_noise<double>(p.C.rows(), length, 8);
    TrainableKernels<Ssm, Fft> kernels(p, length);
    Sequence<double> K(p.C.rows(), length);
    kernels.forward(p, K);
    auto gradient = zero_like<Ssm>(p);
    kernels.vjp(p, g, gradient);
    const auto loss = [&] { return kernels_of<Ssm, Fft>(p, length).cwiseProduct(g).sum(); };
    Ssm::for_each_tensor(
        [&](const TensorInfo& info, auto& tensor, const auto& found) {
            double largest = 0;
            double error = 0;
            constexpr Index parts =
                Eigen::NumTraits<typename std::remove_cvref_t<decltype(tensor)>::Scalar>::IsComplex + 1;
            auto* values = reinterpret_cast<double*>(tensor.data());
            const auto* slopes = reinterpret_cast<const double*>(found.data());
            for (Index i = 0; i < tensor.size() * parts; ++i) {
                const double expected = difference(loss, values[i]);
                largest = std::max(largest, std::abs(expected));
                error = std::max(error, std::abs(expected - slopes[i]));
            }
            EXPECT_LE(error, wide_difference * std::max(largest, 1e-3)) << info.name;
        },
        p, gradient);
}

template <class Ssm>
typename Ssm::Parameters small(typename Ssm::Options options) {
    options.channels = 4;
    options.state_size = 4;
    options.timescale = {0.05, 0.5};
    return Ssm::random(options, 5);
}

template <class Ssm_, template <class> class Fft_>
struct Case {
    using Ssm = Ssm_;
    using Fft = Fft_<double>;
};
template <class>
class TrainableKernelsOf : public ::testing::Test {};
using Cases = ::testing::Types<Case<Diagonal<double>, Fftw>, Case<Diagonal<double, Bilinear>, KissFft>,
                               Case<Dplr<double>, Fftw>, Case<Dplr<double>, KissFft>>;
TYPED_TEST_SUITE(TrainableKernelsOf, Cases);

TYPED_TEST(TrainableKernelsOf, AreTheKernelsWithDInFront) {
    using Ssm = typename TypeParam::Ssm;
    const auto p = small<Ssm>({.heads = 2, .sets = 2});
    Sequence<double> expected = convolution_kernels<Ssm, typename TypeParam::Fft>(p, 33);
    for (Index row = 0; row < p.D.rows(); ++row) expected(row, 0) += p.D[row];
    EXPECT_EQ((kernels_of<Ssm, typename TypeParam::Fft>(p, 33)), expected);
}

TYPED_TEST(TrainableKernelsOf, HaveTheGradientOfTheirDifferences) {
    using Ssm = typename TypeParam::Ssm;
    using Fft = typename TypeParam::Fft;
    for (const Index length : {1, 2, 7, 16}) {
        SCOPED_TRACE(::testing::Message() << "length " << length);
        expect_gradient<Ssm, Fft>(small<Ssm>({}), length);
    }
}

TYPED_TEST(TrainableKernelsOf, HaveItWithEveryOption) {
    using Ssm = typename TypeParam::Ssm;
    using Fft = typename TypeParam::Fft;
    const auto check = [](const char* what, const typename Ssm::Options& options) {
        SCOPED_TRACE(what);
        expect_gradient<Ssm, Fft>(small<Ssm>(options), 9);
    };
    check("heads and sets", {.heads = 2, .sets = 2});
    check("one set", {.sets = 1});
    check("untied dt", {.tied_dt = false});
    check("rate", {.ssm = {.rate = 2}});
    check("kernel_limit", {.ssm = {.kernel_limit = 5}});
    check("band_limit", {.ssm = {.band_limit = 0.5}});
    check("dt_fast", {.ssm = {.dt_fast = true}});
    for (const Transform transform : {Transform::none, Transform::relu, Transform::softplus}) {
        check("dt_transform", {.ssm = {.dt_transform = transform}});
        check("real_transform", {.ssm = {.real_transform = transform}});
    }
    for (const Transform transform : {Transform::exp, Transform::softplus})
        check("imag_transform", {.ssm = {.imag_transform = transform}});
}

TYPED_TEST(TrainableKernelsOf, HaveItInBothDirections) {
    using Ssm = Bidirectional<typename TypeParam::Ssm>;
    expect_gradient<Ssm, typename TypeParam::Fft>(small<Ssm>({.heads = 2, .sets = 2}), 9);
}

TYPED_TEST(TrainableKernelsOf, AddToTheGradient) {
    using Ssm = typename TypeParam::Ssm;
    const auto p = small<Ssm>({.sets = 2});
    TrainableKernels<Ssm, typename TypeParam::Fft> kernels(p, 12);
    Sequence<double> K(4, 12);
    kernels.forward(p, K);
    auto once = zero_like<Ssm>(p);
    auto twice = zero_like<Ssm>(p);
    kernels.vjp(p, K, once);
    kernels.vjp(p, K, twice);
    kernels.vjp(p, K, twice);
    Ssm::for_each_tensor(
        [](const TensorInfo& info, const auto& one, const auto& two) {
            EXPECT_LE((2 * one - two).cwiseAbs().maxCoeff(), 1e-14 * two.cwiseAbs().maxCoeff()) << info.name;
        },
        once, twice);
}

TYPED_TEST(TrainableKernelsOf, RefuseALengthOutOfRange) {
    using Ssm = typename TypeParam::Ssm;
    EXPECT_S4_ERROR((TrainableKernels<Ssm, typename TypeParam::Fft>(small<Ssm>({}), 0)), "length", "found 0");
}

TEST(TrainableKernels, OfRealSystemsLeaveImaginaryPartsAlone) {
    using Ssm = Diagonal<double>;
    const auto p = small<Ssm>({.init = S4dInit::real, .ssm = {.real = true}});
    expect_gradient<Ssm, Fftw<double>>(p, 9);
}

// With C~ given, C~ is the independent number.
TEST(TrainableKernels, OfCTildeHaveTheGradientOfTheirDifferences) {
    using Ssm = Dplr<double>;
    for (const Index kernel_length : {8, 9})
        expect_gradient<Ssm, Fftw<double>>(to_length<Ssm>(small<Ssm>({}), kernel_length), 8);
    auto p = to_length<Ssm>(small<Ssm>({.ssm = {.rate = 2}}), 16);
    expect_gradient<Ssm, Fftw<double>>(p, 8);
}

}  // namespace
}  // namespace s4::test
