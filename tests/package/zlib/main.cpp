// Files compressed by gzip: reads one of a single byte, and an IDX file that is not there.
#include <s4/io/gzip.hpp>
#include <s4/io/idx.hpp>

#include <array>
#include <cstddef>
#include <fstream>
#include <iostream>
#include <span>
#include <string_view>

int main() {
    using namespace std::literals;
    std::ofstream{"letter.gz", std::ios::binary} << "\x1f\x8b\x08\0\0\0\0\0\0\3\x4b\4\0\x43\xbe\xb7\xe8\1\0\0\0"sv;
    std::array<std::byte, 2> bytes;
    const bool unpacked = s4::GzipFile{"letter.gz"}.read(bytes) == 1 && bytes[0] == std::byte{'a'};
    try {
        static_cast<void>(s4::read_idx<s4::GzipFile>("no such file.gz"));
    } catch (const s4::Error& error) {
        std::cout << error.what() << '\n';
        return unpacked ? 0 : 1;
    }
    return 1;
}
