// Runs a BlockProblem through a block of the library: as a stream, over whole sequences, and in training.
#pragma once

#include <s4/block/deployed_block.hpp>
#include <s4/block/trainable_block.hpp>
#include <s4/fft/fftw.hpp>
#include <s4/fft/kiss_fft.hpp>

#include <string>
#include <tests/golden_test/block_problem.hpp>
#include <tests/golden_test/ssm_parameters.hpp>

namespace s4::golden {

/// The parameters of one block, with plain C.
template <class Block>
[[nodiscard]] typename Block::Parameters block_parameters(const BlockProblem& problem) {
    using Scalar = typename Block::Scalar;
    typename Block::Parameters p;
    static_cast<S4BlockOptions&>(p) = problem.options;
    p.ssm = unlimited_parameters<typename Block::Ssm>(problem.layer);
    p.ssm.band_limit = problem.layer.options.band_limit;
    p.ssm.kernel_limit = problem.limit;
    p.output.weight = problem.weight.template cast<Scalar>();
    p.output.bias = problem.bias.template cast<Scalar>();
    return p;
}
/// The same as the oracles train it: a Dplr system with C~.
template <class Block>
[[nodiscard]] typename Block::Parameters trained_parameters(const BlockProblem& problem) {
    typename Block::Parameters p = block_parameters<Block>(problem);
    if constexpr (requires { p.ssm.P; })
        p.ssm = to_length<typename Block::Ssm>(std::move(p.ssm), problem.layer.transformed.front().second);
    return p;
}

/// [rows × columns] from row-major values, and back by `flatten`.
template <RealScalar Scalar>
[[nodiscard]] Sequence<Scalar> sequence_of(const Values& values, Index rows, Index columns) {
    Sequence<Scalar> sequence(rows, columns);
    for (Index n = 0; n < sequence.size(); ++n)
        sequence.data()[n] = static_cast<Scalar>(values[static_cast<std::size_t>(n)].real());
    return sequence;
}

template <class Ssm>
class BlockRun {
public:
    using Scalar = typename Ssm::Scalar;

    explicit BlockRun(const BlockProblem& problem) : problem_{problem}, layer_{problem.layer} {}

    [[nodiscard]] BlockResults operator()() const {
        BlockResults results;
        if (layer_.bidirectional) {
            describe<Bidirectional<Ssm>>(results.system);
            convolve<Bidirectional<Ssm>, Fftw<Scalar>>(results.fftw);
            convolve<Bidirectional<Ssm>, KissFft<Scalar>>(results.kiss);
        } else {
            describe<Ssm>(results.system);
            stream(results.recurrence);
            convolve<Ssm, Fftw<Scalar>>(results.fftw);
            convolve<Ssm, KissFft<Scalar>>(results.kiss);
        }
        return results;
    }

private:
    [[nodiscard]] Index rows() const { return layer_.batch * layer_.length; }
    [[nodiscard]] Sequence<Scalar> input() const { return sequence_of<Scalar>(problem_.u, rows(), layer_.channels); }

    template <class System>
    void describe(Results& results) const {
        if constexpr (requires(typename System::Parameters p) { p.P; }) {
            const auto p = trained_parameters<S4Block<System>>(problem_).ssm;
            results["kernel.C"] = flatten(p.C);
            results["kernel.l_kernel"] = {static_cast<double>(p.kernel_length)};
        }
    }

    template <class StateMatrix>
    [[nodiscard]] StateMatrix initial_state(Index b) const {
        StateMatrix x(layer_.channels, layer_.pairs);
        for (Index h = 0; h < x.rows(); ++h)
            for (Index n = 0; n < x.cols(); ++n)
                x(h, n) = static_cast<std::complex<Scalar>>(
                    layer_.state0[static_cast<std::size_t>((b * x.rows() + h) * x.cols() + n)]);
        return x;
    }

    // ---- recurrence -------------------------------------------------------------------------------------------------

    void stream(Results& results) const {
        using Block = S4Block<Ssm>;
        auto p = block_parameters<Block>(problem_);
        step(p, "y by steps", results);
        p.swap_channels = false;  // the reference's step forgets it, and the end of the kernel
        p.ssm.kernel_limit = 0;
        step(p, "y_step", results);
        if (layer_.state0.empty()) return;
        const DeployedBlock<Block, Mode::recurrence, Fftw<Scalar>> block{block_parameters<Block>(problem_)};
        auto state = block.make_state(scan_rows);
        from_states(
            block, results, [&]() -> auto& { return state.ssm(); },
            [&](const auto& u, auto& y) { block.scan(state, u, y); });
    }

