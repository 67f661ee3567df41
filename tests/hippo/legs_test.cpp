#include <s4/hippo/legs.hpp>

#include <gtest/gtest.h>

#include <cmath>
#include <tests/support/tolerances.hpp>

namespace {

using Accuracy = s4::test::Tolerance<double>;

TEST(LegS, HasTheEntriesOfThePaper) {
    const s4::HippoSystem system = s4::LegS{}.transition(3);
    Eigen::Matrix3d A;
    A << -1, 0, 0, -std::sqrt(3), -2, 0, -std::sqrt(5), -std::sqrt(15), -3;
    EXPECT_LE(s4::test::relative_error(system.A, A), Accuracy::rounding);
    EXPECT_LE(s4::test::relative_error(system.B, Eigen::Vector3d(1, std::sqrt(3), std::sqrt(5))), Accuracy::rounding);
}

TEST(LegS, AnswersAConstantInputWithItsFirstPolynomialAlone) {
    // x' = A x + B settles at −A⁻¹ B: a constant past is the constant polynomial.
    const s4::HippoSystem system = s4::LegS{}.transition(12);
    const Eigen::VectorXd first = Eigen::VectorXd::Unit(12, 0);
    EXPECT_LE(s4::test::relative_error((-system.A * first).eval(), system.B), Accuracy::rounding);
}

TEST(LegSD, IsTheNormalPartOfLegS) {
    const s4::HippoSystem legs = s4::LegS{}.transition(9);
    const Eigen::MatrixXd P = s4::LegS{}.low_rank(9);
    const s4::HippoSystem normal = s4::LegSD{}.transition(9);
    EXPECT_LE(s4::test::relative_error(normal.A, (legs.A + P.transpose() * P).eval()), Accuracy::rounding);
    EXPECT_LE(s4::test::relative_error(normal.B, (legs.B / 2).eval()), Accuracy::rounding);
    EXPECT_LE(
        s4::test::relative_error((normal.A * normal.A.transpose()).eval(), (normal.A.transpose() * normal.A).eval()),
        Accuracy::rounding);
}

}  // namespace
