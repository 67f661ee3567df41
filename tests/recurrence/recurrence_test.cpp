// Recurrences against the dense textbook, and the stability that rounding must not take away.
#include "tests/reference/reference.hpp"
#include "tests/support/expect_error.hpp"
#include "tests/support/tolerances.hpp"
#include <s4/discretize/bilinear.hpp>
#include <s4/discretize/euler.hpp>
#include <s4/recurrence/diagonal_recurrence.hpp>
#include <s4/recurrence/dplr_recurrence.hpp>

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <type_traits>

namespace s4::test {
namespace {

template <class Scalar>
class Recurrences : public ::testing::Test {};
using Scalars = ::testing::Types<float, double>;
TYPED_TEST_SUITE(Recurrences, Scalars);

template <class Ssm>
Sequence<typename Ssm::Scalar> scan(const Recurrence<Ssm>& recurrence, typename Recurrence<Ssm>::State& state,
                                    const Sequence<typename Ssm::Scalar>& u) {
    Sequence<typename Ssm::Scalar> y(u.rows(), u.cols());
    recurrence.scan(state, u.rows(), u.data(), u.outerStride(), y.data(), y.outerStride());
    return y;
}

TYPED_TEST(Recurrences, DplrMatchesTheDenseSystemFromAnyState) {
    using Ssm = Dplr<TypeParam>;
    for (const Index rank : {1, 2, 3, 4})
        for (const Index states : {2, 6, 64}) {
            const auto parameters =
                Ssm::random({.channels = 21, .state_size = states, .hippo = Hippo{LegS{}}, .rank = rank}, 3);
            const Recurrence<Ssm> recurrence(parameters);
            auto state = recurrence.make_state();
            RandomEngine engine{4};
            typename Recurrence<Ssm>::StateMatrix x0(21, states / 2);
            for (auto& value : x0.reshaped()) value = std::complex<TypeParam>(complex_normal(engine));
            recurrence.write(state, x0);
            const Sequence<TypeParam> u = white_noise<TypeParam>(60, 21, 5);
            const Sequence<TypeParam> y = scan<Ssm>(recurrence, state, u);
            typename Recurrence<Ssm>::StateMatrix x1(21, states / 2);
            recurrence.read(state, x1);
            for (const Index h : {Index{0}, Index{13}, Index{20}}) {
                const DenseSystem dense = dense_bilinear(Ssm::system(parameters, h));
                WideVector x(states);
                for (Index n = 0; n < states / 2; ++n) {
                    x[n] = WideComplex(x0(h, n));
                    x[states / 2 + n] = std::conj(x[n]);
                }
                std::vector<Wide> input;
                for (Index t = 0; t < u.rows(); ++t) input.push_back(static_cast<Wide>(u(t, h)));
                const std::vector<Wide> expected = dense_run(dense, x, input);
                const Eigen::Matrix<TypeParam, Dynamic, 1> found = y.col(h);
                EXPECT_LE(error_against(found, expected), Tolerance<TypeParam>::law) << rank << " " << states;
                EXPECT_LE(relative_error(x1.row(h).transpose(), x.head(states / 2)), Tolerance<TypeParam>::law);
            }
        }
}

TYPED_TEST(Recurrences, CTildeGivesTheSameStreamAsC) {
    using Ssm = Dplr<TypeParam>;
    const auto plain = Ssm::random({.channels = 3, .state_size = 16}, 6);
    const auto trained = to_length<Ssm>(plain, 128);
    const Sequence<TypeParam> u = white_noise<TypeParam>(300, 3, 7);
    const Recurrence<Ssm> from_plain(plain);
    const Recurrence<Ssm> from_trained(trained);
    auto state = from_plain.make_state();
    const Sequence<TypeParam> expected = scan<Ssm>(from_plain, state, u);
    state.reset();
    EXPECT_LE(relative_error(scan<Ssm>(from_trained, state, u), expected), 20 * Tolerance<TypeParam>::law);
}

TYPED_TEST(Recurrences, AnUnreachableModeStillAnswersToItsState) {
    using Ssm = Diagonal<TypeParam>;
    auto parameters = Ssm::random({.channels = 2, .state_size = 4}, 8);
    parameters.B(0, 1) = TypeParam{0};
    const Recurrence<Ssm> recurrence(parameters);
    auto state = recurrence.make_state();
    typename Recurrence<Ssm>::StateMatrix x(2, 2);
    x.setZero();
    x(0, 1) = {TypeParam(0.5), TypeParam(-0.25)};
    recurrence.write(state, x);
    const Sequence<TypeParam> u = white_noise<TypeParam>(50, 2, 9);
    Sequence<TypeParam> free_response = Sequence<TypeParam>::Zero(50, 2);
    auto copy = state;
    recurrence.add_free_response(copy, 50, free_response.data(), 2);
    const DiagonalSystem system = Ssm::system(parameters, 0);
    const auto step = discretize(ZeroOrderHold{}, system.lambda[1], system.dt[1]);
    WideComplex mode(x(0, 1));
    std::vector<Wide> expected;
    for (Index t = 0; t < 50; ++t) {
        mode *= Wide{1} + WideComplex(step.a_minus_one);
        expected.push_back(2 * (WideComplex(system.C[1]) * mode).real());
    }
    const Eigen::Matrix<TypeParam, Dynamic, 1> found = free_response.col(0);
    EXPECT_LE(error_against(found, expected), Tolerance<TypeParam>::law);
    // The input reaches the other mode only: what it adds is what it adds from rest.
    auto rest = recurrence.make_state();
    const Sequence<TypeParam> sum = scan<Ssm>(recurrence, rest, u) + free_response;
    EXPECT_LE(relative_error(scan<Ssm>(recurrence, state, u), sum), Tolerance<TypeParam>::law);
}

TYPED_TEST(Recurrences, AChannelWithoutInputStillAnswersToItsState) {
    using Ssm = Diagonal<TypeParam>;
    for (const double b : {0.0, 1e-44}) {
        auto parameters = Ssm::random({.channels = 2, .state_size = 4}, 8);
        parameters.B.setConstant(static_cast<TypeParam>(b));
        const Recurrence<Ssm> recurrence(parameters);
        auto state = recurrence.make_state();
        typename Recurrence<Ssm>::StateMatrix x(2, 2);
        x.setOnes();
        recurrence.write(state, x);
        typename Recurrence<Ssm>::StateMatrix read(2, 2);
        recurrence.read(state, read);
        EXPECT_LE(relative_error(read, x), Tolerance<TypeParam>::rounding);
        const Sequence<TypeParam> y = scan<Ssm>(recurrence, state, Sequence<TypeParam>::Zero(5, 2));
        EXPECT_TRUE(detail::all_finite(y));
        EXPECT_GT(y.norm(), TypeParam{0});
    }
}

TYPED_TEST(Recurrences, RefuseParametersThatOverflowTheScalar) {
    auto diagonal = Diagonal<TypeParam>::random({.channels = 2, .state_size = 4}, 8);
    diagonal.B.setConstant(std::numeric_limits<TypeParam>::max());
    diagonal.C.setConstant(std::numeric_limits<TypeParam>::max());
    EXPECT_S4_ERROR(Recurrence<Diagonal<TypeParam>>{diagonal}, "not finite", "too large");
}

TYPED_TEST(Recurrences, SlowModesKeepTheirDigits) {  // Ā itself, rounded to float, would be off by 1e-3 of its decay
    using Ssm = Diagonal<TypeParam>;
    DiagonalSystem system{Eigen::VectorXcd(1), Eigen::VectorXcd(1), Eigen::VectorXcd(1), Eigen::VectorXd(1), 0};
    system.lambda[0] = {-0.5, 3.0};
    system.B[0] = 1;
    system.C[0] = {0.3, 0.4};
    for (const double dt : {1e-5, 1e-4, 1e-3}) {
        system.dt[0] = dt;
        const auto parameters = Ssm::from_systems({&system, 1});
        const Recurrence<Ssm> recurrence(parameters);
        auto state = recurrence.make_state();
        Sequence<TypeParam> u = Sequence<TypeParam>::Zero(2000, 1);
        u(0, 0) = TypeParam{1};
        const Sequence<TypeParam> y = scan<Ssm>(recurrence, state, u);
        const Eigen::Matrix<TypeParam, Dynamic, 1> found = y.col(0);
        EXPECT_LE(error_against(found, zoh_kernel_reference(Ssm::system(parameters, 0), 2000)),
                  2 * Tolerance<TypeParam>::law)
            << dt;
    }
}

template <class Wide_, class Narrow>
void widen(const typename Narrow::Parameters& from, typename Wide_::Parameters& to) {
    Narrow::for_each_tensor(
        [](const TensorInfo&, const auto& narrow, auto& wide) {
            wide = narrow.template cast<typename std::decay_t<decltype(wide)>::Scalar>();
        },
        from, to);
}

template <template <class> class Ssm>
void expect_float_to_follow_double(const typename Ssm<float>::Parameters& parameters, double bound) {
    typename Ssm<double>::Parameters wide;
    widen<Ssm<double>, Ssm<float>>(parameters, wide);
    const Index channels = parameters.channels();
    const Sequence<float> u = white_noise<float>(4096, channels, 13);
    const Recurrence<Ssm<float>> recurrence(parameters);
    const Recurrence<Ssm<double>> truth(wide);
    auto state = recurrence.make_state();
    auto true_state = truth.make_state();
    const Sequence<float> y = scan<Ssm<float>>(recurrence, state, u);
    const Sequence<double> expected = scan<Ssm<double>>(truth, true_state, u.cast<double>());
    EXPECT_LE(relative_error(y, expected), bound);
    typename Recurrence<Ssm<float>>::StateMatrix x(channels, parameters.A_real.cols());
    typename Recurrence<Ssm<double>>::StateMatrix true_x(channels, parameters.A_real.cols());
    recurrence.read(state, x);
    truth.read(true_state, true_x);
    EXPECT_LE(relative_error(x, true_x), bound);
}

template <class Scalar>
using PlainDiagonal = Diagonal<Scalar>;
template <class Scalar>
using PlainDplr = Dplr<Scalar>;

TEST(FloatRecurrence, FollowsDoubleOverLongMemoriesAndFastModes) {
    for (const double dt : {1e-3, 2e-3, 1e-2, 1e-1})
        for (const S4dInit init : {S4dInit::lin, S4dInit::inv, S4dInit::quad, S4dInit::legs}) {
            SCOPED_TRACE(std::string{name_of(init)} + " " + std::to_string(dt));
            expect_float_to_follow_double<PlainDiagonal>(
                Diagonal<float>::random({.channels = 3, .init = init, .timescale = {dt, dt}}, 12),
                Tolerance<float>::golden);
        }
    for (const double dt : {1e-3, 1e-2, 1e-1})
        for (const Hippo& hippo : {Hippo{LegS{}}, Hippo{LegT{}}, Hippo{Fourier{}}}) {
            SCOPED_TRACE(std::string{name_of(hippo)} + " " + std::to_string(dt));
            expect_float_to_follow_double<PlainDplr>(
                Dplr<float>::random({.channels = 3, .hippo = hippo, .timescale = {dt, dt}}, 12),
                std::holds_alternative<LegS>(hippo) ? Tolerance<float>::golden : Tolerance<float>::golden_hard);
        }
}

TEST(RoundStable, NoAcceptedModeGrowsAfterRounding) {
    RandomEngine engine{10};
    for (int draw = 0; draw < 1'000'000; ++draw) {
        const double decay = std::pow(10.0, -12 * uniform(engine));
        const double phase = draw % 2 == 0 ? 3 * uniform(engine) : std::pow(10.0, -8 * uniform(engine));
        const auto step = discretize(ZeroOrderHold{}, std::complex<double>{-decay, -phase}, 1.0);
        const std::complex<float> rounded = detail::round_stable<float>(step.a_minus_one);
        const std::complex<Wide> a = Wide{1} + WideComplex(rounded);
        ASSERT_LE(std::norm(a), Wide{1}) << decay << " " << phase;
        // and the nudge is of the order of the rounding
        ASSERT_LE(std::abs(std::complex<double>(rounded) - step.a_minus_one), 1e-6 * std::abs(step.a_minus_one));
    }
}

TEST(Recurrence, RefusesARuleThatMakesAModeGrow) {
    using Ssm = Diagonal<double, Euler>;
    auto parameters = Ssm::random({.channels = 1, .state_size = 64, .timescale = {0.1, 0.1}}, 11);
    EXPECT_S4_ERROR(Recurrence<Ssm>{parameters}, "grow", "channel 0");
}

}  // namespace
}  // namespace s4::test
