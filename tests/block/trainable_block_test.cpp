// A block in training computes what the deployed one does, and its reverse pass is that of its forward pass.
#include "tests/support/expect_error.hpp"
#include "tests/support/tolerances.hpp"
#include "tests/support/wide_difference.hpp"
#include <s4/block/deployed_block.hpp>
#include <s4/block/trainable_block.hpp>
#include <s4/discretize/zero_order_hold.hpp>
#include <s4/fft/fftw.hpp>
#include <s4/fft/kiss_fft.hpp>

#include <gtest/gtest.h>

#include <vector>

namespace s4::test {
namespace {

constexpr auto no_dropout = [](const SequenceView<double>&, const SequenceOut<double>&) noexcept {};

template <class Ssm_, template <class> class Fft_>
struct Case {
    using Block = S4Block<Ssm_>;
    using Fft = Fft_<double>;
};

template <class Case>
class TrainableBlocks : public ::testing::Test {
public:
    using Block = typename Case::Block;
    using Parameters = typename Block::Parameters;
    using Trainable = TrainableBlock<Block, typename Case::Fft>;
    static constexpr Index batch = 3;
    static constexpr Index length = 7;

    static Parameters parameters(const S4BlockOptions& block = {}) {
        typename Block::Options options;
        options.ssm.channels = 3;
        options.ssm.state_size = 4;
        options.ssm.heads = 2;
        options.ssm.timescale = {0.05, 0.5};
        options.outputs = 2;
        options.block = block;
        return Block::random(options, 3);
    }

    /// A trainable block with what a pass over one batch needs.
    struct Run {
        explicit Run(const Parameters& p) : block{p, length}, workspace{block}, tape{block, p, batch} {}

        Sequence<double> forward(const Parameters& p, Sequence<double> x, const std::vector<Index>& lengths) {
            Sequence<double> y(x.rows(), p.outputs());
            block.prepare(p);
            block.forward(workspace, tape, p, x, y, batch, lengths, no_dropout);
            return y;
        }
        Trainable block;
        typename Trainable::Workspace workspace;
        typename Trainable::Tape tape;
    };

