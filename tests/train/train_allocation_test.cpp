// What runs in every step of training, and promises not to allocate, does not.
#include "sample_layer.hpp"
#include "tests/support/allocation_guard.hpp"
#include <s4/core/random.hpp>
#include <s4/train/adamw.hpp>
#include <s4/train/gradient.hpp>
#include <s4/train/loss.hpp>
#include <s4/train/metrics.hpp>
#include <s4/train/moving_average.hpp>
#include <s4/train/schedule.hpp>

#include <gtest/gtest.h>

#include <vector>

namespace s4::test {
namespace {

template <class Scalar>
class TrainingStep : public testing::Test {};
using Scalars = testing::Types<float, double>;
TYPED_TEST_SUITE(TrainingStep, Scalars);

TYPED_TEST(TrainingStep, OfTheOptimiserDoesNotAllocate) {
    using Layer = SampleLayer<TypeParam>;
    typename Layer::Parameters p = Layer::random(1);
    typename Layer::Parameters gradient = Layer::noise_like(p, 2);
    typename Layer::Parameters sum = zero_like<Layer>(p);
    AdamW<Layer> optimiser{{}, p};
    MovingAverage<Layer> average{{}, p};
    Schedule schedule = PlateauSchedule{};
    bool is_finite = false;
    EXPECT_EQ(allocator_calls_in([&] {
                  zero_gradient<Layer>(sum);
                  add_gradient<Layer>(gradient, sum);
                  scale_gradient<Layer>(sum, 0.5);
                  is_finite = !first_not_finite<Layer>(sum).has_value();
                  clip_gradient<Layer>(sum, 0.1);
                  optimiser.step(p, sum, schedule.factor(optimiser.steps()));
                  average.update(p);
                  schedule.observe(1);
              }),
              0);
    EXPECT_TRUE(is_finite);
    EXPECT_EQ(optimiser.steps(), 1);
}

TYPED_TEST(TrainingStep, OfTheLossDoesNotAllocate) {
    const Sequence<TypeParam> p = white_noise<TypeParam>(6, 3, 1);
    const Sequence<TypeParam> q = Sequence<TypeParam>::Constant(6, 3, TypeParam{0.5});
    const std::vector<Index> targets{0, 1, 2, 0, 1, 2};
    Sequence<TypeParam> gradient(6, 3), by_variance(6, 3);
    ConfusionTable table{3};
    double sum = 0;
    EXPECT_EQ(allocator_calls_in([&] {
                  validate_targets(targets, 3);
                  sum += cross_entropy<TypeParam>(p, targets, {.label_smoothing = 0.1}, gradient);
                  sum += mse<TypeParam>(p, q, {}, gradient) + mae<TypeParam>(p, q, {}, gradient);
                  sum += bce<TypeParam>(p, q, {}, gradient) + rmse<TypeParam>(p, q);
                  sum += gaussian_nll<TypeParam>(p, p, q, {}, gradient, by_variance);
                  sum += accuracy<TypeParam>(p, targets);
                  table.add<TypeParam>(p, targets);
              }),
              0);
    EXPECT_GT(sum, 0);
    EXPECT_EQ(table.counts.sum(), 6);
}

}  // namespace
}  // namespace s4::test
