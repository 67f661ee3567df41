#include <s4/train/schedule.hpp>

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <numbers>
#include <tests/support/expect_error.hpp>
#include <type_traits>

namespace s4::test {
namespace {

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

TEST(ConstantSchedule, StaysOne) {
    EXPECT_EQ(ConstantSchedule{}.factor(0), 1);
    EXPECT_EQ(Schedule{}.factor(1'000'000), 1);
}

TEST(CosineSchedule, ClimbsThenFallsByACosine) {
    const CosineSchedule schedule{.steps = 12, .warm_up = 4, .final_fraction = 0.2};
    const double warm_up[]{0.25, 0.5, 0.75, 1};
    for (int step = 0; step < 4; ++step) EXPECT_EQ(schedule.factor(step), warm_up[step]);
    for (int step = 4; step <= 12; ++step)
        EXPECT_DOUBLE_EQ(schedule.factor(step), 0.6 + 0.4 * std::cos(std::numbers::pi * (step - 4) / 8.0)) << step;
    EXPECT_EQ(schedule.factor(4), 1);
    EXPECT_DOUBLE_EQ(schedule.factor(8), 0.6);
    EXPECT_EQ(schedule.factor(12), 0.2);
    EXPECT_EQ(schedule.factor(1'000'000'000'000), 0.2);
}

TEST(CosineSchedule, MayBeAllWarmUpOrNone) {
    EXPECT_EQ((CosineSchedule{.steps = 2, .warm_up = 2}.factor(1)), 1);
    EXPECT_EQ((CosineSchedule{.steps = 2, .warm_up = 2}.factor(2)), 0);
    EXPECT_EQ((CosineSchedule{.steps = 1}.factor(0)), 1);
    EXPECT_DOUBLE_EQ((CosineSchedule{.steps = 2}.factor(1)), 0.5);
}

TEST(StepSchedule, FallsAfterEveryPeriod) {
    const StepSchedule schedule{.period = 3, .decay = 0.5};
    const double factors[]{1, 1, 1, 0.5, 0.5, 0.5, 0.25};
    for (int step = 0; step < 7; ++step) EXPECT_EQ(schedule.factor(step), factors[step]);
}

TEST(PlateauSchedule, FallsWhenPatienceEnds) {
    PlateauSchedule schedule{.decay = 0.5, .patience = 2};
    const double figures[]{3, 2, 2, 2.5, nan, 1, 1, 1, 1, 1, 1, 1};
    const double factors[]{1, 1, 1, 1, 0.5, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.125};
    for (int n = 0; n < 12; ++n) {
        schedule.observe(figures[n]);
        EXPECT_EQ(schedule.factor(n), factors[n]) << n;
    }
    EXPECT_EQ(schedule.best, 1);
}

TEST(PlateauSchedule, AsksForMoreThanTheThreshold) {
    PlateauSchedule schedule{.decay = 0.5, .patience = 0, .threshold = 0.1};
    schedule.observe(10);
    schedule.observe(9.5);
    EXPECT_EQ(schedule.factor(0), 0.5);
    schedule.observe(8.9);
    EXPECT_EQ(schedule.factor(0), 0.5);
    schedule = {.decay = 0.5, .patience = 0, .threshold = 0.1};
    schedule.observe(-10);
    schedule.observe(-10.5);
    EXPECT_EQ(schedule.factor(0), 0.5);
    schedule.observe(-11.5);
    EXPECT_EQ(schedule.factor(0), 0.5);
}

TEST(PlateauSchedule, StopsAtTheSmallestFactor) {
    PlateauSchedule schedule{.patience = 0, .smallest_factor = 0.05};
    for (int n = 0; n < 5; ++n) schedule.observe(1);
    EXPECT_EQ(schedule.factor(0), 0.05);
}

TEST(Schedule, IsTheOneItWasMadeFrom) {
    EXPECT_EQ((Schedule{StepSchedule{.period = 1, .decay = 0.5}}.factor(2)), 0.25);
    Schedule plateau = PlateauSchedule{.decay = 0.5, .patience = 0};
    Schedule step = StepSchedule{.period = 100};
    for (int n = 0; n < 3; ++n) {
        plateau.observe(1);
        step.observe(1);
    }
    EXPECT_EQ(plateau.factor(0), 0.25);
    EXPECT_EQ(step.factor(0), 1);
}

TEST(Schedule, IsMadeFromSchedulesOnly) {
    EXPECT_TRUE((std::is_convertible_v<CosineSchedule, Schedule>));
    EXPECT_FALSE((std::is_convertible_v<double, Schedule>));
}

TEST(Schedule, NamesOptionsOutOfRange) {
    EXPECT_S4_ERROR((Schedule{CosineSchedule{.steps = 0}}), "CosineSchedule", "steps", "found 0");
    EXPECT_S4_ERROR((Schedule{CosineSchedule{.steps = 5, .warm_up = 6}}), "warm_up", "[0, steps = 5]", "found 6");
    EXPECT_S4_ERROR((Schedule{CosineSchedule{.final_fraction = nan}}), "final_fraction", "nan");
    EXPECT_S4_ERROR((Schedule{StepSchedule{.period = 0}}), "period", "found 0");
    EXPECT_S4_ERROR((Schedule{StepSchedule{.decay = 0}}), "decay", "(0, 1]");
    EXPECT_S4_ERROR((Schedule{PlateauSchedule{.decay = 1}}), "decay", "(0, 1)");
    EXPECT_S4_ERROR((Schedule{PlateauSchedule{.patience = -1}}), "patience", "found -1");
    EXPECT_S4_ERROR((Schedule{PlateauSchedule{.threshold = 1}}), "threshold");
    EXPECT_S4_ERROR((Schedule{PlateauSchedule{.smallest_factor = 2}}), "smallest_factor", "found 2");
}

}  // namespace
}  // namespace s4::test
