// block_*: S4 blocks as streams, over whole sequences with both FFTs, and in training.
#include <algorithm>
#include <cmath>
#include <initializer_list>
#include <tests/golden_test/block_problem.hpp>
#include <tests/golden_test/families.hpp>

namespace s4::golden {

namespace {

class BlockCheck {
public:
    /// `minimal`: a minimal diagonal layer.
    BlockCheck(Case& test, bool minimal)
        : test_{test},
          file_{test.file()},
          minimal_{minimal},
          time_last_{file_.flag_or("transposed", true)},
          bounds_{bounds_for(file_.text_or("init", ""))} {}

    void operator()() {
        read();
        require_tensors();
        const bool low_rank = problem_.layer.low_rank;
        const BlockResults in_double =
            low_rank ? run_dplr_block_in_double(problem_) : run_diagonal_block_in_double(problem_);
        const BlockResults in_float =
            low_rank ? run_dplr_block_in_float(problem_) : run_diagonal_block_in_float(problem_);
        compare_system(in_double.system, in_float.system);
        if (!problem_.layer.bidirectional) compare_recurrence(in_double.recurrence, in_float.recurrence);
        compare_convolution(in_double.fftw, in_float.fftw, "fftw");
        compare_convolution(in_double.kiss, in_float.kiss, "kiss");
    }

private:
    [[nodiscard]] bool has_any(std::initializer_list<const char*> names) const {
        return std::any_of(names.begin(), names.end(), [this](const char* name) { return test_.has(name); });
    }

    /// [B, L, features] from the layout of the file.
    [[nodiscard]] Values read_sequences(const std::string& name, Index features) {
        const LayerProblem& layer = problem_.layer;
        if (!time_last_) return test_.input(name, {layer.batch, layer.length, features}).values;
        const Values& values = test_.input(name, {layer.batch, features, layer.length}).values;
        return exchanged(values, features, layer.length);
    }
    /// The layout of the file from [B, L, features].
    [[nodiscard]] Values layout(const Values& values) const {
        if (!time_last_) return values;
        const auto features = static_cast<Index>(values.size()) / (problem_.layer.batch * problem_.layer.length);
        return exchanged(values, problem_.layer.length, features);
    }
    /// [B, columns, rows] from [B, rows, columns].
    [[nodiscard]] Values exchanged(const Values& values, Index rows, Index columns) const {
        Values result(values.size());
        for (Index b = 0; b < problem_.layer.batch; ++b)
            for (Index row = 0; row < rows; ++row)
                for (Index column = 0; column < columns; ++column)
                    result[static_cast<std::size_t>((b * columns + column) * rows + row)] =
                        values[static_cast<std::size_t>((b * rows + row) * columns + column)];
        return result;
    }

    void read() {
        LayerProblem& layer = problem_.layer;
        read_ssm_options(file_, layer.options);
        layer.channels = file_.integer("H");
        layer.pairs = file_.integer("N") / 2;
        layer.length = file_.integer("L");
        layer.batch = file_.integer("batch");
        if (layer.channels < 1 || layer.pairs < 1 || layer.length < 1 || layer.batch < 1)
            file_.fail("H, N/2, L and batch must be positive");
        read_block(test_, "sd.", minimal_, problem_);
        problem_.u = read_sequences("u", layer.channels);
        if (test_.has("state0"))
            layer.state0 = test_.input("state0", {layer.batch, layer.channels, layer.pairs}).values;
        if (test_.has("lengths"))
            for (const auto& value : test_.input("lengths", {layer.batch}).values) {
                const double length = value.real();
                if (!(length >= 0 && length <= static_cast<double>(layer.length)) || length != std::floor(length))
                    file_.fail("lengths must lie in [0, L]");
                problem_.lengths.push_back(static_cast<Index>(length));
            }
    }

    /// What the metadata promise, and what belongs together, has to be there.
    void require_tensors() {
        const auto need = [this](const std::string& name) { static_cast<void>(test_.truth(name)); };
        need("y");
        if (file_.has_metadata("verified_grad_rel_err") || has_any({"g", "grad.u"})) {
            require_gradients(file_, "grad.", true);
            const Tensor& y = test_.truth("y");
            if (y.shape.size() != 3) file_.fail("y should have three axes, found " + shape_text(y.shape));
            problem_.g = read_sequences("g", y.shape[time_last_ ? 1 : 2]);
        }
        const std::initializer_list<const char*> stepping{"y_step", "y_step0", "x_step_final"};
        if (has_any(stepping))
            for (const char* name : stepping) need(name);
        const std::initializer_list<const char*> forwarding{"state0", "y_state", "state1"};
        if (has_any(forwarding))
            for (const char* name : forwarding) need(name);
        if (!problem_.layer.low_rank) return;
        need("after.layer.kernel.C");
        need("after.layer.kernel.l_kernel");
    }

