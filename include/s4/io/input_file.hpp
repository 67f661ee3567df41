// Files read from front to back, in pieces: what IDX files come from, plain or (gzip.hpp) compressed.
#pragma once

#include <s4/core/error.hpp>
#include <s4/io/dtype.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <span>
#include <string>
#include <system_error>
#include <utility>

namespace s4::inline S4_ABI {

/// What a file is read through: opened by its path, then asked for the next bytes. Errors name the file.
template <class T>
concept ByteReader = std::constructible_from<T, std::filesystem::path> &&
    requires(T reader, const T& same, std::span<std::byte> to) {
    /// Fills `to` with the next bytes and returns their number: fewer than asked for only at the end of the data.
    { reader.read(to) } -> std::same_as<std::size_t>;
    /// The data has no more bytes than this, known without reading it.
    { same.most_bytes() } -> std::same_as<std::uint64_t>;
    /// The file's name in quotes, for messages.
    { same.name() } -> std::same_as<const std::string&>;
};

/// The bytes of a file as they are.
class InputFile {
public:
    /// Error when there is no such file, or it cannot be opened.
    explicit InputFile(const std::filesystem::path& path) : name_{detail::printable(path.string())} {
        std::error_code problem;
        detail::require(std::filesystem::is_regular_file(path, problem), name_, ": expected a file, found ",
                        std::filesystem::exists(path, problem) ? "something else" : "none");
        size_ = std::filesystem::file_size(path, problem);
        stream_.open(path, std::ios::binary);
        detail::require(!problem && stream_.is_open(), name_, ": cannot be opened");
    }

    /// The next bytes; see ByteReader. Error when the disk cannot give them.
    [[nodiscard]] std::size_t read(std::span<std::byte> to) {
        stream_.read(reinterpret_cast<char*>(to.data()), static_cast<std::streamsize>(to.size()));
        detail::require(!stream_.bad(), name_, ": cannot be read");
        return static_cast<std::size_t>(stream_.gcount());
    }
    /// Size of the file when it was opened.
    [[nodiscard]] std::uint64_t most_bytes() const noexcept { return size_; }
    /// The file's name in quotes, for messages.
    [[nodiscard]] const std::string& name() const noexcept { return name_; }

private:
    std::string name_;
    std::uint64_t size_ = 0;
    std::ifstream stream_;
};

}  // namespace s4::inline S4_ABI
