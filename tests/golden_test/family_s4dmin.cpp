// s4dmin_*: the minimal diagonal layer – S4D under the zero-order hold, GELU, a linear map to twice the width, and a
// gated linear unit.
#include <algorithm>
#include <cmath>
#include <numbers>
#include <tests/golden_test/families.hpp>
#include <tests/golden_test/layer_problem.hpp>

namespace s4::golden {

namespace {

/// The map from what the diagonal layer gives, at one time step, to the output of the whole layer.
struct Gate {
    Values weight;  ///< [2H × H]
    Values bias;    ///< [2H]
};

LayerProblem read_problem(Case& test, Gate& gate) {
    const GoldenFile& file = test.file();
    LayerProblem problem;
    problem.rule = "zoh";
    problem.heads = 1;
    problem.channels = file.integer("H");
    problem.pairs = file.integer("N") / 2;
    problem.length = file.integer("L");
    problem.batch = file.integer("batch");
    if (problem.channels < 1 || problem.pairs < 1 || problem.length < 1 || problem.batch < 1)
        file.fail("H, N/2, L and batch must be positive");
    const Index H = problem.channels;
    const Index pairs = problem.pairs;
    const Tensor& log_dt = test.input("sd.kernel.log_dt", {H});
    const Tensor& log_A_real = test.input("sd.kernel.log_A_real", {H, pairs});
    const Tensor& A_imag = test.input("sd.kernel.A_imag", {H, pairs});
    const Tensor& C = test.input("sd.kernel.C", {H, pairs});
    const Tensor& D = test.input("sd.D", {H});
    problem.inv_dt.resize(H, 1);
    problem.A_real.resize(H, pairs);
    problem.A_imag.resize(H, pairs);
    problem.B.setOnes(H, pairs);
    problem.C.resize(H, pairs);
    problem.D.resize(H);
    for (Index h = 0; h < H; ++h) {
        problem.inv_dt(h, 0) = log_dt.values[static_cast<std::size_t>(h)].real();
        problem.D[h] = D.values[static_cast<std::size_t>(h)].real();
        for (Index n = 0; n < pairs; ++n) {
            const auto at = static_cast<std::size_t>(h * pairs + n);
            problem.A_real(h, n) = log_A_real.values[at].real();
            problem.A_imag(h, n) = -A_imag.values[at].real();  // it stores the half of the pairs above the real axis
            problem.C(h, n) = C.values[at];
        }
    }
    problem.kernels.emplace_back("K", test.truth("K").shape.back(), 0);
    gate.weight = test.input("sd.output_linear.0.weight", {2 * H, H, 1}).values;
    gate.bias = test.input("sd.output_linear.0.bias", {2 * H}).values;
    return problem;
}

/// [B, H, L] from the file's layout, or back to it.
Values transposed(const Values& values, Index batch, Index rows, Index columns) {
    Values result(values.size());
    for (Index b = 0; b < batch; ++b)
        for (Index row = 0; row < rows; ++row)
            for (Index column = 0; column < columns; ++column)
                result[static_cast<std::size_t>((b * columns + column) * rows + row)] =
                    values[static_cast<std::size_t>((b * rows + row) * columns + column)];
    return result;
}

/// GELU, linear map and gate at every time step, in `Scalar`; y and the result are [B, H, L].
template <RealScalar Scalar>
Values gated(const LayerProblem& problem, const Gate& gate, const Values& y) {
    const auto H = static_cast<std::size_t>(problem.channels);
    const auto L = static_cast<std::size_t>(problem.length);
    const auto cast = [](const std::complex<double>& value) { return static_cast<Scalar>(value.real()); };
    Values result(y.size());
    std::vector<Scalar> active(H);
    for (std::size_t start = 0; start < y.size(); start += H * L)
        for (std::size_t l = 0; l < L; ++l) {
            for (std::size_t h = 0; h < H; ++h) {
                const Scalar x = cast(y[start + h * L + l]);
                active[h] = x / 2 * (Scalar{1} + std::erf(x / std::numbers::sqrt2_v<Scalar>));
            }
            const auto linear = [&](std::size_t row) {
                Scalar sum = cast(gate.bias[row]);
                for (std::size_t h = 0; h < H; ++h) sum += cast(gate.weight[row * H + h]) * active[h];
                return sum;
            };
            for (std::size_t h = 0; h < H; ++h)
                result[start + h * L + l] = linear(h) / (Scalar{1} + std::exp(-linear(H + h)));
        }
    return result;
}

}  // namespace

void check_minimal_diagonal_layer(Case& test) {
    test.pending_gradients();
    Gate gate;
    LayerProblem problem = read_problem(test, gate);
    const Index H = problem.channels;
    const Index L = problem.length;
    const bool time_last = test.file().flag_or("transposed", true);
    const Tensor& u = time_last ? test.input("u", {problem.batch, H, L}) : test.input("u", {problem.batch, L, H});
    problem.u = time_last ? u.values : transposed(u.values, problem.batch, L, H);

    const LayerResults in_double = run_diagonal_in_double(problem);
    const LayerResults in_float = run_diagonal_in_float(problem);
    const auto output = [&](const Values& gated_values) {
        return time_last ? gated_values : transposed(gated_values, problem.batch, H, L);
    };
    const auto compare = [&](const std::string& label, const std::string& back_end, const Values& y_double,
                             const Values& y_float) {
        test.compare("y",
                     {output(gated<double>(problem, gate, y_double)), output(gated<float>(problem, gate, y_float))},
                     {.label = label, .back_end = back_end});
    };
    compare("y by steps", "", in_double.recurrence.at("y_step"), in_float.recurrence.at("y_step"));
    for (const auto& [back_end, results, float_results] :
         {std::tuple{"fftw", &in_double.fftw, &in_float.fftw}, std::tuple{"kiss", &in_double.kiss, &in_float.kiss}}) {
        test.compare("K", {results->at("K"), float_results->at("K")}, {.back_end = back_end});
        compare("y", back_end, results->at("y"), float_results->at("y"));
    }
}

}  // namespace s4::golden
