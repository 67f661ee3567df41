// Pooling of batches and streams against their definitions, and the reverse pass against differences.
#include "tests/support/expect_error.hpp"
#include "tests/support/row_layers.hpp"
#include <s4/layer/pooling.hpp>

#include <gtest/gtest.h>

#include <limits>
#include <vector>

namespace s4::test {
namespace {

constexpr Pooling poolings[] = {Pooling::mean, Pooling::last, Pooling::sum, Pooling::none};

template <class Scalar>
class PoolingOf : public ::testing::Test {};
using Scalars = ::testing::Types<float, double, long double>;
TYPED_TEST_SUITE(PoolingOf, Scalars);

template <class Scalar>
Sequence<Wide> pool_by_definition(Pooling pooling, const Sequence<Scalar>& x, const std::vector<Index>& lengths) {
    const Index batch = std::ssize(lengths);
    const Index length = x.rows() / batch;
    Sequence<Wide> y = Sequence<Wide>::Zero(batch, x.cols());
    for (Index b = 0; b < batch; ++b) {
        const Index count = lengths[static_cast<std::size_t>(b)];
        for (Index t = 0; t < count; ++t) {
            const Sequence<Wide> row = x.row(b * length + t).template cast<Wide>();
            if (pooling == Pooling::last) y.row(b).setZero();
            y.row(b) += row;
        }
        if (pooling == Pooling::mean) y.row(b) /= static_cast<Wide>(count);
    }
    return y;
}

TYPED_TEST(PoolingOf, IsItsDefinition) {
    using Scalar = TypeParam;
    for (const Index features : {1, 5, 70}) {
        const std::vector<Index> full{131, 131, 131};
        const std::vector<Index> ragged{131, 1, 65};
        const Sequence<Scalar> x = white_noise<Scalar>(3 * 131, features, 1);
        for (const Pooling pooling : {Pooling::mean, Pooling::last, Pooling::sum}) {
            SCOPED_TRACE(::testing::Message() << name_of(pooling) << " " << features);
            Sequence<Scalar> y(3, features);
            pool<Scalar>(pooling, x, y, 3);
            EXPECT_LE(relative_error(y, pool_by_definition(pooling, x, full)), Tolerance<Scalar>::rounding);
            pool<Scalar>(pooling, x, y, 3, ragged);
            EXPECT_LE(relative_error(y, pool_by_definition(pooling, x, ragged)), Tolerance<Scalar>::rounding);

            // What lies in the padding does not matter, not even NaN.
            Sequence<Scalar> poisoned = x;
            poisoned.middleRows(132, 130).setConstant(std::numeric_limits<Scalar>::quiet_NaN());
            Sequence<Scalar> again(3, features);
            pool<Scalar>(pooling, poisoned, again, 3, ragged);
            EXPECT_EQ(again, y);
        }
        Sequence<Scalar> y(3 * 131, features);
        pool<Scalar>(Pooling::none, x, y, 3, ragged);
        EXPECT_EQ(y, x);
    }
}

TYPED_TEST(PoolingOf, AStreamIsTheSame) {
    using Scalar = TypeParam;
    const Sequence<Scalar> x = white_noise<Scalar>(200, 5, 1);
    for (const Pooling pooling : poolings) {
        RunningPool<Scalar> stream(pooling, 5);
        for (const int run : {0, 1}) {
            SCOPED_TRACE(::testing::Message() << name_of(pooling) << " run " << run);
            Frame<Scalar> y(5);
            for (Index t = 0; t < 200; ++t) {
                stream.step(x.row(t), y);
                if (t != 0 && t != 7 && t != 199) continue;
                Sequence<Scalar> expected(1, 5);
                pool<Scalar>(pooling == Pooling::none ? Pooling::last : pooling, x.topRows(t + 1), expected, 1);
                EXPECT_LE(relative_error(y, expected), Tolerance<Scalar>::rounding) << t;
            }
            EXPECT_EQ(stream.count(), 200);
            stream.reset();
        }
    }
}

TEST(Poolings, VjpIsTheDifference) {
    const std::vector<Index> ragged{1, 3};
    for (const Pooling pooling : poolings)
        for (const bool full : {true, false})
            for (const Index features : {1, 3}) {
                SCOPED_TRACE(::testing::Message() << name_of(pooling) << " " << full << " " << features);
                const std::span<const Index> lengths = full ? std::span<const Index>{} : ragged;
                Sequence<Wide> x = white_noise<Wide>(6, features, 2);
                const Index rows = rows_after(pooling, 2, 3);
                const Sequence<Wide> dy = white_noise<Wide>(rows, features, 3);
                const auto loss = [&] {
                    Sequence<Wide> y(rows, features);
                    pool<Wide>(pooling, x, y, 2, lengths);
                    return weighted_sum(dy, y);
                };
                Sequence<Wide> dx(6, features);
                dx.setConstant(7);
                pool_vjp<Wide>(pooling, dy, dx, 2, lengths);
                EXPECT_LE(relative_error(as_column(dx), central_differences_of(loss, x)), reverse_pass);
                if (!full && pooling != Pooling::none) {
                    EXPECT_EQ(dx.middleRows(1, 2).norm(), 0);
                }
            }
}

TEST(Poolings, HaveNames) {
    for (const Pooling pooling : poolings) EXPECT_EQ(pooling_from_name(name_of(pooling)), pooling);
    EXPECT_S4_ERROR(static_cast<void>(pooling_from_name("max")), "'max'", "mean, last, sum, none");
    EXPECT_S4_ERROR((RunningPool<float>{Pooling::mean, 0}), "features", "positive", "found 0");
}

TEST(Lengths, AreChecked) {
    const std::vector<Index> lengths{3, 0};
    EXPECT_S4_ERROR(validate_lengths(lengths, 2, 5), "lengths", "[1, 5]", "found 0 for sequence 1");
    EXPECT_S4_ERROR(validate_lengths(lengths, 3, 5), "lengths", "3 sequences", "found 2");
    const std::vector<Index> too_long{3, 6};
    EXPECT_S4_ERROR(validate_lengths(too_long, 2, 5), "found 6");
    validate_lengths({}, 2, 5);
    validate_lengths(std::vector<Index>{1, 5}, 2, 5);
}

}  // namespace
}  // namespace s4::test
