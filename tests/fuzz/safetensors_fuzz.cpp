// libFuzzer harness for the safetensors reader: header, views, every byte, conversions, save and load again.
// clang++ -std=c++20 -O1 -g -fsanitize=fuzzer,address,undefined -Iinclude -isystem <eigen>
// tests/fuzz/safetensors_fuzz.cpp
#include <s4/io/safetensors.hpp>
#include <s4/io/safetensors_writer.hpp>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <unistd.h>

namespace {

void check(bool claim, const char* sentence) {
    if (claim) return;
    std::fprintf(stderr, "broken: %s\n", sentence);
    std::abort();
}

/// What holds for every file that is accepted.
void check_accepted(const s4::Safetensors& file) {
    std::size_t filled = 0;
    for (const std::string& name : file.names()) {
        const s4::StoredTensor info = file.info(name);
        check(info.begin == filled && info.begin <= info.end, "tensors lie one after the other");
        filled = info.end;
        std::size_t count = 1;
        for (const s4::Index size : info.shape) count *= static_cast<std::size_t>(size);
        check(count * s4::size_of(info.dtype) == file.bytes(name).size(), "the shape gives the size");
        try {
            check(static_cast<std::size_t>(file.vector<float>(name).size()) == count, "every element is converted");
        } catch (const s4::Error&) {  // a type or a number that float does not hold
        }
    }
}

/// Save and load: the same names, shapes, bytes and metadata.
void check_saved(const s4::Safetensors& file) {
    s4::SafetensorsWriter writer;
    for (const std::string& name : file.names())
        writer.add_bytes(name, file.info(name).dtype, file.shape(name), file.bytes(name));
    for (const auto& [key, value] : file.metadata()) writer.set_metadata(key, value);
    static const std::filesystem::path path =
        std::filesystem::temp_directory_path() / ("s4_fuzz_" + std::to_string(::getpid()));
    writer.write(path);
    const s4::Safetensors copy = s4::Safetensors::read(path);
    check(copy.size() == file.size() && copy.metadata() == file.metadata(), "nothing is lost");
    for (const std::string& name : file.names())
        check(copy.info(name).dtype == file.info(name).dtype && copy.shape(name) == file.shape(name) &&
                  std::ranges::equal(copy.bytes(name), file.bytes(name)),
              "every tensor is the same");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
    std::optional<s4::Safetensors> file;
    try {
        file = s4::Safetensors::parse(std::as_bytes(std::span{data, size}));
    } catch (const s4::Error&) {
        return 0;
    }
    check_accepted(*file);
    check_saved(*file);  // an error here ends the process: what was read can be written
    return 0;
}
