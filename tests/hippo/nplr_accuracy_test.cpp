// The promise at its largest size. Without optimisation that takes minutes, so the size is smaller then.
#include <gtest/gtest.h>

#include <tests/support/nplr_errors.hpp>
#include <tests/support/tolerances.hpp>

namespace {

#if defined(__OPTIMIZE__)
constexpr s4::Index largest = 1024;
#else
constexpr s4::Index largest = 128;
#endif

TEST(NplrAccuracy, HoldsForLegSAtTheLargestSize) {
    const s4::Nplr found = s4::nplr(s4::LegS{}, largest);
    const s4::test::NplrErrors errors = s4::test::nplr_errors(s4::LegS{}, largest, found);
    EXPECT_LE(errors.normal_part, s4::test::hippo_decomposition);
    EXPECT_LE(errors.orthogonality, s4::test::hippo_decomposition);
    EXPECT_LE(errors.A, s4::test::hippo_decomposition);
    EXPECT_LE(errors.B, s4::test::hippo_decomposition);
    EXPECT_LE(errors.P, s4::test::hippo_decomposition);
}

}  // namespace
