// s4_dplr_*, s4d_*: whole layers in both modes, with both FFTs; s4d_dss_*: the kernel of DSS.
#include <s4/kernel/diagonal_kernel.hpp>

#include <algorithm>
#include <initializer_list>
#include <tests/golden_test/families.hpp>
#include <tests/golden_test/layer_problem.hpp>

namespace s4::golden {

namespace {

/// Entry [first, second, third] of a tensor of three axes.
std::complex<double> entry(const Tensor& tensor, Index first, Index second, Index third) {
    return tensor.values[static_cast<std::size_t>((first * tensor.shape[1] + second) * tensor.shape[2] + third)];
}
/// Entry [row, column] of a real tensor of two axes.
double entry(const Tensor& tensor, Index row, Index column) {
    return tensor.values[static_cast<std::size_t>(row * tensor.shape[1] + column)].real();
}

/// The tensors called `prefix`kernel.… and `prefix`D. With fewer sets than heads, head h has set h mod S.
void read_kernel(Case& test, const std::string& prefix, LayerProblem& problem) {
    const Index H = problem.heads;
    const Index pairs = problem.pairs;
    const Tensor& inv_dt = test.input(prefix + "inv_dt");
    const Tensor& A_real = test.input(prefix + "A_real");
    if (A_real.shape.size() != 2 || A_real.shape[0] < 1 || A_real.shape[1] != pairs)
        test.file().fail("A_real should have the shape [S x N/2], found " + shape_text(A_real.shape));
    const Index sets = A_real.shape[0];
    const Tensor& A_imag = test.input(prefix + "A_imag", {sets, pairs});
    const Tensor& B = test.input(prefix + "B", {1, sets, pairs});
    const Tensor& C = test.input(prefix + "C");
    if (C.shape.size() != 3 || C.shape[1] != H || C.shape[2] != pairs || !C.is_complex)
        test.file().fail("C should be complex with the shape [C x H x N/2], found " + shape_text(C.shape));
    problem.outputs = C.shape[0];
    if (inv_dt.shape.size() != 2 || inv_dt.shape[0] != H || (inv_dt.shape[1] != 1 && inv_dt.shape[1] != pairs))
        test.file().fail("inv_dt should have the shape [H x 1] or [H x N/2], found " + shape_text(inv_dt.shape));

    problem.inv_dt.resize(H, inv_dt.shape[1]);
    problem.A_real.resize(H, pairs);
    problem.A_imag.resize(H, pairs);
    problem.B.resize(H, pairs);
    problem.C.assign(static_cast<std::size_t>(problem.outputs), Eigen::MatrixXcd(H, pairs));
    for (Index h = 0; h < H; ++h) {
        for (Index column = 0; column < inv_dt.shape[1]; ++column) problem.inv_dt(h, column) = entry(inv_dt, h, column);
        for (Index n = 0; n < pairs; ++n) {
            problem.A_real(h, n) = entry(A_real, h % sets, n);
            problem.A_imag(h, n) = entry(A_imag, h % sets, n);
            problem.B(h, n) = entry(B, 0, h % sets, n);
            for (Index c = 0; c < problem.outputs; ++c)
                problem.C[static_cast<std::size_t>(c)](h, n) = entry(C, c, h, n);
        }
    }
    if (!problem.low_rank) return;
    const Tensor& P = test.input(prefix + "P");
    if (P.shape.size() != 3 || P.shape[1] != sets || P.shape[2] != pairs)
        test.file().fail("P should have the shape [R x S x N/2], found " + shape_text(P.shape));
    problem.rank = P.shape[0];
    problem.P.resize(problem.rank * H, pairs);
    for (Index r = 0; r < problem.rank; ++r)
        for (Index h = 0; h < H; ++h)
            for (Index n = 0; n < pairs; ++n) problem.P(r * H + h, n) = entry(P, r, h % sets, n);
}

/// A value that the metadata may leave out or set to "null".
bool is_set(const GoldenFile& file, std::string_view key) { return file.text_or(key, "null") != "null"; }

Index last_axis(const Tensor& tensor) { return tensor.shape.empty() ? 1 : tensor.shape.back(); }

class LayerCheck {
public:
    LayerCheck(Case& test, bool low_rank) : test_{test}, file_{test.file()} {
        problem_.low_rank = low_rank;
        bounds_ = bounds_for(file_.text_or("init", ""));
    }

