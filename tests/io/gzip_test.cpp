// Files compressed by gzip, and IDX files inside them.
#include "idx_files.hpp"
#include "safetensors_bytes.hpp"
#include <s4/io/gzip.hpp>
#include <s4/io/idx.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <tests/support/expect_error.hpp>
#include <vector>

namespace {

using s4::GzipFile;
using s4::Idx;
using s4::Index;
using s4::test::counting_bytes;
using s4::test::gzip;
using s4::test::idx_header;
using s4::test::TemporaryFolder;
using s4::test::write_text;

/// Everything that comes out, asked for in pieces of `piece` bytes.
std::string unpack(const TemporaryFolder& folder, const std::string& packed, std::size_t piece) {
    write_text(folder / "x.gz", packed);
    GzipFile file{folder / "x.gz"};
    std::string text;
    std::string buffer(piece, '\0');
    for (std::size_t count = piece; count == piece;) {
        count = file.read(std::as_writable_bytes(std::span{buffer}));
        text.append(buffer, 0, count);
    }
    return text;
}
Idx read_packed_file(const TemporaryFolder& folder) { return s4::read_idx<GzipFile>(folder / "x.gz"); }
Idx read_packed(const TemporaryFolder& folder, const std::string& text) {
    write_text(folder / "x.gz", gzip(text));
    return read_packed_file(folder);
}

TEST(GzipFile, GivesBackWhatWasPacked) {
    const TemporaryFolder folder;
    for (const std::size_t size : {0U, 1U, 1000U, 300'000U}) {
        const std::string text = counting_bytes(size);
        for (const std::size_t piece : {7U, 4096U, 1'000'000U}) EXPECT_EQ(unpack(folder, gzip(text), piece), text);
    }
    // Incompressible: longer than the buffer of compressed bytes.
    std::string noise(400'000, '\0');
    std::uint32_t x = 1;
    for (char& c : noise) c = static_cast<char>((x = x * 1664525U + 1013904223U) >> 24U);
    EXPECT_EQ(unpack(folder, gzip(noise), 1000), noise);
}

TEST(GzipFile, JoinsMembers) {
    const TemporaryFolder folder;
    EXPECT_EQ(unpack(folder, gzip("one, ") + gzip("") + gzip("two"), 3), "one, two");
}

TEST(GzipFile, RefusesWhatIsNotGzip) {
    const TemporaryFolder folder;
    EXPECT_S4_ERROR(unpack(folder, "plain text", 100), "x.gz\": expected data compressed by gzip, found something else",
                    "incorrect header check");
    EXPECT_S4_ERROR(unpack(folder, "", 100), "x.gz\": expected more compressed bytes, found the end of the file");
    EXPECT_S4_ERROR(GzipFile{folder / "none.gz"}, "none.gz\": expected a file, found none");
}

TEST(GzipFile, RefusesWhatFollows) {
    const TemporaryFolder folder;
    EXPECT_S4_ERROR(unpack(folder, gzip("text") + "trailing", 100), "found something else after it");
    EXPECT_S4_ERROR(unpack(folder, gzip("text") + '\0', 100), "expected more compressed bytes, found the end");
}

TEST(GzipFile, RefusesEveryTruncation) {
    const TemporaryFolder folder;
    const std::string packed = gzip(counting_bytes(60) + counting_bytes(60));
    for (std::size_t size = 0; size < packed.size(); ++size)
        EXPECT_S4_ERROR(unpack(folder, packed.substr(0, size), 50), "x.gz\": expected more compressed bytes");
}

TEST(GzipFile, RefusesEveryDamagedByteThatMatters) {
    const TemporaryFolder folder;
    const std::string text = counting_bytes(60) + counting_bytes(60);
    const std::string packed = gzip(text);
    int accepted = 0;
    for (std::size_t i = 0; i < packed.size(); ++i) {
        for (int bit = 0; bit < 8; ++bit) {
            std::string damaged = packed;
            damaged[i] = static_cast<char>(damaged[i] ^ (1 << bit));
            try {
                EXPECT_EQ(unpack(folder, damaged, 50), text);  // the time, the system and the like say nothing
                ++accepted;
            } catch (const s4::Error& error) {
                EXPECT_THAT(error.what(), ::testing::HasSubstr("x.gz"));
            }
        }
    }
    // Of the ten bytes of the header only time (4), extra flags (1), operating system (1) and the flag "is text"; and
    // the bits, at most 7, that fill the last byte of the compressed data.
    EXPECT_LE(accepted, 8 * 6 + 1 + 7);
}

TEST(GzipFile, ChecksTheChecksum) {
    const TemporaryFolder folder;
    std::string packed = gzip("some text");
    packed[packed.size() - 8] = static_cast<char>(packed[packed.size() - 8] ^ 1);
    EXPECT_S4_ERROR(unpack(folder, packed, 100), "x.gz\": expected data compressed by gzip", "incorrect data check");
    // Also where the reader asks for no more bytes than there are: an IDX file is read one byte further.
    packed = gzip(idx_header({4}) + "1234");
    packed[packed.size() - 8] = static_cast<char>(packed[packed.size() - 8] ^ 1);
    write_text(folder / "x.gz", packed);
    EXPECT_S4_ERROR(read_packed_file(folder), "incorrect data check");
}

TEST(GzipIdx, ReadsShapeAndBytes) {
    const TemporaryFolder folder;
    const Idx idx = read_packed(folder, idx_header({300, 100, 50}) + counting_bytes(1'500'000));
    EXPECT_EQ(idx.shape, (std::vector<Index>{300, 100, 50}));
    ASSERT_EQ(idx.data.size(), 1'500'000U);
    for (std::size_t i = 0; i < idx.data.size(); ++i) ASSERT_EQ(idx.data[i], i % 256);
}

TEST(GzipIdx, RefusesDataOfTheWrongSize) {
    const TemporaryFolder folder;
    EXPECT_S4_ERROR(read_packed(folder, idx_header({2, 3}) + counting_bytes(5)),
                    "x.gz\": expected 6 bytes for shape [2, 3], found 5");
    EXPECT_S4_ERROR(read_packed(folder, idx_header({2, 3}) + counting_bytes(7)),
                    "x.gz\": expected 6 bytes for shape [2, 3], found more");
    EXPECT_S4_ERROR(read_packed(folder, idx_header({10'000, 10'000}) + "1"),
                    "expected 100000000 bytes for shape [10000, 10000], but the file cannot hold more than");
}

TEST(GzipIdx, UnpacksNoMoreThanTheHeaderPromises) {
    const TemporaryFolder folder;
    // 20 million bytes of zeros in some 20 kB, behind a header that promises 10: only one byte more is asked for.
    std::string packed = gzip(idx_header({10}) + std::string(20'000'000, '\0'));
    ASSERT_LT(packed.size(), 30'000U);
    packed.resize(packed.size() / 2);  // not reached: the rest could be anything
    write_text(folder / "x.gz", packed);
    EXPECT_S4_ERROR(read_packed_file(folder), "expected 10 bytes for shape [10], found more");
}

}  // namespace
