#include <s4/discretize/bilinear.hpp>
#include <s4/discretize/zero_order_hold.hpp>

#include <tests/golden_test/model_runs.hpp>

namespace s4::golden {

ModelResults run_diagonal_model_in_double(const ModelProblem& problem) {
    const std::string& rule = problem.blocks.front().layer.rule;
    if (rule == ZeroOrderHold::name) return ModelRun<Diagonal<double, ZeroOrderHold>>{problem}();
    if (rule == Bilinear::name) return ModelRun<Diagonal<double, Bilinear>>{problem}();
    throw Error("there is no diagonal model with the rule '" + rule + "'");
}

}  // namespace s4::golden
