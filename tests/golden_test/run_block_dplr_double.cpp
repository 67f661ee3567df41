#include <tests/golden_test/block_runs.hpp>

namespace s4::golden {

BlockResults run_dplr_block_in_double(const BlockProblem& problem) { return BlockRun<Dplr<double>>{problem}(); }

}  // namespace s4::golden
