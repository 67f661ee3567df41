// s4dmin_*: the minimal diagonal layer – S4D under the zero-order hold, GELU, a linear map to twice the width, and a
// gated linear unit: a block, and its kernels.
#include <tests/golden_test/families.hpp>
#include <tests/golden_test/layer_problem.hpp>

namespace s4::golden {

void check_minimal_diagonal_layer(Case& test) {
    check_minimal_block(test);
    const GoldenFile& file = test.file();
    LayerProblem problem;
    problem.channels = file.integer("H");
    problem.pairs = file.integer("N") / 2;
    problem.batch = 1;
    read_minimal_kernel(test, "sd.", problem);
    problem.length = last_axis(test.truth("K"));
    problem.kernels.emplace_back("K", problem.length, 0);
    problem.u.resize(static_cast<std::size_t>(problem.channels * problem.length));  // silence: the kernels matter here
    const LayerResults in_double = run_diagonal_in_double(problem);
    const LayerResults in_float = run_diagonal_in_float(problem);
    test.compare("K", {in_double.fftw.at("K"), in_float.fftw.at("K")}, {.back_end = "fftw"});
    test.compare("K", {in_double.kiss.at("K"), in_float.kiss.at("K")}, {.back_end = "kiss"});
}

}  // namespace s4::golden
