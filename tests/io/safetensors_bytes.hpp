// Hand-made safetensors files and a folder to put files in, for the tests of io.
#pragma once

#include <s4/io/safetensors.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <unistd.h>
#include <vector>

namespace s4::test {

/// The bytes of a file whose header length says `json_size`.
[[nodiscard]] inline std::vector<std::byte> file_bytes_with_length(std::uint64_t json_size, std::string_view json,
                                                                   std::span<const std::byte> data) {
    std::vector<std::byte> bytes(sizeof json_size);
    std::memcpy(bytes.data(), &json_size, sizeof json_size);
    const auto text = std::as_bytes(std::span{json});
    bytes.insert(bytes.end(), text.begin(), text.end());
    bytes.insert(bytes.end(), data.begin(), data.end());
    return bytes;
}

/// The bytes of a file with this header and `data_size` bytes of data: 0, 1, 2, ….
[[nodiscard]] inline std::vector<std::byte> file_bytes(std::string_view json, std::size_t data_size) {
    std::vector<std::byte> data(data_size);
    for (std::size_t i = 0; i < data_size; ++i) data[i] = static_cast<std::byte>(i);
    return file_bytes_with_length(json.size(), json, data);
}

/// The bytes of a file with one tensor "x".
template <class T>
[[nodiscard]] std::vector<std::byte> one_tensor(std::string_view dtype, std::string_view shape,
                                                const std::vector<T>& values) {
    const auto data = std::as_bytes(std::span{values});
    const std::string json = R"({"x":{"dtype":")" + std::string{dtype} + R"(","shape":)" + std::string{shape} +
                             R"(,"data_offsets":[0,)" + std::to_string(data.size()) + "]}}";
    return file_bytes_with_length(json.size(), json, data);
}

/// Every tensor lies inside the data and can be read byte by byte, and the tensors fill the data: what a file that is
/// accepted promises. Run under the address sanitizer.
inline void expect_consistent(const Safetensors& file) {
    std::size_t filled = 0;
    unsigned sum = 0;
    for (const std::string& name : file.names()) {
        const StoredTensor info = file.info(name);
        ASSERT_EQ(info.begin, filled) << name;
        ASSERT_LE(info.begin, info.end) << name;
        filled = info.end;
        Index count = 1;
        for (const Index size : info.shape) count *= size;
        ASSERT_EQ(static_cast<std::size_t>(count) * size_of(info.dtype), file.bytes(name).size()) << name;
        for (const std::byte byte : file.bytes(name)) sum += static_cast<unsigned>(byte);
    }
    ASSERT_LE(sum, 255 * filled);
}

/// An empty folder that is removed with everything in it.
class TemporaryFolder {
public:
    TemporaryFolder() {
        static std::atomic<int> counter{0};
        path_ = std::filesystem::temp_directory_path() /
                ("s4_test_" + std::to_string(::getpid()) + "_" + std::to_string(counter++));
        std::filesystem::create_directory(path_);
    }
    TemporaryFolder(const TemporaryFolder&) = delete;
    TemporaryFolder& operator=(const TemporaryFolder&) = delete;
    ~TemporaryFolder() {
        std::error_code ignored;
        std::filesystem::remove_all(path_, ignored);
    }

    [[nodiscard]] std::filesystem::path operator/(std::string_view name) const { return path_ / name; }
    /// Names of all files, sorted.
    [[nodiscard]] std::vector<std::string> files() const {
        std::vector<std::string> names;
        for (const auto& entry : std::filesystem::directory_iterator(path_))
            names.push_back(entry.path().filename().string());
        std::sort(names.begin(), names.end());
        return names;
    }

private:
    std::filesystem::path path_;
};

[[nodiscard]] inline std::string contents(const std::filesystem::path& path) {
    std::ifstream stream(path, std::ios::binary);
    return {std::istreambuf_iterator<char>{stream}, {}};
}

inline void write_text(const std::filesystem::path& path, std::string_view text) {
    std::ofstream{path, std::ios::binary}.write(text.data(), static_cast<std::streamsize>(text.size()));
}

}  // namespace s4::test