    void operator()() {
        test_.pending_gradients();
        read();
        const LayerResults in_double =
            problem_.low_rank ? run_dplr_in_double(problem_) : run_diagonal_in_double(problem_);
        const LayerResults in_float = problem_.low_rank ? run_dplr_in_float(problem_) : run_diagonal_in_float(problem_);
        compare_system(in_double.system, in_float.system);
        compare_recurrence(in_double.recurrence, in_float.recurrence);
        compare_convolution(in_double.fftw, in_float.fftw, "fftw");
        compare_convolution(in_double.kiss, in_float.kiss, "kiss");
    }

private:
    void read() {
        problem_.rule = file_.text("disc");
        if (problem_.low_rank && problem_.rule != "bilinear") file_.fail("a DPLR layer is bilinear");
        problem_.dt_transform = transform_from_name(file_.text_or("dt_transform", "exp"));
        problem_.real_transform = transform_from_name(file_.text_or("real_transform", "exp"));
        problem_.imag_transform = transform_from_name(file_.text_or("imag_transform", "none"));
        problem_.heads = file_.integer("H");
        problem_.pairs = file_.integer("N") / 2;
        problem_.length = file_.integer("L");
        problem_.batch = file_.integer("batch");
        if (problem_.heads < 1 || problem_.pairs < 1 || problem_.length < 1 || problem_.batch < 1)
            file_.fail("H, N/2, L and batch must be positive");
        read_kernel(test_, "sd.kernel.", problem_);

        bidirectional_ = file_.flag_or("bidirectional", false);
        const Index causal = bidirectional_ ? problem_.outputs / 2 : problem_.outputs;
        if (bidirectional_ && problem_.outputs % 2 != 0) file_.fail("a bidirectional layer has an even number of C");
        const Tensor& D = test_.input("sd.D", {causal, problem_.heads});
        for (Index c = 0; c < causal; ++c) {
            problem_.D.emplace_back(problem_.heads);
            for (Index h = 0; h < problem_.heads; ++h) problem_.D.back()[h] = entry(D, c, h);
        }
        problem_.u = test_.input("u", {problem_.batch, problem_.heads, problem_.length}).values;
        if (test_.has("state0"))
            problem_.state0 = test_.input("state0", {problem_.batch, problem_.heads, problem_.pairs}).values;

        require_tensors();
        problem_.kernels.emplace_back("K", last_axis(test_.truth("K")));
        for (const auto& [name, tensor] : file_.tensors()) {
            if (name == "K_short" || name == "K_long") problem_.kernels.emplace_back(name, last_axis(tensor));
            if (name.starts_with("K_rate") && !problem_.low_rank)
                problem_.rates.emplace_back(name, number_from(std::string_view{name}.substr(6), name),
                                            last_axis(tensor));
        }
        if (problem_.low_rank) read_kernel_lengths();
    }

    /// What the metadata promise, and what belongs together, has to be there: a tensor that was left out is not a
    /// tensor without a difference.
    void require_tensors() const {
        const auto need = [this](const std::string& name) { static_cast<void>(test_.truth(name)); };
        need("K");
        need("y");
        for (const auto& [key, value] : file_.metadata())
            if (key.starts_with("L_")) need("K_" + key.substr(2));
        const std::initializer_list<const char*> stepping{"dA", "dB", "dC", "y_step", "x_step_final"};
        if (std::any_of(stepping.begin(), stepping.end(), [this](const char* name) { return test_.has(name); }))
            for (const char* name : stepping) need(name);
        const std::initializer_list<const char*> forwarding{"state0", "y_state", "K_state", "state1"};
        if (std::any_of(forwarding.begin(), forwarding.end(), [this](const char* name) { return test_.has(name); }))
            for (const char* name : forwarding) need(name);
        if (!problem_.low_rank) return;
        need("after.kernel.C");
        need("after.kernel.l_kernel");
        if (test_.has("K_long")) {
            need("after_long.kernel.C");
            need("after_long.kernel.l_kernel");
        }
    }

