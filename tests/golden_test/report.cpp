#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>
#include <limits>
#include <tests/golden_test/report.hpp>

namespace s4::golden {

namespace {

std::string error_text(const std::optional<double>& error) {
    if (!error) return "-";
    char text[32];
    std::snprintf(text, sizeof text, "%.1e", *error);
    return text;
}

/// max|found − truth| / max|truth|; the plain difference where the truth is all zero; infinite if anything is not
/// finite.
double relative_error(const Values& found, const Values& truth) {
    if (found.size() != truth.size()) return std::numeric_limits<double>::infinity();
    const auto size = static_cast<Index>(found.size());
    return test::relative_error(Eigen::Map<const Eigen::VectorXcd>(found.data(), size),
                                Eigen::Map<const Eigen::VectorXcd>(truth.data(), size));
}

}  // namespace

void Report::begin_file(const std::string& family) {
    family_ = family;
    ++files_;
}

void Report::print(const Line& line, const std::string& status) {
    std::printf("%-40s %-26s double=%-8s float=%-8s %-6s %s%s%s\n", line.file.c_str(), line.quantity.c_str(),
                error_text(line.error_in_double).c_str(), error_text(line.error_in_float).c_str(),
                line.back_end.empty() ? "-" : ('[' + line.back_end + ']').c_str(), status.c_str(),
                line.note.empty() ? "" : "  # ", line.note.c_str());
    std::fflush(stdout);
}

void Report::comparison(const Line& line, bool passed) {
    ++comparisons_;
    Worst& worst = worst_[family_];
    ++worst.comparisons;
    worst.in_double = std::max(worst.in_double, line.error_in_double.value_or(0));
    worst.in_float = std::max(worst.in_float, line.error_in_float.value_or(0));
    print(line, passed ? "ok" : "FAIL");
    if (passed) return;
    ++failures_;
    ADD_FAILURE() << line.file << ": " << line.quantity << (line.back_end.empty() ? "" : " with ") << line.back_end
                  << ": double=" << error_text(line.error_in_double) << " float=" << error_text(line.error_in_float)
                  << ' ' << line.note;
}

void Report::pending(const std::string& file, const std::string& quantity, const std::string& feature,
                     const std::string& note) {
    ++pending_[feature];
    print({file, quantity, {}, {}, {}, note}, "pending: " + feature);
}

void Report::failure(const std::string& file, const std::string& quantity, const std::string& note) {
    ++failures_;
    print({file, quantity, {}, {}, {}, note}, "FAIL");
    ADD_FAILURE() << file << ": " << quantity << ": " << note;
}

void Report::print_summary() const {
    std::printf("\n%-18s %12s %16s %16s\n", "family", "comparisons", "worst in double", "worst in float");
    for (const auto& [family, worst] : worst_)
        std::printf("%-18s %12d %16.1e %16.1e\n", family.c_str(), worst.comparisons, worst.in_double, worst.in_float);
    int pending = 0;
    for (const auto& [feature, count] : pending_) pending += count;
    std::printf("\n%d files, %d comparisons, %d pending, %d failures\n", files_, comparisons_, pending, failures_);
    for (const auto& [feature, count] : pending_) std::printf("  pending: %-28s %4d\n", feature.c_str(), count);
    std::fflush(stdout);
}

const Tensor& Case::input(std::string_view name) {
    const Tensor& tensor = file_.tensor(name);
    done_.emplace(name);
    return tensor;
}

const Tensor& Case::input(std::string_view name, const std::vector<Index>& shape) {
    const Tensor& tensor = input(name);
    if (tensor.shape != shape)
        file_.fail("the tensor '" + std::string{name} + "' should have the shape " + shape_text(shape) + ", found " +
                   shape_text(tensor.shape));
    return tensor;
}

void Case::compare(const std::string& name, const Found& found, const Comparison& comparison) {
    compare_with(name, file_.tensor(name).values, found, comparison);
}

void Case::compare_with(const std::string& name, const Values& truth, const Found& found,
                        const Comparison& comparison) {
    if (!name.empty()) done_.insert(name);
    Report::Line line{file_.stem(),   comparison.label.empty() ? name : comparison.label, {}, {}, comparison.back_end,
                      comparison.note};
    const auto remark = [&line](const std::string& text) { line.note += (line.note.empty() ? "" : "; ") + text; };
    if (truth.empty()) remark("the oracle is empty");
    if (found.in_double.size() != truth.size())
        remark(std::to_string(truth.size()) + " values expected, found " + std::to_string(found.in_double.size()));
    line.error_in_double = relative_error(found.in_double, truth);
    bool passed = !truth.empty() && *line.error_in_double <= comparison.bounds.in_double;
    if (found.in_float) {
        line.error_in_float = relative_error(*found.in_float, truth);
        if (comparison.judge_float) passed = passed && *line.error_in_float <= comparison.bounds.in_float;
    }
    report_.comparison(line, passed);
}

void Case::pending(const std::string& quantity, const std::string& feature, const std::vector<std::string>& names) {
    done_.insert(names.begin(), names.end());
    report_.pending(file_.stem(), quantity, feature);
}

void Case::pending_file(const std::string& feature) {
    for (const auto& [name, tensor] : file_.tensors()) done_.insert(name);
    report_.pending(file_.stem(), "(whole file)", feature);
}

void Case::finish() {
    for (const auto& [name, tensor] : file_.tensors())
        if (!done_.contains(name)) failure(name, "no comparison: this tensor is not known to the test");
}

Values rounded_to_float(const Values& values) {
    Values rounded;
    rounded.reserve(values.size());
    for (const std::complex<double>& value : values)
        rounded.emplace_back(static_cast<float>(value.real()), static_cast<float>(value.imag()));
    return rounded;
}

Found computed_in_double(Values values) {
    Values rounded = rounded_to_float(values);
    return {std::move(values), std::move(rounded)};
}

void append(Values& to, const Values& more) { to.insert(to.end(), more.begin(), more.end()); }

}  // namespace s4::golden
