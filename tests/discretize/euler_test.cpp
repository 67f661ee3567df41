#include <s4/discretize/euler.hpp>
#include <s4/discretize/generalised_bilinear.hpp>

#include <gtest/gtest.h>

#include <tests/support/tolerances.hpp>

namespace {

using Complex = std::complex<double>;
using Accuracy = s4::test::Tolerance<double>;

TEST(Euler, IsTheGeneralisedRuleAtZero) {
    const Complex lambda{-0.7, 4.0};
    const auto euler = s4::discretize(s4::Euler{}, lambda, 0.2);
    const auto general = s4::discretize(s4::GeneralisedBilinear{0.0}, lambda, 0.2);
    EXPECT_EQ(euler.a_minus_one, general.a_minus_one);
    EXPECT_EQ(euler.b, general.b);
}

TEST(BackwardEuler, UndoesEulerOfTheReversedSystem) {
    const Complex lambda{-0.7, 4.0};
    const Complex backward = s4::discretize(s4::BackwardEuler{}, lambda, 0.2).a();
    const Complex forward = s4::discretize(s4::Euler{}, -lambda, 0.2).a();
    EXPECT_LE(std::abs(backward * forward - 1.0), Accuracy::rounding);
}

}  // namespace
