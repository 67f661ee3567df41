// AdamW against its definition, number by number in long double, and the groups that follow from roles.
#include "sample_layer.hpp"
#include <s4/train/adamw.hpp>

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <string>
#include <tests/support/expect_error.hpp>
#include <tests/support/tolerances.hpp>
#include <vector>

namespace s4::test {
namespace {

using Real = long double;

/// One number and its moments.
struct Number {
    Real p, m = 0, v = 0;
};

/// The definition: the golden README, section 8.
void step_by_definition(Number& x, Real g, Real lr, Real wd, int count, const AdamWOptions& o) {
    const Real beta1 = o.beta1;
    const Real beta2 = o.beta2;
    x.p *= 1 - lr * wd;
    x.m = beta1 * x.m + (1 - beta1) * g;
    x.v = beta2 * x.v + (1 - beta2) * g * g;
    const Real m_hat = x.m / (1 - std::pow(beta1, static_cast<Real>(count)));
    const Real v_hat = x.v / (1 - std::pow(beta2, static_cast<Real>(count)));
    x.p -= lr * m_hat / (std::sqrt(v_hat) + static_cast<Real>(o.epsilon));
}

/// The learning rate and decay of a tensor, by its name, for options (0.01, 0.05).
[[nodiscard]] AdamWGroup expected_group(const std::string& name) {
    const std::string last = name.substr(name.rfind('.') + 1);
    if (last == "weight" || last == "D") return {0.01, 0.05};
    if (last == "C") return {0.001, 0.05};
    if (last == "statistics") return {0, 0};
    return {0.001, 0};
}

template <class Scalar>
class AdamWOf : public testing::Test {};
using Scalars = testing::Types<float, double>;
TYPED_TEST_SUITE(AdamWOf, Scalars);

TYPED_TEST(AdamWOf, MatchesItsDefinitionNumberByNumber) {
    using Layer = SampleLayer<TypeParam>;
    typename Layer::Parameters p = Layer::random(1);
    const AdamWOptions options{.learning_rate = 0.01, .weight_decay = 0.05};
    AdamW<Layer> optimiser{options, p};
    std::map<std::string, std::vector<Number>> truth;
    Layer::for_each_tensor(
        [&](const TensorInfo& info, const auto& tensor) {
            for (const TypeParam value : detail::reals(tensor)) truth[full_name(info)].push_back({value});
        },
        p);
    for (int count = 1; count <= 5; ++count) {
        typename Layer::Parameters gradient = Layer::noise_like(p, static_cast<std::uint64_t>(10 + count));
        if (count == 2) gradient = zero_like<Layer>(p);
        const double factor = 1.0 / count;
        optimiser.step(p, gradient, factor);
        Layer::for_each_tensor(
            [&](const TensorInfo& info, const auto& tensor, const auto& slopes) {
                const std::string name = full_name(info);
                const AdamWGroup group = expected_group(name);
                std::vector<Number>& numbers = truth.at(name);
                const auto g = detail::reals(slopes);
                Eigen::ArrayX<Real> expected(static_cast<Index>(numbers.size()));
                for (std::size_t n = 0; n < numbers.size(); ++n) {
                    if (info.role != TensorRole::frozen)
                        step_by_definition(numbers[n], g[n], group.learning_rate * static_cast<Real>(factor),
                                           group.weight_decay, count, options);
                    expected[static_cast<Index>(n)] = numbers[n].p;
                }
                EXPECT_LE(relative_error(detail::real_array(tensor), expected), Tolerance<TypeParam>::rounding)
                    << name << ", step " << count;
            },
            p, gradient);
    }
    EXPECT_EQ(optimiser.steps(), 5);
}

TYPED_TEST(AdamWOf, LeavesFrozenTensorsAndTheirMomentsAlone) {
    using Layer = SampleLayer<TypeParam>;
    typename Layer::Parameters p = Layer::random(1);
    p.blocks[0].frozen.A = true;
    const typename Layer::Parameters before = p;
    AdamW<Layer> optimiser{{}, p};
    optimiser.step(p, Layer::noise_like(p, 2));
    EXPECT_EQ(p.statistics, before.statistics);
    EXPECT_EQ(p.blocks[0].A_real, before.blocks[0].A_real);
    EXPECT_TRUE(optimiser.first_moment().blocks[0].A_imag.isZero(0));
    EXPECT_TRUE(optimiser.second_moment().statistics.isZero(0));
    EXPECT_NE(p.blocks[0].B, before.blocks[0].B);
    EXPECT_NE(p.blocks[1].A_real, before.blocks[1].A_real);
}

// The first step of Adam has the size of the learning rate, whatever the gradient, in every real part.
TYPED_TEST(AdamWOf, FirstStepIsTheLearningRate) {
    using Layer = SampleLayer<TypeParam>;
    typename Layer::Parameters p = zero_like<Layer>(Layer::random(1));
    AdamW<Layer> optimiser{{.learning_rate = 0.5, .ssm_learning_rate = 0.25}, p};
    optimiser.step(p, Layer::noise_like(p, 2));
    const auto expect_size = [](const auto& tensor, double size) {
        EXPECT_LE(relative_error(detail::real_array(tensor).abs(),
                                 Eigen::ArrayXd::Constant(detail::real_array(tensor).size(), size)),
                  Tolerance<float>::rounding);
    };
    expect_size(p.weight, 0.5);
    expect_size(p.blocks[0].D, 0.5);
    expect_size(p.blocks[0].C, 0.25);
    expect_size(p.blocks[1].inv_dt, 0.25);
}

struct Long {
    struct Parameters {
        Eigen::VectorXd x;
    };
    template <class Visitor, class P, class... More>
    static void for_each_tensor(Visitor&& visit, P&& p, More&&... more) {
        visit(TensorInfo{"x", TensorRole::ordinary}, p.x, more.x...);
    }
};

TEST(AdamW, CutsLongTensorsIntoTheSameNumbers) {
    for (const Index size : {1, 1023, 1024, 1025, 5000}) {
        Long::Parameters p{Eigen::VectorXd::Constant(size, 2)};
        AdamW<Long> optimiser{{.learning_rate = 0.5}, p};
        optimiser.step(p, {Eigen::VectorXd::Constant(size, 3)});
        EXPECT_LE(relative_error(p.x, Eigen::VectorXd::Constant(size, 2 * (1 - 0.5 * 0.01) - 0.5 * 3 / (3 + 1e-8))),
                  Tolerance<double>::rounding);
    }
}

TEST(AdamWGroups, FollowFromTheRole) {
    AdamWOptions options{.learning_rate = 0.01, .weight_decay = 0.05};
    const auto expect = [&](TensorRole role, double rate, double decay) {
        EXPECT_EQ(group_of(options, role).learning_rate, rate);
        EXPECT_EQ(group_of(options, role).weight_decay, decay);
    };
    expect(TensorRole::ordinary, 0.01, 0.05);
    expect(TensorRole::ssm, 0.001, 0);
    expect(TensorRole::ssm_output, 0.001, 0.05);
    expect(TensorRole::frozen, 0, 0);
    options.ssm_output_is_ordinary = true;
    expect(TensorRole::ssm_output, 0.01, 0.05);
    options = {.learning_rate = 1e-4, .weight_decay = 0.05};
    expect(TensorRole::ssm, 1e-4, 0);
    expect(TensorRole::ssm_output, 1e-4, 0.05);
}

TEST(AdamWOptions, OutOfRangeAreNamed) {
    const auto p = SampleLayer<double>::random(1);
    const auto make = [&](const AdamWOptions& options) { return AdamW<SampleLayer<double>>{options, p}; };
    constexpr double nan = std::numeric_limits<double>::quiet_NaN();
    EXPECT_S4_ERROR(make({.learning_rate = -1}), "AdamW", "learning_rate", "found -1");
    EXPECT_S4_ERROR(make({.learning_rate = nan}), "learning_rate", "nan");
    EXPECT_S4_ERROR(make({.weight_decay = -0.1}), "weight_decay");
    EXPECT_S4_ERROR(make({.ssm_learning_rate = std::numeric_limits<double>::infinity()}), "ssm_learning_rate", "inf");
    EXPECT_S4_ERROR(make({.ssm_weight_decay = -0.1}), "ssm_weight_decay");
    EXPECT_S4_ERROR(make({.beta1 = 1}), "beta1", "[0, 1)", "found 1");
    EXPECT_S4_ERROR(make({.beta2 = nan}), "beta2");
    EXPECT_S4_ERROR(make({.epsilon = 0}), "epsilon", "found 0");
    EXPECT_NO_THROW(make({.learning_rate = 0}));
}

TEST(AdamW, CopyIsIndependent) {
    using Layer = SampleLayer<double>;
    Layer::Parameters p = Layer::random(1);
    Layer::Parameters same = p;
    AdamW<Layer> optimiser{{}, p};
    optimiser.step(p, Layer::noise_like(p, 2));
    AdamW<Layer> copy = optimiser;
    same = p;
    optimiser.step(p, Layer::noise_like(p, 3));
    EXPECT_EQ(copy.steps(), 1);
    copy.step(same, Layer::noise_like(p, 3));
    EXPECT_TRUE(are_equal<Layer>(p, same));
}

}  // namespace
}  // namespace s4::test