    /// The lengths that C~ refers to: l_max or the first length asked for, doubled until it serves.
    void read_kernel_lengths() {
        problem_.kernel_length = static_cast<Index>(test_.input("sd.kernel.l_kernel", {}).values.front().real());
        Index length = problem_.kernel_length > 0 ? problem_.kernel_length
                       : is_set(file_, "l_max")   ? file_.integer("l_max")
                                                  : problem_.length;
        if (length < 1) file_.fail("l_max must be positive");
        while (length < problem_.length) length *= 2;
        problem_.transformed.emplace_back("after.", length);
        if (test_.has("K_long")) {
            while (length < last_axis(test_.truth("K_long"))) length *= 2;
            problem_.transformed.emplace_back("after_long.", length);
        }
    }

    /// Why a quantity that depends on C, or on the whole layer, is out of reach; empty when it is not.
    [[nodiscard]] std::string missing_feature(bool needs_layer, bool needs_output_vector) const {
        if (needs_layer && bidirectional_) return "bidirectional";
        if (needs_layer && file_.text_or("activation", "identity") != "identity") return "activation";
        if (needs_output_vector && is_set(file_, "bandlimit")) return "band limit";
        return {};
    }

    /// One line, if the file has the tensor.
    void compare(const std::string& name, const std::string& result, const Results& in_double, const Results& in_float,
                 const std::string& missing, Comparison comparison) {
        if (!test_.has(name)) return;
        if (!missing.empty()) {
            if (comparison.back_end != "kiss") test_.pending(name, missing, {name});
            return;
        }
        const auto found = in_double.find(result);
        if (found == in_double.end()) file_.fail("'" + name + "' needs a tensor that is missing (state0)");
        comparison.bounds = bounds_;
        // The frequency-domain route of the reference passes next to a pole here.
        if (problem_.low_rank && bounds_.in_double > standard_bounds.in_double &&
            (name == "y_state" || name == "K_state"))
            comparison.note = "the oracle itself is good to 4e-10";
        test_.compare(name, {found->second, in_float.at(result)}, comparison);
    }

    void compare_system(const Results& in_double, const Results& in_float) {
        const std::string masked = problem_.low_rank ? std::string{} : missing_feature(false, true);
        const Comparison cast{.note = cast_note};
        compare("dA", "dA", in_double, in_float, {}, cast);
        compare("dB", "dB", in_double, in_float, {}, cast);
        compare("dC", "dC", in_double, in_float, masked, cast);
        for (const auto& [name, rate, length] : problem_.rates)
            compare(name, name, in_double, in_float, missing_feature(false, true), {});
        for (const auto& [prefix, length] : problem_.transformed) {
            compare(prefix + "kernel.C", prefix + "kernel.C", in_double, in_float, {}, cast);
            compare(prefix + "kernel.l_kernel", prefix + "kernel.l_kernel", in_double, in_float, {}, {});
        }
        if (!problem_.low_rank) return;
        for (const auto& [name, tensor] : file_.tensors())
            if (name.starts_with("K_rate")) test_.pending(name, "rate", {name});
    }

    void compare_recurrence(const Results& in_double, const Results& in_float) {
        const std::string layer = missing_feature(true, false);
        const std::string output = missing_feature(true, !problem_.low_rank);
        const std::string whole = missing_feature(true, true);
        Comparison comparison;
        if (problem_.low_rank && is_set(file_, "bandlimit"))
            comparison.note = "without the band limit, as the reference steps";
        comparison.label = "y_step";
        compare("y_step", "y_step", in_double, in_float, output, comparison);
        comparison.label = "y_step by scan";
        compare("y_step", "y_scan", in_double, in_float, output, comparison);
        compare_final_state(in_double, in_float, layer);
        compare("y_state", "y_state", in_double, in_float, whole, {.label = "y_state by scan"});
        compare("K_state", "K_state", in_double, in_float, whole, {.label = "K_state by scan"});
        compare("state1", "state1", in_double, in_float, layer, {.label = "state1 by scan"});
    }

