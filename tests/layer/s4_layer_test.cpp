// The laws of a dual-mode layer, for every system, scalar and FFT: both modes are the same map.
#include "tests/reference/reference.hpp"
#include "tests/support/expect_error.hpp"
#include "tests/support/systems.hpp"
#include "tests/support/tolerances.hpp"
#include <s4/fft/fftw.hpp>
#include <s4/fft/kiss_fft.hpp>
#include <s4/s4.hpp>

#include <gtest/gtest.h>

namespace s4::test {
namespace {

template <class Ssm_, template <class> class Fft_>
struct Case {
    using Ssm = Ssm_;
    using Scalar = typename Ssm::Scalar;
    using Convolution = S4Layer<Ssm, Mode::convolution, Fft_<Scalar>>;
    using Recurrence = S4Layer<Ssm, Mode::recurrence, Fft_<Scalar>>;
};

template <class Case>
class S4LayerLaws : public ::testing::Test {
protected:
    using Real = typename Case::Scalar;
    using Convolution = typename Case::Convolution;
    using Recurrence = typename Case::Recurrence;
    static constexpr int fixed_channels = Case::Ssm::Shape::channels;
    static constexpr int fixed_states = Case::Ssm::Shape::state_size;
    static constexpr std::uint64_t seed = 20'261'121;

