// Embedding: rows of a table, and their gradients.
#include "tests/support/expect_error.hpp"
#include "tests/support/row_layers.hpp"
#include <s4/layer/embedding.hpp>

#include <gtest/gtest.h>

#include <vector>

namespace s4::test {
namespace {

const std::vector<Index> tokens{2, 0, 2, 3, 2};

template <class Scalar>
class EmbeddingOf : public ::testing::Test {};
using Scalars = ::testing::Types<float, double, long double>;
TYPED_TEST_SUITE(EmbeddingOf, Scalars);

TYPED_TEST(EmbeddingOf, TakesRows) {
    using Scalar = TypeParam;
    const auto p = Embedding<Scalar>::random({5, 3}, 1);
    Embedding<Scalar>::validate(p);
    validate_tokens(tokens, p.tokens());
    Sequence<Scalar> y = Sequence<Scalar>::Zero(5, 6);
    embed<Scalar>(p, tokens, y.middleCols(2, 3));
    for (Index t = 0; t < 5; ++t) EXPECT_EQ(y.row(t).segment(2, 3), p.weight.row(tokens[static_cast<std::size_t>(t)]));
    EXPECT_EQ(y.leftCols(2).norm() + y.rightCols(1).norm(), 0);

    auto gradient = zero_like<Embedding<Scalar>>(p);
    const Sequence<Scalar> dy = white_noise<Scalar>(5, 3, 2);
    embed_vjp<Scalar>(tokens, dy, gradient);
    EXPECT_EQ(gradient.weight.row(0), dy.row(1));
    EXPECT_EQ(gradient.weight.row(1).norm(), 0);
    EXPECT_LE(relative_error(gradient.weight.row(2), dy.row(0) + dy.row(2) + dy.row(4)), Tolerance<Scalar>::rounding);
    EXPECT_EQ(gradient.weight.row(3), dy.row(3));
}

TEST(Embeddings, VjpIsTheDifference) {
    using Layer = Embedding<Wide>;
    for (const Index features : {1, 3}) {
        auto p = Layer::random({4, features}, 1);
        const Sequence<Wide> dy = white_noise<Wide>(5, features, 3);
        const auto loss = [&] {
            Sequence<Wide> y(5, features);
            embed<Wide>(p, tokens, y);
            return weighted_sum(dy, y);
        };
        auto gradient = zero_like<Layer>(p);
        embed_vjp<Wide>(tokens, dy, gradient);
        expect_gradient<Layer>(p, gradient, loss);
        auto twice = gradient;
        embed_vjp<Wide>(tokens, dy, twice);
        EXPECT_LE(relative_error(twice.weight, 2 * gradient.weight), Tolerance<double>::rounding);
    }
}

TEST(Embeddings, StartLikePyTorch) {
    const auto p = Embedding<double>::random({.tokens = 200, .features = 50}, 3);
    EXPECT_NEAR(p.weight.mean(), 0, 0.05);
    EXPECT_NEAR(p.weight.squaredNorm() / 10000, 1, 0.07);
}

TEST(Embeddings, RefuseBadInput) {
    using Layer = Embedding<float>;
    EXPECT_S4_ERROR(static_cast<void>(Layer::random({0, 3}, 1)), "Embedding", "tokens", "positive", "found 0");
    EXPECT_S4_ERROR(static_cast<void>(Layer::random({3, 0}, 1)), "Embedding", "features", "positive", "found 0");
    EXPECT_S4_ERROR(Layer::validate({}), "Embedding: weight", "found [0 x 0]");
    EXPECT_S4_ERROR(validate_tokens(tokens, 3), "tokens must lie in [0, 3), found 3 at position 3");
    EXPECT_S4_ERROR(validate_tokens(std::vector<Index>{1, -1}, 3), "found -1 at position 1");
}

}  // namespace
}  // namespace s4::test
