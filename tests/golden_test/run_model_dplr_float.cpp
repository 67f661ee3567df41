#include <tests/golden_test/model_runs.hpp>

namespace s4::golden {

ModelResults run_dplr_model_in_float(const ModelProblem& problem) { return ModelRun<Dplr<float>>{problem}(); }

}  // namespace s4::golden
