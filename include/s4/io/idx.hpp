// IDX files: the format of MNIST and its relatives, a small header and an array of bytes.
#pragma once

#include <s4/core/error.hpp>
#include <s4/io/dtype.hpp>
#include <s4/io/input_file.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace s4::inline S4_ABI {

/// An array of unsigned bytes from an IDX file, row-major.
struct Idx {
    std::string file;                ///< its name in quotes, for messages
    std::vector<Index> shape;        ///< such as {60000, 28, 28}; never empty
    std::vector<std::uint8_t> data;  ///< as many bytes as the shape says
};

namespace detail {

/// What the third byte of an IDX file means.
[[nodiscard]] constexpr std::string_view idx_type_name(unsigned code) noexcept {
    switch (code) {
        case 0x08:
            return "unsigned bytes";
        case 0x09:
            return "signed bytes";
        case 0x0b:
            return "16-bit integers";
        case 0x0c:
            return "32-bit integers";
        case 0x0d:
            return "32-bit floats";
        case 0x0e:
            return "64-bit floats";
        default:
            return "no type of the format";
    }
}

/// "0x0d".
[[nodiscard]] inline std::string hexadecimal(unsigned byte) {
    constexpr std::string_view digits = "0123456789abcdef";
    return {'0', 'x', digits[(byte >> 4U) & 15U], digits[byte & 15U]};
}

/// The shape that the header says. Errors: not an IDX file, other elements than unsigned bytes, a header cut short.
template <ByteReader Reader>
[[nodiscard]] std::vector<Index> read_idx_header(Reader& reader) {
    std::array<std::byte, 4> magic{};
    const std::size_t found = reader.read(magic);
    require(found == magic.size(), reader.name(), ": expected an IDX header of at least 8 bytes, found ", found);
    const auto byte = [&](std::size_t i) { return std::to_integer<unsigned>(magic[i]); };
    if (byte(0) == 0x1f && byte(1) == 0x8b)
        raise(reader.name(),
              ": expected an IDX file, found one compressed by gzip: read it through GzipFile, or unpack it");
    require(byte(0) == 0 && byte(1) == 0, reader.name(), ": expected an IDX file, which begins with 0x00 0x00, found ",
            hexadecimal(byte(0)), " ", hexadecimal(byte(1)));
    require(byte(2) == 0x08, reader.name(), ": expected elements of type 0x08 (unsigned bytes), found ",
            hexadecimal(byte(2)), " (", idx_type_name(byte(2)), ")");
    require(byte(3) > 0, reader.name(), ": expected at least 1 dimension, found 0");

    std::vector<std::byte> sizes(4 * static_cast<std::size_t>(byte(3)));
    const std::size_t size_bytes = reader.read(sizes);
    require(size_bytes == sizes.size(), reader.name(), ": expected the sizes of ", byte(3), " dimensions in ",
            sizes.size(), " bytes, found ", size_bytes);
    std::vector<Index> shape;
    for (std::size_t i = 0; i < sizes.size(); i += 4) {
        std::uint32_t size = 0;  // big-endian
        for (std::size_t k = 0; k < 4; ++k) size = size << 8U | std::to_integer<std::uint32_t>(sizes[i + k]);
        shape.push_back(static_cast<Index>(size));
    }
    return shape;
}

}  // namespace detail

/// Reads a whole file of unsigned bytes; `read_idx<GzipFile>` (gzip.hpp) a compressed one. O(size). The sizes in the
/// header are checked before memory is taken, which grows with what the file really holds; at most one byte more than
/// the header promises is unpacked. Errors, which name the file, what was expected and what was found: no such file,
/// not IDX, elements of another type, sizes whose product does not fit, too few or too many bytes.
template <ByteReader Reader = InputFile>
[[nodiscard]] Idx read_idx(const std::filesystem::path& path) {
    Reader reader{path};
    Idx idx{reader.name(), detail::read_idx_header(reader), {}};
    const std::string shape = detail::shape_text(idx.shape);
    const std::optional<std::uint64_t> product = detail::checked_bytes(idx.shape, 1);
    detail::require(product.has_value(), idx.file, ": expected a shape whose size fits 63 bits, found ", shape);
    const std::uint64_t expected = *product;
    const std::uint64_t most =
        reader.most_bytes() - std::min<std::uint64_t>(4 + 4 * idx.shape.size(), reader.most_bytes());
    detail::require(expected <= most, idx.file, ": expected ", expected, " bytes for shape ", shape,
                    ", but the file cannot hold more than ", most);

    constexpr std::uint64_t smallest_piece = std::uint64_t{1} << 20;
    detail::or_out_of_memory("the data of an IDX file", [&] {
        while (idx.data.size() < expected) {
            const std::size_t before = idx.data.size();
            const std::uint64_t piece = std::min(expected - before, std::max<std::uint64_t>(smallest_piece, before));
            idx.data.resize(before + static_cast<std::size_t>(piece));
            const std::size_t found = reader.read(std::as_writable_bytes(std::span{idx.data}.subspan(before)));
            detail::require(found == piece, idx.file, ": expected ", expected, " bytes for shape ", shape, ", found ",
                            before + found);
        }
    });
    std::array<std::byte, 1> beyond{};
    detail::require(reader.read(beyond) == 0, idx.file, ": expected ", expected, " bytes for shape ", shape,
                    ", found more");
    return idx;
}

}  // namespace s4::inline S4_ABI
