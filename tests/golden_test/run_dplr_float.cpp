#include <tests/golden_test/layer_runs.hpp>

namespace s4::golden {

LayerResults run_dplr_in_float(const LayerProblem& problem) { return LayerRun<Dplr<float>>{problem}(); }

}  // namespace s4::golden
