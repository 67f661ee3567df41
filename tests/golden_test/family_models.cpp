// model_*: sequence models in training, with both FFTs: predictions, loss, gradient, and steps of AdamW.
#include <algorithm>
#include <cmath>
#include <tests/golden_test/families.hpp>
#include <tests/golden_test/model_problem.hpp>

namespace s4::golden {

namespace {

class ModelCheck {
public:
    explicit ModelCheck(Case& test) : test_{test}, file_{test.file()} {
        const std::string kind = file_.text("kind");
        minimal_ = kind == "s4model_s4d";
        if (!minimal_ && kind != "s4model_s4block") file_.fail("there is no model of the kind '" + kind + "'");
        bounds_ = bounds_for(file_.text_or("init", ""));
    }

    void operator()() {
        read();
        require_tensors();
        const bool low_rank = problem_.blocks.front().layer.low_rank;
        const ModelResults in_double =
            low_rank ? run_dplr_model_in_double(problem_) : run_diagonal_model_in_double(problem_);
        const ModelResults in_float =
            low_rank ? run_dplr_model_in_float(problem_) : run_diagonal_model_in_float(problem_);
        compare(in_double.fftw, in_float.fftw, "fftw");
        compare(in_double.kiss, in_float.kiss, "kiss");
    }

private:
    void read() {
        H_ = file_.integer("d_model");
        inputs_ = file_.integer("d_input");
        outputs_ = file_.integer("d_output");
        problem_.length = file_.integer("L");
        problem_.batch = file_.integer("batch");
        const Index layers = file_.integer("n_layers");
        const Index pairs = file_.integer("d_state") / 2;
        if (H_ < 1 || inputs_ < 1 || outputs_ < 1 || problem_.length < 1 || problem_.batch < 1 || layers < 1 ||
            pairs < 1)
            file_.fail("the sizes of a model must be positive");
        problem_.prenorm = file_.flag_or("prenorm", false);
        read_linear("sd.encoder.", H_, inputs_, problem_.encoder_weight, problem_.encoder_bias);
        read_linear("sd.decoder.", outputs_, H_, problem_.decoder_weight, problem_.decoder_bias);
        for (Index i = 0; i < layers; ++i) read_layer(std::to_string(i), pairs);
        problem_.x = test_.input("x", {problem_.batch, problem_.length, inputs_}).values;
        for (const auto& value : test_.input("target", {problem_.batch}).values) {
            const double target = value.real();
            if (!(target >= 0 && target < static_cast<double>(outputs_)) || target != std::floor(target))
                file_.fail("a target must be a class, in [0, d_output)");
            problem_.targets.push_back(static_cast<Index>(target));
        }
        problem_.optimiser = {.learning_rate = file_.number("lr"),
                              .weight_decay = file_.number("weight_decay"),
                              .ssm_learning_rate = file_.number("layer_lr"),
                              .ssm_output_is_ordinary = minimal_};
    }

    void read_layer(const std::string& number, Index pairs) {
        BlockProblem block;
        read_ssm_options(file_, block.layer.options);
        block.layer.channels = H_;
        block.layer.pairs = pairs;
        block.layer.length = problem_.length;
        block.layer.batch = problem_.batch;
        read_block(test_, "sd.s4_layers." + number + '.', minimal_, block);
        problem_.blocks.push_back(std::move(block));
        problem_.norm_weights.push_back(read_vector("sd.norms." + number + ".weight", H_));
        problem_.norm_biases.push_back(read_vector("sd.norms." + number + ".bias", H_));
    }

    void read_linear(const std::string& prefix, Index rows, Index columns, Eigen::MatrixXd& weight,
                     Eigen::VectorXd& bias) {
        const Tensor& tensor = test_.input(prefix + "weight", {rows, columns});
        weight.resize(rows, columns);
        for (Index row = 0; row < rows; ++row)
            for (Index column = 0; column < columns; ++column) weight(row, column) = entry(tensor, row, column);
        bias = read_vector(prefix + "bias", rows);
    }
    [[nodiscard]] Eigen::VectorXd read_vector(const std::string& name, Index size) {
        const Tensor& tensor = test_.input(name, {size});
        Eigen::VectorXd values(size);
        for (Index n = 0; n < size; ++n) values[n] = tensor.values[static_cast<std::size_t>(n)].real();
        return values;
    }

