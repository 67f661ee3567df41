// hippo_transition_*, hippo_nplr_*, hippo_s4dinit_*: matrices, decompositions and starting points, all in double.
#include <s4/hippo/s4d_init.hpp>

#include <algorithm>
#include <numbers>
#include <set>
#include <tests/golden_test/choices.hpp>
#include <tests/golden_test/families.hpp>
#include <tests/support/instances.hpp>

namespace s4::golden {

namespace {

/// The sizes N of the tensors "n<N>.…", and those that the metadata "N" promise ("[2, 4, 8]") unless an error of the
/// reference is recorded for them.
std::set<Index> sizes_of(const GoldenFile& file) {
    std::set<Index> sizes;
    for (const auto& [name, tensor] : file.tensors()) {
        const auto dot = name.find('.');
        if (name.starts_with('n') && dot != std::string::npos && dot > 1 &&
            name.find_first_not_of("0123456789", 1) == dot)
            sizes.insert(static_cast<Index>(number_from(std::string_view{name}.substr(1, dot - 1), name)));
    }
    std::string promised = file.text_or("N", "");
    std::replace_if(
        promised.begin(), promised.end(), [](char c) { return c < '0' || c > '9'; }, ' ');
    for (std::size_t at = 0; (at = promised.find_first_not_of(' ', at)) != std::string::npos;) {
        const std::size_t end = std::min(promised.find(' ', at), promised.size());
        const std::string digits = promised.substr(at, end - at);
        if (!file.has_metadata("n" + digits + "_error"))
            sizes.insert(static_cast<Index>(number_from(digits, "metadata N")));
        at = end;
    }
    if (sizes.empty()) file.fail("no tensor n<N>.… and no sizes in the metadata 'N'");
    return sizes;
}

using RealMatrix = Eigen::MatrixXd;
using ComplexMatrix = Eigen::MatrixXcd;

/// A tensor of the file as a matrix [rows × cols].
ComplexMatrix matrix_of(const Tensor& tensor, Index rows, Index cols) {
    if (static_cast<Index>(tensor.values.size()) != rows * cols) return ComplexMatrix::Zero(rows, cols);
    return Eigen::Map<const Eigen::Matrix<std::complex<double>, Dynamic, Dynamic, Eigen::RowMajor>>(
        tensor.values.data(), rows, cols);
}

/// Whether the eigenvector of pair `j` is determined up to its phase: not when the eigenvalue repeats, in this half or
/// as its own conjugate.
bool is_simple(const Eigen::VectorXcd& lambda, Index j) {
    const double near = 1e-7 * std::max(1.0, lambda.cwiseAbs().maxCoeff());
    if (std::abs(lambda[j].imag()) <= near) return false;
    for (Index k = 0; k < lambda.size(); ++k)
        if (k != j && std::abs(lambda[k] - lambda[j]) <= near) return false;
    return true;
}

/// The phases e^{iφ} [N/2] that turn the columns of `V` to those of `truth`: ±1, since both have a real first row,
/// unless that row is zero.
Eigen::VectorXcd phases(const ComplexMatrix& V, const ComplexMatrix& truth) {
    Eigen::VectorXcd phase(V.cols());
    for (Index j = 0; j < V.cols(); ++j) {
        std::complex<double> inner = 0;
        for (Index n = 0; n < V.rows(); ++n) inner += std::conj(V(n, j)) * truth(n, j);
        const bool real_row = std::abs(V(0, j)) > 1e-9 && std::abs(truth(0, j)) > 1e-9;
        if (real_row)
            phase[j] = inner.real() < 0 ? -1.0 : 1.0;
        else
            phase[j] = std::abs(inner) > 0 ? inner / std::abs(inner) : std::complex<double>{1.0};
    }
    return phase;
}

Eigen::VectorXcd clamped(Eigen::VectorXcd B) {
    for (std::complex<double>& b : B) b.imag(std::clamp(b.imag(), -2.0, 2.0));
    return B;
}

/// The columns of a row-major tensor [rows × columns] for which `keep` holds.
Values columns_of(const Values& values, Index columns, const std::vector<bool>& keep) {
    Values kept;
    for (std::size_t i = 0; i < values.size(); ++i)
        if (keep[i % static_cast<std::size_t>(columns)]) kept.push_back(values[i]);
    return kept;
}

/// The mathematically right values of a Fourier decomposition, where the files hold single precision: A couples entries
/// 2j and 2j + 1 only, so the eigenvectors are (1, ±i)/√2 there, and P and B have no odd entries.
void check_closed_form(Case& test, const std::string& prefix, const Hippo& hippo, Index N, Index rank,
                       const RealMatrix& abs_P, const RealMatrix& abs_B, const ComplexMatrix& conj_P_B,
                       const ComplexMatrix& P_conj_P) {
    const RealMatrix P_real = low_rank(hippo, N, rank);
    const Eigen::VectorXd B_real = transition(hippo, N).B;
    const Index pairs = N / 2;
    RealMatrix P(rank, pairs);
    RealMatrix B(pairs, 1);
    ComplexMatrix products(rank, pairs);
    ComplexMatrix squares(pairs, rank * rank);
    for (Index n = 0; n < pairs; ++n) {
        const Index entry = 2 * (pairs - 1 - n);  // the highest frequency comes first
        B(n, 0) = B_real[entry] / std::numbers::sqrt2;
        for (Index r = 0; r < rank; ++r) P(r, n) = P_real(r, entry) / std::numbers::sqrt2;
        for (Index r = 0; r < rank; ++r) {
            products(r, n) = P(r, n) * B(n, 0);
            for (Index s = 0; s < rank; ++s) squares(n, r * rank + s) = P(r, n) * P(s, n);
        }
    }
    Comparison exact{.bounds = standard_bounds, .note = std::string{cast_note} + ", with the closed form"};
    const auto compare = [&](const char* name, const auto& truth, const auto& found) {
        exact.label = prefix + name + ", exact";
        test.compare_with("", flatten(truth), computed_in_double(flatten(found)), exact);
    };
    compare("absP", P, abs_P);
    compare("absB", B, abs_B);
    compare("conjP_times_B", products, conj_P_B);
    compare("PconjP", squares, P_conj_P);
}

void check_decomposition(Case& test, const Hippo& hippo, Index N, Index rank, const Bounds& bounds) {
    const std::string prefix = "n" + std::to_string(N) + ".";
    const Index pairs = N / 2;
    const Nplr found = nplr(hippo, N, rank);
    Comparison cast{.bounds = bounds, .note = cast_note};
    const auto compare = [&](const char* name, const auto& matrix) {
        test.compare(prefix + name, computed_in_double(flatten(matrix)), cast);
    };
    compare("P_real", low_rank(hippo, N, rank));
    compare("W", found.lambda);
    if (bounds.in_double > standard_bounds.in_double) {
        cast.bounds = fourier_decomposition_bounds;
        cast.note += ", P of the oracle is single precision";
    }

    // Free of phases.
    ComplexMatrix conj_P_B(rank, pairs);
    ComplexMatrix P_conj_P(pairs, rank * rank);
    for (Index n = 0; n < pairs; ++n)
        for (Index r = 0; r < rank; ++r) {
            conj_P_B(r, n) = std::conj(found.P(r, n)) * found.B[n];
            for (Index s = 0; s < rank; ++s) P_conj_P(n, r * rank + s) = found.P(r, n) * std::conj(found.P(s, n));
        }
    compare("absP", found.P.cwiseAbs());
    compare("absB", found.B.cwiseAbs());
    compare("conjP_times_B", conj_P_B);
    compare("PconjP", P_conj_P);
    if (bounds.in_double > standard_bounds.in_double)
        check_closed_form(test, prefix, hippo, N, rank, found.P.cwiseAbs(), found.B.cwiseAbs(), conj_P_B, P_conj_P);

    // Up to the phase of each eigenvector; where it is not determined even so, the tensors above are what there is.
    const Tensor& V = test.truth(prefix + "V");
    const ComplexMatrix V_truth = matrix_of(V, N, pairs);
    const Eigen::VectorXcd phase = phases(found.V, V_truth);
    std::vector<bool> keep(static_cast<std::size_t>(pairs));
    Index left_out = 0;
    for (Index j = 0; j < pairs; ++j) {
        keep[static_cast<std::size_t>(j)] = is_simple(found.lambda, j);
        left_out += keep[static_cast<std::size_t>(j)] ? 0 : 1;
    }
    Comparison aligned{.bounds = cast.bounds, .note = cast.note + ", signs aligned"};
    if (left_out == pairs) std::fill(keep.begin(), keep.end(), true);  // nothing else to compare with
    if (left_out > 0 && left_out < pairs)
        aligned.note += ", without " + std::to_string(left_out) + " columns of repeated eigenvalues";
    const auto compare_aligned = [&](const char* name, const auto& matrix) {
        const Values& truth = test.truth(prefix + name).values;
        Values values = flatten(matrix);
        if (values.size() != truth.size())  // the columns of such a tensor mean nothing: report it as it is
            return test.compare(prefix + name, computed_in_double(std::move(values)), aligned);
        Comparison named = aligned;
        named.label = prefix + name;
        test.compare_with(prefix + name, columns_of(truth, pairs, keep),
                          computed_in_double(columns_of(values, pairs, keep)), named);
    };
    const Eigen::VectorXcd B = found.B.cwiseProduct(phase.conjugate());
    ComplexMatrix P = found.P;
    ComplexMatrix V_aligned = found.V;
    for (Index j = 0; j < pairs; ++j) {
        P.col(j) *= std::conj(phase[j]);
        V_aligned.col(j) *= phase[j];
    }
    compare_aligned("V", V_aligned);
    compare_aligned("P", P);
    compare_aligned("B_unclipped", B.transpose());
    compare_aligned("B_clip2", clamped(B).transpose());

    // A and B of the measure, rebuilt from the decomposition of the library and from that of the file.
    const HippoSystem system = transition(hippo, N);
    const auto rebuild = [&](const char* whose, const Bounds& allowed, const Eigen::VectorXcd& lambda,
                             const ComplexMatrix& basis, const ComplexMatrix& correction,
                             const Eigen::VectorXcd& input) {
        const ComplexMatrix scaled = basis * lambda.asDiagonal();
        const RealMatrix P_rebuilt = 2 * (correction * basis.transpose()).real();
        RealMatrix A = 2 * (scaled * basis.adjoint()).real();
        A -= P_rebuilt.transpose() * P_rebuilt;
        const RealMatrix B_rebuilt = 2 * (basis * input).real();
        Comparison rebuilt{.bounds = allowed, .note = cast_note};
        rebuilt.label = prefix + "A rebuilt, " + whose;
        test.compare_with("", flatten(system.A), computed_in_double(flatten(A)), rebuilt);
        rebuilt.label = prefix + "B rebuilt, " + whose;
        test.compare_with("", flatten(system.B), computed_in_double(flatten(B_rebuilt)), rebuilt);
    };
    rebuild("ours", standard_bounds, found.lambda, found.V, found.P, found.B);
    rebuild("file's", bounds, matrix_of(test.truth(prefix + "W"), pairs, 1), V_truth,
            matrix_of(test.truth(prefix + "P"), rank, pairs), matrix_of(test.truth(prefix + "B_unclipped"), pairs, 1));
}

}  // namespace

void check_hippo_transition(Case& test) {
    const Hippo hippo = measure_of(test.file());
    const Comparison comparison{.bounds = bounds_for("exact formulas"), .note = cast_note};
    for (const Index N : sizes_of(test.file())) {
        const HippoSystem system = transition(hippo, N);
        const std::string prefix = "n" + std::to_string(N) + ".";
        test.compare(prefix + "A", computed_in_double(flatten(system.A)), comparison);
        test.compare(prefix + "B", computed_in_double(flatten(system.B)), comparison);
    }
}

void check_hippo_nplr(Case& test) {
    const Hippo hippo = measure_of(test.file());
    const Bounds bounds = bounds_for(test.file().text("measure"));
    for (const Index N : sizes_of(test.file()))
        check_decomposition(test, hippo, N, test.file().integer("rank"), bounds);
}

void check_s4d_init(Case& test) {
    const Index N = test.file().integer("N");
    std::set<std::string> names;
    for (const auto& [name, tensor] : test.file().tensors()) {
        for (const std::string_view suffix : {".A", ".B", ".A_f64"})
            if (name.ends_with(suffix)) names.insert(name.substr(0, name.size() - suffix.size()));
    }
    if (names.empty()) test.file().fail("no tensor <init>.A");
    for (const std::string& name : names) {
        const DiagonalInit init = s4d_init(s4d_init_from_name(name), N);
        Comparison stored{.bounds = single_precision_oracle_bounds,
                          .note = std::string{cast_note} + ", the oracle is single precision"};
        test.compare(name + ".A_f64", computed_in_double(flatten(init.lambda)), {.note = cast_note});
        test.compare(name + ".A", computed_in_double(flatten(init.lambda)), stored);
        Eigen::VectorXcd B = init.B;
        const Values& truth = test.truth(name + ".B").values;
        if (name == "legs")  // eigenvectors again: the sign of each entry is open
            for (Index n = 0; n < std::min(B.size(), static_cast<Index>(truth.size())); ++n)
                if ((std::conj(B[n]) * truth[static_cast<std::size_t>(n)]).real() < 0) B[n] = -B[n];
        if (name == "legs") stored.bounds = single_precision_eigenvectors;
        test.compare(name + ".B", computed_in_double(flatten(B)), stored);
    }
}

}  // namespace s4::golden
