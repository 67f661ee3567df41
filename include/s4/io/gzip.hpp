// Files compressed by gzip, unpacked as they are read. The only header that includes zlib.
#pragma once

#include <s4/core/error.hpp>
#include <s4/io/input_file.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <span>
#include <string>
#include <vector>
#include <zlib.h>

namespace s4::inline S4_ABI {

/// The unpacked bytes of a .gz file (RFC 1952; several members one after the other are one file). Takes about 100 KiB
/// whatever the file says. The checksum and length of a member are checked when its end is read.
class GzipFile {
public:
    /// Error when there is no such file, or it cannot be opened.
    explicit GzipFile(const std::filesystem::path& path) : file_{path}, input_(std::size_t{1} << 16) {
        constexpr int gzip_with_largest_window = 16 + MAX_WBITS;
        check(inflateInit2(&stream_, gzip_with_largest_window));
    }
    // zlib's state points to its stream.
    GzipFile(const GzipFile&) = delete;
    GzipFile& operator=(const GzipFile&) = delete;
    ~GzipFile() { inflateEnd(&stream_); }

    /// The next unpacked bytes; see ByteReader. Errors: not gzip, damaged, cut short, or followed by something else.
    [[nodiscard]] std::size_t read(std::span<std::byte> to) {
        std::size_t done = 0;
        while (done < to.size() && !at_end()) {
            const std::size_t most = std::min<std::size_t>(to.size() - done, std::numeric_limits<uInt>::max());
            stream_.next_out = reinterpret_cast<Bytef*>(to.data() + done);
            stream_.avail_out = static_cast<uInt>(most);
            const int status = inflate(&stream_, Z_NO_FLUSH);
            done += most - stream_.avail_out;
            in_member_ = status != Z_STREAM_END;
            if (in_member_) check(status);
        }
        return done;
    }
    /// Deflate packs 258 bytes into 2 bits at best, so that no file unpacks to more than 1032 times its size.
    [[nodiscard]] std::uint64_t most_bytes() const noexcept {
        constexpr std::uint64_t best_ratio = 1032;
        const std::uint64_t size = file_.most_bytes();
        constexpr std::uint64_t largest = std::numeric_limits<std::uint64_t>::max();
        return size > largest / best_ratio ? largest : size * best_ratio;
    }
    /// The file's name in quotes, for messages.
    [[nodiscard]] const std::string& name() const noexcept { return file_.name(); }

private:
    /// Whether all of the file is read and unpacked. Fetches the next piece of it when there is none.
    [[nodiscard]] bool at_end() {
        if (stream_.avail_in == 0) {
            const std::size_t count = file_.read(input_);
            stream_.next_in = reinterpret_cast<Bytef*>(input_.data());
            stream_.avail_in = static_cast<uInt>(count);
            detail::require(count > 0 || !in_member_, name(),
                            ": expected more compressed bytes, found the end of the file");
        }
        if (!in_member_ && stream_.avail_in > 0) {
            check(inflateReset(&stream_));
            in_member_ = true;
            ++members_;
        }
        return !in_member_;
    }
    void check(int status) const {
        if (status == Z_OK || status == Z_BUF_ERROR) return;  // the latter: no progress, more input is needed
        detail::require(status != Z_MEM_ERROR, "out of memory: unpacking ", name());
        const char* reason = stream_.msg != nullptr ? stream_.msg : "unknown";
        detail::raise(name(), ": expected data compressed by gzip, found ",
                      members_ > 1 ? "something else after it" : "something else", ", or it is damaged (zlib: ", reason,
                      ")");
    }

    InputFile file_;
    std::vector<std::byte> input_;
    z_stream stream_{};
    bool in_member_ = true;  ///< an empty file is no gzip file
    int members_ = 1;
};

}  // namespace s4::inline S4_ABI
