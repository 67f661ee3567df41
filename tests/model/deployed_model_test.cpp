#include "tests/support/expect_error.hpp"
#include "tests/support/tolerances.hpp"
#include <s4/fft/fftw.hpp>
#include <s4/fft/kiss_fft.hpp>
#include <s4/model/deployed_model.hpp>
#include <s4/model/trainable_model.hpp>

#include <gtest/gtest.h>

#include <vector>

namespace s4::test {
namespace {

template <class Ssm_, template <class> class Fft_>
struct Case {
    using Model = SequenceModel<S4Block<Ssm_>>;
    using Fft = Fft_<typename Ssm_::Scalar>;
};
template <class>
class DeployedModels : public ::testing::Test {};
using Cases = ::testing::Types<Case<Diagonal<float>, Fftw>, Case<Diagonal<double>, KissFft>, Case<Dplr<float>, KissFft>,
                               Case<Dplr<double>, Fftw>>;
TYPED_TEST_SUITE(DeployedModels, Cases);

/// Before the block, behind it, nowhere.
const std::vector<SequenceModelOptions> places_of_norms{
    {.prenorm = true}, {.prenorm = false}, {.norm = Normalisation::none}};

template <class Model>
typename Model::Parameters model(Pooling pooling, const SequenceModelOptions& norms) {
    typename Model::Options options;
    options.inputs = 2;
    options.features = 9;
    options.outputs = 3;
    options.layers = 2;
    options.block.ssm.state_size = 8;
    options.block.block.dropout = {.probability = 0.5};  // for training only
    options.model = norms;
    options.model.dropout = {.probability = 0.5};
    options.model.pooling = pooling;
    return Model::random(options, 5);
}

TYPED_TEST(DeployedModels, PredictWhatTheTrainedOneDoes) {
    using Model = typename TypeParam::Model;
    using Scalar = typename Model::Scalar;
    for (const Pooling pooling : {Pooling::mean, Pooling::last, Pooling::sum, Pooling::none})
        for (const SequenceModelOptions& norms : places_of_norms) {
            const auto p = model<Model>(pooling, norms);
            const std::vector<Index> lengths{20, 7, 1};
            const Sequence<Scalar> x = white_noise<Scalar>(3 * 20, 2, 1);
            TrainableModel<Model, typename TypeParam::Fft> trainable(p, 20);
            Sequence<Scalar> expected(rows_after(pooling, 3, 20), 3);
            trainable.prepare(p);
            trainable.predict(p, {x, 3, lengths}, expected);
            DeployedModel<Model, Mode::convolution, typename TypeParam::Fft> deployed(p);
            deployed.prepare(20);
            auto workspace = deployed.make_workspace(3);
            Sequence<Scalar> y(expected.rows(), 3);
            deployed.forward(workspace, x, y, 3, lengths);
            EXPECT_LE(relative_error(y, expected), Tolerance<Scalar>::law) << name_of(pooling) << ' ' << norms.prenorm;
        }
}

TYPED_TEST(DeployedModels, SayInAStreamWhatTheySayOfTheWholePast) {
    using Model = typename TypeParam::Model;
    using Scalar = typename Model::Scalar;
    for (const Pooling pooling : {Pooling::mean, Pooling::last, Pooling::sum, Pooling::none})
        for (const SequenceModelOptions& norms : places_of_norms) {
            const auto p = model<Model>(pooling, norms);
            const DeployedModel<Model, Mode::recurrence, typename TypeParam::Fft> stream(p);
            DeployedModel<Model, Mode::convolution, typename TypeParam::Fft> whole(p);
            whole.prepare(20);
            auto workspace = whole.make_workspace();
            auto state = stream.make_state();
            for (const std::uint64_t seed : {1U, 2U}) {  // the second sequence after a reset
                const Sequence<Scalar> x = white_noise<Scalar>(20, 2, seed);
                Sequence<Scalar> y(20, 3);
                Sequence<Scalar> expected(20, 3);
                for (Index t = 0; t < 20; ++t) {
                    stream.step(state, x.row(t), y.row(t));
                    const Index rows = rows_after(pooling, 1, t + 1);
                    Sequence<Scalar> so_far(rows, 3);
                    whole.forward(workspace, x.topRows(t + 1), so_far);
                    expected.row(t) = so_far.row(rows - 1);
                }
                EXPECT_LE(relative_error(y, expected), Tolerance<Scalar>::law)
                    << name_of(pooling) << ' ' << norms.prenorm;
                state.reset();
            }
        }
}

TYPED_TEST(DeployedModels, RefuseAWorkspaceBeforeThereAreKernels) {
    using Model = typename TypeParam::Model;
    const auto p = model<Model>(Pooling::mean, {});
    const DeployedModel<Model, Mode::convolution, typename TypeParam::Fft> whole(p);
    EXPECT_S4_ERROR(static_cast<void>(whole.make_workspace()), "prepare(length)");
    auto bad = p;
    bad.blocks[1].ssm.C(0, 0) = std::numeric_limits<typename Model::Scalar>::quiet_NaN();
    EXPECT_S4_ERROR((DeployedModel<Model, Mode::recurrence, typename TypeParam::Fft>{bad}), "C has an entry");
}

}  // namespace
}  // namespace s4::test
