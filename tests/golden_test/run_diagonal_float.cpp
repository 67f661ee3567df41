#include <s4/discretize/bilinear.hpp>
#include <s4/discretize/zero_order_hold.hpp>

#include <tests/golden_test/layer_runs.hpp>

namespace s4::golden {

LayerResults run_diagonal_in_float(const LayerProblem& problem) {
    if (problem.rule == ZeroOrderHold::name) return LayerRun<Diagonal<float, ZeroOrderHold>>{problem}();
    if (problem.rule == Bilinear::name) return LayerRun<Diagonal<float, Bilinear>>{problem}();
    throw Error("there is no diagonal layer with the rule '" + problem.rule + "'");
}

}  // namespace s4::golden
