// Runs a LayerProblem through a layer of the library, in both modes and with both FFTs.
#pragma once

#include <s4/fft/fftw.hpp>
#include <s4/fft/kiss_fft.hpp>
#include <s4/layer/s4_layer.hpp>

#include <array>
#include <span>
#include <tests/golden_test/layer_problem.hpp>
#include <tests/golden_test/report.hpp>

namespace s4::golden {

/// A tensor of several axes that is written entry by entry.
class Writer {
public:
    Writer(Values& values, std::array<Index, 4> shape) : values_{values}, shape_{shape} {
        values_.resize(static_cast<std::size_t>(shape[0] * shape[1] * shape[2] * shape[3]));  // keeps other outputs
    }
    std::complex<double>& operator()(Index i, Index j, Index k, Index l) {
        return values_[static_cast<std::size_t>(((i * shape_[1] + j) * shape_[2] + k) * shape_[3] + l)];
    }

private:
    Values& values_;
    std::array<Index, 4> shape_;
};

template <class Ssm>
class LayerRun {
public:
    using Scalar = typename Ssm::Scalar;
    using Parameters = typename Ssm::Parameters;
    static constexpr bool low_rank = requires(Parameters p) { p.P; };

    explicit LayerRun(const LayerProblem& problem) : problem_{problem} {}

    [[nodiscard]] LayerResults operator()() const {
        LayerResults results;
        describe(results.system);
        stream(results.recurrence);
        convolve<Fftw<Scalar>>(results.fftw);
        convolve<KissFft<Scalar>>(results.kiss);
        return results;
    }

private:
    /// The parameters as the file has them: values of single precision, widened or as they are.
    [[nodiscard]] Parameters parameters(std::size_t output) const {
        using Complex = std::complex<Scalar>;
        Parameters p;
        p.inv_dt = problem_.inv_dt.template cast<Scalar>();
        p.A_real = problem_.A_real.template cast<Scalar>();
        p.A_imag = problem_.A_imag.template cast<Scalar>();
        p.B = problem_.B.template cast<Complex>();
        p.C = problem_.C[output].template cast<Complex>();
        p.D = output < problem_.D.size() ? Eigen::VectorXd(problem_.D[output]).template cast<Scalar>().eval()
                                         : Eigen::Matrix<Scalar, Dynamic, 1>::Zero(problem_.heads).eval();
        p.dt_transform = problem_.dt_transform;
        p.real_transform = problem_.real_transform;
        p.imag_transform = problem_.imag_transform;
        if constexpr (low_rank) {
            p.P = problem_.P.template cast<Complex>();
            p.kernel_length = problem_.kernel_length;
        }
        return p;
    }

    /// The outputs that run forward in time and have a D: all of them, or the first half.
    [[nodiscard]] Index causal() const { return static_cast<Index>(problem_.D.size()); }

    [[nodiscard]] Sequence<Scalar> input(Index b) const {
        Sequence<Scalar> u(problem_.length, problem_.heads);
        for (Index h = 0; h < problem_.heads; ++h)
            for (Index l = 0; l < problem_.length; ++l)
                u(l, h) = static_cast<Scalar>(
                    problem_.u[static_cast<std::size_t>((b * problem_.heads + h) * problem_.length + l)].real());
        return u;
    }
    template <class StateMatrix>
    [[nodiscard]] StateMatrix initial_state(Index b) const {
        StateMatrix x(problem_.heads, problem_.pairs);
        for (Index h = 0; h < problem_.heads; ++h)
            for (Index n = 0; n < problem_.pairs; ++n)
                x(h, n) = static_cast<std::complex<Scalar>>(
                    problem_.state0[static_cast<std::size_t>((b * problem_.heads + h) * problem_.pairs + n)]);
        return x;
    }

    [[nodiscard]] Writer outputs(Values& values) const {
        return {values, {problem_.batch, causal(), problem_.heads, problem_.length}};
    }
    [[nodiscard]] Writer states(Values& values) const {
        return {values, {1, problem_.batch, problem_.heads, problem_.pairs}};
    }

