// Element types of tensors in files, and what a file says about one tensor.
#pragma once

#include <s4/core/scalar.hpp>

#include <array>
#include <bit>
#include <complex>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace s4::inline S4_ABI {

static_assert(std::endian::native == std::endian::little,
              "s4/io: files hold little-endian numbers, which are copied as they are: a little-endian target only");

/// Element types, by their names in safetensors files. C64 is a pair of F32.
enum class DType : std::uint8_t {
    BOOL,
    U8,
    I8,
    F8_E5M2,
    F8_E4M3,
    I16,
    U16,
    F16,
    BF16,
    I32,
    U32,
    F32,
    F64,
    I64,
    U64,
    C64
};

/// What a file says about one tensor: its bytes are [begin, end) of the data that follows the header.
struct StoredTensor {
    DType dtype;               ///< of its elements
    std::vector<Index> shape;  ///< empty for a scalar
    std::size_t begin;         ///< bytes
    std::size_t end;           ///< bytes
};

namespace detail {

struct DTypeTraits {
    std::string_view name;
    std::size_t size;  ///< bytes of one element
};

/// In the order of the enumerators.
inline constexpr std::array<DTypeTraits, 16> dtype_traits{{{"BOOL", 1},
                                                           {"U8", 1},
                                                           {"I8", 1},
                                                           {"F8_E5M2", 1},
                                                           {"F8_E4M3", 1},
                                                           {"I16", 2},
                                                           {"U16", 2},
                                                           {"F16", 2},
                                                           {"BF16", 2},
                                                           {"I32", 4},
                                                           {"U32", 4},
                                                           {"F32", 4},
                                                           {"F64", 8},
                                                           {"I64", 8},
                                                           {"U64", 8},
                                                           {"C64", 8}}};

/// Text from a file, fit for a message: no control characters, at most 80 bytes, in quotes.
[[nodiscard]] inline std::string printable(std::string_view text) {
    constexpr std::size_t longest = 80;
    std::string result{'"'};
    for (const char c : text.substr(0, longest)) {
        const auto byte = static_cast<unsigned char>(c);
        result += byte < 0x20 || byte == 0x7f ? '?' : c;
    }
    return result += text.size() > longest ? "...\"" : "\"";
}

/// "[2, 3]".
[[nodiscard]] inline std::string shape_text(std::span<const Index> shape) {
    std::string text{'['};
    for (const Index size : shape) {
        if (text.size() > 1) text += ", ";
        text += std::to_string(size);
    }
    return text += ']';
}

/// Product of the sizes that are not zero, times `element_size`; empty when it does not fit Index or a size is
/// negative. Leaving the zeros out makes the answer independent of their place: a zero never hides an overflow.
[[nodiscard]] inline std::optional<std::uint64_t> checked_bytes(std::span<const Index> shape,
                                                                std::size_t element_size) noexcept {
    constexpr auto limit = static_cast<std::uint64_t>(std::numeric_limits<Index>::max());
    std::uint64_t bytes = element_size;
    bool empty = false;
    for (const Index size : shape) {
        if (size < 0) return std::nullopt;
        if (size == 0) {
            empty = true;
        } else {
            if (bytes > limit / static_cast<std::uint64_t>(size)) return std::nullopt;
            bytes *= static_cast<std::uint64_t>(size);
        }
    }
    return empty ? 0 : bytes;
}

}  // namespace detail

/// Its name in files.
[[nodiscard]] constexpr std::string_view name_of(DType dtype) noexcept {
    return detail::dtype_traits[static_cast<std::size_t>(dtype)].name;
}

/// Bytes of one element.
[[nodiscard]] constexpr std::size_t size_of(DType dtype) noexcept {
    return detail::dtype_traits[static_cast<std::size_t>(dtype)].size;
}

/// The type of that name; empty when there is none.
[[nodiscard]] constexpr std::optional<DType> dtype_from_name(std::string_view name) noexcept {
    for (std::size_t i = 0; i < detail::dtype_traits.size(); ++i)
        if (detail::dtype_traits[i].name == name) return static_cast<DType>(i);
    return std::nullopt;
}

}  // namespace s4::inline S4_ABI
