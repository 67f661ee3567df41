// One file of numeric oracles in memory, every number widened to double.
#pragma once

#include <s4/core/scalar.hpp>

#include <complex>
#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace s4::golden {

/// Row-major numbers; the imaginary parts of a real tensor are zero.
using Values = std::vector<std::complex<double>>;

struct Tensor {
    std::vector<Index> shape;  ///< without the trailing axis of a complex tensor
    bool is_complex = false;
    Values values;
};

/// Tensors and metadata of one file, with the conventions of the oracles: a tensor named in the metadata
/// `complex_tensors` holds pairs, metadata that is not text is JSON text.
class GoldenFile {
public:
    /// Error when the file is missing or damaged. (The only place that includes s4/io.)
    [[nodiscard]] static GoldenFile read(const std::filesystem::path& path);

    [[nodiscard]] const std::string& stem() const noexcept { return stem_; }
    [[nodiscard]] const std::map<std::string, Tensor, std::less<>>& tensors() const noexcept { return tensors_; }
    /// Error that names the file when there is none.
    [[nodiscard]] const Tensor& tensor(std::string_view name) const;
    [[nodiscard]] bool has_metadata(std::string_view key) const { return metadata_.contains(key); }
    [[nodiscard]] const std::map<std::string, std::string, std::less<>>& metadata() const noexcept { return metadata_; }

    /// Metadata as text, as a number, as yes or no. Error that names the file and the key when it is something else;
    /// with a fallback, a missing key is no error.
    [[nodiscard]] std::string text(std::string_view key) const;
    [[nodiscard]] std::string text_or(std::string_view key, std::string_view fallback) const;
    [[nodiscard]] double number(std::string_view key) const;
    [[nodiscard]] Index integer(std::string_view key) const;
    [[nodiscard]] bool flag_or(std::string_view key, bool fallback) const;

    /// Raises an Error that names the file.
    [[noreturn]] void fail(const std::string& message) const;

private:
    std::string stem_;
    std::map<std::string, Tensor, std::less<>> tensors_;
    std::map<std::string, std::string, std::less<>> metadata_;
};

/// The number that `text` is, as a whole; Error otherwise, with `what` to say which.
[[nodiscard]] double number_from(std::string_view text, std::string_view what);

/// "[2 x 3]".
[[nodiscard]] std::string shape_text(const std::vector<Index>& shape);

/// How many elements a shape has.
[[nodiscard]] Index size_of(const std::vector<Index>& shape);

}  // namespace s4::golden
