#include <tests/golden_test/model_runs.hpp>

namespace s4::golden {

ModelResults run_dplr_model_in_double(const ModelProblem& problem) { return ModelRun<Dplr<double>>{problem}(); }

}  // namespace s4::golden
