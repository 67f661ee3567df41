#include <s4/discretize/dense.hpp>

#include <limits>
#include <tests/support/expect_error.hpp>
#include <tests/support/tolerances.hpp>

namespace {

using s4::Index;
using Accuracy = s4::test::Tolerance<double>;

/// A rotation that decays, and a slow and a fast real mode, coupled: nothing special but stable.
Eigen::MatrixXd example_A() {
    Eigen::MatrixXd A(4, 4);
    A << -0.5, -3, 0.2, 0, 3, -0.5, 0, 0.1, 0, 0.3, -0.01, 0, 0.7, 0, 0, -8;
    return A;
}
Eigen::VectorXd example_B() { return Eigen::Vector4d(1, -2, 0.5, 3); }

template <class Rule>
class DenseRules : public ::testing::Test {};
using EveryRule =
    ::testing::Types<s4::Euler, s4::BackwardEuler, s4::Bilinear, s4::GeneralisedBilinear, s4::ZeroOrderHold, s4::Dirac>;
TYPED_TEST_SUITE(DenseRules, EveryRule);

TYPED_TEST(DenseRules, OfADiagonalMatrixAreTheDiagonalForm) {
    const Eigen::Vector4d lambda(-1e-7, -0.3, -2, -50);
    const Eigen::MatrixXd A = lambda.asDiagonal();
    const Eigen::VectorXd B = example_B();
    const s4::DenseStep<double> step = s4::discretize(TypeParam{}, A, B, 0.1);
    Eigen::MatrixXd A_bar = Eigen::MatrixXd::Zero(4, 4);
    Eigen::VectorXd B_bar(4);
    for (Index n = 0; n < 4; ++n) {
        const auto one = s4::discretize(TypeParam{}, std::complex<double>(lambda(n)), 0.1);
        A_bar(n, n) = one.a().real();
        B_bar(n) = one.b.real() * B(n);
    }
    EXPECT_LE(s4::test::relative_error(step.A_bar, A_bar), Accuracy::rounding);
    EXPECT_LE(s4::test::relative_error(step.B_bar, B_bar), Accuracy::rounding);
}

TYPED_TEST(DenseRules, AgreeWithLongDouble) {
    for (const double dt : {1e-6, 1e-2, 1.0}) {
        const s4::DenseStep<double> step = s4::discretize(TypeParam{}, example_A(), example_B(), dt);
        const s4::DenseStep<long double> wide =
            s4::discretize(TypeParam{}, example_A().cast<long double>(), example_B().cast<long double>(), dt);
        EXPECT_LE(s4::test::relative_error(step.A_bar, wide.A_bar), Accuracy::rounding);
        EXPECT_LE(s4::test::relative_error(step.B_bar, wide.B_bar), Accuracy::rounding);
    }
}

TYPED_TEST(DenseRules, RefuseBadInputs) {
    constexpr double nan = std::numeric_limits<double>::quiet_NaN();
    [[maybe_unused]] const char* const name = TypeParam::name.data();
    const Eigen::MatrixXd A = example_A();
    const Eigen::VectorXd B = example_B();
    for (const double dt : {0.0, -1.0, nan, std::numeric_limits<double>::infinity()}) {
        EXPECT_S4_ERROR(static_cast<void>(s4::discretize(TypeParam{}, A, B, dt)), name, "dt", "above 0");
    }
    EXPECT_S4_ERROR(static_cast<void>(s4::discretize(TypeParam{}, A.leftCols(3), B, 0.1)), name, "square", "4 x 3");
    EXPECT_S4_ERROR(static_cast<void>(s4::discretize(TypeParam{}, A, B.head(3), 0.1)), name, "B", "3 x 1");
    Eigen::MatrixXd bad_A = A;
    bad_A(2, 1) = nan;
    EXPECT_S4_ERROR(static_cast<void>(s4::discretize(TypeParam{}, bad_A, B, 0.1)), name, "A", "not finite");
    Eigen::VectorXd bad_B = B;
    bad_B(0) = -std::numeric_limits<double>::infinity();
    EXPECT_S4_ERROR(static_cast<void>(s4::discretize(TypeParam{}, A, bad_B, 0.1)), name, "B", "not finite");
}

TEST(DenseWeightedRules, AreOneFamily) {
    const auto step = [](const auto& rule) { return s4::discretize(rule, example_A(), example_B(), 0.2).A_bar; };
    EXPECT_EQ(step(s4::GeneralisedBilinear{0.0}), step(s4::Euler{}));
    EXPECT_EQ(step(s4::GeneralisedBilinear{0.5}), step(s4::Bilinear{}));
    EXPECT_EQ(step(s4::GeneralisedBilinear{1.0}), step(s4::BackwardEuler{}));
}

TEST(DenseWeightedRules, RefuseASingularMatrix) {
    const Eigen::MatrixXd A = Eigen::Vector3d(-1, 4, -2).asDiagonal();  // 1 − 0.5·0.5·4 = 0
    const Eigen::VectorXd B = Eigen::Vector3d::Ones();
    EXPECT_S4_ERROR(static_cast<void>(s4::discretize(s4::Bilinear{}, A, B, 0.5)), "bilinear", "singular", "dt = 0.5");
    EXPECT_S4_ERROR(static_cast<void>(s4::discretize(s4::BackwardEuler{}, A, B, 0.25)), "backward", "singular");
    EXPECT_S4_ERROR(static_cast<void>(s4::discretize(s4::GeneralisedBilinear{0.25}, A, B, 1.0)), "gbt", "singular");
}

TEST(DenseZeroOrderHold, TwoStepsAreOneOfTwiceTheSize) {
    const auto once = s4::discretize(s4::ZeroOrderHold{}, example_A(), example_B(), 0.3);
    const auto twice = s4::discretize(s4::ZeroOrderHold{}, example_A(), example_B(), 0.6);
    EXPECT_LE(s4::test::relative_error((once.A_bar * once.A_bar).eval(), twice.A_bar), Accuracy::rounding);
    EXPECT_LE(s4::test::relative_error((once.A_bar * once.B_bar + once.B_bar).eval(), twice.B_bar), Accuracy::rounding);
}

TEST(DenseZeroOrderHold, HoldsForASingularMatrix) {
    // The double integrator: position and speed under a constant force.
    Eigen::Matrix2d A;
    A << 0, 1, 0, 0;
    const auto step = s4::discretize(s4::ZeroOrderHold{}, A, Eigen::Vector2d(0, 1), 0.1);
    Eigen::Matrix2d A_bar;
    A_bar << 1, 0.1, 0, 1;
    EXPECT_LE(s4::test::relative_error(step.A_bar, A_bar), Accuracy::rounding);
    EXPECT_LE(s4::test::relative_error(step.B_bar, Eigen::Vector2d(0.005, 0.1)), Accuracy::rounding);
}

TEST(DenseZeroOrderHold, IsALimitOfManySmallBilinearSteps) {
    const auto hold = s4::discretize(s4::ZeroOrderHold{}, example_A(), example_B(), 0.5);
    constexpr int halvings = 14;
    auto step = s4::discretize(s4::Bilinear{}, example_A(), example_B(), std::ldexp(0.5, -halvings));
    for (int i = 0; i < halvings; ++i) {
        step.B_bar = (step.A_bar * step.B_bar + step.B_bar).eval();
        step.A_bar = (step.A_bar * step.A_bar).eval();
    }
    EXPECT_LE(s4::test::relative_error(step.A_bar, hold.A_bar), s4::test::central_difference);
    EXPECT_LE(s4::test::relative_error(step.B_bar, hold.B_bar), s4::test::central_difference);
}

}  // namespace
