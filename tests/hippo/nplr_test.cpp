#include <s4/hippo/nplr.hpp>

#include <numbers>
#include <tests/support/expect_error.hpp>
#include <tests/support/nplr_errors.hpp>
#include <tests/support/tolerances.hpp>

namespace {

using s4::Hippo;
using s4::Index;
using Accuracy = s4::test::Tolerance<double>;

// Unoptimised, the full size takes long.
#if defined(__OPTIMIZE__)
constexpr Index largest = 256;
#else
constexpr Index largest = 128;
#endif

class NplrOf : public ::testing::TestWithParam<const char*> {
protected:
    Hippo hippo_ = s4::hippo_from_name(GetParam());
};

TEST_P(NplrOf, RebuildsTheSystem) {
    for (const Index N : {Index{2}, Index{4}, Index{6}, Index{34}, Index{96}, largest}) {
        const s4::Nplr found = s4::nplr(hippo_, N);
        const s4::test::NplrErrors errors = s4::test::nplr_errors(hippo_, N, found);
        EXPECT_LE(errors.normal_part, s4::test::hippo_decomposition) << "N = " << N;
        EXPECT_LE(errors.orthogonality, s4::test::hippo_decomposition) << "N = " << N;
        EXPECT_LE(errors.A, s4::test::hippo_decomposition) << "N = " << N;
        EXPECT_LE(errors.B, s4::test::hippo_decomposition) << "N = " << N;
        EXPECT_LE(errors.P, s4::test::hippo_decomposition) << "N = " << N;
    }
}

TEST_P(NplrOf, HasItsShapesAndItsOrder) {
    const s4::Nplr found = s4::nplr(hippo_, 12);
    EXPECT_EQ(found.lambda.size(), 6);
    EXPECT_EQ(found.V.rows(), 12);
    EXPECT_EQ(found.V.cols(), 6);
    EXPECT_EQ(found.P.rows(), s4::natural_rank(hippo_));
    EXPECT_EQ(found.P.cols(), 6);
    EXPECT_EQ(found.B.size(), 6);
    for (Index n = 0; n < 6; ++n) {
        EXPECT_EQ(found.lambda(n).real(), s4::normal_real_part(hippo_));
        EXPECT_LE(found.lambda(n).imag(), 0.0);
        if (n > 0) {
            EXPECT_LE(found.lambda(n - 1).imag(), found.lambda(n).imag());
        }
    }
}

TEST_P(NplrOf, HasARealFirstRowThatIsNotNegative) {
    const s4::Nplr found = s4::nplr(hippo_, 64);
    for (Index n = 0; n < 32; ++n) {
        EXPECT_LE(std::abs(found.V(0, n).imag()), Accuracy::rounding);
        EXPECT_GE(found.V(0, n).real(), -Accuracy::rounding);
    }
}

TEST_P(NplrOf, AHigherRankAddsRowsOfZeros) {
    const Index rank = s4::natural_rank(hippo_);
    const s4::Nplr natural = s4::nplr(hippo_, 8);
    const s4::Nplr padded = s4::nplr(hippo_, 8, rank + 2);
    ASSERT_EQ(padded.P.rows(), rank + 2);
    EXPECT_LE(s4::test::relative_error(padded.P.topRows(rank), natural.P), Accuracy::rounding);
    EXPECT_TRUE(padded.P.bottomRows(2).isZero(0.0));
    EXPECT_LE(s4::test::relative_error(padded.lambda, natural.lambda), Accuracy::rounding);
}

TEST_P(NplrOf, RefusesOddAndEmptySystems) {
    EXPECT_S4_ERROR(static_cast<void>(s4::nplr(hippo_, 7)), GetParam(), "even", "found 7");
    EXPECT_S4_ERROR(static_cast<void>(s4::nplr(hippo_, 0)), GetParam(), "positive", "found 0");
    EXPECT_S4_ERROR(static_cast<void>(s4::nplr(hippo_, -2)), GetParam(), "positive", "found -2");
}

INSTANTIATE_TEST_SUITE_P(Measures, NplrOf,
                         ::testing::Values("legs", "legsd", "legt", "lagt", "tlagt", "fourier", "fourier2",
                                           "fourier_decay", "fourier_diag"),
                         [](const auto& instance) { return std::string{instance.param}; });

TEST(Nplr, OfFourierHasEquallySpacedFrequencies) {
    const s4::Nplr found = s4::nplr(s4::Fourier{}, 64);
    for (Index n = 0; n < 32; ++n)
        EXPECT_NEAR(found.lambda(n).imag(), -std::numbers::pi * static_cast<double>(31 - n),
                    s4::test::hippo_decomposition);
}

TEST(Nplr, OfFourierPairsItsNullSpace) {
    const s4::Nplr found = s4::nplr(s4::Fourier{}, 8);
    Eigen::VectorXcd pair = Eigen::VectorXcd::Zero(8);
    pair(0) = std::numbers::sqrt2 / 2;
    pair(1) = {0, std::numbers::sqrt2 / 2};
    EXPECT_LE(s4::test::relative_error(found.V.col(3), pair), Accuracy::rounding);
}

TEST(Nplr, OfAZeroSkewPartIsStillUnitary) {
    // Fourier with N = 2 rotates nothing: the whole space is the null space.
    const s4::Nplr found = s4::nplr(s4::Fourier{}, 2);
    EXPECT_EQ(found.lambda(0), std::complex<double>(0, 0));
    EXPECT_LE(s4::test::nplr_errors(s4::Fourier{}, 2, found).orthogonality, Accuracy::rounding);
}

TEST(Nplr, KeepsHalvesApartInRepeatedEigenvaluesAndInALargeNullSpace) {
    // Two rotations of equal speed and a null space of dimension 6, hidden by a reflection.
    Eigen::MatrixXd S = Eigen::MatrixXd::Zero(10, 10);
    S(0, 5) = S(3, 8) = 2;
    S(5, 0) = S(8, 3) = -2;
    const Eigen::VectorXd axis = Eigen::VectorXd::LinSpaced(10, 0.3, 1.7).normalized();
    const Eigen::MatrixXd reflection = Eigen::MatrixXd::Identity(10, 10) - 2 * axis * axis.transpose();
    S = (reflection * S * reflection).eval();
    S = ((S - S.transpose()) / 2).eval();
    const s4::detail::SkewEigen<double> found = s4::detail::skew_eigen<double>(S);
    EXPECT_LE(s4::test::relative_error(found.sigma, (Eigen::VectorXd(5) << 2, 2, 0, 0, 0).finished()),
              Accuracy::rounding);
    Eigen::MatrixXcd both(10, 10);
    both << found.V, found.V.conjugate();
    EXPECT_LE(s4::test::relative_error((both.adjoint() * both).eval(), Eigen::MatrixXcd::Identity(10, 10)),
              Accuracy::rounding);
    const Eigen::MatrixXcd turned = S.cast<std::complex<double>>() * found.V;
    const Eigen::MatrixXcd expected = found.V * (std::complex<double>(0, -1) * found.sigma).asDiagonal();
    EXPECT_LE(s4::test::relative_error(turned, expected), Accuracy::rounding);
}

TEST(Nplr, RefusesMeasuresWithoutTheForm) {
    EXPECT_S4_ERROR(static_cast<void>(s4::nplr(s4::Lmu{}, 4)), "'lmu'", "normal-plus-low-rank");
    EXPECT_S4_ERROR(static_cast<void>(s4::nplr(s4::GeneralisedLagT{}, 4, 1)), "'glagt'", "normal-plus-low-rank");
    EXPECT_S4_ERROR(static_cast<void>(s4::nplr(s4::LegT{}, 4, 1)), "legt", "at least 2", "found 1");
    EXPECT_S4_ERROR(static_cast<void>(s4::nplr(s4::TiltedLagT{-1.0}, 4)), "tlagt", "beta", "found -1");
}

}  // namespace
