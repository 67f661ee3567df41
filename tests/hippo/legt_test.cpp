#include <s4/hippo/legt.hpp>

#include <gtest/gtest.h>

#include <cmath>
#include <tests/support/tolerances.hpp>

namespace {

using Accuracy = s4::test::Tolerance<double>;

TEST(LegT, HasTheEntriesOfThePaper) {
    const s4::HippoSystem system = s4::LegT{}.transition(3);
    const double s01 = std::sqrt(3), s02 = std::sqrt(5), s12 = std::sqrt(15);
    Eigen::Matrix3d A;
    A << -1, s01, -s02, -s01, -3, s12, -s02, -s12, -5;
    EXPECT_LE(s4::test::relative_error((2 * system.A).eval(), A), Accuracy::rounding);
    EXPECT_LE(s4::test::relative_error((2 * system.B).eval(), Eigen::Vector3d(1, s01, s02)), Accuracy::rounding);
}

TEST(Lmu, HasTheEntriesOfThePaper) {
    const s4::HippoSystem system = s4::Lmu{}.transition(3);
    Eigen::Matrix3d A;
    A << -1, -1, -1, 3, -3, -3, -5, 5, -5;
    EXPECT_EQ(system.A, A);
    EXPECT_EQ(system.B, Eigen::Vector3d(1, -3, 5));
}

TEST(Lmu, IsLegTInOtherUnits) {
    // With D = diag((−1)^n √(2n+1)) and a window of 1 instead of 2, D⁻¹ A_lmu D = 2 A_legt.
    const s4::HippoSystem lmu = s4::Lmu{}.transition(10);
    const s4::HippoSystem legt = s4::LegT{}.transition(10);
    Eigen::VectorXd scale(10);
    for (int n = 0; n < 10; ++n) scale(n) = (n % 2 == 0 ? 1 : -1) * std::sqrt(2 * n + 1);
    const Eigen::MatrixXd turned = scale.cwiseInverse().asDiagonal() * lmu.A * scale.asDiagonal();
    EXPECT_LE(s4::test::relative_error(turned, (2 * legt.A).eval()), Accuracy::rounding);
    EXPECT_LE(s4::test::relative_error(lmu.B.cwiseQuotient(scale).eval(), (2 * legt.B).eval()), Accuracy::rounding);
}

}  // namespace
