#include <tests/golden_test/layer_runs.hpp>

namespace s4::golden {

LayerResults run_dplr_in_double(const LayerProblem& problem) { return LayerRun<Dplr<double>>{problem}(); }

}  // namespace s4::golden
