// Files for NumPy, byte by byte.
#include "safetensors_bytes.hpp"
#include <s4/io/npy.hpp>

#include <array>
#include <complex>
#include <tests/support/expect_error.hpp>

namespace {

using s4::Index;
using s4::test::TemporaryFolder;

/// What NumPy writes before the data: padded to 64 bytes, which makes 128 for dictionaries as short as these.
std::string header(const std::string& dictionary) {
    return std::string{"\x93NUMPY\x01\x00\x76\x00", 10} + dictionary + std::string(117 - dictionary.size(), ' ') + '\n';
}

TEST(Npy, WritesTheHeaderOfNumPy) {
    const TemporaryFolder folder;
    const std::array<float, 2> data{1.0F, -2.0F};
    s4::write_npy<float>(folder / "x", data, {2});
    EXPECT_EQ(s4::test::contents(folder / "x"), header("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }") +
                                                    std::string("\0\0\x80\x3f\0\0\0\xc0", 8));
}

TEST(Npy, WritesEveryTypeAndRank) {
    const TemporaryFolder folder;
    const auto header_of = [&](const auto& write) {
        write(folder / "x");
        const std::string text = s4::test::contents(folder / "x");
        EXPECT_EQ(text[9], '\0');
        const auto size = static_cast<unsigned char>(text[8]);
        EXPECT_EQ((size + 10) % 64, 0);
        EXPECT_EQ(text[9U + size], '\n');
        return text.substr(10, text.find('}') - 9);
    };
    const std::array<double, 6> real{};
    const std::array<std::complex<float>, 1> single{};
    const std::array<std::complex<double>, 1> twice{};
    EXPECT_EQ(header_of([&](const auto& path) {
                  s4::write_npy<double>(path, real, {1, 2, 3});
              }),
              "{'descr': '<f8', 'fortran_order': False, 'shape': (1, 2, 3), }");
    EXPECT_EQ(header_of([&](const auto& path) {
                  s4::write_npy<double>(path, std::span{real}.first(0), {3, 0});
              }),
              "{'descr': '<f8', 'fortran_order': False, 'shape': (3, 0), }");
    EXPECT_EQ(header_of([&](const auto& path) { s4::write_npy<std::complex<float>>(path, single, {1}); }),
              "{'descr': '<c8', 'fortran_order': False, 'shape': (1,), }");
    EXPECT_EQ(header_of([&](const auto& path) {
                  s4::write_npy<std::complex<double>>(path, twice, std::span<const Index>{});
              }),
              "{'descr': '<c16', 'fortran_order': False, 'shape': (), }");
    const std::vector<Index> ones(32, 1);
    EXPECT_THAT(header_of([&](const auto& path) { s4::write_npy<std::complex<double>>(path, twice, ones); }),
                ::testing::EndsWith("1, 1), }"));
}

TEST(Npy, WritesMatricesRowByRow) {
    const TemporaryFolder folder;
    const Eigen::Matrix2d matrix{{1, 2}, {3, 4}};
    s4::write_npy(folder / "x", matrix);
    const std::string text = s4::test::contents(folder / "x");
    std::array<double, 4> values;
    ASSERT_EQ(text.size(), 128 + sizeof values);
    EXPECT_EQ(text.substr(0, 128), header("{'descr': '<f8', 'fortran_order': False, 'shape': (2, 2), }"));
    std::memcpy(values.data(), text.data() + 128, sizeof values);
    EXPECT_EQ(values, (std::array<double, 4>{1, 2, 3, 4}));

    s4::write_npy(folder / "x", matrix.row(1));
    EXPECT_EQ(s4::test::contents(folder / "x").substr(0, 128),
              header("{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }"));
}

TEST(Npy, RefusesDataThatDoesNotFillTheShape) {
    const TemporaryFolder folder;
    const std::array<double, 6> data{};
    EXPECT_S4_ERROR(s4::write_npy<double>(folder / "x", data, {2, 2}), "x\": expected data for shape [2, 2], found 6");
    EXPECT_S4_ERROR(s4::write_npy<double>(folder / "x", data, {-2, -3}), "expected data for shape [-2, -3]");
    EXPECT_S4_ERROR(s4::write_npy<double>(folder / "x", data, std::vector<Index>(33, 1)), "at most 32 axes, found 33");
    EXPECT_S4_ERROR(s4::write_npy<double>(folder / "none/x", data, {6}), "none/x\": cannot create a file");
    EXPECT_TRUE(folder.files().empty());
}

}  // namespace