    void step(const typename S4Block<Ssm>::Parameters& p, const std::string& name, Results& results) const {
        const DeployedBlock<S4Block<Ssm>, Mode::recurrence, Fftw<Scalar>> block{p};
        const Sequence<Scalar> u = input();
        Sequence<Scalar> stepped(u.rows(), block.outputs());
        Sequence<Scalar> scanned(u.rows(), block.outputs());
        auto state = block.make_state(scan_rows);
        Values& last = results["x_step_final"];
        last.clear();
        for (Index b = 0; b < layer_.batch; ++b) {
            const Index first = b * layer_.length;
            state.reset();
            for (Index l = first; l < first + layer_.length; ++l) block.step(state, u.row(l), stepped.row(l));
            append(last, flatten(block.layer().read_state(state.ssm())));
            state.reset();
            block.scan(state, u.middleRows(first, layer_.length), scanned.middleRows(first, layer_.length));
        }
        results[name] = flatten(stepped);
        results[name + "_scan"] = flatten(scanned);
    }

    /// From state0: the output and the final state. `state()` is the state that `run(u, y)` starts from and leaves.
    template <class Block, class StateOf, class Run>
    void from_states(const Block& block, Results& results, const StateOf& state, const Run& run) const {
        using StateMatrix = typename Block::Layer::StateMatrix;
        const Sequence<Scalar> u = input();
        Sequence<Scalar> y(u.rows(), block.outputs());
        Values& final_state = results["state1"];
        for (Index b = 0; b < layer_.batch; ++b) {
            const Index first = b * layer_.length;
            block.layer().write_state(state(), initial_state<StateMatrix>(b));
            const Sequence<Scalar> of_sequence = u.middleRows(first, layer_.length);
            Sequence<Scalar> out(layer_.length, block.outputs());
            run(of_sequence, out);
            y.middleRows(first, layer_.length) = out;
            append(final_state, flatten(block.layer().read_state(state())));
        }
        results["y_state"] = flatten(y);
    }

    // ---- convolution ------------------------------------------------------------------------------------------------

    template <class System, class Fft>
    void convolve(Results& results) const {
        using Block = S4Block<System>;
        DeployedBlock<Block, Mode::convolution, Fft> block{block_parameters<Block>(problem_)};
        block.prepare(layer_.length);
        auto workspace = block.make_workspace(layer_.batch);
        const Sequence<Scalar> u = input();
        Sequence<Scalar> y(u.rows(), block.outputs());
        block.forward(workspace, u, y, layer_.batch, problem_.lengths);
        results["y"] = flatten(y);
        train<Block, Fft>(results);
        if constexpr (is_causal<System>) {
            if (layer_.state0.empty()) return;
            auto state = block.layer().make_state();
            from_states(
                block, results, [&]() -> auto& { return state; },
                [&](const auto& in, auto& out) { block.forward(workspace, state, in, out); });
        }
    }

    // ---- training ---------------------------------------------------------------------------------------------------

    template <class Block, class Fft>
    void train(Results& results) const {
        const auto p = trained_parameters<Block>(problem_);
        TrainableBlock<Block, Fft> block{p, layer_.length};
        typename TrainableBlock<Block, Fft>::Workspace workspace{block};
        typename TrainableBlock<Block, Fft>::Tape tape{block, p, layer_.batch};
        const auto no_dropout = [](const SequenceView<Scalar>&, const SequenceOut<Scalar>&) noexcept {};
        Sequence<Scalar> u = input();
        Sequence<Scalar> y(u.rows(), p.outputs());
        block.prepare(p);
        block.forward(workspace, tape, p, u, y, layer_.batch, problem_.lengths, no_dropout);
        results["y in training"] = flatten(y);
        if (problem_.g.empty()) return;
        const Sequence<Scalar> g = sequence_of<Scalar>(problem_.g, rows(), p.outputs());
        Sequence<Scalar> du(u.rows(), u.cols());
        typename Block::Parameters gradient = zero_like<Block>(p);
        auto by_kernels = block.make_kernel_gradient();
        block.vjp(workspace, tape, p, g, du, layer_.batch, problem_.lengths, gradient, by_kernels, no_dropout);
        block.finish(p, by_kernels, gradient);
        put_tensors<Block>(gradient, "grad.", results);
        results["grad.u"] = flatten(du);
    }

    static constexpr Index scan_rows = 5;  // neither a divisor of most lengths nor longer than them

    const BlockProblem& problem_;
    const LayerProblem& layer_;
};

}  // namespace s4::golden
