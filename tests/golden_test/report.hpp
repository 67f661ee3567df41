// What this program prints, and what makes it fail.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <tests/golden_test/bounds.hpp>
#include <tests/golden_test/golden_file.hpp>

namespace s4::golden {

/// Prints one line for each file and quantity and counts them; every failure is also a failure of the running test.
class Report {
public:
    /// What one line says; an absent error prints as "-".
    struct Line {
        std::string file;
        std::string quantity;
        std::optional<double> error_in_double;
        std::optional<double> error_in_float;
        std::string back_end;
        std::string note;
    };

    void begin_file(const std::string& family);
    void comparison(const Line& line, bool passed);
    void pending(const std::string& file, const std::string& quantity, const std::string& feature,
                 const std::string& note = "");
    void failure(const std::string& file, const std::string& quantity, const std::string& note);
    void print_summary() const;

private:
    struct Worst {
        double in_double = 0;
        double in_float = 0;
        int comparisons = 0;
    };
    static void print(const Line& line, const std::string& status);

    std::string family_;
    int files_ = 0;
    int comparisons_ = 0;
    int failures_ = 0;
    std::map<std::string, int> pending_;  // by feature
    std::map<std::string, Worst> worst_;  // by family
};

/// What the library found for one quantity, in both scalars.
struct Found {
    Values in_double;
    std::optional<Values> in_float = std::nullopt;
};

/// How a comparison is named and judged.
struct Comparison {
    Bounds bounds = standard_bounds;
    std::string label = {};     ///< instead of the tensor's name, where one tensor is compared with several results
    std::string back_end = {};  ///< which FFT
    std::string note = {};
    bool judge_float = true;  ///< false: the error in float is printed, not judged
};

/// One file under test. Remembers what became of each of its tensors: input, compared or pending; whatever is left
/// when it is finished has been overlooked, which is a failure.
class Case {
public:
    Case(const GoldenFile& file, Report& report) : file_{file}, report_{report} {}

    [[nodiscard]] const GoldenFile& file() const noexcept { return file_; }
    [[nodiscard]] bool has(std::string_view name) const { return file_.tensors().contains(name); }

    /// A tensor that the computation starts from. Error when it is missing or not of that shape.
    const Tensor& input(std::string_view name);
    const Tensor& input(std::string_view name, const std::vector<Index>& shape);
    /// A tensor that is compared later under its own name; for its shape. Not marked.
    [[nodiscard]] const Tensor& truth(std::string_view name) const { return file_.tensor(name); }

    /// Compares what was found with a tensor of the file.
    void compare(const std::string& name, const Found& found, const Comparison& comparison = {});
    /// Compares with a truth that is derived from the tensor `name`, or belongs to none if it is empty.
    void compare_with(const std::string& name, const Values& truth, const Found& found, const Comparison& comparison);

    /// One line for a quantity that the library does not reach yet; covers the tensors named.
    void pending(const std::string& quantity, const std::string& feature, const std::vector<std::string>& names);
    /// The whole file, one line.
    void pending_file(const std::string& feature);

    void failure(const std::string& quantity, const std::string& note) {
        report_.failure(file_.stem(), quantity, note);
    }

    /// A failure for every tensor that nothing was done with.
    void finish();

private:
    const GoldenFile& file_;
    Report& report_;
    std::set<std::string, std::less<>> done_;
};

/// Every entry of a matrix, row by row, widened to double.
template <class Derived>
[[nodiscard]] Values flatten(const Eigen::DenseBase<Derived>& matrix) {
    Values values;
    values.reserve(static_cast<std::size_t>(matrix.size()));
    for (Index row = 0; row < matrix.rows(); ++row)
        for (Index column = 0; column < matrix.cols(); ++column)
            values.emplace_back(static_cast<std::complex<double>>(matrix.derived().coeff(row, column)));
    return values;
}

/// Rounded to float: what a layer in float holds of something that the library computes in double.
[[nodiscard]] Values rounded_to_float(const Values& values);

/// Both columns of something that the library computes in double whatever the scalar of the layer.
[[nodiscard]] Found computed_in_double(Values values);
inline constexpr const char* cast_note = "float = rounded";

void append(Values& to, const Values& more);

}  // namespace s4::golden
