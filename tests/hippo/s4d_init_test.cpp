#include <s4/hippo/s4d_init.hpp>

#include <numbers>
#include <tests/support/expect_error.hpp>
#include <tests/support/nplr_errors.hpp>
#include <tests/support/tolerances.hpp>

namespace {

using s4::Index;
using s4::S4dInit;
using std::numbers::pi;
using Accuracy = s4::test::Tolerance<double>;

constexpr S4dInit every_init[] = {S4dInit::legs, S4dInit::lin,  S4dInit::inv,
                                  S4dInit::inv2, S4dInit::quad, S4dInit::real};

TEST(S4dInits, AreFoundByTheirNames) {
    for (const S4dInit init : every_init) EXPECT_EQ(s4::s4d_init_from_name(s4::name_of(init)), init);
    EXPECT_S4_ERROR(static_cast<void>(s4::s4d_init_from_name("linear")), "'linear'",
                    "legs, lin, inv, inv2, quad, real");
}

TEST(S4dInits, StableWithFrequenciesOfOneSign) {
    for (const S4dInit init : every_init) {
        for (const Index N : {2, 16, 64}) {
            const s4::DiagonalInit start = s4::s4d_init(init, N);
            ASSERT_EQ(start.lambda.size(), N / 2);
            ASSERT_EQ(start.B.size(), N / 2);
            EXPECT_LT(start.lambda.real().maxCoeff(), 0.0);
            EXPECT_LE(start.lambda.imag().maxCoeff(), 0.0);
        }
    }
}

TEST(S4dInits, FirstValuesOfTheClosedForms) {
    const auto second = [](S4dInit init) { return s4::s4d_init(init, 8).lambda(1); };
    EXPECT_NEAR(second(S4dInit::lin).imag(), -pi, Accuracy::rounding);
    EXPECT_NEAR(second(S4dInit::inv).imag(), -8 / pi * (8.0 / 3 - 1), Accuracy::rounding);
    EXPECT_NEAR(second(S4dInit::inv2).imag(), -8 / pi * 3, Accuracy::rounding);
    EXPECT_NEAR(second(S4dInit::quad).imag(), -9 / pi, Accuracy::rounding);
    EXPECT_EQ(second(S4dInit::real), std::complex<double>(-2, 0));
    EXPECT_EQ(second(S4dInit::lin).real(), -0.5);
}

TEST(S4dInits, LegsIsTheNormalPartOfLegSWithItsInputClamped) {
    const s4::DiagonalInit start = s4::s4d_init(S4dInit::legs, 64);
    const s4::Nplr legs = s4::nplr(s4::LegS{}, 64);
    EXPECT_LE(s4::test::relative_error(start.lambda, legs.lambda), Accuracy::rounding);
    Index clamped = 0;
    for (Index n = 0; n < 32; ++n) {
        EXPECT_EQ(start.B(n).real(), legs.B(n).real());
        EXPECT_LE(std::abs(start.B(n).imag()), 2.0);
        if (std::abs(legs.B(n).imag()) > 2) {
            ++clamped;
        } else {
            EXPECT_EQ(start.B(n), legs.B(n));
        }
    }
    EXPECT_GT(clamped, 0);
}

TEST(S4dInits, TheOthersHaveUnitInputs) {
    for (const S4dInit init : {S4dInit::lin, S4dInit::inv, S4dInit::inv2, S4dInit::quad, S4dInit::real})
        EXPECT_EQ(s4::s4d_init(init, 6).B, Eigen::VectorXcd::Ones(3));
}

TEST(S4dInits, RefuseOddAndEmptySystems) {
    EXPECT_S4_ERROR(static_cast<void>(s4::s4d_init(S4dInit::lin, 5)), "lin", "even", "found 5");
    EXPECT_S4_ERROR(static_cast<void>(s4::s4d_init(S4dInit::legs, 0)), "legs", "positive", "found 0");
}

}  // namespace
