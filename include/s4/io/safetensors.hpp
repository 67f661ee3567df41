// Reading safetensors files: one copy from the disk, typed access by name. (safetensors_writer.hpp writes them.)
#pragma once

#include <s4/core/error.hpp>
#include <s4/core/sequence.hpp>
#include <s4/io/elements.hpp>
#include <s4/io/safetensors_parser.hpp>

#include <algorithm>
#include <array>
#include <complex>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <initializer_list>
#include <map>
#include <memory>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

namespace s4::inline S4_ABI {

/// A safetensors file in memory: checked completely when made, constant afterwards. Copies share the data.
/// Every error names the file and the tensor.
class Safetensors {
public:
    /// Reads a whole file. Errors: no such file, or whatever breaks the format.
    [[nodiscard]] static Safetensors read(const std::filesystem::path& path) {
        const std::string file = path.string();
        std::error_code problem;
        detail::require(std::filesystem::is_regular_file(path, problem), detail::printable(file),
                        ": expected a file, found ",
                        std::filesystem::exists(path, problem) ? "something else" : "none");
        const std::uintmax_t size = std::filesystem::file_size(path, problem);
        std::ifstream stream(path, std::ios::binary);
        detail::require(!problem && stream.is_open(), detail::printable(file), ": cannot be opened");
        return from_source(file, size, [&](std::byte* to, std::size_t count) {
            stream.read(reinterpret_cast<char*>(to), static_cast<std::streamsize>(count));
            detail::require(static_cast<std::size_t>(stream.gcount()) == count, detail::printable(file), ": expected ",
                            count, " more bytes, could read only ", stream.gcount());
        });
    }

    /// Reads a file from a copy of `bytes`; `file` names it in errors.
    [[nodiscard]] static Safetensors parse(std::span<const std::byte> bytes, std::string file = "memory") {
        return from_source(file, bytes.size(), [&bytes](std::byte* to, std::size_t count) {
            std::copy_n(bytes.begin(), count, to);
            bytes = bytes.subspan(count);
        });
    }

    /// The file's name, for messages.
    [[nodiscard]] const std::string& file() const noexcept { return file_; }
    /// Number of tensors.
    [[nodiscard]] std::size_t size() const noexcept { return header_.size(); }
    /// Whether there is a tensor of this name. O(log n).
    [[nodiscard]] bool contains(std::string_view name) const noexcept { return header_.find(name).has_value(); }
    /// Names of all tensors, in the order of their data.
    [[nodiscard]] std::vector<std::string> names() const {
        std::vector<std::string> names;
        names.reserve(size());
        for (std::size_t i = 0; i < size(); ++i) names.emplace_back(header_.name(i));
        return names;
    }
    /// Element type, shape and place of a tensor. Error when there is no tensor of this name.
    [[nodiscard]] StoredTensor info(std::string_view name) const {
        const std::optional<std::size_t> found = header_.find(name);
        if (!found) raise_missing(name);
        return header_.info(*found);
    }
    /// Its shape, empty for a scalar. Error when there is no tensor of this name.
    [[nodiscard]] std::vector<Index> shape(std::string_view name) const { return info(name).shape; }
    /// The bytes of a tensor, row-major and little-endian; they live as long as this object or a copy of it.
    [[nodiscard]] std::span<const std::byte> bytes(std::string_view name) const { return bytes(info(name)); }
    /// Error unless the tensor has exactly this shape.
    void require_shape(std::string_view name, std::span<const Index> expected) const {
        const std::vector<Index> found = shape(name);
        if (!std::equal(found.begin(), found.end(), expected.begin(), expected.end()))
            fail(name, "expected shape ", detail::shape_text(expected), ", found ", detail::shape_text(found));
    }
    /// The same, with the shape as a list: {2, 3}.
    void require_shape(std::string_view name, std::initializer_list<Index> expected) const {
        require_shape(name, std::span<const Index>{expected.begin(), expected.size()});
    }

