// Runs a ModelProblem through a model of the library: predictions, loss, gradient, steps of AdamW.
#pragma once

#include <s4/model/trainable_model.hpp>
#include <s4/train/loss.hpp>

#include <span>
#include <string>
#include <tests/golden_test/block_runs.hpp>
#include <tests/golden_test/model_problem.hpp>

namespace s4::golden {

template <class Ssm>
class ModelRun {
public:
    using Scalar = typename Ssm::Scalar;

    explicit ModelRun(const ModelProblem& problem) : problem_{problem} {}

    [[nodiscard]] ModelResults operator()() const {
        ModelResults results;
        if (problem_.blocks.front().layer.bidirectional) {
            train<Bidirectional<Ssm>, Fftw<Scalar>>(results.fftw);
            train<Bidirectional<Ssm>, KissFft<Scalar>>(results.kiss);
        } else {
            train<Ssm, Fftw<Scalar>>(results.fftw);
            train<Ssm, KissFft<Scalar>>(results.kiss);
        }
        return results;
    }

private:
    template <class Model>
    [[nodiscard]] typename Model::Parameters parameters() const {
        typename Model::Parameters p;
        p.prenorm = problem_.prenorm;
        p.encoder.weight = problem_.encoder_weight.template cast<Scalar>();
        p.encoder.bias = problem_.encoder_bias.template cast<Scalar>();
        p.decoder.weight = problem_.decoder_weight.template cast<Scalar>();
        p.decoder.bias = problem_.decoder_bias.template cast<Scalar>();
        for (std::size_t i = 0; i < problem_.blocks.size(); ++i) {
            p.blocks.push_back(trained_parameters<typename Model::Block>(problem_.blocks[i]));
            p.norms.push_back(
                {problem_.norm_weights[i].template cast<Scalar>(), problem_.norm_biases[i].template cast<Scalar>()});
        }
        return p;
    }

    template <class System, class Fft>
    void train(Results& results) const {
        using Model = SequenceModel<S4Block<System>>;
        auto p = parameters<Model>();
        TrainableModel<Model, Fft> model{p, problem_.length, {.parts = 2, .together = 2}};
        AdamW<Model> optimiser{problem_.optimiser, p};
        const Sequence<Scalar> x = sequence_of<Scalar>(problem_.x, problem_.batch * problem_.length, p.inputs());
        const SequenceBatch<Scalar> batch{x, problem_.batch};
        put_tensors<Model>(p, "trained.", results);
        for (std::size_t i = 0; i < p.blocks.size(); ++i)
            if constexpr (requires { p.blocks[i].ssm.kernel_length; })
                results["trained.blocks." + std::to_string(i) + ".ssm.l_kernel"] = {
                    static_cast<double>(p.blocks[i].ssm.kernel_length)};

        Sequence<Scalar> logits(problem_.batch, p.outputs());
        model.prepare(p);
        model.predict(p, batch, logits);
        results["logits"] = flatten(logits);
        for (Index step = 0; step <= problem_.steps; ++step) {
            auto gradient = zero_like<Model>(p);
            const double loss = model.gradient(p, batch, {}, share_of_loss(), gradient);
            if (step == 0) {
                results["loss"] = {loss};
                put_tensors<Model>(gradient, "grad.", results);
            } else {
                results["loss_after_" + std::to_string(step)] = {loss};
                put_tensors<Model>(p, std::to_string(step) + ".", results);
            }
            optimiser.step(p, gradient);
        }
    }

    /// The cross-entropy of a few of the sequences, as their part of the mean of the batch.
    [[nodiscard]] auto share_of_loss() const {
        return [this](Index first, const SequenceView<Scalar>& logits, const SequenceOut<Scalar>& dlogits) {
            const std::span<const Index> targets{problem_.targets};
            return static_cast<double>(cross_entropy<Scalar>(
                logits, targets.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(logits.rows())),
                {.rows = problem_.batch}, dlogits));
        };
    }

    const ModelProblem& problem_;
};

}  // namespace s4::golden
