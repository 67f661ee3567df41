// s4_dplr_*, s4d_*: whole layers in both modes, with both FFTs; s4d_dss_*: the kernel of DSS.
#include <s4/kernel/diagonal_kernel.hpp>

#include <algorithm>
#include <initializer_list>
#include <tests/golden_test/families.hpp>
#include <tests/golden_test/layer_problem.hpp>

namespace s4::golden {

namespace {

/// H, N/2 and the options.
void read_options(const GoldenFile& file, LayerProblem& problem) {
    read_ssm_options(file, problem.options);
    problem.channels = file.integer("H");
    problem.pairs = problem.options.real ? file.integer("N") : file.integer("N") / 2;
    if (problem.channels < 1 || problem.pairs < 1) file.fail("H and N/2 must be positive");
}

class LayerCheck {
public:
    LayerCheck(Case& test, bool low_rank) : test_{test}, file_{test.file()} {
        problem_.low_rank = low_rank;
        bounds_ = bounds_for(file_.text_or("init", ""));
    }

    void operator()() {
        read();
        const LayerResults in_double =
            problem_.low_rank ? run_dplr_in_double(problem_) : run_diagonal_in_double(problem_);
        const LayerResults in_float = problem_.low_rank ? run_dplr_in_float(problem_) : run_diagonal_in_float(problem_);
        compare_system(in_double.system, in_float.system);
        compare_recurrence(in_double.recurrence, in_float.recurrence);
        compare_convolution(in_double.fftw, in_float.fftw, in_double.truth, "fftw");
        compare_convolution(in_double.kiss, in_float.kiss, in_double.truth, "kiss");
    }

private:
    void read() {
        if (file_.text_or("activation", "identity") != "identity") file_.fail("a convolution layer has no activation");
        problem_.rule = file_.text("disc");
        if (problem_.low_rank && problem_.rule != "bilinear") file_.fail("a DPLR layer is bilinear");
        read_options(file_, problem_);
        problem_.length = file_.integer("L");
        problem_.batch = file_.integer("batch");
        if (problem_.length < 1 || problem_.batch < 1) file_.fail("L and batch must be positive");
        read_kernel(test_, "sd.kernel.", problem_);

        require_shape("n_ssm", problem_.A_real.rows());
        if (problem_.low_rank) require_shape("rank", problem_.P.rows() / problem_.A_real.rows());
        if (file_.flag_or("dt_tie", problem_.inv_dt.cols() == 1) != (problem_.inv_dt.cols() == 1))
            file_.fail("dt_tie contradicts the shape of inv_dt");
        problem_.bidirectional = file_.flag_or("bidirectional", false);
        read_feed_through(test_, "sd.D", problem_);
        require_shape("channels", problem_.heads);
        problem_.u = test_.input("u", {problem_.batch, problem_.channels, problem_.length}).values;
        if (test_.has("state0"))
            problem_.state0 = test_.input("state0", {problem_.batch, problem_.channels, problem_.pairs}).values;

        require_tensors();
        if (file_.has_metadata("verified_grad_rel_err") || has_any({"g", "grad.u", "grad.D"})) {
            require_gradients(file_, "grad.", true);
            problem_.g = test_.input("g", {problem_.batch, problem_.heads, problem_.channels, problem_.length}).values;
        }
        problem_.raw_gradients =
            file_.has_metadata("verified_gradraw_rel_err") || has_any({"gradraw.u", "gradraw.D", "gradraw.kernel.C"});
        if (problem_.raw_gradients) require_gradients(file_, "gradraw.", true);
        if (problem_.low_rank) read_kernel_lengths();
        for (const auto& [name, tensor] : file_.tensors()) {
            const Index length = last_axis(tensor);
            if (name.starts_with("K_") && name != "K_state") require_shape("L_" + name.substr(2), length);
            if (name == "K" || name == "K_short" || name == "K_long")
                problem_.kernels.emplace_back(name, length, reference_kernel_length(name));
            if (name.starts_with("K_rate")) {
                const std::string rate = name.substr(6);
                problem_.rates.push_back({name, number_from(rate, name), length,
                                          problem_.low_rank ? file_.integer("l_kernel_after_rate" + rate) : 0});
            }
        }
    }

