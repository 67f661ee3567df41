#include <s4/discretize/bilinear.hpp>
#include <s4/discretize/zero_order_hold.hpp>

#include <tests/golden_test/model_runs.hpp>

namespace s4::golden {

ModelResults run_diagonal_model_in_float(const ModelProblem& problem) {
    const std::string& rule = problem.blocks.front().layer.rule;
    if (rule == ZeroOrderHold::name) return ModelRun<Diagonal<float, ZeroOrderHold>>{problem}();
    if (rule == Bilinear::name) return ModelRun<Diagonal<float, Bilinear>>{problem}();
    throw Error("there is no diagonal model with the rule '" + rule + "'");
}

}  // namespace s4::golden