    /// The oracle of a DPLR layer holds both halves of the pairs.
    void compare_final_state(const Results& in_double, const Results& in_float, const std::string& missing) {
        const auto doubled = [this](const Results& results) {
            Results both{{"x_step_final", {}}};
            const Values& half = results.at("x_step_final");
            Values& values = both["x_step_final"];
            const auto pairs = static_cast<std::size_t>(problem_.pairs);
            for (std::size_t first = 0; first < half.size(); first += pairs) {
                for (std::size_t n = 0; n < pairs; ++n) values.push_back(half[first + n]);
                if (!problem_.low_rank) continue;
                for (std::size_t n = 0; n < pairs; ++n) values.push_back(std::conj(half[first + n]));
            }
            return both;
        };
        compare("x_step_final", "x_step_final", doubled(in_double), doubled(in_float), missing, {});
    }

    void compare_convolution(const Results& in_double, const Results& in_float, const std::string& back_end) {
        const std::string layer = missing_feature(true, false);
        const std::string kernel = missing_feature(false, true);
        const std::string whole = missing_feature(true, true);
        for (const auto& [name, length] : problem_.kernels)
            compare(name, name, in_double, in_float, kernel, {.back_end = back_end});
        if (kernel.empty())
            for (const auto& [prefix, length] : problem_.transformed)
                compare("K", prefix + "K", in_double, in_float, {},
                        {.label = "K from C~ of " + std::to_string(length), .back_end = back_end});
        compare("y", "y", in_double, in_float, whole, {.back_end = back_end});
        compare("y_state", "y_state", in_double, in_float, whole, {.back_end = back_end});
        compare("K_state", "K_state", in_double, in_float, whole, {.back_end = back_end});
        compare("state1", "state1", in_double, in_float, layer, {.back_end = back_end});
    }

    Case& test_;
    const GoldenFile& file_;
    LayerProblem problem_;
    Bounds bounds_;
    bool bidirectional_ = false;
};

void check_layer(Case& test, bool low_rank) {
    if (test.file().flag_or("is_real", false)) return test.pending_file("real diagonal systems");
    if (test.file().flag_or("dt_fast", false)) return test.pending_file("dt_fast");
    LayerCheck{test, low_rank}();
}

template <RealScalar Scalar>
Values dss_values(const LayerProblem& problem, Index length) {
    Values values;
    std::vector<Scalar> kernel(static_cast<std::size_t>(length));
    for (const Eigen::MatrixXcd& C : problem.C)
        for (Index h = 0; h < problem.heads; ++h) {
            DiagonalSystem system{Eigen::VectorXcd(problem.pairs), problem.B.row(h).transpose(), C.row(h).transpose(),
                                  Eigen::VectorXd(problem.pairs)};
            for (Index n = 0; n < problem.pairs; ++n) {
                system.lambda[n] = {-apply(problem.real_transform, problem.A_real(h, n)),
                                    -apply(problem.imag_transform, problem.A_imag(h, n))};
                system.dt[n] = apply(problem.dt_transform, problem.inv_dt(h, problem.inv_dt.cols() == 1 ? 0 : n));
            }
            dss_kernel<Scalar>(system, kernel);
            values.insert(values.end(), kernel.begin(), kernel.end());
        }
    return values;
}

}  // namespace

void check_dplr_layer(Case& test) { check_layer(test, true); }
void check_diagonal_layer(Case& test) { check_layer(test, false); }

void check_dss(Case& test) {
    LayerProblem problem;
    problem.heads = test.file().integer("H");
    problem.pairs = test.file().integer("N") / 2;
    if (problem.heads < 1 || problem.pairs < 1) test.file().fail("H and N/2 must be positive");
    problem.dt_transform = transform_from_name(test.file().text_or("dt_transform", "exp"));
    problem.real_transform = transform_from_name(test.file().text_or("real_transform", "exp"));
    problem.imag_transform = transform_from_name(test.file().text_or("imag_transform", "none"));
    read_kernel(test, "sd.", problem);
    const Index length = last_axis(test.truth("K"));
    test.compare("K", {dss_values<double>(problem, length), dss_values<float>(problem, length)},
                 {.bounds = dss_bounds, .note = "the oracle was cast to single precision"});
    test.pending_gradients();
}

}  // namespace s4::golden
