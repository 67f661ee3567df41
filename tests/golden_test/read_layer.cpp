// Reads layers from the oracles.
#include <tests/golden_test/layer_problem.hpp>

namespace s4::golden {

namespace {

/// Entry [first, second, third] of a tensor of three axes.
std::complex<double> entry(const Tensor& tensor, Index first, Index second, Index third) {
    return tensor.values[static_cast<std::size_t>((first * tensor.shape[1] + second) * tensor.shape[2] + third)];
}

}  // namespace

double entry(const Tensor& tensor, Index row, Index column) {
    return tensor.values[static_cast<std::size_t>(row * tensor.shape[1] + column)].real();
}

bool is_set(const GoldenFile& file, std::string_view key) { return file.text_or(key, "null") != "null"; }

Index last_axis(const Tensor& tensor) { return tensor.shape.empty() ? 1 : tensor.shape.back(); }

void read_ssm_options(const GoldenFile& file, SsmOptions& options) {
    options.dt_transform = transform_from_name(file.text_or("dt_transform", "exp"));
    options.real_transform = transform_from_name(file.text_or("real_transform", "exp"));
    options.imag_transform = transform_from_name(file.text_or("imag_transform", "none"));
    options.dt_fast = file.flag_or("dt_fast", false);
    options.real = file.flag_or("is_real", false);
    if (is_set(file, "bandlimit")) options.band_limit = file.number("bandlimit");
}

void read_kernel(Case& test, const std::string& prefix, LayerProblem& problem) {
    const Index H = problem.channels;
    const bool is_complex = !problem.options.real;
    const Tensor& inv_dt = test.input(prefix + "inv_dt");
    const Tensor& A_real = test.input(prefix + "A_real");
    if (A_real.shape.size() != 2 || A_real.shape[0] < 1 || A_real.shape[1] != problem.pairs)
        test.file().fail("A_real should have the shape [S x " + std::to_string(problem.pairs) + "], found " +
                         shape_text(A_real.shape));
    const Index pairs = problem.pairs;
    const Index sets = A_real.shape[0];
    const Tensor& B = test.input(prefix + "B", {1, sets, pairs});
    const Tensor& C = test.input(prefix + "C");
    if (C.shape.size() != 3 || C.shape[1] != H || C.shape[2] != pairs || C.is_complex != is_complex)
        test.file().fail("C should have the shape [C x H x N/2], found " + shape_text(C.shape));
    if (inv_dt.shape.size() != 2 || inv_dt.shape[0] != H || (inv_dt.shape[1] != 1 && inv_dt.shape[1] != pairs))
        test.file().fail("inv_dt should have the shape [H x 1] or [H x N/2], found " + shape_text(inv_dt.shape));
    const Index rows = C.shape[0];

    problem.inv_dt.resize(H, inv_dt.shape[1]);
    for (Index h = 0; h < H; ++h)
        for (Index column = 0; column < inv_dt.shape[1]; ++column) problem.inv_dt(h, column) = entry(inv_dt, h, column);
    problem.A_real.resize(sets, pairs);
    problem.A_imag.setZero(sets, pairs);
    problem.B.resize(sets, pairs);
    for (Index s = 0; s < sets; ++s)
        for (Index n = 0; n < pairs; ++n) {
            problem.A_real(s, n) = entry(A_real, s, n);
            problem.B(s, n) = entry(B, 0, s, n);
        }
    if (is_complex) {
        const Tensor& A_imag = test.input(prefix + "A_imag", {sets, pairs});
        for (Index s = 0; s < sets; ++s)
            for (Index n = 0; n < pairs; ++n) problem.A_imag(s, n) = entry(A_imag, s, n);
    }
    problem.C.resize(rows * H, pairs);
    for (Index c = 0; c < rows; ++c)
        for (Index h = 0; h < H; ++h)
            for (Index n = 0; n < pairs; ++n) problem.C(c * H + h, n) = entry(C, c, h, n);
    if (!problem.low_rank) return;
    const Tensor& P = test.input(prefix + "P");
    if (P.shape.size() != 3 || P.shape[1] != sets || P.shape[2] != pairs)
        test.file().fail("P should have the shape [R x S x N/2], found " + shape_text(P.shape));
    problem.P.resize(P.shape[0] * sets, pairs);
    for (Index r = 0; r < P.shape[0]; ++r)
        for (Index s = 0; s < sets; ++s)
            for (Index n = 0; n < pairs; ++n) problem.P(r * sets + s, n) = entry(P, r, s, n);
}

void read_feed_through(Case& test, const std::string& name, LayerProblem& problem) {
    const Index rows = problem.C.rows() / problem.channels;
    if (problem.bidirectional && rows % 2 != 0) test.file().fail("a bidirectional layer has an even number of C");
    problem.heads = problem.bidirectional ? rows / 2 : rows;
    const Tensor& D = test.input(name, {problem.heads, problem.channels});
    problem.D.resize(problem.heads * problem.channels);
    for (Index c = 0; c < problem.heads; ++c)
        for (Index h = 0; h < problem.channels; ++h) problem.D[c * problem.channels + h] = entry(D, c, h);
}

void read_minimal_kernel(Case& test, const std::string& prefix, LayerProblem& problem) {
    const Index H = problem.channels;
    const Index pairs = problem.pairs;
    const Tensor& log_dt = test.input(prefix + "kernel.log_dt", {H});
    const Tensor& log_A_real = test.input(prefix + "kernel.log_A_real", {H, pairs});
    const Tensor& A_imag = test.input(prefix + "kernel.A_imag", {H, pairs});
    const Tensor& C = test.input(prefix + "kernel.C", {H, pairs});
    const Tensor& D = test.input(prefix + "D", {H});
    problem.rule = "zoh";
    problem.heads = 1;
    problem.options.frozen.B = true;
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
}

Index transformed_length(const GoldenFile& file, Index kernel_length, Index length) {
    Index n = kernel_length > 0 ? kernel_length : is_set(file, "l_max") ? file.integer("l_max") : length;
    if (n < 1) file.fail("l_max must be positive");
    while (n < length) n *= 2;
    return n;
}

void require_gradients(const GoldenFile& file, const std::string& prefix, bool with_input) {
    for (const auto& [name, tensor] : file.tensors())
        if (name.starts_with("sd.") && !name.ends_with("l_kernel"))
            static_cast<void>(file.tensor(prefix + name.substr(3)));
    if (with_input) static_cast<void>(file.tensor(prefix + "u"));
}

}  // namespace s4::golden
