// A million samples of scale-invariant LegS, and far more: nothing drifts, nothing stops to learn.
#include "tests/support/tolerances.hpp"
#include <s4/core/random.hpp>
#include <s4/discretize/euler.hpp>
#include <s4/recurrence/legs_memory.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace s4::test {
namespace {

/// A mean, slow and fast parts, and noise. In float, so that every scalar hears the same.
template <RealScalar Scalar>
Sequence<Scalar> long_signal(Index length) {
    Sequence<Scalar> u(length, 1);
    RandomEngine engine{1};
    for (Index t = 0; t < length; ++t) {
        const double s = static_cast<double>(t) / static_cast<double>(length);
        const double value = 0.3 + std::sin(20 * s) + 0.5 * std::sin(0.01 * static_cast<double>(t)) + uniform(engine);
        u(t, 0) = static_cast<Scalar>(static_cast<float>(value));
    }
    return u;
}

template <RealScalar Scalar, class Rule>
typename LegsMemory<Scalar, Rule>::Coefficients remembered(Index N, Index length) {
    const LegsMemory<Scalar, Rule> memory(1, N);
    auto state = memory.make_state();
    memory.scan(state, long_signal<Scalar>(length));
    return memory.coefficients(state);
}

/// What a held input leaves exactly: c_n = √(2n+1)/(L+1) Σ_t u_t ∫ P_n over [t, t + 1] of a past of length L + 1 (the
/// first unit of it is the silence that c_0 = 0 stands for), where ∫ P_n = (P_{n+1} − P_{n−1})/(2n+1).
Eigen::VectorXd exact_held_coefficients(Index N, Index length) {
    const Sequence<double> u = long_signal<double>(length);
    const double whole = static_cast<double>(length + 1);
    Eigen::VectorXd c = Eigen::VectorXd::Zero(N);
    Eigen::VectorXd before(N + 1);
    Eigen::VectorXd after(N + 1);
    detail::shifted_legendre(1 / whole, static_cast<double>(length) / whole, N + 1, before.data());
    for (Index t = 1; t <= length; ++t) {
        detail::shifted_legendre(static_cast<double>(t + 1) / whole, static_cast<double>(length - t) / whole, N + 1,
                                 after.data());
        for (Index n = 0; n < N; ++n) {
            const double low = n == 0 ? 0.0 : after[n - 1] - before[n - 1];
            const double integral = n == 0
                                        ? (after[1] - before[1]) / 2
                                        : (after[n + 1] - before[n + 1] - low) / static_cast<double>(2 * (2 * n + 1));
            c[n] += u(t - 1, 0) * integral;
        }
        before.swap(after);
    }
    for (Index n = 0; n < N; ++n) c[n] *= std::sqrt(static_cast<double>(2 * n + 1));
    return c;
}

void expect_the_integrals(Index N, Index length) {
    const Eigen::VectorXd exact = exact_held_coefficients(N, length);
    EXPECT_LE(relative_error(remembered<double, ZeroOrderHold>(N, length).row(0).transpose(), exact),
              Tolerance<double>::law)
        << "N = " << N << " after " << length;
    EXPECT_LE(relative_error(remembered<float, ZeroOrderHold>(N, length).row(0).transpose(), exact),
              Tolerance<float>::rounding)
        << "N = " << N << " after " << length;
}

TEST(LegsMemoryOverALongTime, HoldsTheIntegralsOfAHeldInput) {
    for (const Index N : {1, 5, 64, 256})
        for (const Index length : {Index{1}, Index{10}, N, 2 * N, 2 * N + 1, Index{1000}})
            expect_the_integrals(N, length);
    expect_the_integrals(64, 200'000);
}

template <class Rule>
void expect_float_to_follow_double(Index N, Index length) {
    const auto in_float = remembered<float, Rule>(N, length);
    const auto in_double = remembered<double, Rule>(N, length);
    EXPECT_TRUE(detail::all_finite(in_float));
    EXPECT_LE(relative_error(in_float, in_double), Tolerance<float>::rounding);
}

TEST(LegsMemoryOverALongTime, FloatFollowsDoubleOverAMillionSamples) {
    expect_float_to_follow_double<Bilinear>(64, 1'000'000);
    expect_float_to_follow_double<BackwardEuler>(64, 1'000'000);
    expect_float_to_follow_double<Euler>(8, 1'000'000);
    expect_float_to_follow_double<ZeroOrderHold>(32, 1'000'000);
}

TEST(LegsMemoryOverALongTime, DoubleFollowsLongDoubleOverAMillionSamples) {
    EXPECT_LE(
        relative_error(remembered<double, Bilinear>(32, 1'000'000), remembered<long double, Bilinear>(32, 1'000'000)),
        Tolerance<double>::law);
}

template <class Rule>
void expect_the_mean_to_move() {  // by less than half a unit in its last place for each sample
    const Index seen = 100'000'000;
    const Index silence = 20'000;
    const LegsMemory<float, Rule> memory(1, 2);
    auto state = memory.make_state();
    typename LegsMemory<float, Rule>::Coefficients c(1, 2);
    c << 1.0F, 0.0F;
    memory.write_coefficients(state, c, seen);
    const Sequence<float> zeros = Sequence<float>::Zero(silence, 1);
    memory.scan(state, zeros);
    const double moved = 1.0 - static_cast<double>(memory.coefficients(state)(0, 0));
    const double expected = static_cast<double>(silence) / static_cast<double>(seen + silence);
    EXPECT_NEAR(moved / expected, 1.0, 1e-3);  // half a unit in the last place of the mean is 1.5e-4 of this move
}

TEST(LegsMemoryOverALongTime, TheMeanStillMovesAfterAHundredMillionSamples) {
    expect_the_mean_to_move<Bilinear>();
    expect_the_mean_to_move<BackwardEuler>();
    expect_the_mean_to_move<ZeroOrderHold>();
}

}  // namespace
}  // namespace s4::test