    /// Logits, loss and a gradient for every tensor belong to each file; so does everything of a step, if one of its
    /// tensors is there.
    void require_tensors() {
        const auto need = [this](const std::string& name) { static_cast<void>(test_.truth(name)); };
        need("logits");
        need("loss");
        require_gradients(file_, "grad.", false);
        for (const auto& [name, tensor] : file_.tensors()) {
            if (name.starts_with("new.") || name == "loss_after_1") problem_.steps = std::max<Index>(problem_.steps, 1);
            if (name.starts_with("new2.") || name == "loss_after_2") problem_.steps = 2;
            if (name.starts_with("sd.") && name.ends_with("l_kernel")) {
                need("after." + name.substr(3));
                need("after." + name.substr(3, name.size() - 3 - std::string_view{"l_kernel"}.size()) + "C");
            }
        }
        if (problem_.steps < 1) file_.fail("a model has the parameters after one step of its optimiser");
        require_gradients(file_, "new.", false);
        need("loss_after_1");
        if (problem_.steps < 2) return;
        need("loss_after_2");
        if (has_second_step()) require_gradients(file_, "new2.", false);
    }
    [[nodiscard]] bool has_second_step() const {
        return std::any_of(file_.tensors().begin(), file_.tensors().end(),
                           [](const auto& tensor) { return tensor.first.starts_with("new2."); });
    }

    /// The name of the result for a tensor of the file; empty: the library has none.
    [[nodiscard]] static std::string result_name(const std::string& name) {
        if (name == "logits" || name.starts_with("loss")) return name;
        if (name.starts_with("grad.")) return library_name(name);
        if (name.starts_with("new.")) return "1." + library_name(name.substr(4));
        if (name.starts_with("new2.")) return "2." + library_name(name.substr(5));
        if (name.starts_with("after.")) return "trained." + library_name(name.substr(6));
        return {};
    }

    /// Whether every entry of a gradient, if it is not zero, is more than rounding in float.
    [[nodiscard]] bool is_decided(const std::string& name) const {
        double largest = 0;
        const Values& values = test_.truth(name).values;
        for (const auto& value : values) largest = std::max({largest, std::abs(value.real()), std::abs(value.imag())});
        const auto decided = [largest](double part) {
            return part == 0 || std::abs(part) >= adamw_undecided * largest;
        };
        return std::all_of(values.begin(), values.end(),
                           [&](const auto& value) { return decided(value.real()) && decided(value.imag()); });
    }

    void compare(const Results& in_double, const Results& in_float, const std::string& back_end) {
        for (const auto& [name, tensor] : file_.tensors()) {
            const std::string result = result_name(name);
            if (!in_double.contains(result)) continue;  // inputs; what is not known fails in Case::finish
            Comparison comparison{.bounds = bounds_, .back_end = back_end};
            if (name.starts_with("grad."))
                comparison.bounds = gradient_bounds(bounds_, problem_.blocks.front().layer.low_rank);
            if (name.starts_with("new")) {
                comparison.bounds = adamw_bounds;
                comparison.judge_float = is_decided("grad" + name.substr(name.find('.')));
                if (!comparison.judge_float) comparison.note = "float not judged: a gradient is rounding there";
            }
            const bool minus = is_negated(name, minimal_);
            const auto values = [&](const Results& results) {
                return minus ? negated(results.at(result)) : results.at(result);
            };
            test_.compare(name, {values(in_double), values(in_float)}, comparison);
        }
    }

    Case& test_;
    const GoldenFile& file_;
    bool minimal_ = false;
    Index H_ = 0, inputs_ = 0, outputs_ = 0;
    Bounds bounds_;
    ModelProblem problem_;
};

}  // namespace

void check_model(Case& test) { ModelCheck{test}(); }

}  // namespace s4::golden