    void put(Writer& to, Index b, Index c, const Sequence<Scalar>& y) const {
        for (Index h = 0; h < problem_.heads; ++h)
            for (Index l = 0; l < problem_.length; ++l) to(b, c, h, l) = static_cast<double>(y(l, h));
    }
    template <class StateMatrix>
    void put_state(Writer& to, Index b, const StateMatrix& x) const {
        for (Index h = 0; h < problem_.heads; ++h)
            for (Index n = 0; n < problem_.pairs; ++n) to(0, b, h, n) = static_cast<std::complex<double>>(x(h, n));
    }

    // ---- recurrence: y_step, scan, the state after it, and from a given state --------------------------------------

    void stream(Results& results) const {
        Writer stepped = outputs(results["y_step"]);
        Writer scanned = outputs(results["y_scan"]);
        Writer last = states(results["x_step_final"]);
        for (Index c = 0; c < causal(); ++c) {
            const S4Layer<Ssm, Mode::recurrence, Fftw<Scalar>> layer{parameters(static_cast<std::size_t>(c))};
            for (Index b = 0; b < problem_.batch; ++b) {
                const Sequence<Scalar> u = input(b);
                Sequence<Scalar> y(u.rows(), u.cols());
                auto state = layer.make_state();
                for (Index l = 0; l < u.rows(); ++l) layer.step(state, u.row(l), y.row(l));
                put(stepped, b, c, y);
                put_state(last, b, layer.read_state(state));
                state.reset();
                layer.scan(state, u, y);
                put(scanned, b, c, y);
            }
            if (problem_.state0.empty()) continue;
            Writer with_state = outputs(results["y_state"]);
            Writer answer = outputs(results["K_state"]);
            Writer final_state = states(results["state1"]);
            for (Index b = 0; b < problem_.batch; ++b) {
                const Sequence<Scalar> u = input(b);
                const Sequence<Scalar> silence = Sequence<Scalar>::Zero(u.rows(), u.cols());
                Sequence<Scalar> y(u.rows(), u.cols());
                using StateMatrix = decltype(layer.read_state(layer.make_state()));
                auto state = layer.make_state();
                layer.write_state(state, initial_state<StateMatrix>(b));
                layer.scan(state, u, y);
                put(with_state, b, c, y);
                put_state(final_state, b, layer.read_state(state));
                layer.write_state(state, initial_state<StateMatrix>(b));
                layer.scan(state, silence, y);
                put(answer, b, c, y);
            }
        }
    }

    // ---- convolution ------------------------------------------------------------------------------------------------

    template <class Fft>
    void convolve(Results& results) const {
        for (const auto& [name, length] : problem_.kernels)
            for (std::size_t c = 0; c < problem_.C.size(); ++c)
                append(results[name], flatten(convolution_kernels<Ssm, Fft>(parameters(c), length)));
        if constexpr (low_rank) {
            // The same kernel from parameters that hold C~, as a trained checkpoint does.
            for (const auto& [prefix, length] : problem_.transformed)
                for (std::size_t c = 0; c < problem_.C.size(); ++c)
                    append(results[prefix + "K"], flatten(convolution_kernels<Ssm, Fft>(
                                                      to_length<Ssm>(parameters(c), length), problem_.length)));
        }
        Writer convolved = outputs(results["y"]);
        for (Index c = 0; c < causal(); ++c) {
            S4Layer<Ssm, Mode::convolution, Fft> layer{parameters(static_cast<std::size_t>(c))};
            layer.prepare(problem_.length);
            auto workspace = layer.make_workspace();
            Sequence<Scalar> u(problem_.batch * problem_.length, problem_.heads);
            for (Index b = 0; b < problem_.batch; ++b) u.middleRows(b * problem_.length, problem_.length) = input(b);
            Sequence<Scalar> y(u.rows(), u.cols());
            layer.forward(workspace, u, y, problem_.batch);
            for (Index b = 0; b < problem_.batch; ++b)
                put(convolved, b, c, y.middleRows(b * problem_.length, problem_.length));
            if (problem_.state0.empty()) continue;
            Writer with_state = outputs(results["y_state"]);
            Writer answer = outputs(results["K_state"]);
            Writer final_state = states(results["state1"]);
            for (Index b = 0; b < problem_.batch; ++b) {
                using StateMatrix = decltype(layer.read_state(layer.make_state()));
                const Sequence<Scalar> in = input(b);
                const Sequence<Scalar> silence = Sequence<Scalar>::Zero(in.rows(), in.cols());
                Sequence<Scalar> out(in.rows(), in.cols());
                auto state = layer.make_state();
                layer.write_state(state, initial_state<StateMatrix>(b));
                layer.forward(workspace, state, in, out);
                put(with_state, b, c, out);
                put_state(final_state, b, layer.read_state(state));
                layer.write_state(state, initial_state<StateMatrix>(b));
                layer.forward(workspace, state, silence, out);
                put(answer, b, c, out);
            }
        }
    }

