// Parameters are values: round trips, visitors, options and what they refuse.
#include "tests/support/expect_error.hpp"
#include "tests/support/instances.hpp"
#include "tests/support/tolerances.hpp"
#include <s4/discretize/zero_order_hold.hpp>
#include <s4/parameters/dense.hpp>
#include <s4/parameters/diagonal.hpp>
#include <s4/parameters/dplr.hpp>

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

namespace s4::test {
namespace {

TEST(DplrParameters, HoldTheHippoSystemThatWasAskedFor) {
    const auto p =
        Dplr<double>::random({.channels = 4, .state_size = 32, .hippo = LegS{}, .timescale = {0.01, 0.02}}, 1);
    EXPECT_EQ(p.channels(), 4);
    EXPECT_EQ(p.state_size(), 32);
    EXPECT_EQ(p.rank(), 1);
    const Nplr basis = nplr(LegS{}, 32);
    for (Index h = 0; h < 4; ++h) {
        const DplrSystem system = Dplr<double>::system(p, h);
        EXPECT_LE(relative_error(system.lambda, basis.lambda), Tolerance<double>::rounding);
        EXPECT_LE(relative_error(system.P, basis.P), Tolerance<double>::rounding);
        EXPECT_LE(relative_error(system.B, basis.B), Tolerance<double>::rounding);
        EXPECT_GE(system.dt[0], 0.01 * (1 - 1e-12));
        EXPECT_LE(system.dt[0], 0.02 * (1 + 1e-12));
    }
    EXPECT_EQ(Dplr<float>::random({.hippo = LegT{}}, 1).rank(), 2);
    EXPECT_EQ(Dplr<float>::random({.hippo = LegT{}, .rank = 3}, 1).rank(), 3);
}

TEST(DplrParameters, ADecayOfZeroBecomesTheLeastOne) {
    const auto p = Dplr<double>::random({.state_size = 8, .hippo = LegT{}}, 1);
    const DplrSystem system = Dplr<double>::system(p, 0);
    for (Index n = 0; n < 4; ++n) EXPECT_NEAR(system.lambda[n].real(), -min_decay, 1e-15);
}

TEST(DplrParameters, AreTheSystemsTheyWereMadeFrom) {
    const auto p = Dplr<double>::random({.channels = 3, .state_size = 8}, 2);
    std::vector<DplrSystem> systems;
    for (Index h = 0; h < 3; ++h) systems.push_back(Dplr<double>::system(p, h));
    systems[1].dt[2] *= 1.5;  // one step size of its own: all become untied
    const auto again = Dplr<double>::from_systems(systems);
    EXPECT_EQ(again.inv_dt.cols(), 4);
    for (Index h = 0; h < 3; ++h) {
        const auto& expected = systems[static_cast<std::size_t>(h)];
        const DplrSystem found = Dplr<double>::system(again, h);
        EXPECT_LE(relative_error(found.dt, expected.dt), Tolerance<double>::rounding);
        EXPECT_LE(relative_error(found.lambda, expected.lambda), Tolerance<double>::rounding);
        EXPECT_EQ((found.C - expected.C).norm(), 0.0);
        EXPECT_EQ((found.P - expected.P).norm(), 0.0);
        EXPECT_EQ(found.D, expected.D);
    }
}

TEST(FromSystems, RefusesWhatNoStableSystemHas) {
    DplrSystem system = Dplr<double>::system(Dplr<double>::random({.state_size = 8}, 2), 0);
    for (const double decay :
         {3.0, std::numeric_limits<double>::infinity(), std::numeric_limits<double>::quiet_NaN()}) {
        DplrSystem bad = system;
        bad.lambda[1].real(decay);
        EXPECT_S4_ERROR(static_cast<void>(Dplr<double>::from_systems({&bad, 1})), "Re lambda", "state 1");
    }
    const DplrSystem empty{};
    EXPECT_S4_ERROR(static_cast<void>(Dplr<double>::from_systems({&empty, 1})), "N = 0");
    const DiagonalSystem empty_diagonal{};
    EXPECT_S4_ERROR(static_cast<void>(Diagonal<double>::from_systems({&empty_diagonal, 1})), "N = 0");
}

template <class Ssm>
std::vector<std::string> visited(typename Ssm::Parameters& p, Index& numbers) {
    std::vector<std::string> names;
    Ssm::for_each_tensor(
        [&](const TensorInfo& info, auto& tensor, const auto& twin) {
            names.emplace_back(info.name);
            numbers += tensor.size();
            EXPECT_EQ(tensor.rows(), twin.rows());
            tensor -= twin;  // what an optimiser does: several values of the same type in step
        },
        p, typename Ssm::Parameters{p});
    return names;
}

TEST(ForEachTensor, VisitsEveryTrainedTensorOnceWithItsTwin) {
    auto p = Dplr<float>::random({.channels = 2, .state_size = 8}, 3);
    Index numbers = 0;
    EXPECT_EQ(visited<Dplr<float>>(p, numbers),
              (std::vector<std::string>{"inv_dt", "A_real", "A_imag", "P", "B", "C", "D"}));
    EXPECT_EQ(numbers, 2 + 8 + 8 + 8 + 8 + 8 + 2);
    EXPECT_EQ(p.C.norm() + p.P.norm() + p.inv_dt.norm() + p.D.norm(), 0.0F);

    auto q = Diagonal<float>::random({.channels = 2, .state_size = 8}, 3);
    numbers = 0;
    EXPECT_EQ(visited<Diagonal<float>>(q, numbers),
              (std::vector<std::string>{"inv_dt", "A_real", "A_imag", "B", "C", "D"}));
}

TEST(ForEachTensor, GivesTheOptimiserItsRoles) {
    const auto p = Dplr<float>::random({}, 3);
    Dplr<float>::for_each_tensor(
        [](const TensorInfo& info, const auto&) {
            const TensorRole expected = info.name == "C"   ? TensorRole::ssm_output
                                        : info.name == "D" ? TensorRole::ordinary
                                                           : TensorRole::ssm;
            EXPECT_EQ(info.role, expected) << info.name;
        },
        p);
}

TEST(Options, AreCheckedByName) {
    EXPECT_S4_ERROR(static_cast<void>(Dplr<float>::random({.channels = 0}, 1)), "channels", "found 0");
    EXPECT_S4_ERROR(static_cast<void>(Dplr<float>::random({.state_size = 0}, 1)), "state_size", "found 0");
    EXPECT_S4_ERROR(static_cast<void>(Dplr<float>::random({.state_size = 7}, 1)), "state_size", "even", "found 7");
    EXPECT_S4_ERROR(static_cast<void>(Dplr<float>::random({.hippo = LegT{}, .rank = 1}, 1)), "rank", "found 1");
    EXPECT_S4_ERROR(static_cast<void>(Dplr<float>::random({.rank = 5}, 1)), "rank", "found 5");
    EXPECT_S4_ERROR(static_cast<void>(Dplr<float>::random({.hippo = Lmu{}}, 1)), "lmu");
    EXPECT_S4_ERROR(static_cast<void>(Dplr<float>::random({.timescale = {0.0, 1.0}}, 1)), "dt_min");
    EXPECT_S4_ERROR(static_cast<void>(Dplr<float>::random({.timescale = {0.1, 0.01}}, 1)), "dt_max");
    EXPECT_S4_ERROR(static_cast<void>(Diagonal<float>::random({.channels = -2}, 1)), "channels", "found -2");
    using Fixed = Dplr<float, Shape<8, 4>>;
    EXPECT_S4_ERROR(static_cast<void>(Fixed::random({.channels = 3, .state_size = 8}, 1)), "fixed at compile time",
                    "H = 4", "found H = 3");
    using FixedDiagonal = Diagonal<float, ZeroOrderHold, Shape<8, 4>>;
    EXPECT_S4_ERROR(static_cast<void>(FixedDiagonal::random({.state_size = 16}, 1)), "fixed at compile time");
    EXPECT_S4_ERROR(static_cast<void>(Dplr<float>::from_systems({})), "at least one channel");
}

TEST(Options, DefaultToAFixedShape) {
    const auto p = Dplr<float, Shape<16, 3>>::random({}, 1);
    EXPECT_EQ(p.channels(), 3);
    EXPECT_EQ(p.state_size(), 16);
}

}  // namespace
}  // namespace s4::test