    static Index channels(Index wanted) { return fixed_channels == Dynamic ? wanted : fixed_channels; }
    static typename Case::Ssm::Parameters parameters(Index wanted_channels, Index states = 8) {
        return random_parameters<typename Case::Ssm>(channels(wanted_channels),
                                                     fixed_states == Dynamic ? states : fixed_states, seed);
    }
    static Sequence<Real> convolve(const Convolution& layer, const Sequence<Real>& u, Index batch = 1) {
        auto workspace = layer.make_workspace();
        Sequence<Real> y(u.rows(), u.cols());
        layer.forward(workspace, u, y, batch);
        return y;
    }
    static Sequence<Real> stream(const Recurrence& layer, const Sequence<Real>& u) {
        auto state = layer.make_state();
        Sequence<Real> y(u.rows(), u.cols());
        for (Index t = 0; t < u.rows(); ++t) layer.step(state, u.row(t), y.row(t));
        return y;
    }
};

using Cases =
    ::testing::Types<Case<Dplr<float>, Fftw>, Case<Dplr<double>, Fftw>, Case<Dplr<float>, KissFft>,
                     Case<Dplr<double>, KissFft>, Case<Dplr<float, Shape<8, 5>>, Fftw>, Case<Diagonal<float>, Fftw>,
                     Case<Diagonal<double>, Fftw>, Case<Diagonal<double, Bilinear>, KissFft>,
                     Case<Diagonal<double, ZeroOrderHold, Shape<8, 5>>, Fftw>, Case<Dense<float>, Fftw>,
                     Case<Dense<double>, Fftw>>;
TYPED_TEST_SUITE(S4LayerLaws, Cases);

TYPED_TEST(S4LayerLaws, ConvolutionIsRecurrenceForAnyLengthAndWidth) {
    using Scalar = typename TypeParam::Scalar;
    for (const Index wanted : {1, 3, 16, 37}) {
        const auto parameters = this->parameters(wanted);
        typename TestFixture::Convolution convolution(parameters);
        const typename TestFixture::Recurrence recurrence(convolution.parameters());
        for (const Index length : {1, 2, 3, 7, 64, 97, 500}) {
            const Sequence<Scalar> u = white_noise<Scalar>(length, parameters.channels(), 5);
            convolution.prepare(length);
            EXPECT_EQ(convolution.prepared_length(), length);
            EXPECT_LE(relative_error(this->convolve(convolution, u), this->stream(recurrence, u)),
                      Tolerance<Scalar>::law)
                << "H = " << wanted << ", L = " << length;
        }
    }
}

TYPED_TEST(S4LayerLaws, ShorterSequencesAndBatchesNeedNoNewPreparation) {
    using Scalar = typename TypeParam::Scalar;
    const auto parameters = this->parameters(19);
    typename TestFixture::Convolution convolution(parameters);
    const typename TestFixture::Recurrence recurrence(parameters);
    convolution.prepare(100);
    for (const Index length : {1, 13, 99, 100}) {
        constexpr Index batch = 3;
        const Sequence<Scalar> u = white_noise<Scalar>(batch * length, parameters.channels(), 6);
        const Sequence<Scalar> y = this->convolve(convolution, u, batch);
        for (Index b = 0; b < batch; ++b) {
            const Sequence<Scalar> expected = this->stream(recurrence, u.middleRows(b * length, length));
            EXPECT_LE(relative_error(y.middleRows(b * length, length), expected), Tolerance<Scalar>::law);
        }
    }
}

TYPED_TEST(S4LayerLaws, ScanIsStepsBitForBit) {
    using Scalar = typename TypeParam::Scalar;
    const auto parameters = this->parameters(19);
    const typename TestFixture::Recurrence layer(parameters);
    const Sequence<Scalar> u = white_noise<Scalar>(53, parameters.channels(), 7);
    const Sequence<Scalar> stepped = this->stream(layer, u);
    auto state = layer.make_state();
    Sequence<Scalar> y(u.rows(), u.cols());
    Index start = 0;
    for (const Index rows : {1, 20, 0, 5, 27}) {
        layer.scan(state, u.middleRows(start, rows), y.middleRows(start, rows));
        start += rows;
    }
    EXPECT_EQ(start, u.rows());
    EXPECT_EQ((y - stepped).cwiseAbs().maxCoeff(), Scalar{0});
}

TYPED_TEST(S4LayerLaws, ChunksWithStateAreTheWhole) {
    using Scalar = typename TypeParam::Scalar;
    const auto parameters = this->parameters(19);
    typename TestFixture::Convolution convolution(parameters);
    const typename TestFixture::Recurrence recurrence(parameters);
    convolution.prepare(64);
    auto workspace = convolution.make_workspace();
    const Sequence<Scalar> u = white_noise<Scalar>(150, parameters.channels(), 8);
    const auto x0 = random_state(recurrence, 9);

    auto expected_state = recurrence.make_state();
    recurrence.write_state(expected_state, x0);
    Sequence<Scalar> expected(u.rows(), u.cols());
    recurrence.scan(expected_state, u, expected);

    auto state = convolution.make_state();
    convolution.write_state(state, x0);
    Sequence<Scalar> y(u.rows(), u.cols());
    Index start = 0;
    for (const Index rows : {64, 1, 40, 45}) {
        convolution.forward(workspace, state, u.middleRows(start, rows), y.middleRows(start, rows));
        start += rows;
    }
    EXPECT_EQ(start, u.rows());
    EXPECT_LE(relative_error(y, expected), Tolerance<Scalar>::law);
    EXPECT_LE(relative_error(convolution.read_state(state), recurrence.read_state(expected_state)),
              Tolerance<Scalar>::law);
}

TYPED_TEST(S4LayerLaws, HandOverFromConvolutionToStepIsExact) {
    using Scalar = typename TypeParam::Scalar;
    const auto parameters = this->parameters(19);
    typename TestFixture::Convolution prefill(parameters);
    const typename TestFixture::Recurrence recurrence(prefill.parameters());
    prefill.prepare(90);
    auto workspace = prefill.make_workspace();
    const Sequence<Scalar> u = white_noise<Scalar>(120, parameters.channels(), 10);
    const Sequence<Scalar> expected = this->stream(recurrence, u);

    auto state = prefill.make_state();
    Sequence<Scalar> y(u.rows(), u.cols());
    prefill.forward(workspace, state, u.topRows(90), y.topRows(90));
    for (Index t = 90; t < u.rows(); ++t) recurrence.step(state, u.row(t), y.row(t));
    EXPECT_LE(relative_error(y.topRows(90), expected.topRows(90)), Tolerance<Scalar>::law);
    EXPECT_EQ((y.bottomRows(30) - expected.bottomRows(30)).cwiseAbs().maxCoeff(), Scalar{0});
}

TYPED_TEST(S4LayerLaws, StatesAreReadAsTheyWereWritten) {
    using Scalar = typename TypeParam::Scalar;
    const typename TestFixture::Recurrence layer(this->parameters(19));
    auto state = layer.make_state();
    EXPECT_EQ(layer.read_state(state).norm(), Scalar{0});
    const auto x = random_state(layer, 11);
    layer.write_state(state, x);
    EXPECT_LE(relative_error(layer.read_state(state), x), Tolerance<Scalar>::rounding);
    state.reset();
    EXPECT_EQ(layer.read_state(state).norm(), Scalar{0});
    if constexpr (TestFixture::fixed_channels == Dynamic) {
        typename TestFixture::Recurrence::StateMatrix wrong(x.rows() + 1, x.cols());
        wrong.setZero();
        EXPECT_S4_ERROR(layer.write_state(state, wrong), "state", "found [20 x");
    }
}

TYPED_TEST(S4LayerLaws, ACopyIsIndependent) {
    using Scalar = typename TypeParam::Scalar;
    const auto parameters = this->parameters(3);
    const typename TestFixture::Recurrence layer(parameters);
    const Sequence<Scalar> u = white_noise<Scalar>(20, parameters.channels(), 12);
    Sequence<Scalar> first(20, parameters.channels());
    Sequence<Scalar> second = first;
    auto state = layer.make_state();
    layer.scan(state, u, first);
    auto fork = state;
    const auto copy = layer;
    Sequence<Scalar> ignored = first;
    layer.scan(state, u, first);
    layer.scan(state, u, ignored);
    copy.scan(fork, u, second);
    EXPECT_EQ((first - second).cwiseAbs().maxCoeff(), Scalar{0});

    typename TestFixture::Convolution convolution(parameters);
    convolution.prepare(20);
    const auto convolution_copy = convolution;
    convolution.prepare(4);
    EXPECT_EQ(convolution_copy.prepared_length(), 20);
    EXPECT_LE(relative_error(this->convolve(convolution_copy, u), this->stream(layer, u)), Tolerance<Scalar>::law);
}

TYPED_TEST(S4LayerLaws, InputMayBeAViewAndOutputMayBeTheInput) {
    using Scalar = typename TypeParam::Scalar;
    const auto parameters = this->parameters(5);
    const Index channels = parameters.channels();
    typename TestFixture::Convolution convolution(parameters);
    const typename TestFixture::Recurrence recurrence(parameters);
    convolution.prepare(30);
    auto workspace = convolution.make_workspace();
    const Sequence<Scalar> wide = white_noise<Scalar>(30, channels + 7, 13);
    const Sequence<Scalar> u = wide.middleCols(2, channels);
    const Sequence<Scalar> expected = this->stream(recurrence, u);

    Sequence<Scalar> in_place = wide;
    convolution.forward(workspace, in_place.middleCols(2, channels), in_place.middleCols(2, channels));
    EXPECT_LE(relative_error(in_place.middleCols(2, channels), expected), Tolerance<Scalar>::law);
    EXPECT_EQ((in_place.leftCols(2) - wide.leftCols(2)).norm(), Scalar{0});
    EXPECT_EQ((in_place.rightCols(5) - wide.rightCols(5)).norm(), Scalar{0});

    in_place = wide;
    auto state = convolution.make_state();
    convolution.forward(workspace, state, in_place.middleCols(2, channels), in_place.middleCols(2, channels));
    EXPECT_LE(relative_error(in_place.middleCols(2, channels), expected), Tolerance<Scalar>::law);

    in_place = wide;
    state.reset();
    recurrence.scan(state, in_place.middleCols(2, channels), in_place.middleCols(2, channels));
    EXPECT_EQ((in_place.middleCols(2, channels) - expected).cwiseAbs().maxCoeff(), Scalar{0});
    EXPECT_EQ((in_place.rightCols(5) - wide.rightCols(5)).norm(), Scalar{0});
}

TYPED_TEST(S4LayerLaws, BadLengthsAreErrorsAndLeaveTheLayerAsItWas) {
    using Scalar = typename TypeParam::Scalar;
    const auto parameters = this->parameters(3);
    typename TestFixture::Convolution layer(parameters);
    EXPECT_S4_ERROR(static_cast<void>(layer.make_workspace()), "prepare");
    EXPECT_S4_ERROR(layer.prepare(0), "found 0");
    layer.prepare(10);
    EXPECT_S4_ERROR(layer.prepare(-3), "found -3");
    EXPECT_S4_ERROR(layer.prepare(max_fft_size + 1), "268435457");
    EXPECT_S4_ERROR(layer.prepare(Index{1} << 40), "1099511627776");
    EXPECT_EQ(layer.prepared_length(), 10);
    const Sequence<Scalar> u = white_noise<Scalar>(10, parameters.channels(), 14);
    EXPECT_LE(relative_error(this->convolve(layer, u), this->stream(typename TestFixture::Recurrence(parameters), u)),
              Tolerance<Scalar>::law);
}

TYPED_TEST(S4LayerLaws, BadParametersAreErrorsThatNameThem) {
    using Layer = typename TestFixture::Recurrence;
    using Scalar = typename TypeParam::Scalar;
    const auto good = this->parameters(3);
    const Scalar nan = std::numeric_limits<Scalar>::quiet_NaN();
    const Scalar infinity = std::numeric_limits<Scalar>::infinity();
    {
        auto bad = good;
        bad.C(0, 1) = nan;
        EXPECT_S4_ERROR(Layer{bad}, "C has an entry");
    }
    {
        auto bad = good;
        bad.inv_dt(1, 0) = infinity;
        EXPECT_S4_ERROR(Layer{bad}, "inv_dt has an entry");
    }
    {
        auto bad = good;
        bad.inv_dt(1, 0) = Scalar{80};
        EXPECT_S4_ERROR(Layer{bad}, "dt must lie in", "channel 1");
    }
    if constexpr (requires { good.A_real; }) {
        auto bad = good;
        bad.real_transform = Transform::none;
        bad.A_real.setOnes();
        bad.A_real(1, 2) = Scalar{-0.5};
        EXPECT_S4_ERROR(Layer{bad}, "Re lambda must be finite and negative", "found 0.5", "channel 1");
        bad.A_real(1, 2) = Scalar{0};
        EXPECT_S4_ERROR(Layer{bad}, "Re lambda must be finite and negative");
        bad.A_real(1, 2) = nan;
        EXPECT_S4_ERROR(Layer{bad}, "A_real has an entry");
    }
    if constexpr (TestFixture::fixed_channels == Dynamic) {
        auto bad = good;
        bad.D.resize(2);
        bad.D.setZero();
        EXPECT_S4_ERROR(Layer{bad}, "D must be [heads x H]", "a multiple of 3", "found 2");
        EXPECT_S4_ERROR(Layer{typename Layer::Parameters{}}, "at least one channel", "H = 0");
        bad = good;
        bad.B.resize(1, 1);
        bad.B.setZero();
        EXPECT_S4_ERROR(Layer{bad}, "B must be");
    }
}

}  // namespace
}  // namespace s4::test
