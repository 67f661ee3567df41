#include <s4/discretize/bilinear.hpp>
#include <s4/discretize/zero_order_hold.hpp>

#include <tests/golden_test/layer_runs.hpp>

namespace s4::golden {

LayerResults run_diagonal_in_double(const LayerProblem& problem) {
    if (problem.rule == ZeroOrderHold::name) return LayerRun<Diagonal<double, ZeroOrderHold>>{problem}();
    if (problem.rule == Bilinear::name) return LayerRun<Diagonal<double, Bilinear>>{problem}();
    throw Error("there is no diagonal layer with the rule '" + problem.rule + "'");
}

}  // namespace s4::golden
