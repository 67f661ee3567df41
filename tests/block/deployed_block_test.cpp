// The laws of a block that runs: as whole sequences, sample by sample and in blocks of samples it is the same map.
#include "tests/support/expect_error.hpp"
#include "tests/support/systems.hpp"
#include "tests/support/tolerances.hpp"
#include <s4/block/deployed_block.hpp>
#include <s4/discretize/zero_order_hold.hpp>
#include <s4/fft/fftw.hpp>
#include <s4/fft/kiss_fft.hpp>

#include <gtest/gtest.h>

#include <vector>

namespace s4::test {
namespace {

template <class Ssm_, template <class> class Fft_>
struct Case {
    using Ssm = Ssm_;
    using Scalar = typename Ssm::Scalar;
    using Block = S4Block<Ssm>;
    using Convolution = DeployedBlock<Block, Mode::convolution, Fft_<Scalar>>;
    using Recurrence = DeployedBlock<Block, Mode::recurrence, Fft_<Scalar>>;
};

template <class Case>
class DeployedBlocks : public ::testing::Test {
public:
    using Real = typename Case::Scalar;
    using Block = typename Case::Block;
    using Parameters = typename Block::Parameters;
    using Convolution = typename Case::Convolution;
    using Recurrence = typename Case::Recurrence;