    /// A copy of all metadata.
    [[nodiscard]] std::map<std::string, std::string> metadata() const { return header_.metadata(); }
    /// Whether there is metadata under `key`.
    [[nodiscard]] bool contains_metadata(std::string_view key) const noexcept {
        return header_.metadata(key).has_value();
    }
    /// The metadata under `key`. Error when there is none.
    [[nodiscard]] std::string metadata(std::string_view key) const {
        const std::optional<std::string_view> value = header_.metadata(key);
        if (!value)
            detail::raise(detail::printable(file_), ": expected metadata ", detail::printable(key), ", found none");
        return std::string{*value};
    }
    /// The metadata under `key`, or `fallback` when there is none.
    [[nodiscard]] std::string metadata_or(std::string_view key, std::string_view fallback) const {
        return std::string{header_.metadata(key).value_or(fallback)};
    }

    // Typed access: from F16, BF16, F32, F64 and whole numbers. F64 is rounded to Scalar; a whole number that Scalar
    // cannot hold exactly, and a finite number beyond its range, is an error. All O(size).

    /// A tensor of rows·cols elements as [rows × cols], row-major, whatever its own shape.
    template <RealScalar Scalar>
    [[nodiscard]] Sequence<Scalar> matrix(std::string_view name, Index rows, Index cols) const {
        const StoredTensor tensor = info(name);
        require_count(name, tensor, {rows, cols});
        Sequence<Scalar> values(rows, cols);
        convert(name, tensor, std::span<Scalar>{values.data(), static_cast<std::size_t>(values.size())});
        return values;
    }
    /// All elements of a tensor, row-major.
    template <RealScalar Scalar>
    [[nodiscard]] Eigen::Matrix<Scalar, Dynamic, 1> vector(std::string_view name) const {
        const StoredTensor tensor = info(name);
        Eigen::Matrix<Scalar, Dynamic, 1> values(static_cast<Index>(count(tensor)));
        convert(name, tensor, std::span<Scalar>{values.data(), static_cast<std::size_t>(values.size())});
        return values;
    }
    /// All elements of a complex tensor, row-major: C64, or real pairs along a last axis of size 2.
    template <RealScalar Scalar>
    [[nodiscard]] Eigen::Matrix<std::complex<Scalar>, Dynamic, 1> complex(std::string_view name) const {
        const StoredTensor tensor = pairs(name);
        Eigen::Matrix<std::complex<Scalar>, Dynamic, 1> values(static_cast<Index>(count(tensor) / 2));
        convert(name, tensor, real_parts(values));
        return values;
    }
    /// A complex tensor of rows·cols elements (pairs counted once) as [rows × cols], row-major.
    template <RealScalar Scalar>
    [[nodiscard]] Eigen::Matrix<std::complex<Scalar>, Dynamic, Dynamic, Eigen::RowMajor> complex_matrix(
        std::string_view name, Index rows, Index cols) const {
        const StoredTensor tensor = pairs(name);
        require_count(name, tensor, {rows, cols, 2});
        Eigen::Matrix<std::complex<Scalar>, Dynamic, Dynamic, Eigen::RowMajor> values(rows, cols);
        convert(name, tensor, real_parts(values));
        return values;
    }
    /// Fills `values` with all elements of a tensor, row-major. Does not allocate beyond the tensor's info.
    template <RealScalar Scalar>
    void copy_to(std::string_view name, std::span<Scalar> values) const {
        const StoredTensor tensor = info(name);
        require_count(name, tensor, {static_cast<Index>(values.size())});
        convert(name, tensor, values);
    }
    /// The single element of a tensor of whole numbers.
    [[nodiscard]] std::int64_t integer(std::string_view name) const {
        const StoredTensor tensor = info(name);
        require_count(name, tensor, {});
        std::optional<std::int64_t> value;
        detail::visit_dtype(tensor.dtype, [&]<class Stored>(std::type_identity<Stored>) {
            if constexpr (std::integral<Stored>) {
                const auto stored = detail::load<Stored>(bytes(tensor).data());
                if (!std::in_range<std::int64_t>(stored)) fail(name, "expected a number below 2^63, found ", stored);
                value = static_cast<std::int64_t>(stored);
            }
        });
        if (!value) fail(name, "expected a whole number, found ", name_of(tensor.dtype));
        return *value;
    }

private:
    Safetensors(std::string file, SafetensorsHeader header, std::shared_ptr<const std::byte[]> data)
        : file_{std::move(file)}, header_{std::move(header)}, data_{std::move(data)} {}

