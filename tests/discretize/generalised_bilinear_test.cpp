#include <s4/discretize/euler.hpp>
#include <s4/discretize/generalised_bilinear.hpp>

#include <limits>
#include <tests/support/expect_error.hpp>
#include <tests/support/tolerances.hpp>

namespace {

using Complex = std::complex<double>;
using s4::GeneralisedBilinear;
using Accuracy = s4::test::Tolerance<double>;

TEST(GeneralisedBilinear, IsAForwardPartAndThenABackwardPart) {
    const Complex lambda{-2.0, 5.0};
    for (const double alpha : {0.0, 0.3, 0.5, 1.0}) {
        const Complex whole = s4::discretize(GeneralisedBilinear{alpha}, lambda, 0.1).a();
        const Complex forward = s4::discretize(s4::Euler{}, lambda, 0.1 * (1 - alpha)).a();
        const Complex backward = s4::discretize(s4::BackwardEuler{}, lambda, 0.1 * alpha).a();
        EXPECT_LE(std::abs(whole - forward * backward), Accuracy::rounding);
    }
}

TEST(GeneralisedBilinear, IsBilinearByDefault) { EXPECT_EQ(GeneralisedBilinear{}.alpha(), 0.5); }

TEST(GeneralisedBilinear, ChecksItsWeight) {
    for (const double alpha :
         {-1e-9, 1.5, std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
        EXPECT_S4_ERROR(static_cast<void>(GeneralisedBilinear{alpha}), "alpha", "[0, 1]", "found");
    }
}

}  // namespace
