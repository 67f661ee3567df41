#include <s4/parameters/timescale.hpp>

#include <limits>
#include <tests/support/expect_error.hpp>
#include <tests/support/tolerances.hpp>

namespace {

using s4::Index;
using s4::Timescale;
using Accuracy = s4::test::Tolerance<double>;

TEST(TimescaleDraws, StayInTheRangeAndSpreadEvenlyOnTheLogScale) {
    constexpr unsigned seed = 7;
    SCOPED_TRACE(::testing::Message() << "seed " << seed);
    s4::RandomEngine engine{seed};
    const Timescale timescale{1e-3, 1e-1};
    constexpr int draws = 20'000;
    int below_middle = 0;
    for (int i = 0; i < draws; ++i) {
        const double dt = s4::log_uniform(timescale, engine);
        ASSERT_GE(dt, timescale.dt_min);
        ASSERT_LE(dt, timescale.dt_max);
        if (dt < 1e-2) ++below_middle;
    }
    const double deviation = std::sqrt(draws * 0.25);
    EXPECT_NEAR(below_middle, draws / 2.0, 5 * deviation);
}

TEST(TimescaleDraws, DependOnTheEngineAlone) {
    s4::RandomEngine first{3}, second{3};
    EXPECT_EQ(s4::log_uniform({}, first), s4::log_uniform({}, second));
}

TEST(TimescaleDraws, OfAnEmptyRangeAreItsValue) {
    s4::RandomEngine engine{1};
    EXPECT_EQ(s4::log_uniform({0.3, 0.3}, engine), 0.3);
}

TEST(TimescaleGrid, HasExactEndsAndOneRatio) {
    const Eigen::VectorXd grid = s4::geometric_grid({1e-3, 1e-1}, 5);
    ASSERT_EQ(grid.size(), 5);
    EXPECT_EQ(grid(0), 1e-3);
    EXPECT_EQ(grid(4), 1e-1);
    for (Index i = 1; i < 5; ++i) EXPECT_NEAR(grid(i) / grid(i - 1), std::pow(100.0, 0.25), Accuracy::law);
}

TEST(TimescaleGrid, MayHaveOneValueOrNone) {
    EXPECT_EQ(s4::geometric_grid({}, 1)(0), Timescale{}.dt_min);
    EXPECT_EQ(s4::geometric_grid({}, 0).size(), 0);
    EXPECT_S4_ERROR(static_cast<void>(s4::geometric_grid({}, -1)), "negative", "found -1");
}

TEST(TimescaleRange, IsChecked) {
    constexpr double nan = std::numeric_limits<double>::quiet_NaN();
    constexpr double infinity = std::numeric_limits<double>::infinity();
    for (const double dt_min : {0.0, -1.0, nan, infinity}) {
        const Timescale timescale{dt_min, 0.1};
        EXPECT_S4_ERROR(s4::validate(timescale), "dt_min", "above 0");
    }
    for (const double dt_max : {0.0, 1e-4, nan, infinity}) {
        const Timescale timescale{1e-3, dt_max};
        EXPECT_S4_ERROR(s4::validate(timescale), "dt_max", "at least dt_min = 0.001");
        s4::RandomEngine engine{1};
        EXPECT_S4_ERROR(static_cast<void>(s4::log_uniform(timescale, engine)), "dt_max");
        EXPECT_S4_ERROR(static_cast<void>(s4::geometric_grid(timescale, 3)), "dt_max");
    }
}

}  // namespace
