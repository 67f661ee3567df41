// Runs a LayerProblem through a layer of the library, in both modes and with both FFTs.
#pragma once

#include <s4/fft/fftw.hpp>
#include <s4/fft/kiss_fft.hpp>
#include <s4/layer/s4_layer.hpp>

#include <array>
#include <cmath>
#include <span>
#include <tests/golden_test/layer_gradients.hpp>
#include <tests/golden_test/layer_problem.hpp>
#include <tests/golden_test/report.hpp>
#include <tests/golden_test/ssm_parameters.hpp>
#include <tests/reference/reference.hpp>

namespace s4::golden {

/// A tensor of several axes that is written entry by entry.
class Writer {
public:
    Writer(Values& values, std::array<Index, 4> shape) : values_{values}, shape_{shape} {
        values_.resize(static_cast<std::size_t>(shape[0] * shape[1] * shape[2] * shape[3]));
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
        describe(results);
        if (problem_.bidirectional) {
            convolve<Bidirectional<Ssm>, Fftw<Scalar>>(results.fftw);
            convolve<Bidirectional<Ssm>, KissFft<Scalar>>(results.kiss);
        } else {
            stream(results.recurrence);
            convolve<Ssm, Fftw<Scalar>>(results.fftw);
            convolve<Ssm, KissFft<Scalar>>(results.kiss);
        }
        return results;
    }

private:
    /// The parameters as the file has them, without a band limit.
    [[nodiscard]] Parameters unlimited() const { return unlimited_parameters<Ssm>(problem_); }
    /// The same with the band limit, which the reference applies to the C~ that it has at the time.
    template <class System = Ssm>
    [[nodiscard]] Parameters parameters(Index kernel_length) const {
        Parameters p = unlimited();
        if constexpr (low_rank)
            if (problem_.options.band_limit > 0) p = to_length<System>(std::move(p), kernel_length);
        p.band_limit = problem_.options.band_limit;
        return p;
    }
    /// What the whole layer runs with.
    template <class System = Ssm>
    [[nodiscard]] Parameters layer_parameters() const {
        return parameters<System>(problem_.transformed.empty() ? 0 : problem_.transformed.front().second);
    }

    [[nodiscard]] Sequence<Scalar> input(Index b) const {
        Sequence<Scalar> u(problem_.length, problem_.channels);
        for (Index h = 0; h < problem_.channels; ++h)
            for (Index l = 0; l < problem_.length; ++l)
                u(l, h) = static_cast<Scalar>(
                    problem_.u[static_cast<std::size_t>((b * problem_.channels + h) * problem_.length + l)].real());
        return u;
    }
    template <class StateMatrix>
    [[nodiscard]] StateMatrix initial_state(Index b) const {
        StateMatrix x(problem_.channels, problem_.pairs);
        for (Index h = 0; h < problem_.channels; ++h)
            for (Index n = 0; n < problem_.pairs; ++n)
                x(h, n) = static_cast<std::complex<Scalar>>(
                    problem_.state0[static_cast<std::size_t>((b * problem_.channels + h) * problem_.pairs + n)]);
        return x;
    }

    [[nodiscard]] Writer outputs(Values& values) const {
        return {values, {problem_.batch, problem_.heads, problem_.channels, problem_.length}};
    }
    [[nodiscard]] Writer states(Values& values) const {
        return {values, {1, problem_.batch, problem_.channels, problem_.pairs}};
    }

    void put(Writer& to, Index b, const Sequence<Scalar>& y) const {
        for (Index c = 0; c < problem_.heads; ++c)
            for (Index h = 0; h < problem_.channels; ++h)
                for (Index l = 0; l < problem_.length; ++l)
                    to(b, c, h, l) = static_cast<double>(y(l, c * problem_.channels + h));
    }
    template <class StateMatrix>
    void put_state(Writer& to, Index b, const StateMatrix& x) const {
        for (Index h = 0; h < problem_.channels; ++h)
            for (Index n = 0; n < problem_.pairs; ++n) to(0, b, h, n) = static_cast<std::complex<double>>(x(h, n));
    }

    // ---- recurrence: y_step, scan, the state after it, and from a given state --------------------------------------