    // ---- the discrete system ----------------------------------------------------------------------------------------

    void describe(Results& results) const {
        for (std::size_t c = 0; c < problem_.C.size(); ++c) {
            const Parameters p = parameters(c);
            Ssm::validate(p);
            if constexpr (low_rank) {
                for (const auto& [prefix, length] : problem_.transformed) {
                    const Parameters transformed = to_length<Ssm>(p, length);
                    append(results[prefix + "kernel.C"], flatten(transformed.C));
                    results[prefix + "kernel.l_kernel"] = {static_cast<double>(transformed.kernel_length)};
                }
            }
            for (Index h = 0; h < problem_.heads; ++h) describe_head(results, p, c, h);
        }
        // Coefficients are computed in double and rounded once.
        if constexpr (std::same_as<Scalar, float>)
            for (auto& [name, values] : results) values = rounded_to_float(values);
    }

    void describe_head(Results& results, const Parameters& p, std::size_t c, Index h) const {
        const auto system = Ssm::system(p, h);
        if constexpr (low_rank) {
            const DiscreteDplr discrete = discretize(Bilinear{}, system);
            if (c == 0) {
                append(results["dA"], doubled_matrix(discrete));
                append(results["dB"], doubled(discrete.B_bar));
            }
            // C from its C~, the way a trained checkpoint is read.
            const auto plain = problem_.transformed.empty()
                                   ? to_plain(system)
                                   : to_plain(to_length(system, problem_.transformed.front().second));
            append(results["dC"], doubled(plain.C));
        } else {
            using Rule = typename Ssm::Rule;
            if (c == 0)
                for (Index n = 0; n < problem_.pairs; ++n) {
                    const auto step = discretize(Rule{}, system.lambda[n], system.dt[n]);
                    results["dA"].push_back(step.a());
                    results["dB"].push_back(step.b * system.B[n]);
                }
            append(results["dC"], flatten(system.C));
            for (const auto& [name, rate, length] : problem_.rates) {
                auto scaled = system;
                scaled.dt *= rate;
                std::vector<Scalar> kernel(static_cast<std::size_t>(length));
                diagonal_kernel<Scalar>(Rule{}, scaled, kernel);
                results[name].insert(results[name].end(), kernel.begin(), kernel.end());
            }
        }
    }

    static Values doubled(const Eigen::VectorXcd& half) {
        Values values = flatten(half);
        append(values, flatten(half.conjugate()));
        return values;
    }

    /// Ā as a complex matrix [N × N] over [x, conj x].
    static Values doubled_matrix(const DiscreteDplr& discrete) {
        const Index pairs = discrete.a_minus_one.size();
        Eigen::MatrixXcd matrix(2 * pairs, 2 * pairs);
        for (Index row = 0; row < pairs; ++row)
            for (Index column = 0; column < pairs; ++column) {
                std::complex<double> same = row == column ? 1.0 + discrete.a_minus_one[row] : 0.0;
                std::complex<double> other = 0;
                for (Index r = 0; r < discrete.G.rows(); ++r) {
                    same += discrete.F(row, r) * discrete.G(r, column);
                    other += discrete.F(row, r) * std::conj(discrete.G(r, column));
                }
                matrix(row, column) = same;
                matrix(row, pairs + column) = other;
                matrix(pairs + row, column) = std::conj(other);
                matrix(pairs + row, pairs + column) = std::conj(same);
            }
        return flatten(matrix);
    }

    const LayerProblem& problem_;
};

}  // namespace s4::golden
