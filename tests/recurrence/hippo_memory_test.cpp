// Memories over a window against their definition in extended precision, and what they give back of a signal.
#include "tests/support/expect_error.hpp"
#include "tests/support/tolerances.hpp"
#include <s4/core/random.hpp>
#include <s4/recurrence/hippo_memory.hpp>

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numbers>
#include <vector>

namespace s4::test {
namespace {

using Wide = long double;
using WideMatrix = Eigen::Matrix<Wide, Dynamic, Dynamic>;
using WideVector = Eigen::Matrix<Wide, Dynamic, 1>;

template <class Scalar>
class HippoMemories : public ::testing::Test {};
using Scalars = ::testing::Types<float, double>;
TYPED_TEST_SUITE(HippoMemories, Scalars);

std::vector<Hippo> every_measure() {
    return {LegS{},
            LegSD{},
            LegT{},
            Lmu{},
            LagT{0.8},
            TiltedLagT{0.5},
            GeneralisedLagT{0.3, 0.5},
            Fourier{},
            Fourier2{},
            FourierDecay{},
            FourierDiagonal{}};
}

template <RealScalar Scalar, class Rule>
void expect_the_definition(const Hippo& hippo, Index N, Index channels, const Rule& rule) {
    const HippoMemoryOptions options{
        .channels = channels, .state_size = N, .hippo = hippo, .window = 25.0, .dt = 0.125};
    const HippoMemory<Scalar> memory(options, rule);
    const HippoSystem system = transition(hippo, N);
    const Wide dt = static_cast<Wide>(natural_window(hippo) * options.dt / options.window);
    const DenseStep<Wide> step = discretize(rule, system.A.cast<Wide>().eval(), system.B.cast<Wide>().eval(), dt);
    const WideVector B = std::same_as<Rule, Dirac>
                             ? WideVector(step.B_bar * static_cast<Wide>(natural_window(hippo) / options.window))
                             : step.B_bar;  // an impulse is not scaled by dt, so it sees the unit of time
    const Sequence<Scalar> u = white_noise<Scalar>(80, channels, 1);
    WideVector x = WideVector::Zero(N);
    WideMatrix truth(u.rows(), N);
    Sequence<Scalar> found(u.rows(), N);
    auto state = memory.make_state();
    for (Index t = 0; t < u.rows(); ++t) {
        memory.step(state, u.row(t));
        found.row(t) = memory.coefficients(state).row(channels - 1);
        x = (step.A_bar * x + B * static_cast<Wide>(u(t, channels - 1))).eval();
        truth.row(t) = x.transpose();
    }
    EXPECT_LE(relative_error(found, truth), Tolerance<Scalar>::law)
        << name_of(hippo) << ' ' << rule.name << " N = " << N;
}

TYPED_TEST(HippoMemories, MatchTheirDefinitionForEveryMeasureAndRule) {
    for (const Hippo& hippo : every_measure())
        for (const Index N : {1, 2, 7, 16})
            for (const Index channels : {1, 37}) {
                expect_the_definition<TypeParam>(hippo, N, channels, Bilinear{});
                expect_the_definition<TypeParam>(hippo, N, channels, ZeroOrderHold{});
                if (N > 7) continue;  // a rule of first order each: small N is enough, and Euler would grow
                expect_the_definition<TypeParam>(hippo, N, channels, Euler{});
                expect_the_definition<TypeParam>(hippo, N, channels, BackwardEuler{});
                expect_the_definition<TypeParam>(hippo, N, channels, GeneralisedBilinear{0.6});
                expect_the_definition<TypeParam>(hippo, N, channels, Dirac{});
            }
}

TYPED_TEST(HippoMemories, ScanInAnyPartsEqualsStepsAndChannelsDoNotHearEachOther) {
    for (const Index channels : {1, 7, 16, 75}) {
        HippoMemoryOptions options{.channels = channels, .state_size = 9, .hippo = LegT{}, .window = 100};
        const HippoMemory<TypeParam> memory(options);
        const Sequence<TypeParam> u = white_noise<TypeParam>(45, channels, 2);
        auto stepped = memory.make_state();
        for (Index t = 0; t < u.rows(); ++t) memory.step(stepped, u.row(t));
        auto state = memory.make_state();
        for (Index start = 0, rows = 0; start < u.rows(); start += rows, ++rows)
            memory.scan(state, u.middleRows(start, rows = std::min(rows, u.rows() - start)));
        const auto x = memory.coefficients(stepped);
        EXPECT_EQ(memory.coefficients(state), x) << channels;

        options.channels = 1;
        const HippoMemory<TypeParam> one(options);
        auto alone = one.make_state();
        one.scan(alone, u.col(channels - 1));
        EXPECT_EQ(one.coefficients(alone).row(0), x.row(channels - 1)) << channels;
    }
}

/// The largest error of the window given back, after so many windows of f that its beginning, a jump, is forgotten; f
/// takes the time in windows, with the end of the last one at 0.
template <RealScalar Scalar, class Function>
double error_of_window(const Hippo& hippo, Index N, double window, const Function& f) {
    const HippoMemory<Scalar> memory({.state_size = N, .hippo = hippo, .window = window}, ZeroOrderHold{});
    const double windows = 12;
    const auto length = static_cast<Index>(windows * window);
    Sequence<Scalar> u(length, 1);
    for (Index t = 0; t < length; ++t)
        u(t, 0) = static_cast<Scalar>(f((static_cast<double>(t) + 0.5) / window - windows));
    auto state = memory.make_state();
    memory.scan(state, u);
    const Eigen::VectorXd lags = Eigen::VectorXd::LinSpaced(41, 0, 1);
    const Sequence<Scalar> past = memory.reconstruct(state, lags);
    double error = 0;
    for (Index i = 0; i < lags.size(); ++i)
        error = std::max(error, std::abs(static_cast<double>(past(i, 0)) - f(-lags[i])));
    return error;
}

TYPED_TEST(HippoMemories, GiveTheWindowBackUpToTheSampling) {  // of second order: samples stand for their middle
    const auto polynomial = [](double t) { return 1 + t * (0.5 - t * (0.7 - 0.2 * t)); };
    const auto harmonics = [](double t) {
        return 0.4 + std::sin(2 * std::numbers::pi * t) + 0.5 * std::cos(6 * std::numbers::pi * t);
    };
    for (const Hippo& hippo : {Hippo{LegT{}}, Hippo{Lmu{}}}) {
        const double coarse = error_of_window<TypeParam>(hippo, 8, 100, polynomial);
        EXPECT_LE(coarse, 1e-3) << name_of(hippo);
        EXPECT_LE(error_of_window<TypeParam>(hippo, 8, 400, polynomial), 0.1 * coarse) << name_of(hippo);
    }
    const double coarse = error_of_window<TypeParam>(Fourier{}, 16, 100, harmonics);
    EXPECT_LE(coarse, 1e-2);
    EXPECT_LE(error_of_window<TypeParam>(Fourier{}, 16, 400, harmonics), 0.1 * coarse);
}

TEST(HippoMemory, AConstantFillsTheFirstCoefficientAlone) {
    for (const Hippo& hippo : {Hippo{LegS{}}, Hippo{LegT{}}, Hippo{Lmu{}}, Hippo{Fourier{}}}) {
        const HippoMemory<double> memory({.state_size = 8, .hippo = hippo, .window = 50}, ZeroOrderHold{});
        auto state = memory.make_state();
        const Sequence<double> constant = Sequence<double>::Constant(5000, 1, 0.7);
        memory.scan(state, constant);
        EXPECT_LE(
            relative_error(memory.coefficients(state).row(0).transpose(), (0.7 * Eigen::VectorXd::Unit(8, 0)).eval()),
            Tolerance<double>::law)
            << name_of(hippo);
    }
}

TEST(HippoMemory, FloatFollowsDoubleOverAMillionSamples) {
    for (const Hippo& hippo : {Hippo{LegT{}}, Hippo{LegS{}}, Hippo{Fourier{}}}) {
        const HippoMemoryOptions options{.state_size = 12, .hippo = hippo, .window = 1000};
        const HippoMemory<float> narrow(options);
        const HippoMemory<double> wide(options);
        auto narrow_state = narrow.make_state();
        auto wide_state = wide.make_state();
        Sequence<float> u = white_noise<float>(1'000'000, 1, 3);
        u.array() += 0.5F;  // white noise alone would leave next to nothing in a window
        narrow.scan(narrow_state, u);
        const Sequence<double> u_wide = u.cast<double>();
        wide.scan(wide_state, u_wide);
        const auto x = narrow.coefficients(narrow_state);
        EXPECT_TRUE(detail::all_finite(x));
        EXPECT_LE(relative_error(x, wide.coefficients(wide_state)), Tolerance<float>::law) << name_of(hippo);
    }
}

TEST(HippoMemory, CoefficientsAreReadAsTheyWereWrittenAndCopiesGoTheirOwnWay) {
    const HippoMemory<float> memory({.channels = 19, .state_size = 5, .window = 30});
    HippoMemory<float>::Coefficients x(19, 5);
    x = white_noise<float>(19, 5, 4);
    auto state = memory.make_state();
    memory.write_coefficients(state, x);
    const auto copy = state;
    const Frame<float> ones = Frame<float>::Ones(19);
    memory.step(state, ones);
    EXPECT_EQ(memory.coefficients(copy), x);
    EXPECT_NE(memory.coefficients(state), x);
    state.reset();
    EXPECT_EQ(memory.coefficients(state).cwiseAbs().maxCoeff(), 0.0F);
}

TEST(HippoMemory, RefusesWhatMakesNoMemory) {
    EXPECT_S4_ERROR((HippoMemory<float>{{.channels = 0}}), "channels", "found 0");
    EXPECT_S4_ERROR((HippoMemory<float>{{.state_size = 0}}), "state_size", "found 0");
    EXPECT_S4_ERROR((HippoMemory<float>{{.state_size = 20'000}}), "state_size", "4096");
    EXPECT_S4_ERROR((HippoMemory<float>{{.window = 0}}), "window", "above 0");
    EXPECT_S4_ERROR((HippoMemory<float>{{.dt = -1}}), "dt", "-1");
    EXPECT_S4_ERROR((HippoMemory<float>{{.hippo = LagT{-2}}}), "beta", "-2");
    EXPECT_S4_ERROR((HippoMemory<float>{{.state_size = 4, .window = 1e-300, .dt = 1e300}, Euler{}}), "finite");
    const HippoMemory<float> memory({.channels = 2, .state_size = 3, .hippo = LegSD{}, .window = 10});
    auto state = memory.make_state();
    using Coefficients = HippoMemory<float>::Coefficients;
    EXPECT_S4_ERROR(memory.write_coefficients(state, Coefficients::Zero(3, 2)), "[2 x 3]", "[3 x 2]");
    EXPECT_S4_ERROR(memory.write_coefficients(state, Coefficients::Constant(2, 3, std::nanf(""))), "not finite");
    EXPECT_S4_ERROR(static_cast<void>(memory.reconstruct(state, Eigen::VectorXd::Constant(1, 0.5))), "no basis");
}

}  // namespace
}  // namespace s4::test
