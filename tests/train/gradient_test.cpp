#include "sample_layer.hpp"
#include <s4/train/gradient.hpp>

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <tests/support/tolerances.hpp>

namespace s4::test {
namespace {

template <class Scalar>
class Gradient : public testing::Test {
protected:
    using Sample = SampleLayer<Scalar>;
    typename Sample::Parameters g = Sample::noise_like(Sample::random(1), 2);

    /// The norm in long double, number by number.
    [[nodiscard]] long double norm_of(const typename Sample::Parameters& gradient) const {
        long double sum = 0;
        Sample::for_each_tensor(
            [&](const TensorInfo& info, const auto& tensor) {
                if (info.role == TensorRole::frozen) return;
                for (const long double value : detail::reals(tensor)) sum += value * value;
            },
            gradient);
        return std::sqrt(sum);
    }
};
using Scalars = testing::Types<float, double>;
TYPED_TEST_SUITE(Gradient, Scalars);

TYPED_TEST(Gradient, NormIsThatOfAllNumbersThatAreTrained) {
    using Layer = typename TestFixture::Sample;
    const double truth = static_cast<double>(this->norm_of(this->g));
    EXPECT_NEAR(gradient_norm<Layer>(this->g) / truth, 1, Tolerance<double>::rounding);
    this->g.statistics.setConstant(1000);
    EXPECT_NEAR(gradient_norm<Layer>(this->g) / truth, 1, Tolerance<double>::rounding);
    this->g.blocks[1].frozen.C = true;
    EXPECT_LT(gradient_norm<Layer>(this->g), truth);
    EXPECT_EQ(gradient_norm<Layer>(zero_like<Layer>(this->g)), 0);
}

TYPED_TEST(Gradient, NormOfLargeAndSmallFloatsIsFinite) {
    using Layer = typename TestFixture::Sample;
    scale_gradient<Layer>(this->g, 1e30);
    EXPECT_NEAR(gradient_norm<Layer>(this->g) / static_cast<double>(this->norm_of(this->g)), 1,
                Tolerance<double>::rounding);
}

TYPED_TEST(Gradient, ClipsToTheLimitAlongItsDirection) {
    using Layer = typename TestFixture::Sample;
    const typename Layer::Parameters before = this->g;
    const double length = gradient_norm<Layer>(before);
    EXPECT_EQ(clip_gradient<Layer>(this->g, 2 * length), length);
    EXPECT_TRUE(are_equal<Layer>(this->g, before));
    EXPECT_EQ(clip_gradient<Layer>(this->g, length / 4), length);
    EXPECT_NEAR(gradient_norm<Layer>(this->g) / length, 0.25, Tolerance<TypeParam>::rounding);
    Layer::for_each_tensor(
        [](const TensorInfo& info, const auto& clipped, const auto& whole) {
            EXPECT_LE(relative_error(4 * detail::real_array(clipped), detail::real_array(whole)),
                      Tolerance<TypeParam>::rounding)
                << full_name(info);
        },
        this->g, before);
}

TYPED_TEST(Gradient, IsNotClippedWhenItIsNotFinite) {
    using Layer = typename TestFixture::Sample;
    this->g.weight(0, 0) = std::numeric_limits<TypeParam>::infinity();
    const typename Layer::Parameters before = this->g;
    EXPECT_TRUE(std::isinf(clip_gradient<Layer>(this->g, 1)));
    EXPECT_TRUE(are_equal<Layer>(this->g, before));
}

TYPED_TEST(Gradient, SumOfPartsIsTheWhole) {
    using Layer = typename TestFixture::Sample;
    typename Layer::Parameters sum = this->g;
    zero_gradient<Layer>(sum);
    EXPECT_EQ(gradient_norm<Layer>(sum), 0);
    EXPECT_TRUE(sum.statistics.isZero(0));
    add_gradient<Layer>(this->g, sum);
    EXPECT_TRUE(are_equal<Layer>(sum, this->g));
    add_gradient<Layer>(this->g, sum);
    scale_gradient<Layer>(sum, 0.5);
    EXPECT_TRUE(are_equal<Layer>(sum, this->g));
}

TYPED_TEST(Gradient, NamesTheFirstTensorThatIsNotFinite) {
    using Layer = typename TestFixture::Sample;
    constexpr TypeParam nan = std::numeric_limits<TypeParam>::quiet_NaN();
    EXPECT_FALSE(first_not_finite<Layer>(this->g).has_value());
    this->g.statistics(1, 4) = std::numeric_limits<TypeParam>::infinity();
    EXPECT_EQ(first_not_finite<Layer>(this->g), "statistics");
    this->g.blocks[1].C(0, 2) = {0, nan};
    EXPECT_EQ(first_not_finite<Layer>(this->g), "blocks.1.C");
    this->g.weight(2, 1) = -std::numeric_limits<TypeParam>::infinity();
    EXPECT_EQ(first_not_finite<Layer>(this->g), "weight");
}

}  // namespace
}  // namespace s4::test
