// IDX files, plain: what is read, and every way in which a file can lie about itself.
#include "idx_files.hpp"
#include "safetensors_bytes.hpp"
#include <s4/io/idx.hpp>

#include <cstdint>
#include <filesystem>
#include <string>
#include <tests/support/expect_error.hpp>
#include <vector>

namespace {

using s4::Idx;
using s4::Index;
using s4::test::counting_bytes;
using s4::test::idx_header;
using s4::test::TemporaryFolder;
using s4::test::write_text;

void read(const std::filesystem::path& path) { static_cast<void>(s4::read_idx(path)); }
Idx read_text(const TemporaryFolder& folder, const std::string& text) {
    write_text(folder / "x.idx", text);
    return s4::read_idx(folder / "x.idx");
}

TEST(Idx, ReadsShapeAndBytes) {
    const TemporaryFolder folder;
    const Idx idx = read_text(folder, idx_header({2, 3, 4}) + counting_bytes(24));
    EXPECT_EQ(idx.shape, (std::vector<Index>{2, 3, 4}));
    ASSERT_EQ(idx.data.size(), 24U);
    for (std::size_t i = 0; i < 24; ++i) EXPECT_EQ(idx.data[i], i);
    EXPECT_THAT(idx.file, ::testing::EndsWith("x.idx\""));
}

TEST(Idx, ReadsSizesInBigEndianOrder) {
    const TemporaryFolder folder;
    const Idx idx = read_text(folder, idx_header({0x00010203}) + counting_bytes(0x00010203));
    EXPECT_EQ(idx.shape, std::vector<Index>{66051});
    EXPECT_EQ(idx.data.back(), 66050 % 256);
}

TEST(Idx, ReadsFilesLargerThanOnePiece) {
    const TemporaryFolder folder;
    constexpr std::uint32_t size = (1U << 20U) * 5 + 3;
    const Idx idx = read_text(folder, idx_header({size}) + counting_bytes(size));
    ASSERT_EQ(idx.data.size(), size);
    for (std::size_t i = 0; i < size; ++i) ASSERT_EQ(idx.data[i], i % 256);
}

TEST(Idx, ReadsAnEmptyArray) {
    const TemporaryFolder folder;
    const Idx idx = read_text(folder, idx_header({0, 28, 28}));
    EXPECT_EQ(idx.shape, (std::vector<Index>{0, 28, 28}));
    EXPECT_TRUE(idx.data.empty());
}

TEST(Idx, RefusesWhatIsNoFile) {
    const TemporaryFolder folder;
    EXPECT_S4_ERROR(read(folder / "none.idx"), "none.idx\": expected a file, found none");
    std::filesystem::create_directory(folder / "folder");
    EXPECT_S4_ERROR(read(folder / "folder"), "folder\": expected a file, found something else");
}

TEST(Idx, RefusesAWrongMagic) {
    const TemporaryFolder folder;
    EXPECT_S4_ERROR(read_text(folder, ""), "x.idx\": expected an IDX header of at least 8 bytes, found 0");
    EXPECT_S4_ERROR(read_text(folder, std::string(3, '\0')), "at least 8 bytes, found 3");
    EXPECT_S4_ERROR(read_text(folder, "\x89PNG\r\n"),
                    "x.idx\": expected an IDX file, which begins with 0x00 0x00, found 0x89 0x50");
    EXPECT_S4_ERROR(read_text(folder, s4::test::gzip("text")),
                    "found one compressed by gzip: read it through GzipFile");
}

TEST(Idx, RefusesOtherElementsByTheirCode) {
    const TemporaryFolder folder;
    EXPECT_S4_ERROR(read_text(folder, idx_header({1}, 0x0d) + "1234"),
                    "x.idx\": expected elements of type 0x08 (unsigned bytes), found 0x0d (32-bit floats)");
    EXPECT_S4_ERROR(read_text(folder, idx_header({1}, 0x09) + "1"), "found 0x09 (signed bytes)");
    EXPECT_S4_ERROR(read_text(folder, idx_header({1}, 0x0b) + "12"), "found 0x0b (16-bit integers)");
    EXPECT_S4_ERROR(read_text(folder, idx_header({1}, 0x0c) + "1234"), "found 0x0c (32-bit integers)");
    EXPECT_S4_ERROR(read_text(folder, idx_header({1}, 0x0e) + "12345678"), "found 0x0e (64-bit floats)");
    EXPECT_S4_ERROR(read_text(folder, idx_header({1}, 0x07) + "1"), "found 0x07 (no type of the format)");
}

TEST(Idx, RefusesAHeaderThatIsCutShort) {
    const TemporaryFolder folder;
    EXPECT_S4_ERROR(read_text(folder, idx_header({})), "expected at least 1 dimension, found 0");
    const std::string whole = idx_header({1, 2, 3});
    for (std::size_t size = 4; size < whole.size(); ++size)
        EXPECT_S4_ERROR(read_text(folder, whole.substr(0, size)),
                        ("expected the sizes of 3 dimensions in 12 bytes, found " + std::to_string(size - 4)).c_str());
    std::string many = idx_header({1});
    many[3] = '\xff';
    EXPECT_S4_ERROR(read_text(folder, many), "expected the sizes of 255 dimensions in 1020 bytes, found 4");
}

TEST(Idx, RefusesTruncatedFilesBeforeTakingMemory) {
    const TemporaryFolder folder;
    const std::string whole = idx_header({2, 3, 4}) + counting_bytes(24);
    for (std::size_t size = 16; size < whole.size(); ++size)
        EXPECT_S4_ERROR(read_text(folder, whole.substr(0, size)), "expected 24 bytes for shape [2, 3, 4], but the file",
                        ("cannot hold more than " + std::to_string(size - 16)).c_str());
    EXPECT_S4_ERROR(read_text(folder, idx_header({0xffffffff, 0x7fffffff}) + "1"),
                    "expected 9223372030412324865 bytes for shape [4294967295, 2147483647], but the file");
}

TEST(Idx, RefusesSizesWhoseProductOverflows) {
    const TemporaryFolder folder;
    EXPECT_S4_ERROR(read_text(folder, idx_header({0xffffffff, 0xffffffff}) + "1"),
                    "expected a shape whose size fits 63 bits, found [4294967295, 4294967295]");
    // 2^64: the product of 64-bit numbers would be 0, the size of this file.
    EXPECT_S4_ERROR(read_text(folder, idx_header({0x10000, 0x10000, 0x10000, 0x10000})), "fits 63 bits");
    // A zero hides no overflow.
    EXPECT_S4_ERROR(read_text(folder, idx_header({0xffffffff, 0xffffffff, 0xffffffff, 0})), "fits 63 bits");
}

TEST(Idx, RefusesTrailingBytes) {
    const TemporaryFolder folder;
    EXPECT_S4_ERROR(read_text(folder, idx_header({2, 3}) + counting_bytes(7)),
                    "x.idx\": expected 6 bytes for shape [2, 3], found more");
    EXPECT_S4_ERROR(read_text(folder, idx_header({0}) + "1"), "expected 0 bytes for shape [0], found more");
}

}  // namespace
