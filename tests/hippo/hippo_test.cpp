// Laws of all measures, and the choice of one by name.
#include <s4/hippo/hippo.hpp>

#include <tests/support/expect_error.hpp>
#include <tests/support/tolerances.hpp>

namespace {

using s4::Hippo;
using s4::Index;
using Accuracy = s4::test::Tolerance<double>;

template <class Measure>
class HippoMeasures : public ::testing::Test {};

using Measures = ::testing::Types<s4::LegS, s4::LegSD, s4::LegT, s4::Lmu, s4::LagT, s4::TiltedLagT, s4::GeneralisedLagT,
                                  s4::Fourier, s4::Fourier2, s4::FourierDecay, s4::FourierDiagonal>;
TYPED_TEST_SUITE(HippoMeasures, Measures);

TYPED_TEST(HippoMeasures, GivesASystemOfTheAskedSize) {
    for (const Index N : {1, 2, 3, 8, 17}) {
        const s4::HippoSystem system = TypeParam{}.transition(N);
        EXPECT_EQ(system.A.rows(), N);
        EXPECT_EQ(system.A.cols(), N);
        EXPECT_EQ(system.B.size(), N);
        EXPECT_TRUE(s4::detail::all_finite(system.A) && s4::detail::all_finite(system.B));
    }
}

TYPED_TEST(HippoMeasures, ASmallerSystemIsTheCornerOfALargerOne) {
    const s4::HippoSystem small = TypeParam{}.transition(8);
    const s4::HippoSystem large = TypeParam{}.transition(20);
    EXPECT_EQ(small.A, large.A.topLeftCorner(8, 8));
    EXPECT_EQ(small.B, large.B.head(8));
}

TYPED_TEST(HippoMeasures, TraceIsNegative) { EXPECT_LT(TypeParam{}.transition(8).A.trace(), 0.0); }

TYPED_TEST(HippoMeasures, PlusItsCorrectionIsAMultipleOfTheIdentityAndASkewMatrix) {
    if constexpr (s4::NormalPlusLowRankMeasure<TypeParam>) {
        for (const Index N : {1, 2, 7, 64, 256}) {
            const TypeParam measure{};
            const Eigen::MatrixXd P = measure.low_rank(N);
            ASSERT_EQ(P.rows(), TypeParam::rank);
            Eigen::MatrixXd skew = measure.transition(N).A;
            const double size = skew.cwiseAbs().maxCoeff();
            skew += P.transpose() * P;
            skew.diagonal().array() -= measure.real_part();
            EXPECT_LE((skew + skew.transpose()).cwiseAbs().maxCoeff(), Accuracy::rounding * size);
        }
    } else {
        EXPECT_S4_ERROR(static_cast<void>(s4::natural_rank(TypeParam{})), TypeParam::name.data(),
                        "normal-plus-low-rank");
        EXPECT_S4_ERROR(static_cast<void>(s4::low_rank(TypeParam{}, 4)), TypeParam::name.data(), "lmu and glagt");
    }
}

TYPED_TEST(HippoMeasures, IsFoundByItsName) {
    const Hippo found = s4::hippo_from_name(TypeParam::name);
    EXPECT_TRUE(std::holds_alternative<TypeParam>(found));
    EXPECT_EQ(s4::name_of(found), TypeParam::name);
    EXPECT_EQ(s4::transition(found, 6).A, TypeParam{}.transition(6).A);
}

TYPED_TEST(HippoMeasures, RefusesAnEmptySystem) {
    EXPECT_S4_ERROR(static_cast<void>(TypeParam{}.transition(0)), TypeParam::name.data(), "at least 1", "found 0");
    EXPECT_S4_ERROR(static_cast<void>(s4::transition(TypeParam{}, -3)), TypeParam::name.data(), "found -3");
}

TEST(HippoNames, UnknownOnesListTheKnown) {
    EXPECT_S4_ERROR(static_cast<void>(s4::hippo_from_name("legz")), "'legz'", "legs, legsd, legt, lmu, lagt, tlagt",
                    "glagt, fourier, fourier2, fourier_decay, fourier_diag");
    EXPECT_S4_ERROR(static_cast<void>(s4::hippo_from_name("")), "''", "legs");
}

TEST(HippoNames, HaveTheShortFormsOfTheLiterature) {
    EXPECT_TRUE(std::holds_alternative<s4::Fourier>(s4::hippo_from_name("fout")));
    EXPECT_TRUE(std::holds_alternative<s4::FourierDiagonal>(s4::hippo_from_name("foud")));
}

TEST(HippoLowRank, IsPaddedWithRowsOfZeros) {
    const Eigen::MatrixXd P = s4::low_rank(s4::LegS{}, 5, 3);
    ASSERT_EQ(P.rows(), 3);
    EXPECT_EQ(P.topRows(1), s4::LegS{}.low_rank(5));
    EXPECT_TRUE(P.bottomRows(2).isZero(0.0));
    EXPECT_EQ(s4::low_rank(s4::LegSD{}, 4, 2), Eigen::MatrixXd::Zero(2, 4));
}

TEST(HippoLowRank, RefusesARankBelowTheNaturalOne) {
    EXPECT_S4_ERROR(static_cast<void>(s4::low_rank(s4::LegT{}, 4, 1)), "legt", "rank", "at least 2", "found 1");
    EXPECT_S4_ERROR(static_cast<void>(s4::low_rank(s4::LegSD{}, 4, -1)), "legsd", "at least 0", "found -1");
    EXPECT_S4_ERROR(static_cast<void>(s4::pad_rank(Eigen::MatrixXd::Ones(2, 4), 1)), "at least 2", "found 1");
}

TEST(HippoLowRank, NaturalRanks) {
    EXPECT_EQ(s4::natural_rank(s4::LegS{}), 1);
    EXPECT_EQ(s4::natural_rank(s4::LegT{}), 2);
    EXPECT_EQ(s4::natural_rank(s4::FourierDiagonal{}), 0);
    EXPECT_EQ(s4::normal_real_part(s4::TiltedLagT{3.0}), -1.5);
}

}  // namespace