    /// Makes the object from `size` bytes; `take(to, count)` copies the next ones.
    template <class Take>
    [[nodiscard]] static Safetensors from_source(const std::string& file, std::uint64_t size, Take take) {
        const std::string name = detail::printable(file);
        constexpr std::uint64_t prefix = sizeof(std::uint64_t);
        detail::require(size >= prefix, name, ": expected at least 8 bytes, found ", size);
        std::array<std::byte, prefix> length;
        take(length.data(), length.size());
        const auto json_size = detail::load<std::uint64_t>(length.data());
        detail::require(json_size <= SafetensorsHeader::max_size, name, ": expected a header of at most ",
                        SafetensorsHeader::max_size, " bytes, found ", json_size);
        detail::require(json_size <= size - prefix, name, ": expected a header of ", json_size, " bytes, found only ",
                        size - prefix, " bytes");
        std::vector<std::byte> json(json_size);
        take(json.data(), json.size());
        const std::uint64_t data_size = size - prefix - json_size;
        SafetensorsHeader header =
            parse_safetensors_header({reinterpret_cast<const char*>(json.data()), json.size()}, data_size, file);
        json = {};

        std::shared_ptr<std::byte[]> data{new (std::nothrow) std::byte[data_size]};
        detail::require(data != nullptr, name, ": no memory for ", data_size, " bytes of data");
        take(data.get(), data_size);
        return {file, std::move(header), std::move(data)};
    }

    [[nodiscard]] static std::size_t count(const StoredTensor& tensor) noexcept {
        return (tensor.end - tensor.begin) / size_of(tensor.dtype);
    }
    [[nodiscard]] std::span<const std::byte> bytes(const StoredTensor& tensor) const noexcept {
        return {data_.get() + tensor.begin, tensor.end - tensor.begin};
    }
    template <class Matrix>
    [[nodiscard]] static auto real_parts(Matrix& values) noexcept {
        using Scalar = typename Matrix::RealScalar;  // std::complex is laid out as an array of two, by the standard
        return std::span<Scalar>{reinterpret_cast<Scalar*>(values.data()), 2 * static_cast<std::size_t>(values.size())};
    }

    /// A complex tensor as the real pairs it consists of.
    [[nodiscard]] StoredTensor pairs(std::string_view name) const {
        StoredTensor tensor = info(name);
        if (tensor.dtype == DType::C64) {
            tensor.dtype = DType::F32;
            tensor.shape.push_back(2);
        } else if (tensor.shape.empty() || tensor.shape.back() != 2) {
            fail(name, "expected a last axis of size 2 (real, imaginary), found shape ",
                 detail::shape_text(tensor.shape));
        }
        return tensor;
    }

    void require_count(std::string_view name, const StoredTensor& tensor, std::initializer_list<Index> expected) const {
        const std::span<const Index> shape{expected.begin(), expected.size()};
        if (detail::checked_bytes(shape, 1) != count(tensor))
            fail(name, "expected ", detail::shape_text(shape), ", found shape ", detail::shape_text(tensor.shape));
    }

    template <RealScalar Scalar>
    void convert(std::string_view name, const StoredTensor& tensor, std::span<Scalar> values) const {
        const std::string problem = detail::convert_elements(tensor.dtype, bytes(tensor).data(), values);
        if (!problem.empty()) fail(name, problem);
    }

    template <class... Parts>
    [[noreturn]] void fail(std::string_view name, const Parts&... parts) const {
        detail::raise(detail::printable(file_), ": tensor ", detail::printable(name), ": ", parts...);
    }

    [[noreturn]] void raise_missing(std::string_view name) const {
        constexpr std::size_t listed = 6;
        std::string known;
        for (std::size_t i = 0; i < std::min(size(), listed); ++i)
            known += (i > 0 ? ", " : "") + detail::printable(header_.name(i));
        if (size() > listed) known += ", ...";
        fail(name, "expected in the file, found ", size(), " other tensors", size() > 0 ? ": " : "", known);
    }

    std::string file_;
    SafetensorsHeader header_;
    std::shared_ptr<const std::byte[]> data_;  ///< never changed, so copies may share it
};

}  // namespace s4::inline S4_ABI
