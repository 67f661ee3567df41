// disc_*: every rule, dense and diagonal.
#include <s4/discretize/dense.hpp>

#include <set>
#include <tests/golden_test/choices.hpp>
#include <tests/golden_test/families.hpp>

namespace s4::golden {

namespace {

struct StepValues {
    Values A_bar;
    Values B_bar;
};

template <RealScalar Real>
StepValues diagonal_step(const Rule& rule, const Values& A, const Values& B, double dt) {
    StepValues values;
    for (std::size_t n = 0; n < A.size(); ++n) {
        const auto step = std::visit(
            [&](const auto& chosen) {
                return discretize(chosen, static_cast<std::complex<Real>>(A[n]), static_cast<Real>(dt));
            },
            rule);
        values.A_bar.emplace_back(step.a());
        values.B_bar.emplace_back(step.b * static_cast<std::complex<Real>>(B[n]));
    }
    return values;
}

StepValues dense_step_values(const Rule& rule, const Values& A, const Values& B, double dt) {
    const auto N = static_cast<Index>(B.size());
    const Eigen::MatrixXd A_real =
        Eigen::Map<const Eigen::Matrix<std::complex<double>, Dynamic, Dynamic, Eigen::RowMajor>>(A.data(), N, N).real();
    const Eigen::VectorXd B_real = Eigen::Map<const Eigen::VectorXcd>(B.data(), N).real();
    const DenseStep<double> step =
        std::visit([&](const auto& chosen) { return discretize(chosen, A_real, B_real, dt); }, rule);
    return {flatten(step.A_bar), flatten(step.B_bar)};
}

}  // namespace

void check_discretisation(Case& test) {
    const Tensor& A = test.input("A");
    const Tensor& B = test.input("B");
    const Tensor& dt = test.input("dt");
    const auto N = static_cast<Index>(B.values.size());
    const auto A_size = static_cast<Index>(A.values.size());
    const bool is_diagonal = A.shape.size() == 1;
    if (A_size != (is_diagonal ? N : N * N)) test.file().fail("A and B do not fit together");

    // The rules are those that any tensor names; each of them is then needed for every dt.
    std::set<std::string> rules;
    for (const auto& [name, tensor] : test.file().tensors())
        for (const std::string_view part : {".dA.", ".dB."})
            if (const auto at = name.find(part); at != std::string::npos) rules.insert(name.substr(0, at));
    if (rules.empty()) test.file().fail("no tensor <rule>.dA.<i>");
    for (const std::string& name : rules) {
        const Rule rule = rule_from_name(name);
        for (std::size_t i = 0; i < dt.values.size(); ++i) {
            const double step_size = dt.values[i].real();
            const std::string index = std::to_string(i);
            if (is_diagonal) {
                const StepValues in_double = diagonal_step<double>(rule, A.values, B.values, step_size);
                const StepValues in_float = diagonal_step<float>(rule, A.values, B.values, step_size);
                test.compare(name + ".dA." + index, {in_double.A_bar, in_float.A_bar});
                test.compare(name + ".dB." + index, {in_double.B_bar, in_float.B_bar});
            } else {
                const StepValues step = dense_step_values(rule, A.values, B.values, step_size);
                test.compare(name + ".dA." + index, computed_in_double(step.A_bar), {.note = cast_note});
                test.compare(name + ".dB." + index, computed_in_double(step.B_bar), {.note = cast_note});
            }
        }
    }
}

}  // namespace s4::golden
