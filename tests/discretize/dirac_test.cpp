#include <s4/discretize/dirac.hpp>
#include <s4/discretize/zero_order_hold.hpp>

#include <gtest/gtest.h>

namespace {

TEST(Dirac, HasThePoleOfTheHoldAndTheInputAsItIs) {
    const std::complex<double> lambda{-0.5, 2.0};
    const auto dirac = s4::discretize(s4::Dirac{}, lambda, 0.3);
    const auto hold = s4::discretize(s4::ZeroOrderHold{}, lambda, 0.3);
    EXPECT_EQ(dirac.a_minus_one, hold.a_minus_one);
    EXPECT_EQ(dirac.b, std::complex<double>(1));
}

}  // namespace