    void stream(Results& results) const {
        step("y_step", unlimited(), results);  // the reference steps without the band limit
        if (problem_.options.band_limit > 0) step("y", layer_parameters(), results);
        if (problem_.state0.empty()) return;
        const S4Layer<Ssm, Mode::recurrence, Fftw<Scalar>> layer{layer_parameters()};
        from_states(layer, results,
                    [&](auto& state, const Sequence<Scalar>& u, Sequence<Scalar>& y) { layer.scan(state, u, y); });
    }

    /// `name` sample by sample, `name`_scan in one go, and the state after it.
    void step(const std::string& name, Parameters p, Results& results) const {
        const S4Layer<Ssm, Mode::recurrence, Fftw<Scalar>> layer{std::move(p)};
        Writer stepped = outputs(results[name]);
        Writer scanned = outputs(results[name + "_scan"]);
        Writer last = states(results["x_step_final"]);
        for (Index b = 0; b < problem_.batch; ++b) {
            const Sequence<Scalar> u = input(b);
            Sequence<Scalar> y(u.rows(), layer.outputs());
            auto state = layer.make_state();
            for (Index l = 0; l < u.rows(); ++l) layer.step(state, u.row(l), y.row(l));
            put(stepped, b, y);
            put_state(last, b, layer.read_state(state));
            state.reset();
            layer.scan(state, u, y);
            put(scanned, b, y);
        }
    }

    /// From state0: the output, the final state, and the answer to the state alone.
    template <class Layer, class Run>
    void from_states(const Layer& layer, Results& results, const Run& run) const {
        Writer with_state = outputs(results["y_state"]);
        Writer answer = outputs(results["K_state"]);
        Writer final_state = states(results["state1"]);
        using StateMatrix = typename Layer::StateMatrix;
        for (Index b = 0; b < problem_.batch; ++b) {
            const Sequence<Scalar> u = input(b);
            const Sequence<Scalar> silence = Sequence<Scalar>::Zero(u.rows(), u.cols());
            Sequence<Scalar> y(u.rows(), layer.outputs());
            auto state = layer.make_state();
            layer.write_state(state, initial_state<StateMatrix>(b));
            run(state, u, y);
            put(with_state, b, y);
            put_state(final_state, b, layer.read_state(state));
            layer.write_state(state, initial_state<StateMatrix>(b));
            run(state, silence, y);
            put(answer, b, y);
        }
    }

    // ---- convolution ------------------------------------------------------------------------------------------------

    template <class System, class Fft>
    void convolve(Results& results) const {
        for (const auto& [name, length, kernel_length] : problem_.kernels)
            results[name] = flatten(convolution_kernels<System, Fft>(parameters<System>(kernel_length), length));
        for (const RatedKernel& rated : problem_.rates) {
            Parameters p = unlimited();
            p.band_limit = problem_.options.band_limit;  // at rate 1, of C as it stands
            p.rate = rated.rate;
            results[rated.name] = flatten(convolution_kernels<System, Fft>(p, rated.length));
            if constexpr (low_rank) approximate_rate<System, Fft>(rated, results);
        }
        if constexpr (low_rank) {
            // The same kernel from parameters that hold C~, as a trained checkpoint does.
            if (problem_.options.band_limit == 0)
                for (const auto& [prefix, length] : problem_.transformed)
                    results[prefix + "K"] = flatten(
                        convolution_kernels<System, Fft>(to_length<System>(unlimited(), length), problem_.length));
        }
        S4Layer<System, Mode::convolution, Fft> layer{layer_parameters<System>()};
        layer.prepare(problem_.length);
        auto workspace = layer.make_workspace();
        Sequence<Scalar> u(problem_.batch * problem_.length, problem_.channels);
        for (Index b = 0; b < problem_.batch; ++b) u.middleRows(b * problem_.length, problem_.length) = input(b);
        Sequence<Scalar> y(u.rows(), layer.outputs());
        layer.forward(workspace, u, y, problem_.batch);
        Writer convolved = outputs(results["y"]);
        for (Index b = 0; b < problem_.batch; ++b)
            put(convolved, b, y.middleRows(b * problem_.length, problem_.length));
        differentiate<System, Fft>(results);
        if constexpr (is_causal<System>) {
            if (problem_.state0.empty()) return;
            from_states(layer, results, [&](auto& state, const Sequence<Scalar>& in, Sequence<Scalar>& out) {
                layer.forward(workspace, state, in, out);
            });
        }
    }