    [[nodiscard]] bool has_any(std::initializer_list<const char*> names) const {
        return std::any_of(names.begin(), names.end(), [this](const char* name) { return test_.has(name); });
    }

    /// Metadata, where there are any, say what a shape says.
    void require_shape(const std::string& key, Index found) const {
        if (is_set(file_, key) && file_.integer(key) != found)
            file_.fail("the metadata say " + key + " = " + file_.text(key) + ", the tensors " + std::to_string(found));
    }

    /// The length that C~ refers to when the reference makes a kernel.
    [[nodiscard]] Index reference_kernel_length(const std::string& kernel) const {
        if (!problem_.low_rank) return 0;
        return kernel == "K_long" ? problem_.transformed.back().second : problem_.transformed.front().second;
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
        if (has_any(stepping))
            for (const char* name : stepping) need(name);
        const std::initializer_list<const char*> forwarding{"state0", "y_state", "K_state", "state1"};
        if (has_any(forwarding))
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
        Index length = transformed_length(file_, problem_.kernel_length, problem_.length);
        problem_.transformed.emplace_back("after.", length);
        if (test_.has("K_long")) {
            while (length < last_axis(test_.truth("K_long"))) length *= 2;
            problem_.transformed.emplace_back("after_long.", length);
        }
    }

    /// One line, if the file has the tensor.
    void compare(const std::string& name, const std::string& result, const Results& in_double, const Results& in_float,
                 Comparison comparison) {
        if (!test_.has(name)) return;
        const auto found = in_double.find(result);
        if (found == in_double.end())
            file_.fail("'" + name +
                       "' cannot be computed: a tensor that it needs is missing (state0), or the layer "
                       "is bidirectional");
        comparison.bounds = bounds_;
        // The frequency-domain route of the reference passes next to a pole here.
        if (problem_.low_rank && bounds_.in_double > standard_bounds.in_double &&
            (name == "y_state" || name == "K_state"))
            comparison.note = "the oracle itself is good to 4e-10";
        test_.compare(name, {found->second, in_float.at(result)}, comparison);
    }

    void compare_system(const Results& in_double, const Results& in_float) {
        const Comparison cast{.note = cast_note};
        compare("dA", "dA", in_double, in_float, cast);
        compare("dB", "dB", in_double, in_float, cast);
        compare("dC", "dC", in_double, in_float, cast);
        for (const auto& [prefix, length] : problem_.transformed) {
            compare(prefix + "kernel.C", prefix + "kernel.C", in_double, in_float, cast);
            compare(prefix + "kernel.l_kernel", prefix + "kernel.l_kernel", in_double, in_float, {});
        }
    }

    void compare_recurrence(const Results& in_double, const Results& in_float) {
        const bool limited = problem_.options.band_limit > 0;
        // The reference's step of a DPLR layer forgets the band limit; its diagonal step does not.
        const std::string step = limited && !problem_.low_rank ? "y" : "y_step";
        Comparison comparison;
        if (limited && problem_.low_rank) comparison.note = "without the band limit, as the reference steps";
        comparison.label = "y_step";
        compare("y_step", step, in_double, in_float, comparison);
        comparison.label = "y_step by scan";
        compare("y_step", step + "_scan", in_double, in_float, comparison);
        if (limited) {
            compare("y", "y", in_double, in_float, {.label = "y by steps", .note = "with the band limit"});
            compare("y", "y_scan", in_double, in_float, {.label = "y by scan", .note = "with the band limit"});
        }
        compare_final_state(in_double, in_float);
        compare("y_state", "y_state", in_double, in_float, {.label = "y_state by scan"});
        compare("K_state", "K_state", in_double, in_float, {.label = "K_state by scan"});
        compare("state1", "state1", in_double, in_float, {.label = "state1 by scan"});
    }

