// Scale-invariant LegS against dense solves in extended precision, against integrals of a held input, and its laws.
#include "tests/support/expect_error.hpp"
#include "tests/support/tolerances.hpp"
#include <s4/core/random.hpp>
#include <s4/discretize/dense.hpp>
#include <s4/recurrence/legs_memory.hpp>

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

namespace s4::test {
namespace {

using Wide = long double;
using WideMatrix = Eigen::Matrix<Wide, Dynamic, Dynamic>;
using WideVector = Eigen::Matrix<Wide, Dynamic, 1>;

template <class Scalar_, class Rule_>
struct Memory {
    using Scalar = Scalar_;
    using Rule = Rule_;
    using Type = LegsMemory<Scalar, Rule>;
};

template <class Case>
class LegsMemories : public ::testing::Test {};
using Cases =
    ::testing::Types<Memory<float, Euler>, Memory<float, Bilinear>, Memory<float, BackwardEuler>,
                     Memory<float, GeneralisedBilinear>, Memory<float, ZeroOrderHold>, Memory<double, Euler>,
                     Memory<double, Bilinear>, Memory<double, BackwardEuler>, Memory<double, GeneralisedBilinear>,
                     Memory<double, ZeroOrderHold>, Memory<long double, Bilinear>, Memory<long double, ZeroOrderHold>>;
TYPED_TEST_SUITE(LegsMemories, Cases);

template <class Rule>
Rule make_rule() {
    if constexpr (std::same_as<Rule, GeneralisedBilinear>)
        return GeneralisedBilinear{0.7};
    else
        return {};
}

/// The memory by its definition: A and B of LegS, and a dense solve or exponential for every sample.
template <class Rule>
class DenseMemory {
public:
    explicit DenseMemory(Index N) : A_(WideMatrix::Zero(N, N)), B_(N), c(WideVector::Zero(N)) {
        for (Index n = 0; n < N; ++n) {
            for (Index k = 0; k < n; ++k) A_(n, k) = -std::sqrt(static_cast<Wide>((2 * n + 1) * (2 * k + 1)));
            A_(n, n) = -static_cast<Wide>(n + 1);
            B_[n] = std::sqrt(static_cast<Wide>(2 * n + 1));
        }
    }
    void step(Index t, Wide u) {
        const Wide ratio = Wide{1} / static_cast<Wide>(t);
        const Wide dt = std::same_as<Rule, ZeroOrderHold> ? std::log1p(ratio) : ratio;
        const DenseStep<Wide> step = discretize(make_rule<Rule>(), A_, B_, dt);
        c = (step.A_bar * c + step.B_bar * u).eval();
    }

private:
    WideMatrix A_;
    WideVector B_;

public:
    WideVector c;
};

template <class Memory>
typename Memory::Coefficients scanned(const Memory& memory, const Sequence<typename Memory::Scalar>& u) {
    auto state = memory.make_state();
    memory.scan(state, u);
    return memory.coefficients(state);
}

/// Long double has the exponential of a held input only to double precision.
template <class Case>
double law() {
    return Tolerance<typename Case::Scalar>::law;
}

TYPED_TEST(LegsMemories, MatchDenseSolvesInExtendedPrecision) {
    using Scalar = typename TypeParam::Scalar;
    for (const Index N : {1, 2, 3, 8, 17, 40}) {
        if (std::same_as<typename TypeParam::Rule, Euler> && N > 8) continue;  // grows by 2^N before it dies out
        for (const Index channels : {1, 21}) {
            const typename TypeParam::Type memory(channels, N, make_rule<typename TypeParam::Rule>());
            auto state = memory.make_state();
            DenseMemory<typename TypeParam::Rule> truth(N);
            const Sequence<Scalar> u = white_noise<Scalar>(60, channels, 1);
            WideMatrix expected(u.rows(), N);
            Sequence<Scalar> found(u.rows(), N);
            for (Index t = 0; t < u.rows(); ++t) {
                memory.step(state, u.row(t));
                found.row(t) = memory.coefficients(state).row(channels - 1);
                truth.step(t + 1, static_cast<Wide>(u(t, channels - 1)));
                expected.row(t) = truth.c.transpose();
            }
            EXPECT_LE(relative_error(found, expected), law<TypeParam>()) << "N = " << N;
            EXPECT_EQ(state.samples(), u.rows());
        }
    }
}

TYPED_TEST(LegsMemories, MatchDenseSolvesAtLateSamples) {
    using Scalar = typename TypeParam::Scalar;
    for (const Index N : {3, 24})
        for (const Index seen : {300, 1000, 5000, 100'000, 10'000'000}) {
            const typename TypeParam::Type memory(3, N, make_rule<typename TypeParam::Rule>());
            auto state = memory.make_state();
            DenseMemory<typename TypeParam::Rule> truth(N);
            typename TypeParam::Type::Coefficients c(3, N);
            c = white_noise<Scalar>(3, N, 2);
            truth.c = c.row(1).transpose().template cast<Wide>();
            memory.write_coefficients(state, c, seen);
            const Sequence<Scalar> u = white_noise<Scalar>(55, 3, 3);  // the held input: blocks, and some that wait
            memory.scan(state, u);
            for (Index t = 0; t < u.rows(); ++t) truth.step(seen + t + 1, static_cast<Wide>(u(t, 1)));
            EXPECT_LE(relative_error(memory.coefficients(state).row(1).transpose(), truth.c), law<TypeParam>())
                << "N = " << N << " after " << seen;
            EXPECT_EQ(state.samples(), seen + u.rows());
        }
}

TYPED_TEST(LegsMemories, ScanInAnyPartsEqualsSteps) {
    using Scalar = typename TypeParam::Scalar;
    for (const Index channels : {1, 7, 16, 50}) {
        const typename TypeParam::Type memory(channels, 9, make_rule<typename TypeParam::Rule>());
        const Sequence<Scalar> u = white_noise<Scalar>(45, channels, 4);
        auto stepped = memory.make_state();
        for (Index t = 0; t < u.rows(); ++t) memory.step(stepped, u.row(t));
        auto state = memory.make_state();
        for (Index start = 0, rows = 0; start < u.rows(); start += rows, ++rows)  // 0, 1, 2, … samples at once
            memory.scan(state, u.middleRows(start, rows = std::min(rows, u.rows() - start)));
        EXPECT_EQ(memory.coefficients(state), memory.coefficients(stepped)) << channels;
        EXPECT_EQ(state.samples(), stepped.samples());
    }
}

TYPED_TEST(LegsMemories, ReadingDoesNotDisturb) {  // a held input has always samples that wait
    using Scalar = typename TypeParam::Scalar;
    const typename TypeParam::Type memory(5, 9, make_rule<typename TypeParam::Rule>());
    const Sequence<Scalar> u = white_noise<Scalar>(70, 5, 8);
    auto state = memory.make_state();
    for (Index t = 0; t < u.rows(); ++t) {
        memory.step(state, u.row(t));
        EXPECT_EQ(memory.coefficients(state), memory.coefficients(state)) << t;
    }
    EXPECT_EQ(memory.coefficients(state), scanned(memory, u));
}

TYPED_TEST(LegsMemories, ForgetWhatWaitsWhenTheyAreResetOrWritten) {
    using Scalar = typename TypeParam::Scalar;
    const typename TypeParam::Type memory(5, 9, make_rule<typename TypeParam::Rule>());
    const Sequence<Scalar> u = white_noise<Scalar>(30, 5, 9);
    for (const Index heard : {1, 15, 16, 17, 40}) {
        auto state = memory.make_state();
        memory.scan(state, white_noise<Scalar>(heard, 5, 10));
        const auto c = memory.coefficients(state);
        auto copy = state;
        memory.write_coefficients(copy, c, heard);
        EXPECT_LE(relative_error(memory.coefficients(copy), c), Tolerance<Scalar>::rounding) << heard;
        memory.scan(copy, u);
        auto going_on = state;
        memory.scan(going_on, u);
        EXPECT_LE(relative_error(memory.coefficients(copy), memory.coefficients(going_on)), Tolerance<Scalar>::law)
            << heard;
        state.reset();
        memory.scan(state, u);
        EXPECT_EQ(memory.coefficients(state), scanned(memory, u)) << heard;
    }
}

TYPED_TEST(LegsMemories, ChannelsDoNotHearEachOther) {
    using Scalar = typename TypeParam::Scalar;
    constexpr Index channels = 37;
    const Sequence<Scalar> u = white_noise<Scalar>(50, channels, 5);
    const typename TypeParam::Type together(channels, 8, make_rule<typename TypeParam::Rule>());
    const typename TypeParam::Type alone(1, 8, make_rule<typename TypeParam::Rule>());
    const auto c = scanned(together, u);
    for (Index h = 0; h < channels; ++h) EXPECT_EQ(c.row(h), scanned(alone, u.col(h)).row(0)) << h;
}

TYPED_TEST(LegsMemories, AConstantPastStaysOne) {
    using Scalar = typename TypeParam::Scalar;
    const typename TypeParam::Type memory(2, 12, make_rule<typename TypeParam::Rule>());
    auto state = memory.make_state();
    typename TypeParam::Type::Coefficients c(2, 12);
    c.setZero();
    c(0, 0) = Scalar(0.75);
    c(1, 0) = Scalar(-3);
    memory.write_coefficients(state, c, 100);
    Sequence<Scalar> u(1000, 2);
    u.col(0).setConstant(c(0, 0));
    u.col(1).setConstant(c(1, 0));
    memory.scan(state, u);
    EXPECT_LE(relative_error(memory.coefficients(state), c), Tolerance<Scalar>::rounding);
    const Sequence<Scalar> past = memory.reconstruct(state, Eigen::VectorXd::LinSpaced(11, 0, 1));
    EXPECT_LE(relative_error(past, u.topRows(11)), Tolerance<Scalar>::law);
}

TYPED_TEST(LegsMemories, GiveAPolynomialBackUpToTheSampling) {  // of a degree below N: an error of order 1/t
    using Scalar = typename TypeParam::Scalar;
    const auto f = [](double s) { return 1 - s * (2 - s * (3 - 4 * s)); };
    const Eigen::VectorXd points = Eigen::VectorXd::LinSpaced(21, 0, 1);
    const typename TypeParam::Type memory(1, 6, make_rule<typename TypeParam::Rule>());
    const auto error_after = [&](Index length) {
        Sequence<Scalar> u(length, 1);
        for (Index t = 0; t < length; ++t)
            u(t, 0) = static_cast<Scalar>(f((static_cast<double>(t) + 0.5) / static_cast<double>(length)));
        auto state = memory.make_state();
        memory.scan(state, u);
        const Sequence<Scalar> past = memory.reconstruct(state, points);
        double error = 0;
        for (Index i = 0; i < points.size(); ++i)
            error = std::max(error, std::abs(static_cast<double>(past(i, 0)) - f(points[i])));
        return error;
    };
    const double early = error_after(1000);
    const double late = error_after(4000);
    EXPECT_LE(early, 0.05);
    EXPECT_LE(late, 0.3 * early);
}

TYPED_TEST(LegsMemories, CoefficientsAreReadAsTheyWereWritten) {
    using Scalar = typename TypeParam::Scalar;
    const typename TypeParam::Type memory(19, 5, make_rule<typename TypeParam::Rule>());
    typename TypeParam::Type::Coefficients c(19, 5);
    c = white_noise<Scalar>(19, 5, 6);
    auto state = memory.make_state();
    const Frame<Scalar> ones = Frame<Scalar>::Ones(19);
    memory.step(state, ones);
    memory.write_coefficients(state, c, 7);
    EXPECT_LE(relative_error(memory.coefficients(state), c), Tolerance<Scalar>::rounding);
    EXPECT_EQ(state.samples(), 7);

    const auto copy = state;  // goes its own way
    memory.step(state, ones);
    EXPECT_EQ(copy.samples(), 7);
    EXPECT_LE(relative_error(memory.coefficients(copy), c), Tolerance<Scalar>::rounding);
    state.reset();
    EXPECT_EQ(state.samples(), 0);
    EXPECT_EQ(memory.coefficients(state).cwiseAbs().maxCoeff(), Scalar{0});
}

TEST(LegsMemory, TakesAnyOuterStride) {
    const LegsMemory<float> memory(3, 8);
    const Sequence<float> wide = white_noise<float>(30, 10, 7);
    const Sequence<float> narrow = wide.middleCols(4, 3);
    auto state = memory.make_state();
    memory.scan(state, wide.middleCols(4, 3));
    EXPECT_EQ(memory.coefficients(state), scanned(memory, narrow));
}

TEST(LegsMemory, RefusesWhatMakesNoMemory) {
    EXPECT_S4_ERROR((LegsMemory<float>{0, 8}), "channels", "found 0");
    EXPECT_S4_ERROR((LegsMemory<float>{1, 0}), "state_size", "found 0");
    EXPECT_S4_ERROR((LegsMemory<float, ZeroOrderHold>{1, -3}), "state_size", "found -3");
    EXPECT_S4_ERROR((LegsMemory<float>{1, (Index{1} << 20) + 1}), "state_size", "[1, 1048576]");
    const LegsMemory<float> vast(Index{1} << 30, Index{1} << 20);  // more than an address can name
    EXPECT_S4_ERROR(static_cast<void>(vast.make_state()), "out of memory");
    const LegsMemory<float> memory(2, 3);
    auto state = memory.make_state();
    using Coefficients = LegsMemory<float>::Coefficients;
    const Coefficients zero = Coefficients::Zero(2, 3);
    EXPECT_S4_ERROR(memory.write_coefficients(state, Coefficients::Zero(3, 2), 1), "[2 x 3]", "[3 x 2]");
    EXPECT_S4_ERROR(memory.write_coefficients(state, Coefficients::Constant(2, 3, std::nanf("")), 1), "not finite");
    EXPECT_S4_ERROR(memory.write_coefficients(state, zero, -1), "samples", "-1");
    EXPECT_S4_ERROR(static_cast<void>(memory.reconstruct(state, Eigen::VectorXd::Constant(1, 1.5))), "[0, 1]", "1.5");
}

}  // namespace
}  // namespace s4::test
