// The memory and time that a header can cost: large headers of every awkward form, with every allocation counted.
#include "safetensors_bytes.hpp"

#include <chrono>
#include <cstdlib>
#include <malloc.h>
#include <new>
#include <string>
#include <string_view>

namespace {

std::size_t live_bytes = 0;
std::size_t peak_bytes = 0;

void* counted(std::size_t size) noexcept {
    void* memory = std::malloc(size > 0 ? size : 1);
    if (memory != nullptr) {
        live_bytes += malloc_usable_size(memory);
        peak_bytes = std::max(peak_bytes, live_bytes);
    }
    return memory;
}
void uncounted(void* memory) noexcept {
    if (memory != nullptr) live_bytes -= malloc_usable_size(memory);
    std::free(memory);
}

}  // namespace

void* operator new(std::size_t size) {
    if (void* memory = counted(size)) return memory;
    throw std::bad_alloc{};
}
void* operator new[](std::size_t size) { return operator new(size); }
void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return counted(size); }
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept { return counted(size); }
void operator delete(void* memory) noexcept { uncounted(memory); }
void operator delete[](void* memory) noexcept { uncounted(memory); }
void operator delete(void* memory, std::size_t) noexcept { uncounted(memory); }
void operator delete[](void* memory, std::size_t) noexcept { uncounted(memory); }

namespace {

using s4::Safetensors;

constexpr std::size_t header_size = 4'000'000;

/// A header of about `header_size` bytes: entries made by `entry(i)`, as many as fit.
template <class Entry>
std::string header_of(const Entry& entry) {
    std::string json = "{";
    for (std::size_t i = 0; json.size() < header_size; ++i) json += (i > 0 ? "," : "") + entry(i);
    return json += '}';
}
/// Four letters, different for every number below 64^4.
std::string key_of(std::size_t number) {
    constexpr std::string_view letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_";
    std::string text;
    for (int digit = 0; digit < 4; ++digit, number /= 64) text += letters[number % 64];
    return text;
}

/// Reads the file and returns the largest memory in use meanwhile, beyond what was before, per byte of header.
double peak_per_header_byte(const std::string& json, std::size_t data_size, bool valid) {
    const auto bytes = s4::test::file_bytes(json, data_size);
    const auto before = peak_bytes = live_bytes;
    bool accepted = true;
    try {
        EXPECT_EQ(Safetensors::parse(bytes).contains("no such tensor"), false);
    } catch (const s4::Error& error) {
        EXPECT_FALSE(valid) << error.what();
        EXPECT_LT(std::string_view{error.what()}.size(), 1000U);
        accepted = false;
    }
    EXPECT_EQ(accepted, valid);
    return static_cast<double>(peak_bytes - before - data_size) / static_cast<double>(json.size());
}

constexpr double most_memory = 8;

TEST(SafetensorsMemory, StaysBoundedForManyTensors) {
    const std::string json = header_of(
        [](std::size_t i) { return '"' + key_of(i) + R"(":{"dtype":"U8","shape":[0],"data_offsets":[0,0]})"; });
    EXPECT_LT(peak_per_header_byte(json, 0, true), most_memory);
}

TEST(SafetensorsMemory, StaysBoundedForLongShapes) {
    std::string zeros = "0";
    for (int axis = 1; axis < 32; ++axis) zeros += ",0";
    const std::string json = header_of([&](std::size_t i) {
        return '"' + key_of(i) + R"(":{"dtype":"U8","shape":[)" + zeros + R"(],"data_offsets":[0,0]})";
    });
    EXPECT_LT(peak_per_header_byte(json, 0, true), most_memory);
}

TEST(SafetensorsMemory, StaysBoundedForManyMetadataEntries) {
    std::string json = header_of([](std::size_t i) { return '"' + key_of(i) + R"(":"")"; });
    EXPECT_LT(peak_per_header_byte(R"({"__metadata__":)" + json + '}', 0, true), most_memory);
}

TEST(SafetensorsMemory, StaysBoundedForOneLongText) {
    for (const char* letter : {"v", "\\n", "\\u0001", "\xc3\xa9"}) {
        std::string text;
        while (text.size() < header_size) text += letter;
        EXPECT_LT(peak_per_header_byte(R"({"__metadata__":{"k":")" + text + R"("}})", 0, true), most_memory) << letter;
        EXPECT_LT(peak_per_header_byte("{\"" + text + "\":3}", 0, false), most_memory) << letter;
        for (const char* broken : {"\xff\":3}", "\\x\":3}", "}", "\" \"k\"}"})
            EXPECT_LT(peak_per_header_byte("{\"" + text + broken, 0, false), most_memory) << letter;
        EXPECT_LT(peak_per_header_byte(R"({"k" ")" + text + "\"}", 0, false), most_memory) << letter;
        EXPECT_LT(peak_per_header_byte(R"({"k":[1,2")" + text + "\"]}", 0, false), most_memory) << letter;
        EXPECT_LT(peak_per_header_byte(R"({"k":{"shape":[")" + text + "\"]}}", 0, false), most_memory) << letter;
        EXPECT_LT(peak_per_header_byte(R"({"k":{"dtype":")" + text + "\"}}", 0, false), most_memory) << letter;
    }
}

TEST(SafetensorsMemory, StaysBoundedForLongNumbersAndWords) {
    for (const char* digit : {"1", "0.", "-", "e", "t", "\xff"}) {
        std::string text;
        while (text.size() < header_size) text += digit;
        EXPECT_LT(peak_per_header_byte(R"({"k":)" + text + "}", 0, false), most_memory) << digit;
        EXPECT_LT(peak_per_header_byte(R"({"k":{"shape":[)" + text + "]}}", 0, false), most_memory) << digit;
    }
}

TEST(SafetensorsMemory, StaysBoundedForDeepNesting) {
    EXPECT_LT(peak_per_header_byte(R"({"a":)" + std::string(header_size, '[') + '}', 0, false), most_memory);
    EXPECT_LT(peak_per_header_byte(std::string(header_size, '{') + '}', 0, false), most_memory);
}

TEST(SafetensorsMemory, LargeDataIsCopiedOnce) {
    constexpr std::size_t count = 10'000'000;
    const auto bytes =
        s4::test::file_bytes(R"({"a":{"dtype":"U8","shape":[10000000],"data_offsets":[0,10000000]}})", count);
    const auto before = peak_bytes = live_bytes;
    EXPECT_EQ(Safetensors::parse(bytes).bytes("a").size(), count);
    EXPECT_LT(peak_bytes - before, count + 10'000);
}

TEST(SafetensorsTime, ReadsTwoHundredThousandTensorsInTwoSeconds) {
    constexpr std::size_t count = 200'000;
    std::string json = "{";
    for (std::size_t i = 0; i < count; ++i)
        json += (i > 0 ? ",\"layer." : "\"layer.") + std::to_string(i) +
                R"(":{"dtype":"U8","shape":[1,1],"data_offsets":[)" + std::to_string(i) + "," + std::to_string(i + 1) +
                "]}";
    const auto bytes = s4::test::file_bytes(json + "}", count);
    const auto start = std::chrono::steady_clock::now();
    const Safetensors file = Safetensors::parse(bytes);
    const std::chrono::duration<double> taken = std::chrono::steady_clock::now() - start;
    EXPECT_EQ(file.size(), count);
    EXPECT_EQ(file.integer("layer.77777"), 77'777 % 256);
    EXPECT_LT(taken.count(), 2.0);
}

}  // namespace
