// Writing safetensors files: collect tensors, then write them in one step that leaves the old file or the new one.
#pragma once

#include <s4/core/error.hpp>
#include <s4/core/scalar.hpp>
#include <s4/io/atomic_file.hpp>
#include <s4/io/safetensors_parser.hpp>

#include <algorithm>
#include <complex>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace s4::inline S4_ABI {

/// The numbers a file holds as they are.
template <class T>
concept StoredScalar = std::same_as<T, float> || std::same_as<T, double> || std::same_as<T, std::int64_t>;

namespace detail {

template <class T>
struct StoredPart {
    using Type = T;
    static constexpr bool is_complex = false;
};
template <class T>
struct StoredPart<std::complex<T>> {
    using Type = T;
    static constexpr bool is_complex = true;
};

template <StoredScalar T>
inline constexpr DType dtype_of = std::same_as<T, float>    ? DType::F32
                                  : std::same_as<T, double> ? DType::F64
                                                            : DType::I64;

/// `text` as a JSON string; bytes above 0x7f are left alone (UTF-8).
[[nodiscard]] inline std::string json_string(std::string_view text) {
    constexpr std::string_view digits = "0123456789abcdef";
    std::string json{'"'};
    for (const char c : text) {
        const auto byte = static_cast<unsigned char>(c);
        if (byte < 0x20) {
            json += "\\u00";
            json += digits[byte >> 4];
            json += digits[byte & 15];
        } else {
            if (c == '"' || c == '\\') json += '\\';
            json += c;
        }
    }
    return json += '"';
}

}  // namespace detail

/// Collects named tensors (their data is copied) and metadata. The file depends on them only, not on the order of the
/// calls: tensors lie in order of decreasing element size, then name, so that every element is aligned.
class SafetensorsWriter {
public:
    /// Adds a tensor of any element type from its row-major, little-endian bytes.
    /// Errors: the name is taken; the bytes do not fill the shape.
    void add_bytes(std::string_view name, DType dtype, std::span<const Index> shape, std::span<const std::byte> bytes) {
        if (name == "__metadata__") fail(name, "expected another name: this one is reserved for the metadata");
        if (detail::checked_bytes(shape, size_of(dtype)) != bytes.size())
            fail(name, "expected data for shape ", detail::shape_text(shape), ", found ", bytes.size() / size_of(dtype),
                 " elements");
        const bool is_new = tensors_
                                .try_emplace(std::string{name},
                                             Tensor{dtype, {shape.begin(), shape.end()}, {bytes.begin(), bytes.end()}})
                                .second;
        if (!is_new) fail(name, "expected unique names, found this one twice");
    }

    /// Adds a tensor of float, double or std::int64_t from its row-major elements.
    template <StoredScalar T>
    void add(std::string_view name, std::span<const Index> shape, std::span<const T> data) {
        add_bytes(name, detail::dtype_of<T>, shape, std::as_bytes(data));
    }
    /// The same, with the shape as a list: {2, 3}.
    template <StoredScalar T>
    void add(std::string_view name, std::initializer_list<Index> shape, std::span<const T> data) {
        add<T>(name, std::span<const Index>{shape.begin(), shape.size()}, data);
    }
    /// Adds one number, of shape [].
    template <StoredScalar T>
    void add_scalar(std::string_view name, T value) {
        add<T>(name, std::span<const Index>{}, std::span<const T>{&value, 1});
    }
    /// Adds an Eigen matrix as [rows, cols], a vector as [size]; complex numbers as pairs along one more axis of
    /// size 2.
    template <class Derived>
    void add_matrix(std::string_view name, const Eigen::DenseBase<Derived>& matrix) {
        using Part = detail::StoredPart<typename Derived::Scalar>;
        const Eigen::Array<typename Derived::Scalar, Dynamic, Dynamic, Eigen::RowMajor> values =
            matrix.derived().array();
        std::vector<Index> shape{matrix.rows(), matrix.cols()};
        if constexpr (Derived::IsVectorAtCompileTime) shape = {matrix.size()};
        if constexpr (Part::is_complex) shape.push_back(2);
        const auto count = static_cast<std::size_t>(values.size()) * (Part::is_complex ? 2 : 1);
        add<typename Part::Type>(name, shape, {reinterpret_cast<const typename Part::Type*>(values.data()), count});
    }

    /// Sets one metadata entry, replacing an earlier one under the same key.
    void set_metadata(std::string_view key, std::string_view value) {
        metadata_.insert_or_assign(std::string{key}, std::string{value});
    }

    /// Writes the file, on top of an old one if there is one. Errors: text that is not UTF-8, a shape of too many
    /// sizes, a folder or disk that cannot take the file; an old file is then left as it was.
    void write(const std::filesystem::path& path) const {
        const std::vector<Entry> entries = ordered();
        std::string json = "{";
        if (!metadata_.empty()) {
            json += "\"__metadata__\":{";
            for (const auto& [key, value] : metadata_)
                json += detail::json_string(key) + ':' + detail::json_string(value) + ',';
            json.back() = '}';
            json += ',';
        }
        std::uint64_t end = 0;
        for (const Entry entry : entries) {
            const auto& [name, tensor] = *entry;
            const std::uint64_t begin = std::exchange(end, end + tensor.bytes.size());
            json += detail::json_string(name) + ":{\"dtype\":\"";
            json += name_of(tensor.dtype);
            json += "\",\"shape\":" + detail::shape_text(tensor.shape) + ",\"data_offsets\":[" + std::to_string(begin) +
                    ',' + std::to_string(end) + "]},";
        }
        if (json.back() == ',') json.pop_back();
        json += '}';
        json.append((8 - json.size() % 8) % 8, ' ');
        // What the reader would refuse is refused here, while the old file still exists.
        static_cast<void>(parse_safetensors_header(json, end, path.string()));

        AtomicFile file{path};
        const std::uint64_t json_size = json.size();
        file.write(std::as_bytes(std::span{&json_size, 1}));
        file.write(std::as_bytes(std::span{json}));
        for (const Entry entry : entries) file.write(entry->second.bytes);
        file.commit();
    }

private:
    struct Tensor {
        DType dtype;
        std::vector<Index> shape;
        std::vector<std::byte> bytes;
    };
    using Entry = const std::pair<const std::string, Tensor>*;

    [[nodiscard]] std::vector<Entry> ordered() const {
        std::vector<Entry> entries;
        entries.reserve(tensors_.size());
        for (const auto& entry : tensors_) entries.push_back(&entry);
        std::stable_sort(entries.begin(), entries.end(),
                         [](Entry a, Entry b) { return size_of(a->second.dtype) > size_of(b->second.dtype); });
        return entries;
    }
    template <class... Parts>
    [[noreturn]] static void fail(std::string_view name, const Parts&... parts) {
        detail::raise("safetensors: tensor ", detail::printable(name), ": ", parts...);
    }

    std::map<std::string, Tensor> tensors_;
    std::map<std::string, std::string> metadata_;
};

}  // namespace s4::inline S4_ABI
