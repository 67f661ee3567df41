#include <s4/hippo/lagt.hpp>

#include <cmath>
#include <limits>
#include <tests/support/expect_error.hpp>
#include <tests/support/tolerances.hpp>

namespace {

using Accuracy = s4::test::Tolerance<double>;
constexpr double nan = std::numeric_limits<double>::quiet_NaN();
constexpr double infinity = std::numeric_limits<double>::infinity();

TEST(LagT, HasTheEntriesOfThePaper) {
    const s4::HippoSystem system = s4::LagT{.beta = 2.0}.transition(3);
    Eigen::Matrix3d A;
    A << -0.5, 0, 0, -1, -0.5, 0, -1, -1, -0.5;
    EXPECT_EQ(system.A, A);
    EXPECT_EQ(system.B, Eigen::Vector3d::Constant(2.0));
}

TEST(TiltedLagT, MovesTheDiagonalOfLagT) {
    const s4::HippoSystem system = s4::TiltedLagT{.beta = 0.5}.transition(4);
    const Eigen::MatrixXd moved = s4::LagT{}.transition(4).A - 0.25 * Eigen::MatrixXd::Identity(4, 4);
    EXPECT_EQ(system.A, moved);
}

TEST(GeneralisedLagT, IsTiltedLagTAtOrderZero) {
    const s4::HippoSystem generalised = s4::GeneralisedLagT{.alpha = 0.0, .beta = 0.25}.transition(20);
    EXPECT_LE(s4::test::relative_error(generalised.A, s4::TiltedLagT{0.25}.transition(20).A), Accuracy::rounding);
    EXPECT_LE(s4::test::relative_error(generalised.B, Eigen::VectorXd::Constant(20, 0.5)), Accuracy::rounding);
}

TEST(GeneralisedLagT, AgreesWithTheGammaFunctionOfTheDefinition) {
    const double alpha = 0.3, beta = 0.7;
    const s4::HippoSystem system = s4::GeneralisedLagT{alpha, beta}.transition(30);
    const auto l = [alpha](int n) { return std::sqrt(std::tgamma(n + alpha + 1) / std::tgamma(n + 1.0)); };
    Eigen::MatrixXd A = Eigen::MatrixXd::Zero(30, 30);
    Eigen::VectorXd B(30);
    for (int n = 0; n < 30; ++n) {
        for (int k = 0; k < n; ++k) A(n, k) = -l(k) / l(n);
        A(n, n) = -(1 + beta) / 2;
        const double binomial = l(n) * l(n) / std::tgamma(alpha + 1);
        B(n) = binomial / l(n) / std::sqrt(std::tgamma(1 - alpha)) * std::pow(beta, (1 - alpha) / 2);
    }
    EXPECT_LE(s4::test::relative_error(system.A, A), Accuracy::rounding);
    EXPECT_LE(s4::test::relative_error(system.B, B), Accuracy::rounding);
}

TEST(GeneralisedLagT, ChecksItsParameters) {
    for (const double alpha : {-1.0, 1.0, nan, infinity}) {
        EXPECT_S4_ERROR(static_cast<void>(s4::GeneralisedLagT{alpha, 0.5}.transition(4)), "glagt", "alpha",
                        "above -1 and below 1");
    }
    for (const double beta : {0.0, -1.0, nan, infinity}) {
        EXPECT_S4_ERROR(static_cast<void>(s4::GeneralisedLagT{0.0, beta}.transition(4)), "glagt", "beta", "above 0");
        EXPECT_S4_ERROR(static_cast<void>(s4::TiltedLagT{beta}.transition(4)), "tlagt", "beta", "above 0");
        EXPECT_S4_ERROR(static_cast<void>(s4::LagT{beta}.transition(4)), "lagt", "beta", "above 0");
    }
}

}  // namespace
