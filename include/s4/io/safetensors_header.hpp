// What the header of a safetensors file says; made only by the parser, so every number in it has been checked.
#pragma once

#include <s4/io/dtype.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace s4::inline S4_ABI {

namespace detail {
class SafetensorsHeaderBuilder;
}

/// Names, element types, shapes and places of the tensors of one file, in the order of their data, and the metadata.
/// All text lies in one string and all sizes in one list, so that reading takes less than 8 bytes per byte of header
/// whatever the header says (100 MB can describe two million tensors or ten million metadata entries); an error inside
/// one very long text takes up to 12 for its message.
class SafetensorsHeader {
public:
    static constexpr std::size_t max_size = 100'000'000;  ///< bytes of JSON, the limit of the format
    static constexpr std::size_t max_rank = 32;           ///< sizes in one shape

    /// Number of tensors.
    [[nodiscard]] std::size_t size() const noexcept { return tensors_.size(); }
    /// Name of tensor `i`, in the order of the data.
    [[nodiscard]] std::string_view name(std::size_t i) const noexcept { return view(tensors_[i].name); }
    /// Element type, shape and place of tensor `i`.
    [[nodiscard]] StoredTensor info(std::size_t i) const {
        const Tensor& tensor = tensors_[i];
        const auto first = shapes_.begin() + static_cast<std::ptrdiff_t>(tensor.shape_begin);
        return {tensor.dtype, std::vector<Index>(first, first + tensor.rank), tensor.begin, tensor.end};
    }
    /// Position of the tensor called `name`. O(log n).
    [[nodiscard]] std::optional<std::size_t> find(std::string_view name) const noexcept {
        const auto found = std::lower_bound(by_name_.begin(), by_name_.end(), name,
                                            [&](std::uint32_t i, std::string_view key) { return this->name(i) < key; });
        if (found == by_name_.end() || this->name(*found) != name) return std::nullopt;
        return *found;
    }

    /// A copy of all metadata.
    [[nodiscard]] std::map<std::string, std::string> metadata() const {
        std::map<std::string, std::string> copy;
        for (const auto& [key, value] : metadata_) copy.emplace_hint(copy.end(), view(key), view(value));
        return copy;
    }
    /// The metadata stored under `key`. O(log n).
    [[nodiscard]] std::optional<std::string_view> metadata(std::string_view key) const noexcept {
        const auto found = std::lower_bound(metadata_.begin(), metadata_.end(), key,
                                            [&](const Metadata& a, std::string_view b) { return view(a.key) < b; });
        if (found == metadata_.end() || view(found->key) != key) return std::nullopt;
        return view(found->value);
    }

private:
    friend class detail::SafetensorsHeaderBuilder;

    struct Text {
        std::uint32_t begin;
        std::uint32_t size;
    };
    struct Metadata {
        Text key;
        Text value;
    };
    struct Tensor {
        std::uint64_t begin;
        std::uint64_t end;
        Text name;
        std::uint32_t shape_begin;
        std::uint8_t rank;
        DType dtype;
    };

    [[nodiscard]] std::string_view view(Text text) const noexcept {
        return std::string_view{text_}.substr(text.begin, text.size);
    }

    std::string text_;
    std::deque<Index> shapes_;  ///< a deque: growing it needs no second copy
    std::vector<Tensor> tensors_;
    std::vector<std::uint32_t> by_name_;
    std::vector<Metadata> metadata_;  ///< sorted by key
};

}  // namespace s4::inline S4_ABI
