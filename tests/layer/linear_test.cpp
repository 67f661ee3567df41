// y = x Wᵀ + b against the sum that defines it, and its reverse pass against differences.
#include "tests/support/expect_error.hpp"
#include "tests/support/row_layers.hpp"
#include <s4/layer/linear.hpp>

#include <gtest/gtest.h>

#include <array>
#include <limits>
#include <vector>

namespace s4::test {
namespace {

template <class Scalar>
class LinearOf : public ::testing::Test {};
using Scalars = ::testing::Types<float, double, long double>;
TYPED_TEST_SUITE(LinearOf, Scalars);

struct Sizes {
    Index rows, inputs, outputs;
};

// Around the blocks of rows (256), depth (1 KiB of numbers), inputs and outputs, and their kernels' panels.
const Sizes sizes[] = {{1, 1, 1},    {3, 2, 1},     {5, 1, 7},      {255, 3, 2},   {256, 4, 5},
                       {257, 5, 4},  {513, 1, 130}, {40, 300, 9},   {33, 65, 129}, {100, 129, 97},
                       {3, 257, 11}, {258, 70, 66}, {10, 600, 300}, {0, 3, 2}};

template <class Scalar>
Sequence<Wide> linear_by_definition(const typename Linear<Scalar>::Parameters& p, const Sequence<Scalar>& x) {
    Sequence<Wide> y(x.rows(), p.outputs());
    for (Index t = 0; t < x.rows(); ++t)
        for (Index n = 0; n < p.outputs(); ++n) {
            Wide sum = p.bias.size() > 0 ? static_cast<Wide>(p.bias[n]) : 0;
            for (Index k = 0; k < p.inputs(); ++k)
                sum += static_cast<Wide>(p.weight(n, k)) * static_cast<Wide>(x(t, k));
            y(t, n) = sum;
        }
    return y;
}

TYPED_TEST(LinearOf, IsTheSumThatDefinesIt) {
    using Scalar = TypeParam;
    for (const bool bias : {true, false})
        for (const Sizes& size : sizes) {
            SCOPED_TRACE(::testing::Message() << size.rows << " " << size.inputs << " " << size.outputs << " " << bias);
            const auto p = Linear<Scalar>::random({size.inputs, size.outputs, bias}, 1);
            Linear<Scalar>::validate(p);
            const Sequence<Scalar> x = white_noise<Scalar>(size.rows, size.inputs, 2);
            const Sequence<Wide> expected = linear_by_definition<Scalar>(p, x);
            Sequence<Scalar> y(size.rows, size.outputs);
            y.setConstant(std::numeric_limits<Scalar>::quiet_NaN());
            linear<Scalar>(p, x, y);
            if (size.rows == 0) continue;
            EXPECT_LE(relative_error(y, expected), Tolerance<Scalar>::rounding);
            Frame<Scalar> frame(size.outputs);
            linear_step<Scalar>(p, x.row(0), frame);
            EXPECT_LE(relative_error(frame, expected.topRows(1)), Tolerance<Scalar>::rounding);
        }
}

TYPED_TEST(LinearOf, ReadsAndWritesPartsOfWiderSequences) {
    using Scalar = TypeParam;
    const auto p = Linear<Scalar>::random({3, 5}, 1);
    auto gradient = zero_like<Linear<Scalar>>(p);
    auto gradient_of_whole = gradient;
    Sequence<Scalar> wide = white_noise<Scalar>(300, 20, 2);
    const Sequence<Scalar> before = wide;
    const Sequence<Scalar> x = wide.middleCols(1, 3);
    const Sequence<Scalar> dy = wide.middleCols(4, 5);
    Sequence<Scalar> y(300, 5), dx(300, 3);
    linear<Scalar>(p, x, y);
    linear_vjp<Scalar>(p, x, dy, dx, gradient_of_whole);
    linear<Scalar>(p, wide.middleCols(1, 3), wide.middleCols(9, 5));
    linear_vjp<Scalar>(p, wide.middleCols(1, 3), wide.middleCols(4, 5), wide.middleCols(14, 3), gradient);
    EXPECT_EQ(wide.middleCols(9, 5), y);
    EXPECT_EQ(wide.middleCols(14, 3), dx);
    EXPECT_EQ(gradient.weight, gradient_of_whole.weight);
    EXPECT_EQ(gradient.bias, gradient_of_whole.bias);
    EXPECT_EQ(wide.leftCols(9), before.leftCols(9));
    EXPECT_EQ(wide.rightCols(3), before.rightCols(3));
}

TEST(Linear, VjpIsTheDifference) {
    using Layer = Linear<Wide>;
    for (const bool bias : {true, false})
        for (const Sizes& size : {Sizes{1, 1, 1}, Sizes{1, 3, 2}, Sizes{3, 2, 1}, Sizes{5, 1, 3}, Sizes{7, 4, 5}}) {
            SCOPED_TRACE(::testing::Message() << size.rows << " " << size.inputs << " " << size.outputs << " " << bias);
            auto p = Layer::random({size.inputs, size.outputs, bias}, 1);
            Sequence<Wide> x = white_noise<Wide>(size.rows, size.inputs, 2);
            const Sequence<Wide> dy = white_noise<Wide>(size.rows, size.outputs, 3);
            const auto loss = [&] {
                Sequence<Wide> y(size.rows, size.outputs);
                linear<Wide>(p, x, y);
                return weighted_sum(dy, y);
            };
            auto gradient = zero_like<Layer>(p);
            Sequence<Wide> dx(size.rows, size.inputs);
            dx.setConstant(7);
            linear_vjp<Wide>(p, x, dy, dx, gradient);
            expect_gradient<Layer>(p, gradient, loss);
            EXPECT_LE(relative_error(as_column(dx), central_differences_of(loss, x)), reverse_pass);

            // Gradients add up, and a first layer's are the same.
            auto twice = gradient;
            linear_vjp<Wide>(p, x, dy, twice);
            EXPECT_LE(relative_error(twice.weight, 2 * gradient.weight), Tolerance<double>::rounding);
            if (bias) {
                EXPECT_LE(relative_error(twice.bias, 2 * gradient.bias), Tolerance<double>::rounding);
            }
            Sequence<Wide> in_place = x;
            auto again = zero_like<Layer>(p);
            linear_vjp<Wide>(p, in_place, dy, in_place, again);
            EXPECT_EQ(in_place, dx);
            EXPECT_EQ(again.weight, gradient.weight);
        }
}

TYPED_TEST(LinearOf, LongVjpIsTheSumThatDefinesIt) {
    using Scalar = TypeParam;
    for (const Sizes& size : {Sizes{3000, 5, 70}, Sizes{1000, 130, 9}}) {
        const auto p = Linear<Scalar>::random({size.inputs, size.outputs}, 1);
        const Sequence<Scalar> x = white_noise<Scalar>(size.rows, size.inputs, 2);
        const Sequence<Scalar> dy = white_noise<Scalar>(size.rows, size.outputs, 3);
        auto gradient = zero_like<Linear<Scalar>>(p);
        Sequence<Scalar> dx(size.rows, size.inputs);
        linear_vjp<Scalar>(p, x, dy, dx, gradient);
        Sequence<Wide> by_weight = Sequence<Wide>::Zero(size.outputs, size.inputs);
        Sequence<Wide> by_x = Sequence<Wide>::Zero(size.rows, size.inputs);
        for (Index t = 0; t < size.rows; ++t)
            for (Index n = 0; n < size.outputs; ++n)
                for (Index k = 0; k < size.inputs; ++k) {
                    by_weight(n, k) += static_cast<Wide>(dy(t, n)) * static_cast<Wide>(x(t, k));
                    by_x(t, k) += static_cast<Wide>(dy(t, n)) * static_cast<Wide>(p.weight(n, k));
                }
        EXPECT_LE(relative_error(gradient.weight, by_weight), Tolerance<Scalar>::rounding);
        EXPECT_LE(relative_error(dx, by_x), Tolerance<Scalar>::rounding);
        const Frame<Wide> by_bias = dy.template cast<Wide>().colwise().sum();
        EXPECT_LE(relative_error(gradient.bias, by_bias.transpose()), Tolerance<Scalar>::rounding);
    }
}

TEST(Linear, StartsLikePyTorch) {
    const auto p = Linear<double>::random({.inputs = 16, .outputs = 1000}, 4);
    EXPECT_LE(p.weight.cwiseAbs().maxCoeff(), 0.25);
    EXPECT_GT(p.weight.maxCoeff(), 0.249);
    EXPECT_LT(p.weight.minCoeff(), -0.249);
    EXPECT_LE(p.bias.cwiseAbs().maxCoeff(), 0.25);
    EXPECT_NEAR(p.weight.squaredNorm() / 16000, 0.0625 / 3, 0.001);
}

TEST(Linear, NamesItsTensors) {
    std::vector<std::string> names;
    const auto note = [&](const TensorInfo& info, auto&) { names.push_back(full_name(info)); };
    auto p = Linear<float>::random({2, 3}, 1);
    Linear<float>::for_each_tensor(note, p);
    EXPECT_EQ(names, (std::vector<std::string>{"weight", "bias"}));
    names.clear();
    p = Linear<float>::random({2, 3, false}, 1);
    Linear<float>::for_each_tensor(note, p);
    EXPECT_EQ(names, std::vector<std::string>{"weight"});
}

TEST(Linear, RefusesBadParameters) {
    using Layer = Linear<float>;
    EXPECT_S4_ERROR(static_cast<void>(Layer::random({0, 3}, 1)), "Linear", "inputs", "positive", "found 0");
    EXPECT_S4_ERROR(static_cast<void>(Layer::random({3, -1}, 1)), "Linear", "outputs", "found -1");
    auto p = Layer::random({2, 3}, 1);
    p.bias.resize(2);
    EXPECT_S4_ERROR(Layer::validate(p), "Linear: bias must be [3 x 1], found [2 x 1]");
    p = Layer::random({2, 3}, 1);
    p.weight(1, 1) = std::numeric_limits<float>::infinity();
    EXPECT_S4_ERROR(Layer::validate(p), "Linear: weight", "infinite");
    EXPECT_S4_ERROR(Layer::validate({}), "weight must be [out x in]", "found [0 x 0]");
}

}  // namespace
}  // namespace s4::test