    /// The oracle of a DPLR layer holds both halves of the pairs.
    void compare_final_state(const Results& in_double, const Results& in_float) {
        if (!test_.has("x_step_final")) return;
        const auto doubled = [this](const Results& results) {
            Results both{{"x_step_final", {}}};
            const auto found = results.find("x_step_final");
            if (found == results.end()) file_.fail("a bidirectional layer has no final state");
            const Values& half = found->second;
            Values& values = both["x_step_final"];
            const auto pairs = static_cast<std::size_t>(problem_.pairs);
            for (std::size_t first = 0; first < half.size(); first += pairs) {
                for (std::size_t n = 0; n < pairs; ++n) values.push_back(half[first + n]);
                if (!problem_.low_rank) continue;
                for (std::size_t n = 0; n < pairs; ++n) values.push_back(std::conj(half[first + n]));
            }
            return both;
        };
        compare("x_step_final", "x_step_final", doubled(in_double), doubled(in_float), {});
    }

    void compare_convolution(const Results& in_double, const Results& in_float, const Results& truth,
                             const std::string& back_end) {
        for (const auto& [name, length, kernel_length] : problem_.kernels)
            compare(name, name, in_double, in_float, {.back_end = back_end});
        if (problem_.options.band_limit == 0)
            for (const auto& [prefix, length] : problem_.transformed)
                compare("K", prefix + "K", in_double, in_float,
                        {.label = "K from C~ of " + std::to_string(length), .back_end = back_end});
        for (const RatedKernel& rated : problem_.rates) compare_rate(rated, in_double, in_float, truth, back_end);
        compare("y", "y", in_double, in_float, {.back_end = back_end});
        compare("y_state", "y_state", in_double, in_float, {.back_end = back_end});
        compare("K_state", "K_state", in_double, in_float, {.back_end = back_end});
        compare("state1", "state1", in_double, in_float, {.back_end = back_end});
        compare_gradients("grad.", in_double, in_float, back_end);
        compare_gradients("gradraw.", in_double, in_float, back_end);
    }

    /// Every gradient of the file, and the output that was differentiated.
    void compare_gradients(const std::string& prefix, const Results& in_double, const Results& in_float,
                           const std::string& back_end) {
        bool any = false;
        for (const auto& [name, tensor] : file_.tensors()) {
            if (!name.starts_with(prefix)) continue;
            std::string result = name;
            if (const auto at = result.find(".kernel."); at != std::string::npos) result.erase(at, 7);
            if (!in_double.contains(result)) continue;  // not known to the library: Case::finish says so
            const Found found{in_double.at(result), in_float.at(result)};
            any = true;
            if (name == "grad.kernel.inv_dt" && problem_.low_rank && problem_.transformed.front().second == 1) {
                compare_with_nothing(name, found, back_end);
                continue;
            }
            const Bounds bounds = prefix == "grad." ? gradient_bounds(bounds_, problem_.low_rank)
                                                    : raw_gradient_bounds(bounds_, problem_.low_rank);
            test_.compare(name, found, {.bounds = bounds, .back_end = back_end});
        }
        if (any)
            compare("y", prefix + "y", in_double, in_float,
                    {.label = prefix == "grad." ? "y in training" : "y in training, plain C", .back_end = back_end});
    }

    /// K of one sample is C~ (I − Ā)⁻¹ B̄ = −C~ A⁻¹ B: it does not depend on dt, and what the oracle holds is rounding.
    void compare_with_nothing(const std::string& name, const Found& found, const std::string& back_end) {
        for (const auto& value : test_.truth(name).values)
            if (!(std::abs(value) <= bounds_.in_double)) file_.fail("'" + name + "' should be zero but for rounding");
        test_.compare_with(name, Values(found.in_double.size()), found,
                           {.bounds = bounds_, .back_end = back_end, .note = "against zero; the oracle is rounding"});
    }

