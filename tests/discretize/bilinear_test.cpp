#include <s4/discretize/bilinear.hpp>
#include <s4/discretize/generalised_bilinear.hpp>

#include <gtest/gtest.h>

#include <tests/support/tolerances.hpp>

namespace {

using Complex = std::complex<double>;
using Accuracy = s4::test::Tolerance<double>;

TEST(Bilinear, IsTheGeneralisedRuleAtOneHalf) {
    const Complex lambda{-0.7, 4.0};
    const auto bilinear = s4::discretize(s4::Bilinear{}, lambda, 0.2);
    const auto general = s4::discretize(s4::GeneralisedBilinear{0.5}, lambda, 0.2);
    EXPECT_EQ(bilinear.a_minus_one, general.a_minus_one);
    EXPECT_EQ(bilinear.b, general.b);
}

TEST(Bilinear, IsTheFractionOfThePaper) {
    const Complex z{-0.14, 0.8};
    const auto step = s4::discretize(s4::Bilinear{}, z / 0.2, 0.2);
    EXPECT_LE(std::abs(step.a() - (1.0 + z / 2.0) / (1.0 - z / 2.0)), Accuracy::rounding);
    EXPECT_LE(std::abs(step.b - 0.2 / (1.0 - z / 2.0)), Accuracy::rounding);
}

TEST(Bilinear, KeepsTheLeftHalfPlaneInTheUnitDisc) {
    for (const double re : {-1e-6, -0.5, -100.0, -1e30})
        for (const double im : {0.0, 1.0, -1e4, 1e12})
            EXPECT_LE(std::abs(s4::discretize(s4::Bilinear{}, Complex{re, im}, 0.1).a()), 1 + Accuracy::rounding);
    EXPECT_NEAR(std::abs(s4::discretize(s4::Bilinear{}, Complex{0, 3.0}, 0.1).a()), 1.0, Accuracy::rounding);
}

}  // namespace