    /// One line, if the file has the tensor.
    template <class Change>
    void compare(const std::string& name, const std::string& result, const Results& in_double, const Results& in_float,
                 Comparison comparison, const Change& change) {
        if (!test_.has(name)) return;
        const auto found = in_double.find(result);
        if (found == in_double.end())
            file_.fail("'" + name +
                       "' cannot be computed: a tensor that it needs is missing, or the block looks ahead");
        comparison.bounds = name.starts_with("grad.") ? gradient_bounds(bounds_, problem_.layer.low_rank) : bounds_;
        test_.compare(name, {change(found->second), change(in_float.at(result))}, comparison);
    }
    /// Of a sequence, in the layout of the file.
    void compare_sequence(const std::string& name, const std::string& result, const Results& in_double,
                          const Results& in_float, const Comparison& comparison) {
        compare(name, result, in_double, in_float, comparison, [this](const Values& values) { return layout(values); });
    }
    static Values same(const Values& values) { return values; }

    void compare_system(const Results& in_double, const Results& in_float) {
        for (const std::string name : {"kernel.C", "kernel.l_kernel"})
            compare("after.layer." + name, name, in_double, in_float, {.note = cast_note}, same);
    }

    void compare_recurrence(const Results& in_double, const Results& in_float) {
        Comparison comparison;
        if (problem_.options.swap_channels) comparison.note = "without swap_channels, as the reference steps";
        comparison.label = "y_step";
        compare_sequence("y_step", "y_step", in_double, in_float, comparison);
        comparison.label = "y_step by scan";
        compare_sequence("y_step", "y_step_scan", in_double, in_float, comparison);
        comparison.label = "y_step0";
        compare("y_step0", "y_step", in_double, in_float, comparison,
                [this](const Values& values) { return first_samples(values); });
        compare("x_step_final", "x_step_final", in_double, in_float, {},
                [this](const Values& values) { return problem_.layer.low_rank ? doubled(values) : values; });
        if (problem_.lengths.empty()) {
            compare_sequence("y", "y by steps", in_double, in_float, {.label = "y by steps"});
            compare_sequence("y", "y by steps_scan", in_double, in_float, {.label = "y by scan"});
        }
        compare_sequence("y_state", "y_state", in_double, in_float, {.label = "y_state by scan"});
        compare("state1", "state1", in_double, in_float, {.label = "state1 by scan"}, same);
    }
    [[nodiscard]] Values first_samples(const Values& values) const {
        const std::size_t of_sequence = values.size() / static_cast<std::size_t>(problem_.layer.batch);
        const std::size_t features = of_sequence / static_cast<std::size_t>(problem_.layer.length);
        Values first;
        for (std::size_t start = 0; start < values.size(); start += of_sequence)
            for (std::size_t k = 0; k < features; ++k) first.push_back(values[start + k]);
        return first;
    }
    /// Both halves of the pairs.
    [[nodiscard]] Values doubled(const Values& half) const {
        Values values;
        const auto pairs = static_cast<std::size_t>(problem_.layer.pairs);
        for (std::size_t first = 0; first < half.size(); first += pairs) {
            for (std::size_t n = 0; n < pairs; ++n) values.push_back(half[first + n]);
            for (std::size_t n = 0; n < pairs; ++n) values.push_back(std::conj(half[first + n]));
        }
        return values;
    }

    void compare_convolution(const Results& in_double, const Results& in_float, const std::string& back_end) {
        compare_sequence("y", "y", in_double, in_float, {.back_end = back_end});
        compare_sequence("y", "y in training", in_double, in_float, {.label = "y in training", .back_end = back_end});
        compare_sequence("y_state", "y_state", in_double, in_float, {.back_end = back_end});
        compare("state1", "state1", in_double, in_float, {.back_end = back_end}, same);
        compare_sequence("grad.u", "grad.u", in_double, in_float, {.back_end = back_end});
        for (const auto& [name, tensor] : file_.tensors()) {
            if (!name.starts_with("grad.") || name == "grad.u") continue;
            const std::string result = library_name(name);
            if (!in_double.contains(result)) continue;  // not known to the library: Case::finish says so
            const bool minus = is_negated(name, minimal_);
            compare(name, result, in_double, in_float, {.back_end = back_end},
                    [minus](const Values& values) { return minus ? negated(values) : values; });
        }
    }

    Case& test_;
    const GoldenFile& file_;
    bool minimal_;
    bool time_last_;
    Bounds bounds_;
    BlockProblem problem_;
};

}  // namespace

void check_block(Case& test) { BlockCheck{test, false}(); }

void check_minimal_block(Case& test) { BlockCheck{test, true}(); }

}  // namespace s4::golden
