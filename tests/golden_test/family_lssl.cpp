// lssl_*: dense systems as layers, in both modes and with both FFTs, through the activation and the linear map.
#include <s4/fft/fftw.hpp>
#include <s4/fft/kiss_fft.hpp>
#include <s4/layer/dense_layer.hpp>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <tests/golden_test/families.hpp>

namespace s4::golden {

namespace {

/// Everything that a file of this family starts from.
struct LsslProblem {
    Index heads, outputs, states, length, batch;  // H, M, N, L, B
    Eigen::MatrixXd A;
    Eigen::VectorXd B;
    Values C;       // [H × M × N]
    Values D;       // [H × M]
    Values log_dt;  // [H]
    Values u;       // [B × L × H]
    std::string activation;
    bool mixes;     // whether the linear map follows
    Values weight;  // [H × H·M]
    Values bias;    // [H]
};

LsslProblem problem_of(Case& test) {
    const GoldenFile& file = test.file();
    LsslProblem p{};
    p.heads = file.integer("H");
    p.outputs = file.integer("channels");
    p.states = file.integer("N");
    p.length = file.integer("L");
    p.batch = file.integer("batch");
    if (const std::string rule = file.text_or("discretization", "bilinear"); rule != Bilinear::name)
        file.fail("this family is bilinear, found the rule " + rule);
    p.A = Eigen::Map<const Eigen::Matrix<std::complex<double>, Dynamic, Dynamic, Eigen::RowMajor>>(
              test.input("A", {p.states, p.states}).values.data(), p.states, p.states)
              .real();
    const Tensor& B = test.input("B");
    if (static_cast<Index>(B.values.size()) != p.states) file.fail("A and B do not fit together");
    p.B = Eigen::Map<const Eigen::VectorXcd>(B.values.data(), p.states).real();
    p.C = test.input("C", {p.heads, p.outputs, p.states}).values;
    p.D = test.input("D", {p.heads, p.outputs}).values;
    p.log_dt = test.input("log_dt", {p.heads}).values;
    p.u = test.input("u", {p.batch, p.length, p.heads}).values;
    p.activation = file.text("activation");
    p.mixes = file.flag_or("ff", test.has("output_linear.weight"));
    if (p.mixes) {
        p.weight = test.input("output_linear.weight", {p.heads, p.heads * p.outputs}).values;
        p.bias = test.input("output_linear.bias", {p.heads}).values;
    }
    return p;
}

/// One output m of every head is a layer of its own.
template <RealScalar Scalar>
typename Dense<Scalar>::Parameters parameters_of(const LsslProblem& p, Index m) {
    typename Dense<Scalar>::Parameters parameters;
    parameters.A = p.A.template cast<Scalar>();
    parameters.B = p.B.template cast<Scalar>();
    parameters.C.resize(p.heads, p.states);
    parameters.D.resize(p.heads);
    parameters.inv_dt.resize(p.heads);
    for (Index h = 0; h < p.heads; ++h) {
        const auto row = static_cast<std::size_t>(h * p.outputs + m);
        for (Index n = 0; n < p.states; ++n)
            parameters.C(h, n) =
                static_cast<Scalar>(p.C[row * static_cast<std::size_t>(p.states) + static_cast<std::size_t>(n)].real());
        parameters.D[h] = static_cast<Scalar>(p.D[row].real());
        parameters.inv_dt[h] = static_cast<Scalar>(p.log_dt[static_cast<std::size_t>(h)].real());
    }
    return parameters;
}

/// y_ssm [B × L × H × M]: `run(parameters, u, y)` runs one layer over the sequences u [B·L × H].
template <RealScalar Scalar, class Run>
std::vector<Scalar> run_layers(const LsslProblem& p, const Run& run) {
    Sequence<Scalar> u(p.batch * p.length, p.heads);
    for (Index i = 0; i < u.size(); ++i) u.data()[i] = static_cast<Scalar>(p.u[static_cast<std::size_t>(i)].real());
    std::vector<Scalar> y_ssm(static_cast<std::size_t>(u.size() * p.outputs));
    Sequence<Scalar> y(u.rows(), u.cols());
    for (Index m = 0; m < p.outputs; ++m) {
        run(parameters_of<Scalar>(p, m), u, y);
        for (Index i = 0; i < y.size(); ++i) y_ssm[static_cast<std::size_t>(i * p.outputs + m)] = y.data()[i];
    }
    return y_ssm;
}

template <RealScalar Scalar, class Fft>
std::vector<Scalar> convolved(const LsslProblem& p) {
    return run_layers<Scalar>(p, [&](const auto& parameters, const Sequence<Scalar>& u, Sequence<Scalar>& y) {
        Lssl<Scalar, Mode::convolution, Fft> layer{parameters};
        layer.prepare(p.length);
        auto workspace = layer.make_workspace();
        layer.forward(workspace, u, y, p.batch);
    });
}

template <RealScalar Scalar>
std::vector<Scalar> streamed(const LsslProblem& p) {
    return run_layers<Scalar>(p, [&](const auto& parameters, const Sequence<Scalar>& u, Sequence<Scalar>& y) {
        const Lssl<Scalar, Mode::recurrence> layer{parameters};
        auto state = layer.make_state();
        for (Index b = 0; b < p.batch; ++b) {
            state.reset();
            for (Index t = b * p.length; t < (b + 1) * p.length; ++t) layer.step(state, u.row(t), y.row(t));
        }
    });
}

template <RealScalar Scalar>
Scalar activate(const LsslProblem& p, Scalar x, const GoldenFile& file) {
    const std::string& name = p.activation;
    const Scalar one{1};
    if (name == "id" || name == "identity" || name == "linear") return x;
    if (name == "gelu") return x / 2 * (one + std::erf(x / std::numbers::sqrt2_v<Scalar>));
    if (name == "relu") return std::max(x, Scalar{0});
    if (name == "tanh") return std::tanh(x);
    if (name == "sigmoid") return one / (one + std::exp(-x));
    if (name == "silu" || name == "swish") return x / (one + std::exp(-x));
    file.fail("there is no activation '" + name + "'");
}

/// The activation, then the linear map over all H·M outputs of a time step.
template <RealScalar Scalar>
Values mixed(const LsslProblem& p, const std::vector<Scalar>& y_ssm, const GoldenFile& file) {
    const auto inputs = static_cast<std::size_t>(p.heads * p.outputs);
    Values y;
    std::vector<Scalar> active(inputs);
    for (std::size_t row = 0; row < y_ssm.size(); row += inputs) {
        for (std::size_t i = 0; i < inputs; ++i) active[i] = activate(p, y_ssm[row + i], file);
        if (!p.mixes) {
            y.insert(y.end(), active.begin(), active.end());
            continue;
        }
        for (std::size_t h = 0; h < static_cast<std::size_t>(p.heads); ++h) {
            Scalar sum = static_cast<Scalar>(p.bias[h].real());
            for (std::size_t i = 0; i < inputs; ++i)
                sum += static_cast<Scalar>(p.weight[h * inputs + i].real()) * active[i];
            y.emplace_back(sum);
        }
    }
    return y;
}

template <RealScalar Scalar>
Values widened(const std::vector<Scalar>& values) {
    return {values.begin(), values.end()};
}

template <RealScalar Scalar, class Fft>
Values kernel_values(const LsslProblem& p) {
    Values kernels(static_cast<std::size_t>(p.heads * p.outputs * p.length));
    for (Index m = 0; m < p.outputs; ++m) {
        const auto K = convolution_kernels<Dense<Scalar>, Fft>(parameters_of<Scalar>(p, m), p.length);
        for (Index h = 0; h < p.heads; ++h)
            for (Index l = 0; l < p.length; ++l)
                kernels[static_cast<std::size_t>((h * p.outputs + m) * p.length + l)] = static_cast<double>(K(h, l));
    }
    return kernels;
}

}  // namespace

void check_lssl(Case& test) {
    const LsslProblem p = problem_of(test);
    const GoldenFile& file = test.file();

    Values A_bar;
    Values B_bar;
    for (const std::complex<double> log_dt : p.log_dt) {
        const DenseStep<double> step = discretize(Bilinear{}, p.A, p.B, std::exp(log_dt.real()));
        append(A_bar, flatten(step.A_bar));
        append(B_bar, flatten(step.B_bar));
    }
    test.compare("dA", computed_in_double(A_bar), {.note = cast_note});
    test.compare("dB", computed_in_double(B_bar), {.note = cast_note});
    test.compare("K", {kernel_values<double, Fftw<double>>(p), kernel_values<float, Fftw<float>>(p)});

    const auto compare = [&](const std::string& how, const std::string& back_end, const std::vector<double>& in_double,
                             const std::vector<float>& in_float) {
        test.compare("y_ssm", {widened(in_double), widened(in_float)}, {.label = "y_ssm" + how, .back_end = back_end});
        test.compare("y", {mixed(p, in_double, file), mixed(p, in_float, file)},
                     {.label = "y" + how, .back_end = back_end});
    };
    compare(", recurrence", "", streamed<double>(p), streamed<float>(p));
    compare("", "fftw", convolved<double, Fftw<double>>(p), convolved<float, Fftw<float>>(p));
    compare("", "kiss", convolved<double, KissFft<double>>(p), convolved<float, KissFft<float>>(p));
}

}  // namespace s4::golden