    /// A diagonal kernel at another rate is what the oracle says. That of a DPLR layer is compared with the textbook:
    /// the oracle only approximates it, and how far it is off is compared with what its metadata say. Beside it stands
    /// the oracle's approximation itself, made by the library's sums.
    void compare_rate(const RatedKernel& rated, const Results& in_double, const Results& in_float, const Results& truth,
                      const std::string& back_end) {
        if (!problem_.low_rank) return compare(rated.name, rated.name, in_double, in_float, {.back_end = back_end});
        const std::string approximate = rated.name + " approximate";
        compare(rated.name, approximate, in_double, in_float,
                {.label = rated.name + " (reference)", .back_end = back_end, .note = "as the reference has it"});
        if (problem_.options.band_limit > 0) return;  // the masked C~ of the reference means another system there
        const Values& exact = in_double.at(rated.name);
        test_.compare_with(rated.name, truth.at(rated.name), {exact, in_float.at(rated.name)},
                           {.bounds = bounds_,
                            .label = rated.name + " (exact)",
                            .back_end = back_end,
                            .note = "against the textbook; the oracle approximates"});
        const double stated = file_.number("rate" + rated.name.substr(6) + "_vs_exact_kernel_max_abs_diff");
        const Values& oracle = test_.truth(rated.name).values;
        if (oracle.size() != exact.size()) file_.fail(rated.name + " should have the shape [C x H x length]");
        double gap = 0;
        for (std::size_t l = 0; l < exact.size(); ++l) {
            if (!detail::is_finite(oracle[l])) file_.fail(rated.name + " has an entry that is not finite");
            gap = std::max(gap, std::abs(exact[l] - oracle[l]));
        }
        if (stated < gap_resolution) return;
        test_.compare_with(rated.name, {stated}, {{gap}, {}},
                           {.bounds = stated_gap_bounds,
                            .label = rated.name + " (gap)",
                            .back_end = back_end,
                            .note = "how far the oracle is off, against its metadata"});
    }

    Case& test_;
    const GoldenFile& file_;
    LayerProblem problem_;
    Bounds bounds_;
};

template <RealScalar Scalar>
Values dss_values(const LayerProblem& problem, Index length) {
    Values values;
    std::vector<Scalar> kernel(static_cast<std::size_t>(length));
    for (Index row = 0; row < problem.C.rows(); ++row) {
        const Index h = row % problem.channels;
        const Index set = h % problem.A_real.rows();
        DiagonalSystem system{Eigen::VectorXcd(problem.pairs), problem.B.row(set).transpose(),
                              problem.C.row(row).transpose(), Eigen::VectorXd(problem.pairs)};
        for (Index n = 0; n < problem.pairs; ++n) {
            system.lambda[n] = {-apply(problem.options.real_transform, problem.A_real(set, n)),
                                -apply(problem.options.imag_transform, problem.A_imag(set, n))};
            system.dt[n] = apply(problem.options.dt_transform, problem.inv_dt(h, problem.inv_dt.cols() == 1 ? 0 : n));
        }
        dss_kernel<Scalar>(system, kernel);
        values.insert(values.end(), kernel.begin(), kernel.end());
    }
    return values;
}

}  // namespace

void check_dplr_layer(Case& test) { LayerCheck{test, true}(); }
void check_diagonal_layer(Case& test) { LayerCheck{test, false}(); }

void check_dss(Case& test) {
    LayerProblem problem;
    read_options(test.file(), problem);
    read_kernel(test, "sd.", problem);
    const Index length = last_axis(test.truth("K"));
    test.compare("K", {dss_values<double>(problem, length), dss_values<float>(problem, length)},
                 {.bounds = dss_bounds, .note = "the oracle was cast to single precision"});
}

}  // namespace s4::golden