    static Parameters parameters(const S4BlockOptions& block = {}, Index heads = 2, bool linear = true) {
        typename Block::Options options;
        options.ssm.channels = 3;
        options.ssm.state_size = 8;
        options.ssm.heads = heads;
        options.block = block;
        options.linear = linear;
        return Block::random(options, 3);
    }
    static Sequence<Real> convolve(const Parameters& p, const Sequence<Real>& u, Index batch = 1,
                                   std::span<const Index> lengths = {}) {
        Convolution block{p};
        block.prepare(u.rows() / batch);
        auto workspace = block.make_workspace(batch);
        Sequence<Real> y(u.rows(), block.outputs());
        block.forward(workspace, u, y, batch, lengths);
        return y;
    }
    static Sequence<Real> step(const Recurrence& block, typename Recurrence::State& state, const Sequence<Real>& u) {
        Sequence<Real> y(u.rows(), block.outputs());
        for (Index t = 0; t < u.rows(); ++t) block.step(state, u.row(t), y.row(t));
        return y;
    }
    static Sequence<Real> scan(const Recurrence& block, typename Recurrence::State& state, const Sequence<Real>& u) {
        Sequence<Real> y(u.rows(), block.outputs());
        block.scan(state, u, y);
        return y;
    }
    static void expect_one_map(const Parameters& p, Index length) {
        const Sequence<Real> u = white_noise<Real>(length, 3, 4);
        const Sequence<Real> whole = convolve(p, u);
        const Recurrence block{p};
        auto state = block.make_state();
        EXPECT_LE(relative_error(step(block, state, u), whole), Tolerance<Real>::law);
        for (const Index rows : {Index{1}, Index{5}, length + 1}) {
            auto of_scan = block.make_state(rows);
            EXPECT_LE(relative_error(scan(block, of_scan, u), whole), Tolerance<Real>::law) << "blocks of " << rows;
        }
    }
};

using Cases = ::testing::Types<Case<Diagonal<float>, Fftw>, Case<Diagonal<double>, KissFft>, Case<Dplr<float>, KissFft>,
                               Case<Dplr<double>, Fftw>>;
TYPED_TEST_SUITE(DeployedBlocks, Cases);

TYPED_TEST(DeployedBlocks, AreOneMapInBothModesForAnyLength) {
    for (const Index length : {1, 2, 17, 64}) this->expect_one_map(this->parameters(), length);
}

TYPED_TEST(DeployedBlocks, AreOneMapForEveryActivation) {
    for (const Activation activation :
         {Activation::identity, Activation::gelu, Activation::relu, Activation::silu, Activation::tanh,
          Activation::sigmoid, Activation::elu, Activation::softplus, Activation::glu})
        for (const bool linear : {true, false}) {
            this->expect_one_map(this->parameters({.activation = activation, .final_act = activation}, 2, linear), 17);
            if (activation == Activation::glu) continue;
            this->expect_one_map(
                this->parameters({.activation = Activation::glu, .mult_act = activation, .swap_channels = true}), 17);
        }
}

TYPED_TEST(DeployedBlocks, GoOnFromTheStateOfTheOtherMode) {
    using Scalar = typename TypeParam::Scalar;
    const auto p = this->parameters({.swap_channels = true});
    const Sequence<Scalar> u = white_noise<Scalar>(40, 3, 5);
    const Sequence<Scalar> whole = this->convolve(p, u);

    typename TypeParam::Convolution block{p};
    block.prepare(23);
    auto workspace = block.make_workspace();
    auto state = block.layer().make_state();
    Sequence<Scalar> y(40, block.outputs());
    block.forward(workspace, state, u.topRows(23), y.topRows(23));
    typename TypeParam::Recurrence stream{block.parameters()};
    auto streamed = stream.make_state(4);
    stream.layer().write_state(streamed.ssm(), block.layer().read_state(state));
    stream.scan(streamed, u.middleRows(23, 7), y.middleRows(23, 7));
    block.layer().write_state(state, stream.layer().read_state(streamed.ssm()));
    block.forward(workspace, state, u.bottomRows(10), y.bottomRows(10));
    EXPECT_LE(relative_error(y, whole), Tolerance<Scalar>::law);

    streamed.reset();
    EXPECT_LE(relative_error(this->scan(stream, streamed, u), whole), Tolerance<Scalar>::law);
}

TYPED_TEST(DeployedBlocks, HearOnlyTheLengthsOfTheirSequences) {
    using Scalar = typename TypeParam::Scalar;
    const auto p = this->parameters();
    const Sequence<Scalar> u = white_noise<Scalar>(3 * 9, 3, 6);
    const std::vector<Index> lengths{9, 4, 1};
    const Sequence<Scalar> found = this->convolve(p, u, 3, lengths);
    for (Index b = 0; b < 3; ++b) {
        Sequence<Scalar> alone = u.middleRows(b * 9, 9);
        alone.bottomRows(9 - lengths[static_cast<std::size_t>(b)]).setZero();
        EXPECT_LE(relative_error(found.middleRows(b * 9, 9), this->convolve(p, alone)), Tolerance<Scalar>::rounding);
    }
    EXPECT_GT(relative_error(this->convolve(p, u, 3), found), Tolerance<Scalar>::law);
}

TYPED_TEST(DeployedBlocks, RunInPlace) {
    using Scalar = typename TypeParam::Scalar;
    const auto p = this->parameters();
    const Sequence<Scalar> u = white_noise<Scalar>(2 * 9, 3, 7);
    const Sequence<Scalar> y = this->convolve(p, u, 2);
    typename TypeParam::Convolution block{p};
    block.prepare(9);
    auto workspace = block.make_workspace(2);
    Sequence<Scalar> in_place = u;
    block.forward(workspace, in_place, in_place, 2);
    EXPECT_EQ(in_place, y);

    const typename TypeParam::Recurrence stream{p};
    auto state = stream.make_state(4);
    const Sequence<Scalar> scanned = this->scan(stream, state, u);
    in_place = u;
    state.reset();
    stream.scan(state, in_place, in_place);
    EXPECT_EQ(in_place, scanned);
    in_place = u;
    state.reset();
    for (Index t = 0; t < u.rows(); ++t) stream.step(state, in_place.row(t), in_place.row(t));
    EXPECT_LE(relative_error(in_place, scanned), Tolerance<Scalar>::rounding);
}

TYPED_TEST(DeployedBlocks, ConvolveBothWaysInTime) {
    using Scalar = typename TypeParam::Scalar;
    using Both = S4Block<Bidirectional<typename TypeParam::Ssm>>;
    typename Both::Options options;
    options.ssm.channels = 3;
    options.ssm.state_size = 8;
    DeployedBlock<Both, Mode::convolution, Fftw<Scalar>> block{Both::random(options, 9)};
    block.prepare(11);
    auto workspace = block.make_workspace();
    Sequence<Scalar> u = Sequence<Scalar>::Zero(11, 3), y(11, 3), silence(11, 3);
    block.forward(workspace, u, silence);
    u(5, 1) = 1;
    block.forward(workspace, u, y);
    for (Index t = 0; t < 11; ++t) EXPECT_GT((y.row(t) - silence.row(t)).cwiseAbs().maxCoeff(), 0) << "sample " << t;
}

TYPED_TEST(DeployedBlocks, RefuseWhatDoesNotFit) {
    auto p = this->parameters();
    typename TypeParam::Convolution block{p};
    EXPECT_S4_ERROR(static_cast<void>(block.make_workspace()), "prepare");
    EXPECT_S4_ERROR(block.prepare(0), "length", "found 0");
    block.prepare(4);
    EXPECT_S4_ERROR(static_cast<void>(block.make_workspace(0)), "batch", "found 0");
    const typename TypeParam::Recurrence stream{p};
    EXPECT_S4_ERROR(static_cast<void>(stream.make_state(0)), "scan_rows", "found 0");
    p.mult_act = Activation::glu;
    EXPECT_S4_ERROR(typename TypeParam::Convolution{p}, "mult_act");
    EXPECT_S4_ERROR(typename TypeParam::Recurrence{p}, "mult_act");
}

}  // namespace
}  // namespace s4::test
