#include <s4/discretize/bilinear.hpp>
#include <s4/discretize/zero_order_hold.hpp>

#include <tests/golden_test/block_runs.hpp>

namespace s4::golden {

BlockResults run_diagonal_block_in_float(const BlockProblem& problem) {
    const std::string& rule = problem.layer.rule;
    if (rule == ZeroOrderHold::name) return BlockRun<Diagonal<float, ZeroOrderHold>>{problem}();
    if (rule == Bilinear::name) return BlockRun<Diagonal<float, Bilinear>>{problem}();
    throw Error("there is no diagonal block with the rule '" + rule + "'");
}

}  // namespace s4::golden
