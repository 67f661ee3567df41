#include "tests/support/expect_error.hpp"
#include "tests/support/tolerances.hpp"
#include <s4/hippo/window.hpp>

#include <gtest/gtest.h>

#include <limits>

namespace s4::test {
namespace {

TEST(WindowedTransition, CountsTimeInTheUnitOfItsWindow) {
    for (const Hippo& hippo : {Hippo{LegS{}}, Hippo{LegT{}}, Hippo{Lmu{}}, Hippo{Fourier{}}, Hippo{TiltedLagT{0.5}}}) {
        const HippoSystem natural = transition(hippo, 7);
        for (const double window : {0.01, 1.0, 480.0}) {
            const HippoSystem system = windowed_transition(hippo, 7, window);
            const double rate = natural_window(hippo) / window;
            EXPECT_LE(relative_error(system.A, (rate * natural.A).eval()), Tolerance<double>::rounding);
            EXPECT_LE(relative_error(system.B, (rate * natural.B).eval()), Tolerance<double>::rounding);
        }
    }
}

TEST(WindowedTransition, MakesTheTwoFourierMeasuresOne) {  // they differ in their unit of time only
    const HippoSystem one = windowed_transition(Fourier{}, 8, 3.0);
    const HippoSystem two = windowed_transition(Fourier2{}, 8, 3.0);
    EXPECT_LE(relative_error(one.A, two.A), Tolerance<double>::rounding);
    EXPECT_LE(relative_error(one.B, two.B), Tolerance<double>::rounding);
}

TEST(WindowedTransition, RefusesAWindowThatIsNone) {
    for (const double window : {0.0, -1.0, std::numeric_limits<double>::infinity(), std::nan("")})
        EXPECT_S4_ERROR(static_cast<void>(windowed_transition(LegT{}, 4, window)), "window", "above 0", "legt");
    EXPECT_S4_ERROR(static_cast<void>(windowed_transition(LegT{}, 0, 1.0)), "N must be at least 1");
}

}  // namespace
}  // namespace s4::test
