// The parts of a block in their order, the sizes it states, and what it refuses.
#include "tests/support/expect_error.hpp"
#include "tests/support/tolerances.hpp"
#include <s4/block/s4_block.hpp>
#include <s4/discretize/zero_order_hold.hpp>

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <vector>

namespace s4::test {
namespace {

using Block = S4Block<Diagonal<double>>;

Block::Options small() {
    Block::Options options;
    options.ssm.channels = 3;
    options.ssm.state_size = 4;
    return options;
}

TEST(S4Blocks, StateTheirSizes) {
    auto options = small();
    auto p = Block::random(options, 1);
    EXPECT_EQ(p.channels(), 3);
    EXPECT_EQ(p.features(), 3);
    EXPECT_EQ(p.outputs(), 3);
    EXPECT_EQ(p.output.outputs(), 6);  // glu halves them
    options.ssm.heads = 2;
    options.outputs = 5;
    options.block = {.activation = Activation::glu, .final_act = Activation::tanh};
    p = Block::random(options, 1);
    EXPECT_EQ(p.ssm_outputs(), 6);
    EXPECT_EQ(p.features(), 3);
    EXPECT_EQ(p.outputs(), 5);
    EXPECT_EQ(p.output.outputs(), 5);
    options.linear = false;
    p = Block::random(options, 1);
    EXPECT_FALSE(p.mixes());
    EXPECT_EQ(p.outputs(), 3);
}

TEST(S4Blocks, NameTheirTensorsInOrder) {
    const auto names = [](const Block::Parameters& p) {
        std::vector<std::string> found;
        Block::for_each_tensor([&](const TensorInfo& info, const auto&) { found.push_back(full_name(info)); }, p);
        return found;
    };
    auto options = small();
    EXPECT_EQ(names(Block::random(options, 1)),
              (std::vector<std::string>{"ssm.inv_dt", "ssm.A_real", "ssm.A_imag", "ssm.B", "ssm.C", "ssm.D",
                                        "output.weight", "output.bias"}));
    options.linear = false;
    EXPECT_EQ(names(Block::random(options, 1)).back(), "ssm.D");
}

TEST(S4Blocks, RefuseWhatDoesNotFit) {
    const auto p = Block::random(small(), 1);
    auto wrong = p;
    wrong.mult_act = Activation::glu;
    EXPECT_S4_ERROR(Block::validate(wrong), "mult_act", "glu");
    wrong = p;
    wrong.activation = Activation::glu;  // of 3 features
    EXPECT_S4_ERROR(Block::validate(wrong), "glu", "3");
    wrong = p;
    wrong.output = Linear<double>::random({.inputs = 4, .outputs = 6}, 1);
    EXPECT_S4_ERROR(Block::validate(wrong), "output.weight", "3 columns", "found 4");
    wrong.output = Linear<double>::random({.inputs = 3, .outputs = 5}, 1);
    EXPECT_S4_ERROR(Block::validate(wrong), "glu", "5");
    wrong = p;
    wrong.output.bias[0] = std::numeric_limits<double>::quiet_NaN();
    EXPECT_S4_ERROR(Block::validate(wrong), "bias");
    wrong = p;
    wrong.ssm.C.resize(2, 2);
    EXPECT_S4_ERROR(Block::validate(wrong), "C");
    wrong = p;
    wrong.dropout.probability = 1.5;
    EXPECT_S4_ERROR(Block::validate(wrong), "dropout", "1.5");
}

/// What a block does behind its SSM, from the definition: one row.
std::vector<double> mixed_by_definition(const Block::Parameters& p, std::vector<double> v) {
    const auto activated = [](Activation activation, const std::vector<double>& x) {
        const auto size = static_cast<Index>(x.size());
        std::vector<double> y(static_cast<std::size_t>(features_after(activation, size)));
        activate<double>(activation, SequenceView<double>{x.data(), 1, size, size},
                         SequenceOut<double>{y.data(), 1, std::ssize(y), std::ssize(y)});
        return y;
    };
    if (p.swap_channels) {
        const auto H = static_cast<std::size_t>(p.channels());
        const std::size_t heads = v.size() / H;
        const std::vector<double> before = v;
        for (std::size_t c = 0; c < heads; ++c)
            for (std::size_t h = 0; h < H; ++h) v[h * heads + c] = before[c * H + h];
    }
    v = activated(p.mult_act, activated(p.activation, v));
    if (!p.mixes()) return v;
    std::vector<double> z(static_cast<std::size_t>(p.output.outputs()));
    for (std::size_t row = 0; row < z.size(); ++row) {
        z[row] = p.output.bias[static_cast<Index>(row)];
        for (std::size_t k = 0; k < v.size(); ++k)
            z[row] += p.output.weight(static_cast<Index>(row), static_cast<Index>(k)) * v[k];
    }
    return activated(p.final_act, z);
}

TEST(S4Blocks, MixByTheirDefinition) {
    constexpr auto no_dropout = [](const SequenceView<double>&, const SequenceOut<double>&) noexcept {};
    const std::vector<S4BlockOptions> cases{
        {},
        {.activation = Activation::glu, .final_act = Activation::identity},
        {.activation = Activation::silu, .mult_act = Activation::tanh, .final_act = Activation::relu},
        {.activation = Activation::relu, .final_act = Activation::glu, .swap_channels = true},
        {.activation = Activation::glu, .mult_act = Activation::elu, .swap_channels = true}};
    for (const S4BlockOptions& block : cases)
        for (const bool linear : {true, false}) {
            auto options = small();
            options.ssm.heads = 2;
            options.block = block;
            options.linear = linear;
            const auto p = Block::random(options, 7);
            for (const Index rows : {1, 7}) {
                const Sequence<double> v = white_noise<double>(rows, p.ssm_outputs(), 8);
                detail::BlockMixing<Block> mixing(p, 7);
                const SequenceOut<double> in = mixing.ssm_output(rows);
                std::copy_n(v.data(), v.size(), in.data());
                Sequence<double> y(rows, p.outputs());
                mixing.forward(p, y, no_dropout);
                for (Index t = 0; t < rows; ++t) {
                    const std::vector<double> row(v.row(t).begin(), v.row(t).end());
                    const std::vector<double> expected = mixed_by_definition(p, row);
                    EXPECT_LE(relative_error(y.row(t), Eigen::Map<const Eigen::RowVectorXd>(
                                                           expected.data(), static_cast<Index>(expected.size()))),
                              Tolerance<double>::rounding);
                }
            }
        }
}

TEST(S4Blocks, SilencePadding) {
    const Sequence<double> x = white_noise<double>(2 * 4, 3, 1);
    Sequence<double> y = white_noise<double>(2 * 4, 3, 2);
    const std::vector<Index> lengths{4, 1};
    detail::mask_padding<double>(x, y, 2, lengths);
    EXPECT_EQ(y.topRows(5), x.topRows(5));
    EXPECT_TRUE(y.bottomRows(3).isZero(0));
    Sequence<double> in_place = x;
    detail::mask_padding<double>(in_place, in_place, 2, lengths);
    EXPECT_EQ(in_place, y);
}

}  // namespace
}  // namespace s4::test
