// Reads blocks from the oracles.
#include <algorithm>
#include <tests/golden_test/block_problem.hpp>

namespace s4::golden {

namespace {

void replace(std::string& text, std::string_view from, std::string_view to) {
    if (const auto at = text.find(from); at != std::string::npos) text.replace(at, from.size(), to);
}

/// Weight [out × features] and bias of the linear map; minimal layers hold it as a convolution of one sample.
void read_output(Case& test, const std::string& name, bool minimal, BlockProblem& problem) {
    const Tensor& weight = test.input(name + "weight");
    const std::size_t axes = minimal ? 3 : 2;
    if (weight.shape.size() != axes || (minimal && weight.shape[2] != 1))
        test.file().fail("'" + name + "weight' should have " + std::to_string(axes) + " axes, found " +
                         shape_text(weight.shape));
    const Tensor& bias = test.input(name + "bias", {weight.shape[0]});
    problem.weight.resize(weight.shape[0], weight.shape[1]);
    problem.bias.resize(weight.shape[0]);
    for (Index row = 0; row < problem.weight.rows(); ++row) {
        problem.bias[row] = bias.values[static_cast<std::size_t>(row)].real();
        for (Index column = 0; column < problem.weight.cols(); ++column)
            problem.weight(row, column) =
                weight.values[static_cast<std::size_t>(row * problem.weight.cols() + column)].real();
    }
}

void read_options(const GoldenFile& file, BlockProblem& problem) {
    problem.options.activation = activation_from_name(file.text("activation"));
    problem.options.mult_act = activation_from_name(file.text_or("mult_act", "none"));
    problem.options.final_act = activation_from_name(file.text("final_act"));
    problem.options.swap_channels = file.flag_or("swap_channels", false);
}

}  // namespace

std::string library_name(std::string name) {
    replace(name, "s4_layers.", "blocks.");
    replace(name, "layer.", "");
    replace(name, "output_linear.0.", "output.");
    replace(name, "kernel.log_dt", "kernel.inv_dt");
    replace(name, "kernel.log_A_real", "kernel.A_real");
    replace(name, "kernel.", "ssm.");
    if (name.ends_with(".D")) name.replace(name.size() - 1, 1, "ssm.D");
    return name;
}

bool is_negated(const std::string& name, bool minimal) { return minimal && name.ends_with("kernel.A_imag"); }

Values negated(Values values) {
    for (auto& value : values) value = -value;
    return values;
}

void read_block(Case& test, const std::string& prefix, bool minimal, BlockProblem& problem) {
    const GoldenFile& file = test.file();
    LayerProblem& layer = problem.layer;
    if (minimal) {
        read_minimal_kernel(test, prefix, layer);
        problem.options = {.activation = Activation::gelu, .final_act = Activation::glu};
        return read_output(test, prefix + "output_linear.0.", minimal, problem);
    }
    read_options(file, problem);
    layer.low_rank = file.text("mode") == "dplr";
    if (!layer.low_rank && file.text("mode") != "diag") file.fail("mode must be dplr or diag");
    layer.rule = file.text("disc");
    if (layer.low_rank && layer.rule != "bilinear") file.fail("a DPLR layer is bilinear");
    layer.bidirectional = file.flag_or("bidirectional", false);
    read_kernel(test, prefix + "layer.kernel.", layer);
    read_feed_through(test, prefix + "layer.D", layer);
    const Index l_max = is_set(file, "l_max") ? file.integer("l_max") : 0;
    problem.limit = l_max > 0 && l_max < layer.length ? l_max : 0;
    if (layer.low_rank) {
        layer.kernel_length =
            static_cast<Index>(test.input(prefix + "layer.kernel.l_kernel", {}).values.front().real());
        const Index asked = problem.limit > 0 ? problem.limit : layer.length;
        layer.transformed.emplace_back("after.", transformed_length(file, layer.kernel_length, asked));
    }
    if (is_set(file, "final_act")) read_output(test, prefix + "output_linear.0.", minimal, problem);
}

}  // namespace s4::golden