    static void expect_gradient(const S4BlockOptions& options, const std::vector<Index>& lengths = {}) {
        Parameters p = parameters(options);
        Run run(p);
        Sequence<double> x = white_noise<double>(batch * length, 3, 4);
        const Sequence<double> g = white_noise<double>(x.rows(), p.outputs(), 5);
        const auto loss = [&] { return run.forward(p, x, lengths).cwiseProduct(g).sum(); };
        static_cast<void>(loss());
        Parameters gradient = zero_like<Block>(p);
        auto by_kernels = run.block.make_kernel_gradient();
        Sequence<double> dx(x.rows(), x.cols());
        run.block.vjp(run.workspace, run.tape, p, g, dx, batch, lengths, gradient, by_kernels, no_dropout);
        run.block.finish(p, by_kernels, gradient);
        Block::for_each_tensor(
            [&](const TensorInfo& info, auto& tensor, const auto& found) {
                EXPECT_LE(wide_difference_error(loss, tensor, found), wide_difference) << full_name(info);
            },
            p, gradient);
        EXPECT_LE(wide_difference_error(loss, x, dx), wide_difference) << "x";
    }
};

using Cases = ::testing::Types<Case<Diagonal<double>, Fftw>, Case<Dplr<double>, KissFft>,
                               Case<Bidirectional<Diagonal<double>>, KissFft>, Case<Bidirectional<Dplr<double>>, Fftw>>;
TYPED_TEST_SUITE(TrainableBlocks, Cases);

TYPED_TEST(TrainableBlocks, ComputeWhatDeployedOnesDo) {
    using TestedBlock = typename TypeParam::Block;
    for (const std::vector<Index>& lengths : {std::vector<Index>{}, std::vector<Index>{7, 3, 1}}) {
        const auto p = this->parameters({.swap_channels = true});
        const Sequence<double> x = white_noise<double>(3 * 7, 3, 4);
        DeployedBlock<TestedBlock, Mode::convolution, typename TypeParam::Fft> deployed{p};
        deployed.prepare(7);
        auto workspace = deployed.make_workspace(3);
        Sequence<double> y(x.rows(), p.outputs());
        deployed.forward(workspace, x, y, 3, lengths);
        typename TestFixture::Run run(p);
        EXPECT_LE(relative_error(run.forward(p, x, lengths), y), Tolerance<double>::law);
    }
}

TYPED_TEST(TrainableBlocks, FollowTheirParameters) {
    const auto before = this->parameters();
    auto after = before;
    after.ssm.C *= 2;
    after.ssm.D *= 2;
    typename TestFixture::Run run(before), fresh(after);
    const Sequence<double> x = white_noise<double>(3 * 7, 3, 4);
    const Sequence<double> first = run.forward(before, x, {});
    EXPECT_EQ(run.forward(after, x, {}), fresh.forward(after, x, {}));
    EXPECT_EQ(run.forward(before, x, {}), first);
}

TYPED_TEST(TrainableBlocks, HaveTheGradientOfTheirDifferences) {
    this->expect_gradient({});
    this->expect_gradient({.activation = Activation::glu, .mult_act = Activation::tanh, .swap_channels = true});
}

TYPED_TEST(TrainableBlocks, HaveItForSequencesOfDifferentLengths) { this->expect_gradient({}, {7, 3, 1}); }

TYPED_TEST(TrainableBlocks, AddUpTheGradientsOfParts) {
    using TestedBlock = typename TypeParam::Block;
    const auto p = this->parameters();
    typename TestFixture::Run run(p);
    const Sequence<double> x = white_noise<double>(3 * 7, 3, 4);
    const Sequence<double> g = white_noise<double>(x.rows(), p.outputs(), 5);
    Sequence<double> dx(x.rows(), x.cols()), dx_of_part(7, 3);
    auto whole = zero_like<TestedBlock>(p);
    auto by_kernels = run.block.make_kernel_gradient();
    static_cast<void>(run.forward(p, x, {}));
    run.block.vjp(run.workspace, run.tape, p, g, dx, 3, {}, whole, by_kernels, no_dropout);
    run.block.finish(p, by_kernels, whole);

    auto parts = zero_like<TestedBlock>(p);
    auto sum = run.block.make_kernel_gradient();
    for (Index b = 0; b < 3; ++b) {
        Sequence<double> in = x.middleRows(b * 7, 7);
        Sequence<double> y(7, p.outputs());
        auto of_part = run.block.make_kernel_gradient();
        run.block.forward(run.workspace, run.tape, p, in, y, 1, {}, no_dropout);
        run.block.vjp(run.workspace, run.tape, p, g.middleRows(b * 7, 7), dx_of_part, 1, {}, parts, of_part,
                      no_dropout);
        sum.add(of_part);
        EXPECT_LE(relative_error(dx_of_part, dx.middleRows(b * 7, 7)), Tolerance<double>::law);
    }
    run.block.finish(p, sum, parts);
    TestedBlock::for_each_tensor(
        [](const TensorInfo& info, const auto& one, const auto& other) {
            EXPECT_LE(relative_error(other, one), Tolerance<double>::law) << full_name(info);
        },
        whole, parts);
}

TYPED_TEST(TrainableBlocks, RefuseWhatDoesNotFit) {
    auto p = this->parameters();
    EXPECT_S4_ERROR((typename TestFixture::Trainable(p, 0)), "length", "found 0");
    const typename TestFixture::Trainable block(p, 7);
    EXPECT_S4_ERROR((typename TestFixture::Trainable::Tape(block, p, 0)), "batch", "found 0");
    p.mult_act = Activation::glu;
    EXPECT_S4_ERROR((typename TestFixture::Trainable(p, 7)), "mult_act");
}

}  // namespace
}  // namespace s4::test
