// IDX files made by hand, and compressed as gzip does, for the tests of io and train.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>
#include <zlib.h>

namespace s4::test {

/// The header of an IDX file: unsigned bytes unless `type` says otherwise.
[[nodiscard]] inline std::string idx_header(const std::vector<std::uint32_t>& shape, char type = 0x08) {
    std::string text{'\0', '\0', type, static_cast<char>(shape.size())};
    for (const std::uint32_t size : shape)
        for (const int shift : {24, 16, 8, 0}) text += static_cast<char>(size >> shift & 0xffU);
    return text;
}

/// The bytes 0, 1, 2, … (modulo 256).
[[nodiscard]] inline std::string counting_bytes(std::size_t count) {
    std::string text(count, '\0');
    for (std::size_t i = 0; i < count; ++i) text[i] = static_cast<char>(i & 0xffU);
    return text;
}

/// `text` as the program gzip would write it.
[[nodiscard]] inline std::string gzip(std::string_view text) {
    z_stream stream{};
    if (deflateInit2(&stream, 9, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) != Z_OK)
        throw std::runtime_error("deflateInit2");
    std::string packed(deflateBound(&stream, static_cast<uLong>(text.size())), '\0');
    std::string copy{text};
    stream.next_in = reinterpret_cast<Bytef*>(copy.data());
    stream.avail_in = static_cast<uInt>(copy.size());
    stream.next_out = reinterpret_cast<Bytef*>(packed.data());
    stream.avail_out = static_cast<uInt>(packed.size());
    const int status = deflate(&stream, Z_FINISH);
    packed.resize(packed.size() - stream.avail_out);
    deflateEnd(&stream);
    if (status != Z_STREAM_END) throw std::runtime_error("deflate");
    return packed;
}

}  // namespace s4::test
