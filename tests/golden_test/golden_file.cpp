#include <s4/io/safetensors.hpp>

#include <cmath>
#include <cstdlib>
#include <tests/golden_test/golden_file.hpp>

namespace s4::golden {

GoldenFile GoldenFile::read(const std::filesystem::path& path) {
    const Safetensors stored = Safetensors::read(path);
    GoldenFile file;
    file.stem_ = path.stem().string();
    for (const auto& [key, value] : stored.metadata()) file.metadata_.emplace(key, value);
    const std::string complex_names = file.text_or("complex_tensors", "");
    for (const std::string& name : stored.names()) {
        Tensor tensor;
        tensor.shape = stored.shape(name);
        tensor.is_complex = complex_names.find('"' + name + '"') != std::string::npos;
        if (tensor.is_complex) {
            const Eigen::VectorXcd values = stored.complex<double>(name);
            tensor.values.assign(values.begin(), values.end());
            if (!tensor.shape.empty()) tensor.shape.pop_back();
        } else {
            const Eigen::VectorXd values = stored.vector<double>(name);
            tensor.values.assign(values.begin(), values.end());
        }
        file.tensors_.emplace(name, std::move(tensor));
    }
    return file;
}

void GoldenFile::fail(const std::string& message) const { throw Error(stem_ + ": " + message); }

const Tensor& GoldenFile::tensor(std::string_view name) const {
    const auto found = tensors_.find(name);
    if (found == tensors_.end()) fail("the tensor '" + std::string{name} + "' is missing");
    return found->second;
}

std::string GoldenFile::text(std::string_view key) const {
    const auto found = metadata_.find(key);
    if (found == metadata_.end()) fail("the metadata '" + std::string{key} + "' is missing");
    return found->second;
}

std::string GoldenFile::text_or(std::string_view key, std::string_view fallback) const {
    const auto found = metadata_.find(key);
    return found == metadata_.end() ? std::string{fallback} : found->second;
}

double GoldenFile::number(std::string_view key) const {
    return number_from(text(key), stem_ + ": metadata '" + std::string{key} + "'");
}

Index GoldenFile::integer(std::string_view key) const {
    const double value = number(key);
    if (!(value >= 0 && value < 1e9) || value != std::floor(value))
        fail("the metadata '" + std::string{key} + "' must be a whole number, found " + text(key));
    return static_cast<Index>(value);
}

bool GoldenFile::flag_or(std::string_view key, bool fallback) const {
    const std::string value = text_or(key, fallback ? "true" : "false");
    if (value != "true" && value != "false")
        fail("the metadata '" + std::string{key} + "' must be true or false, found " + value);
    return value == "true";
}

double number_from(std::string_view text, std::string_view what) {
    const std::string copy{text};
    char* end = nullptr;
    const double value = std::strtod(copy.c_str(), &end);
    if (copy.empty() || end != copy.c_str() + copy.size() || !detail::is_finite(value))
        throw Error(std::string{what} + ": expected a number, found '" + copy + "'");
    return value;
}

std::string shape_text(const std::vector<Index>& shape) {
    std::string text = "[";
    for (const Index size : shape) text += (text.size() > 1 ? " x " : "") + std::to_string(size);
    return text + "]";
}

Index size_of(const std::vector<Index>& shape) {
    Index size = 1;
    for (const Index extent : shape) size *= extent;
    return size;
}

}  // namespace s4::golden
