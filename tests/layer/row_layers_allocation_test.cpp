// The layers beside the SSM do not allocate, forward and in reverse, whatever the sizes. (AllocationGuard, in another
// file of this program, shows that the count sees allocations.)
#include "tests/support/allocation_count.hpp"
#include <s4/layer/activation.hpp>
#include <s4/layer/batch_norm.hpp>
#include <s4/layer/dropout.hpp>
#include <s4/layer/embedding.hpp>
#include <s4/layer/layer_norm.hpp>
#include <s4/layer/linear.hpp>
#include <s4/layer/pooling.hpp>

#include <gtest/gtest.h>

#include <vector>

namespace s4::test {
namespace {

template <class Scalar>
class RowLayers : public ::testing::Test {};
using Scalars = ::testing::Types<float, double, long double>;
TYPED_TEST_SUITE(RowLayers, Scalars);

TYPED_TEST(RowLayers, LinearDoesNotAllocate) {
    using Scalar = TypeParam;
    struct Sizes {
        Index rows, inputs, outputs;
    };
    // Eigen's own products take memory from the heap at the larger ones.
    for (const Sizes& size : {Sizes{1, 1, 1}, Sizes{7, 3, 5}, Sizes{2000, 128, 256}, Sizes{300, 700, 600}}) {
        const auto p = Linear<Scalar>::random({size.inputs, size.outputs}, 1);
        auto gradient = zero_like<Linear<Scalar>>(p);
        const Sequence<Scalar> x = white_noise<Scalar>(size.rows, size.inputs, 2);
        Sequence<Scalar> y(size.rows, size.outputs), dx(size.rows, size.inputs);
        EXPECT_EQ(allocator_calls_in([&] {
                      linear<Scalar>(p, x, y);
                      linear_step<Scalar>(p, x.row(0), y.row(0));
                      linear_vjp<Scalar>(p, x, y, gradient);
                      linear_vjp<Scalar>(p, x, y, dx, gradient);
                  }),
                  0)
            << size.rows << " " << size.inputs << " " << size.outputs;
    }
}

TYPED_TEST(RowLayers, OthersDoNotAllocate) {
    using Scalar = TypeParam;
    const Index batch = 3, length = 100, features = 66;
    const std::vector<Index> lengths{100, 1, 50};
    const Sequence<Scalar> x = white_noise<Scalar>(batch * length, features, 2);
    const Sequence<Scalar> dy = white_noise<Scalar>(batch * length, features, 3);
    Sequence<Scalar> y(batch * length, features), half(batch * length, features / 2), pooled(batch, features);
    for (int i = 0; i < 8; ++i) {
        const auto activation = static_cast<Activation>(i);
        EXPECT_EQ(allocator_calls_in([&] {
                      activate<Scalar>(activation, x, y);
                      activate_vjp<Scalar>(activation, x, dy, y);
                  }),
                  0)
            << name_of(activation);
    }
    EXPECT_EQ(allocator_calls_in([&] {
                  activate<Scalar>(Activation::glu, x, half);
                  activate_vjp<Scalar>(Activation::glu, x, half, y);
              }),
              0);

    const auto norm = LayerNorm<Scalar>::identity(features);
    auto by_norm = zero_like<LayerNorm<Scalar>>(norm);
    EXPECT_EQ(allocator_calls_in([&] {
                  layer_norm<Scalar>(norm, x, y);
                  layer_norm_vjp<Scalar>(norm, x, dy, y, by_norm);
              }),
              0);

    auto batch_norm_parameters = BatchNorm<Scalar>::identity(features);
    auto by_batch_norm = zero_like<BatchNorm<Scalar>>(batch_norm_parameters);
    typename BatchNorm<Scalar>::Tape tape(features);
    EXPECT_EQ(allocator_calls_in([&] {
                  batch_norm_train<Scalar>(batch_norm_parameters, tape, x, y, batch, lengths);
                  update_running_statistics<Scalar>(batch_norm_parameters, tape);
                  batch_norm<Scalar>(batch_norm_parameters, x, y);
                  batch_norm_vjp<Scalar>(batch_norm_parameters, tape, x, dy, y, by_batch_norm, batch, lengths);
              }),
              0);

    RunningPool<Scalar> stream(Pooling::mean, features);
    for (const Pooling pooling : {Pooling::mean, Pooling::last, Pooling::sum})
        EXPECT_EQ(allocator_calls_in([&] {
                      pool<Scalar>(pooling, x, pooled, batch, lengths);
                      pool_vjp<Scalar>(pooling, pooled, y, batch, lengths);
                      stream.step(x.row(0), pooled.row(0));
                  }),
                  0);

    EXPECT_EQ(allocator_calls_in([&] {
                  dropout<Scalar>({0.1}, {1, 2, 3}, 0, batch, x, y);
                  dropout_vjp<Scalar>({0.1, true}, {1, 2, 3}, 0, batch, y, y);
              }),
              0);

    const auto table = Embedding<Scalar>::random({10, features}, 1);
    auto by_table = zero_like<Embedding<Scalar>>(table);
    const std::vector<Index> tokens(static_cast<std::size_t>(batch * length), 7);
    EXPECT_EQ(allocator_calls_in([&] {
                  embed<Scalar>(table, tokens, y);
                  embed_vjp<Scalar>(tokens, dy, by_table);
              }),
              0);
}

}  // namespace
}  // namespace s4::test
