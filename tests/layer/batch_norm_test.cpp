// Batch normalisation against its formula in training and in use, running statistics, and the reverse pass.
#include "tests/support/expect_error.hpp"
#include "tests/support/row_layers.hpp"
#include <s4/layer/batch_norm.hpp>

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

namespace s4::test {
namespace {

template <class Scalar>
typename BatchNorm<Scalar>::Parameters random_batch_norm(Index features) {
    auto p = BatchNorm<Scalar>::identity(features);
    const Sequence<Scalar> noise = white_noise<Scalar>(4, features, 9);
    p.weight += noise.row(0).transpose() / 2;
    p.bias += noise.row(1).transpose();
    p.running_mean += noise.row(2).transpose();
    p.running_var += noise.row(3).transpose().cwiseAbs();
    BatchNorm<Scalar>::validate(p);
    return p;
}

/// The real positions of a batch, one after the other.
template <class Scalar>
Sequence<Wide> valid_rows(const Sequence<Scalar>& x, const std::vector<Index>& lengths) {
    const Index length = x.rows() / std::ssize(lengths);
    Sequence<Wide> rows(x.rows(), x.cols());
    Index count = 0;
    for (std::size_t b = 0; b < lengths.size(); ++b)
        for (Index t = 0; t < lengths[b]; ++t)
            rows.row(count++) = x.row(static_cast<Index>(b) * length + t).template cast<Wide>();
    return rows.topRows(count);
}

template <class Scalar>
class BatchNormOf : public ::testing::Test {};
using Scalars = ::testing::Types<float, double, long double>;
TYPED_TEST_SUITE(BatchNormOf, Scalars);

TYPED_TEST(BatchNormOf, IsItsFormulaInTraining) {
    using Scalar = TypeParam;
    using Layer = BatchNorm<Scalar>;
    for (const Index features : {1, 5, 64, 131})
        for (const std::vector<Index>& lengths : {std::vector<Index>{50, 50, 50}, std::vector<Index>{50, 1, 33}}) {
            const bool full = lengths[1] == 50;
            SCOPED_TRACE(::testing::Message() << features << " " << full);
            const std::span<const Index> given = full ? std::span<const Index>{} : lengths;
            auto p = random_batch_norm<Scalar>(features);
            const auto before = p;
            Sequence<Scalar> x = white_noise<Scalar>(150, features, 1);
            if (!full) x.middleRows(51, 49).setConstant(std::numeric_limits<Scalar>::quiet_NaN());
            const Sequence<Wide> valid = valid_rows(x, lengths);
            const auto count = static_cast<Wide>(valid.rows());
            typename Layer::Tape tape(features);
            Sequence<Scalar> y(150, features);
            batch_norm_train<Scalar>(p, tape, x, y, 3, given);
            EXPECT_EQ(tape.count, valid.rows());
            const Frame<Wide> mean = valid.colwise().sum() / count;
            const Frame<Wide> variance = (valid.rowwise() - mean).colwise().squaredNorm() / count;
            const Frame<Wide> scale =
                (variance.array() + 1e-5L).rsqrt().matrix().cwiseProduct(p.weight.template cast<Wide>().transpose());
            const Sequence<Wide> expected =
                ((valid.rowwise() - mean).array().rowwise() * scale.array()).matrix().rowwise() +
                p.bias.template cast<Wide>().transpose();
            EXPECT_LE(relative_error(valid_rows(y, lengths), expected), Tolerance<Scalar>::rounding);
            if (!full) {
                EXPECT_EQ(y.middleRows(51, 49).norm() + y.bottomRows(17).norm(), 0);
            }

            // PyTorch's running statistics: a tenth of the mean and of the unbiased variance.
            EXPECT_EQ(p.running_mean, before.running_mean);
            update_running_statistics<Scalar>(p, tape);
            const Frame<Wide> running_mean = 0.9L * before.running_mean.template cast<Wide>().transpose() + 0.1L * mean;
            const Frame<Wide> running_var =
                0.9L * before.running_var.template cast<Wide>().transpose() + 0.1L * (count / (count - 1)) * variance;
            EXPECT_LE(relative_error(p.running_mean.transpose(), running_mean), Tolerance<Scalar>::rounding);
            EXPECT_LE(relative_error(p.running_var.transpose(), running_var), Tolerance<Scalar>::rounding);
            EXPECT_EQ(p.weight, before.weight);

            Sequence<Scalar> in_place = x;
            batch_norm_train<Scalar>(p, tape, in_place, in_place, 3, given);
            EXPECT_EQ(in_place, y);
        }
}

TYPED_TEST(BatchNormOf, IsItsFormulaInUse) {
    using Scalar = TypeParam;
    for (const Index features : {1, 5, 131}) {
        const auto p = random_batch_norm<Scalar>(features);
        const Sequence<Scalar> x = white_noise<Scalar>(21, features, 1);
        Sequence<Wide> expected(21, features);
        for (Index n = 0; n < features; ++n)
            expected.col(n) =
                ((x.col(n).template cast<Wide>().array() - static_cast<Wide>(p.running_mean[n])) /
                     std::sqrt(static_cast<Wide>(p.running_var[n]) + 1e-5L) * static_cast<Wide>(p.weight[n]) +
                 static_cast<Wide>(p.bias[n]))
                    .matrix();
        Sequence<Scalar> y(21, features), wide(21, 2 * features);
        batch_norm<Scalar>(p, x, y);
        EXPECT_LE(relative_error(y, expected), Tolerance<Scalar>::rounding);
        wide.leftCols(features) = x;
        batch_norm<Scalar>(p, wide.leftCols(features), wide.rightCols(features));
        EXPECT_LE(relative_error(wide.rightCols(features), y), Tolerance<Scalar>::rounding);
        batch_norm<Scalar>(p, wide.leftCols(features), wide.leftCols(features));
        EXPECT_LE(relative_error(wide.leftCols(features), y), Tolerance<Scalar>::rounding);
    }
}

TEST(BatchNormalisation, VjpIsTheDifference) {
    using Layer = BatchNorm<Wide>;
    const std::vector<Index> ragged{2, 3, 1};
    for (const bool full : {true, false})
        for (const Index features : {1, 3}) {
            SCOPED_TRACE(::testing::Message() << full << " " << features);
            const std::span<const Index> lengths = full ? std::span<const Index>{} : ragged;
            auto p = random_batch_norm<Wide>(features);
            Sequence<Wide> x = white_noise<Wide>(9, features, 2);
            const Sequence<Wide> dy = white_noise<Wide>(9, features, 3);
            Layer::Tape tape(features);
            const auto loss = [&] {
                Sequence<Wide> y(9, features);
                batch_norm_train<Wide>(p, tape, x, y, 3, lengths);
                return weighted_sum(dy, y);
            };
            EXPECT_NE(loss(), 0);
            const Layer::Tape kept = tape;
            auto gradient = zero_like<Layer>(p);
            Sequence<Wide> dx(9, features);
            dx.setConstant(7);
            batch_norm_vjp<Wide>(p, kept, x, dy, dx, gradient, 3, lengths);
            expect_gradient<Layer>(p, gradient, loss);
            EXPECT_LE(relative_error(as_column(dx), central_differences_of(loss, x)), reverse_pass);
            EXPECT_EQ(gradient.running_mean.norm() + gradient.running_var.norm(), 0);

            auto twice = gradient;
            Sequence<Wide> in_place = x;
            batch_norm_vjp<Wide>(p, kept, in_place, dy, in_place, twice, 3, lengths);
            EXPECT_EQ(in_place, dx);
            EXPECT_LE(relative_error(twice.weight, 2 * gradient.weight), Tolerance<double>::rounding);
            in_place = dy;
            batch_norm_vjp<Wide>(p, kept, x, in_place, in_place, twice, 3, lengths);
            EXPECT_EQ(in_place, dx);
        }
}

TYPED_TEST(BatchNormOf, AgreesWithTheWideReversePass) {
    using Scalar = TypeParam;
    using Layer = BatchNorm<Scalar>;
    const auto p = random_batch_norm<Scalar>(70);
    const auto wide_p = cast_parameters<BatchNorm<Wide>, Layer>(p);
    const Sequence<Scalar> x = white_noise<Scalar>(2000, 70, 1);
    const Sequence<Scalar> dy = white_noise<Scalar>(2000, 70, 2);
    const Sequence<Wide> wide_x = x.template cast<Wide>();
    const Sequence<Wide> wide_dy = dy.template cast<Wide>();
    auto gradient = zero_like<Layer>(p);
    auto wide_gradient = zero_like<BatchNorm<Wide>>(wide_p);
    Sequence<Scalar> dx(2000, 70);
    Sequence<Wide> wide_dx(2000, 70);
    typename Layer::Tape tape(70);
    BatchNorm<Wide>::Tape wide_tape(70);
    batch_norm_train<Scalar>(p, tape, x, dx, 1);
    batch_norm_train<Wide>(wide_p, wide_tape, wide_x, wide_dx, 1);
    batch_norm_vjp<Scalar>(p, tape, x, dy, dx, gradient, 1);
    batch_norm_vjp<Wide>(wide_p, wide_tape, wide_x, wide_dy, wide_dx, wide_gradient, 1);
    EXPECT_LE(relative_error(dx, wide_dx), Tolerance<Scalar>::rounding);
    EXPECT_LE(relative_error(gradient.weight, wide_gradient.weight), Tolerance<Scalar>::rounding);
    EXPECT_LE(relative_error(gradient.bias, wide_gradient.bias), Tolerance<Scalar>::rounding);
}

TEST(BatchNormalisation, OneRowIsTheBiasAndLeavesTheRunningStatistics) {
    auto p = random_batch_norm<double>(3);
    const auto before = p;
    const Sequence<double> x = white_noise<double>(1, 3, 1);
    Sequence<double> y(1, 3);
    BatchNorm<double>::Tape tape(3);
    batch_norm_train<double>(p, tape, x, y, 1);
    update_running_statistics<double>(p, tape);
    EXPECT_EQ(y, p.bias.transpose());
    EXPECT_EQ(p.running_mean, before.running_mean);
    EXPECT_EQ(p.running_var, before.running_var);
}

TEST(BatchNormalisation, NamesItsTensors) {
    auto p = BatchNorm<float>::identity(2);
    std::string names;
    BatchNorm<float>::for_each_tensor(
        [&](const TensorInfo& info, auto&) {
            names += full_name(info) + (info.role == TensorRole::frozen ? "(frozen) " : " ");
        },
        p);
    EXPECT_EQ(names, "weight bias running_mean(frozen) running_var(frozen) ");
}

TEST(BatchNormalisation, RefusesBadParameters) {
    using Layer = BatchNorm<float>;
    EXPECT_S4_ERROR(static_cast<void>(Layer::identity(0)), "BatchNorm", "features", "found 0");
    auto p = Layer::identity(3);
    p.running_mean.setZero(4);
    EXPECT_S4_ERROR(Layer::validate(p), "BatchNorm: running_mean must be [3 x 1], found [4 x 1]");
    p = Layer::identity(3);
    p.running_var[2] = -1;
    EXPECT_S4_ERROR(Layer::validate(p), "running_var", "negative", "found -1 in feature 2");
    p = Layer::identity(3);
    p.momentum = 1.5;
    EXPECT_S4_ERROR(Layer::validate(p), "momentum", "(0, 1]", "found 1.5");
}

}  // namespace
}  // namespace s4::test