    /// The gradients of Σ y g, of a Dplr layer with C~ as the independent number, and with plain C.
    template <class System, class Fft>
    void differentiate(Results& results) const {
        if (problem_.g.empty()) return;
        if constexpr (low_rank) {
            Parameters p = to_length<System>(unlimited(), problem_.transformed.front().second);
            p.band_limit = problem_.options.band_limit;
            layer_gradients<System, Fft>(problem_, p, "grad.", results);
            if (problem_.raw_gradients) layer_gradients<System, Fft>(problem_, unlimited(), "gradraw.", results);
        } else {
            layer_gradients<System, Fft>(problem_, layer_parameters<System>(), "grad.", results);
        }
    }

    /// The reference's kernel at another rate: C~ made at rate 1 used with the roots of unity of the shorter or longer
    /// length, which is not what C~ means there.
    template <class System, class Fft>
    void approximate_rate(const RatedKernel& rated, Results& results) const {
        const auto n =
            static_cast<Index>(std::nearbyint(static_cast<double>(rated.reference_kernel_length) / rated.rate));
        const Parameters p = parameters<System>(rated.reference_kernel_length);
        const DplrKernel<Fft> kernel{rated.length, n};
        typename DplrKernel<Fft>::Workspace workspace{kernel};
        Values& values = results[rated.name + " approximate"];
        std::vector<Scalar> row(static_cast<std::size_t>(rated.length));
        for (Index c = 0; c < p.C.rows() / p.channels(); ++c)
            for (Index h = 0; h < p.channels(); ++h) {
                DplrSystem system = Ssm::system(to_length<System>(p, rated.reference_kernel_length), h, c);
                system.dt *= rated.rate;
                system.kernel_length = n;
                kernel(workspace, system, row);  // by plain C where n is odd: our roots of unity come in pairs
                values.insert(values.end(), row.begin(), row.end());
            }
    }

    // ---- the discrete system ----------------------------------------------------------------------------------------

    void describe(LayerResults& results) const {
        Results& system = results.system;
        const Parameters p = unlimited();
        const Index rows = p.C.rows() / p.channels();
        if constexpr (low_rank) {
            for (const auto& [prefix, length] : problem_.transformed) {
                const Parameters transformed =
                    problem_.bidirectional ? to_length<Bidirectional<Ssm>>(p, length) : to_length<Ssm>(p, length);
                append(system[prefix + "kernel.C"], flatten(transformed.C));
                system[prefix + "kernel.l_kernel"] = {static_cast<double>(transformed.kernel_length)};
            }
        }
        for (Index c = 0; c < rows; ++c)
            for (Index h = 0; h < p.channels(); ++h) describe_channel(system, p, c, h);
        if constexpr (low_rank && std::same_as<Scalar, double>) {
            for (const RatedKernel& rated : problem_.rates)
                for (Index c = 0; c < rows; ++c)
                    for (Index h = 0; h < p.channels(); ++h) {
                        DplrSystem plain = Ssm::system(p, h, c);
                        plain.dt *= rated.rate;
                        for (const test::Wide value : test::dplr_kernel_reference(plain, rated.length))
                            results.truth[rated.name].push_back(static_cast<double>(value));
                    }
        }
        // Coefficients are computed in double and rounded once.
        if constexpr (std::same_as<Scalar, float>)
            for (auto& [name, values] : system) values = rounded_to_float(values);
    }

    void describe_channel(Results& results, const Parameters& p, Index c, Index h) const {
        if constexpr (low_rank) {
            const auto system = Ssm::system(p, h, c);
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
            Parameters limited = p;
            limited.band_limit = problem_.options.band_limit;
            const auto system = Ssm::system(limited, h, c);
            if (c == 0)
                for (Index n = 0; n < problem_.pairs; ++n) {
                    const auto step = discretize(p.rule, system.lambda[n], system.dt[n]);
                    results["dA"].push_back(step.a());
                    results["dB"].push_back(step.b * system.B[n]);
                }
            append(results["dC"], flatten(system.C));
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
