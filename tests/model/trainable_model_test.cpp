#include "tests/support/expect_error.hpp"
#include "tests/support/tolerances.hpp"
#include "tests/support/wide_difference.hpp"
#include <s4/fft/fftw.hpp>
#include <s4/fft/kiss_fft.hpp>
#include <s4/model/trainable_model.hpp>

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace s4::test {
namespace {

template <class Ssm_, template <class> class Fft_>
struct Case {
    using Model = SequenceModel<S4Block<Ssm_>>;
    using Fft = Fft_<double>;
};

template <class TypeParam>
class TrainableModels : public ::testing::Test {
public:
    using Model = typename TypeParam::Model;
    using Parameters = typename Model::Parameters;
    using Options = typename Model::Options;
    using Trainable = TrainableModel<Model, typename TypeParam::Fft>;
    static constexpr Index batch = 3;
    static constexpr Index length = 9;

    static Options small() {
        Options options;
        options.inputs = 2;
        options.features = 4;
        options.outputs = 3;
        options.layers = 2;
        options.block.ssm.state_size = 4;
        options.block.ssm.timescale = {0.05, 0.5};
        return options;
    }

    /// Σ g ∘ outputs.
    static double loss_of(Trainable& model, const Parameters& p, const SequenceBatch<double>& input,
                          const Sequence<double>& g, const DropoutStep& step, Parameters& gradient) {
        const auto loss = [&](Index first, const SequenceView<double>& y, const SequenceOut<double>& dy) {
            double sum = 0;
            const Index before = rows_after(p.pooling, first, length);
            for (Index row = 0; row < y.rows(); ++row)
                for (Index k = 0; k < y.cols(); ++k) {
                    dy.row(row)[k] = g(before + row, k);
                    sum += g(before + row, k) * y.row(row)[k];
                }
            return sum;
        };
        return model.gradient(p, input, step, loss, gradient);
    }

    /// The gradient against differences of the loss, every entry of every tensor.
    static void expect_gradient(const Options& options, std::vector<Index> lengths = {}) {
        Parameters p = Model::random(options, 5);
        Trainable model(p, length);
        const Sequence<double> x = white_noise<double>(batch * length, options.inputs, 6);
        const Sequence<double> g = white_noise<double>(rows_after(p.pooling, batch, length), options.outputs, 7);
        const SequenceBatch<double> input{x, batch, lengths};
        Parameters gradient = zero_like<Model>(p);
        const DropoutStep step{1, 2};
        static_cast<void>(loss_of(model, p, input, g, step, gradient));
        Parameters ignored = gradient;
        const auto loss = [&] { return loss_of(model, p, input, g, step, ignored); };
        Model::for_each_tensor(
            [&](const TensorInfo& info, auto& tensor, const auto& found) {
                EXPECT_LE(wide_difference_error(loss, tensor, found), wide_difference) << full_name(info);
            },
            p, gradient);
    }
};

using Cases = ::testing::Types<Case<Diagonal<double>, Fftw>, Case<Dplr<double>, KissFft>,
                               Case<Bidirectional<Diagonal<double>>, KissFft>, Case<Bidirectional<Dplr<double>>, Fftw>>;
TYPED_TEST_SUITE(TrainableModels, Cases);

TYPED_TEST(TrainableModels, HaveTheGradientOfTheirDifferences) { this->expect_gradient(this->small()); }

TYPED_TEST(TrainableModels, HaveItBeforeTheNorm) {
    auto options = this->small();
    options.model.prenorm = true;
    options.model.pooling = Pooling::last;
    this->expect_gradient(options);
}

TYPED_TEST(TrainableModels, HaveItWithoutNorms) {
    for (const bool prenorm : {false, true}) {  // makes no difference
        auto options = this->small();
        options.model.norm = Normalisation::none;
        options.model.prenorm = prenorm;
        options.model.pooling = Pooling::none;
        this->expect_gradient(options);
    }
}

TYPED_TEST(TrainableModels, HaveItForSequencesOfDifferentLengths) {
    for (const Pooling pooling : {Pooling::mean, Pooling::last, Pooling::sum, Pooling::none}) {
        auto options = this->small();
        options.model.pooling = pooling;
        this->expect_gradient(options, {9, 4, 1});
    }
}

TYPED_TEST(TrainableModels, HaveItWithDropoutAndEveryActivation) {
    auto options = this->small();
    options.layers = 1;
    options.model.dropout = {.probability = 0.3, .tied = true};
    options.block.block = {.activation = Activation::silu,
                           .mult_act = Activation::tanh,
                           .dropout = {.probability = 0.2},
                           .final_act = Activation::sigmoid};
    this->expect_gradient(options);
    options.block.block = {.activation = Activation::glu, .final_act = Activation::identity, .swap_channels = true};
    options.block.ssm.heads = 2;
    this->expect_gradient(options);
    options.block.linear = false;
    this->expect_gradient(options);
}

TYPED_TEST(TrainableModels, DoNotDependOnHowManySequencesGoTogether) {
    const auto options = this->small();
    const auto p = TestFixture::Model::random(options, 5);
    const Sequence<double> x = white_noise<double>(3 * 9, 2, 6);
    const Sequence<double> g = white_noise<double>(3, 3, 7);
    std::vector<typename TestFixture::Parameters> gradients;
    for (const BatchSharing sharing : {BatchSharing{}, BatchSharing{.parts = 1, .together = 2}, BatchSharing{2, 5}}) {
        typename TestFixture::Trainable model(p, 9, sharing);
        gradients.push_back(zero_like<typename TestFixture::Model>(p));
        static_cast<void>(this->loss_of(model, p, {x, 3}, g, {}, gradients.back()));
    }
    TestFixture::Model::for_each_tensor(
        [](const TensorInfo& info, const auto& one, const auto& two, const auto& three) {
            EXPECT_LE(relative_error(two, one), Tolerance<double>::law) << full_name(info);
            EXPECT_LE(relative_error(three, one), Tolerance<double>::law) << full_name(info);
        },
        gradients[0], gradients[1], gradients[2]);
}

TYPED_TEST(TrainableModels, PredictWhatTheLossSees) {
    auto options = this->small();
    options.model.dropout = {.probability = 0.5};  // for training only
    const auto p = TestFixture::Model::random(options, 5);
    typename TestFixture::Trainable model(p, 9);
    const Sequence<double> x = white_noise<double>(3 * 9, 2, 6);
    Sequence<double> y(3, 3);
    model.prepare(p);
    model.predict(p, {x, 3}, y);
    auto without = p;
    without.dropout = {};
    auto gradient = zero_like<typename TestFixture::Model>(p);
    Sequence<double> seen(3, 3);
    static_cast<void>(model.gradient(
        without, {x, 3}, {},
        [&](Index first, const SequenceView<double>& out, const SequenceOut<double>& dout) {
            for (Index row = 0; row < out.rows(); ++row)
                for (Index k = 0; k < 3; ++k) {
                    seen(first + row, k) = out.row(row)[k];
                    dout.row(row)[k] = 0;
                }
            return 0.0;
        },
        gradient));
    EXPECT_EQ(seen, y);
}

TYPED_TEST(TrainableModels, RefuseWhatDoesNotFit) {
    auto options = this->small();
    options.layers = 0;
    EXPECT_S4_ERROR(static_cast<void>(TestFixture::Model::random(options, 1)), "layers", "found 0");
    auto p = TestFixture::Model::random(this->small(), 1);
    EXPECT_S4_ERROR((typename TestFixture::Trainable(p, 0)), "length", "found 0");
    EXPECT_S4_ERROR((typename TestFixture::Trainable(p, 9, {.parts = 0})), "parts", "found 0");
    p.norms.pop_back();
    EXPECT_S4_ERROR((typename TestFixture::Trainable(p, 9)), "one norm is needed for each of 2", "found 1");
    p = TestFixture::Model::random(this->small(), 1);
    p.norm = Normalisation::none;
    EXPECT_S4_ERROR((typename TestFixture::Trainable(p, 9)), "option norm is none", "found 2 norms");
    p.norm = static_cast<Normalisation>(7);
    EXPECT_S4_ERROR((typename TestFixture::Trainable(p, 9)), "option norm", "found the value 7");
    p = TestFixture::Model::random(this->small(), 1);
    p.decoder = Linear<double>::random({.inputs = 5, .outputs = 3}, 1);
    EXPECT_S4_ERROR((typename TestFixture::Trainable(p, 9)), "decoder.weight", "found 5");
}

}  // namespace
}  // namespace s4::test
