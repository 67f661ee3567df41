#include "sample_layer.hpp"
#include <s4/train/moving_average.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <tests/support/expect_error.hpp>
#include <tests/support/tolerances.hpp>

namespace s4::test {
namespace {

template <class Scalar>
class MovingAverageOf : public testing::Test {};
using Scalars = testing::Types<float, double>;
TYPED_TEST_SUITE(MovingAverageOf, Scalars);

TYPED_TEST(MovingAverageOf, IsTheWeightedSumOfAllParameters) {
    using Layer = SampleLayer<TypeParam>;
    for (const bool warm_up : {false, true}) {
        typename Layer::Parameters p = Layer::random(1);
        MovingAverage<Layer> average{{.decay = 0.5, .warm_up = warm_up}, p};
        EXPECT_TRUE(are_equal<Layer>(average.parameters(), p));
        SampleLayer<double>::Parameters truth = SampleLayer<double>::random(1);
        truth.weight = p.weight.template cast<double>();
        truth.blocks[1].C = p.blocks[1].C.template cast<std::complex<double>>();
        for (int n = 0; n < 20; ++n) {
            p = Layer::noise_like(p, static_cast<std::uint64_t>(2 + n));
            const double decay = warm_up ? std::min(0.5, (1.0 + n) / (10.0 + n)) : 0.5;
            EXPECT_EQ(average.decay(), decay);
            average.update(p);
            truth.weight = decay * truth.weight + (1 - decay) * p.weight.template cast<double>();
            truth.blocks[1].C =
                decay * truth.blocks[1].C + (1 - decay) * p.blocks[1].C.template cast<std::complex<double>>();
        }
        EXPECT_EQ(average.updates(), 20);
        EXPECT_LE(relative_error(average.parameters().weight, truth.weight), Tolerance<TypeParam>::rounding);
        EXPECT_LE(relative_error(average.parameters().blocks[1].C, truth.blocks[1].C), Tolerance<TypeParam>::rounding);
        EXPECT_EQ(average.parameters().statistics, p.statistics);
    }
}

TYPED_TEST(MovingAverageOf, ParametersThatStayIsThoseParameters) {
    using Layer = SampleLayer<TypeParam>;
    const typename Layer::Parameters p = Layer::random(1);
    MovingAverage<Layer> average{{}, p};
    for (int n = 0; n < 5; ++n) average.update(p);
    EXPECT_TRUE(are_equal<Layer>(average.parameters(), p));
}

TEST(MovingAverage, NamesAnOptionOutOfRange) {
    const auto p = SampleLayer<double>::random(1);
    const auto make = [&](double decay) { return MovingAverage<SampleLayer<double>>{{.decay = decay}, p}; };
    EXPECT_S4_ERROR(make(1), "MovingAverage", "decay", "[0, 1)", "found 1");
    EXPECT_S4_ERROR(make(-0.5), "decay", "-0.5");
    EXPECT_S4_ERROR(make(std::numeric_limits<double>::quiet_NaN()), "decay", "nan");
}

}  // namespace
}  // namespace s4::test
