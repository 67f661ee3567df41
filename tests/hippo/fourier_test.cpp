#include <s4/hippo/fourier.hpp>

#include <gtest/gtest.h>

#include <numbers>
#include <tests/support/tolerances.hpp>

namespace {

using std::numbers::pi;
using std::numbers::sqrt2;
using Accuracy = s4::test::Tolerance<double>;

TEST(Fourier, HasTheEntriesOfThePaper) {
    const s4::HippoSystem system = s4::Fourier{}.transition(4);
    Eigen::Matrix4d A;
    A << -1, 0, -sqrt2, 0, 0, 0, 0, 0, -sqrt2, 0, -2, -pi, 0, 0, pi, 0;
    EXPECT_LE(s4::test::relative_error(system.A, A), Accuracy::rounding);
    EXPECT_LE(s4::test::relative_error(system.B, Eigen::Vector4d(1, 0, sqrt2, 0)), Accuracy::rounding);
}

TEST(Fourier2, IsTwiceFourier) {
    const s4::HippoSystem once = s4::Fourier{}.transition(10);
    const s4::HippoSystem twice = s4::Fourier2{}.transition(10);
    EXPECT_LE(s4::test::relative_error(twice.A, (2 * once.A).eval()), Accuracy::rounding);
    EXPECT_LE(s4::test::relative_error(twice.B, (2 * once.B).eval()), Accuracy::rounding);
}

TEST(FourierDecay, HasHalfTheCorrectionOfFourier) {
    const s4::HippoSystem fourier = s4::Fourier{}.transition(10);
    const s4::HippoSystem decay = s4::FourierDecay{}.transition(10);
    EXPECT_LE(s4::test::relative_error((decay.A - fourier.A).eval(), (fourier.B * fourier.B.transpose() / 2).eval()),
              Accuracy::rounding);
    EXPECT_LE(s4::test::relative_error((2 * decay.B).eval(), fourier.B), Accuracy::rounding);
}

TEST(FourierDiagonal, TurnsEachPairAtAMultipleOfOneFrequency) {
    const s4::HippoSystem system = s4::FourierDiagonal{}.transition(6);
    for (int j = 0; j < 3; ++j) {
        Eigen::Matrix2d pair;
        pair << -0.5, -2 * pi * j, 2 * pi * j, -0.5;
        EXPECT_LE(s4::test::relative_error(system.A.block<2, 2>(2 * j, 2 * j), pair), Accuracy::rounding);
    }
    EXPECT_EQ((system.A.array() != 0).count(), 10);
}

}  // namespace
