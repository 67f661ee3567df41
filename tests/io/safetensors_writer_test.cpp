// Files written: their exact bytes, what is refused, and that a failure leaves everything as it was.
#include "safetensors_bytes.hpp"
#include <s4/io/safetensors_writer.hpp>

#include <array>
#include <tests/support/expect_error.hpp>

namespace {

using s4::Index;
using s4::Safetensors;
using s4::SafetensorsWriter;
using s4::test::TemporaryFolder;

TEST(SafetensorsWriter, WritesTheseBytes) {
    SafetensorsWriter writer;
    const std::array<float, 2> b{1.0F, -2.0F};
    writer.add<float>("b", {2}, b);
    writer.add_scalar("n", std::int64_t{258});
    writer.set_metadata("format", "p\"t");
    const TemporaryFolder folder;
    writer.write(folder / "x");
    const std::string json = R"({"__metadata__":{"format":"p\"t"},"n":{"dtype":"I64","shape":[],"data_offsets":[0,8]},)"
                             R"("b":{"dtype":"F32","shape":[2],"data_offsets":[8,16]}})";
    const std::string padded = json + std::string((8 - json.size() % 8) % 8, ' ');
    const std::string expected = static_cast<char>(padded.size()) + std::string(7, '\0') + padded +
                                 std::string("\2\1\0\0\0\0\0\0", 8) + std::string("\0\0\x80\x3f\0\0\0\xc0", 8);
    EXPECT_EQ(s4::test::contents(folder / "x"), expected);
}

TEST(SafetensorsWriter, LoadsWhatItSaved) {
    const Eigen::MatrixXf matrix = Eigen::MatrixXf::Random(3, 5);  // column-major here, row-major in the file
    const Eigen::VectorXcd complex_vector = Eigen::VectorXcd::Random(4);
    const Eigen::Matrix<std::complex<float>, 2, 3> complex_matrix = Eigen::Matrix<std::complex<float>, 2, 3>::Random();
    SafetensorsWriter writer;
    writer.add_matrix("matrix", matrix);
    writer.add_matrix("expression", 2 * matrix.transpose());
    writer.add_matrix("complex vector", complex_vector);
    writer.add_matrix("complex matrix", complex_matrix);
    writer.add_matrix("array", matrix.array().row(1));
    writer.add_scalar("pi", 3.141592653589793);
    writer.add_matrix("empty", Eigen::MatrixXd(0, 3));
    writer.set_metadata("\n\x01\"\\\xc3\xa9", "");
    const TemporaryFolder folder;
    writer.write(folder / "x");

    const Safetensors file = Safetensors::read(folder / "x");
    s4::test::expect_consistent(file);
    EXPECT_EQ(file.shape("matrix"), (std::vector<Index>{3, 5}));
    EXPECT_EQ(file.matrix<float>("matrix", 3, 5), matrix);
    EXPECT_EQ(file.matrix<float>("expression", 5, 3), 2 * matrix.transpose());
    EXPECT_EQ(file.shape("complex vector"), (std::vector<Index>{4, 2}));
    EXPECT_EQ(file.complex<double>("complex vector"), complex_vector);
    EXPECT_EQ(file.shape("complex matrix"), (std::vector<Index>{2, 3, 2}));
    EXPECT_EQ((file.complex_matrix<float>("complex matrix", 2, 3)), complex_matrix);
    EXPECT_EQ(file.shape("array"), (std::vector<Index>{5}));
    EXPECT_EQ(file.vector<float>("array"), matrix.row(1).transpose());
    EXPECT_EQ(file.vector<double>("pi")[0], 3.141592653589793);
    EXPECT_TRUE(file.shape("pi").empty());
    EXPECT_EQ(file.shape("empty"), (std::vector<Index>{0, 3}));
    EXPECT_EQ(file.metadata(), (std::map<std::string, std::string>{{"\n\x01\"\\\xc3\xa9", ""}}));
}

TEST(SafetensorsWriter, FileDoesNotDependOnTheOrderOfCalls) {
    const std::array<double, 1> one{1.0};
    const std::array<float, 1> two{2.0F};
    SafetensorsWriter forward, backward;
    forward.add<double>("a", {1}, one);
    forward.add<float>("b", {1}, two);
    forward.add<double>("c", {1}, one);
    backward.add<double>("c", {1}, one);
    backward.add<float>("b", {1}, two);
    backward.add<double>("a", {1}, one);
    const TemporaryFolder folder;
    forward.write(folder / "forward");
    backward.write(folder / "backward");
    EXPECT_EQ(s4::test::contents(folder / "forward"), s4::test::contents(folder / "backward"));
    EXPECT_EQ(Safetensors::read(folder / "forward").names(), (std::vector<std::string>{"a", "c", "b"}));
}

TEST(SafetensorsWriter, AlignsEveryElement) {
    SafetensorsWriter writer;
    const std::array<std::byte, 3> bytes{};
    const std::array<Index, 1> three{3};
    writer.add_bytes("a", s4::DType::U8, three, bytes);
    writer.add_scalar("b", 1.0F);
    writer.add_scalar("c", 1.0);
    for (int length = 0; length < 9; ++length) {
        writer.set_metadata("pad", std::string(static_cast<std::size_t>(length), 'x'));
        const TemporaryFolder folder;
        writer.write(folder / "x");
        const Safetensors file = Safetensors::read(folder / "x");
        const std::size_t data = std::filesystem::file_size(folder / "x") - 15;
        for (const std::string& name : file.names())
            EXPECT_EQ((data + file.info(name).begin) % s4::size_of(file.info(name).dtype), 0U) << name;
    }
}

TEST(SafetensorsWriter, RefusesWhatTheReaderWouldRefuse) {
    const std::array<double, 2> two{};
    SafetensorsWriter writer;
    writer.add<double>("a", {2}, two);
    EXPECT_S4_ERROR(writer.add<double>("a", {2}, two), "tensor \"a\": expected unique names, found this one twice");
    EXPECT_S4_ERROR(writer.add<double>("b", {3}, two), "tensor \"b\": expected data for shape [3], found 2 elements");
    EXPECT_S4_ERROR(writer.add<double>("b", {-1, -2}, two), "tensor \"b\": expected data for shape [-1, -2]");
    EXPECT_S4_ERROR(writer.add<double>("b", {Index{1} << 62, 8}, {}), "tensor \"b\": expected data for shape");
    EXPECT_S4_ERROR(writer.add<double>("__metadata__", {2}, two), "tensor \"__metadata__\"", "reserved");

    const TemporaryFolder folder;
    SafetensorsWriter bad_name, bad_metadata, bad_rank;
    bad_name.add_scalar("\xff", 1.0);
    EXPECT_S4_ERROR(bad_name.write(folder / "x"), "UTF-8");
    bad_metadata.set_metadata("k", "\xc3");
    EXPECT_S4_ERROR(bad_metadata.write(folder / "x"), "UTF-8");
    bad_rank.add<double>("r", std::vector<Index>(33, 1), std::span{two}.first(1));
    EXPECT_S4_ERROR(bad_rank.write(folder / "x"), "tensor \"r\"", "at most 32 sizes");
    EXPECT_TRUE(folder.files().empty());
}

TEST(SafetensorsWriter, WritesAnEmptyFile) {
    const TemporaryFolder folder;
    SafetensorsWriter{}.write(folder / "x");
    EXPECT_EQ(Safetensors::read(folder / "x").size(), 0U);
}

}  // namespace
