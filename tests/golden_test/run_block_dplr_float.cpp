#include <tests/golden_test/block_runs.hpp>

namespace s4::golden {

BlockResults run_dplr_block_in_float(const BlockProblem& problem) { return BlockRun<Dplr<float>>{problem}(); }

}  // namespace s4::golden
