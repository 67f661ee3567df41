// Typed access to the tensors of a file, and the golden files.
#include "safetensors_bytes.hpp"
#include <s4/io/safetensors_writer.hpp>

#include <cmath>
#include <limits>
#include <tests/support/expect_error.hpp>

namespace {

using s4::Index;
using s4::Safetensors;
using s4::test::one_tensor;

std::vector<std::filesystem::path> golden_files() {
    std::vector<std::filesystem::path> files;
    for (const auto& entry : std::filesystem::directory_iterator(std::filesystem::path{S4_TEST_SOURCE_DIR} / "golden"))
        if (entry.path().extension() == ".safetensors") files.push_back(entry.path());
    return files;
}

TEST(Safetensors, ReadsEveryGoldenFile) {
    const auto paths = golden_files();
    ASSERT_GT(paths.size(), 100U);
    for (const auto& path : paths) {
        SCOPED_TRACE(path.filename());
        const Safetensors file = Safetensors::read(path);
        ASSERT_GT(file.size(), 0U);
        s4::test::expect_consistent(file);
        EXPECT_EQ(file.metadata("case"), path.stem());
        for (const std::string& name : file.names()) {
            const auto values = file.vector<double>(name);
            EXPECT_EQ(static_cast<std::size_t>(values.size()) * s4::size_of(file.info(name).dtype),
                      file.bytes(name).size());
            EXPECT_FALSE(values.array().isNaN().any()) << name;
        }
    }
}

TEST(Safetensors, SurvivesSaveAndLoadOfEveryGoldenFile) {
    const s4::test::TemporaryFolder folder;
    for (const auto& path : golden_files()) {
        SCOPED_TRACE(path.filename());
        const Safetensors original = Safetensors::read(path);
        s4::SafetensorsWriter writer;
        for (const std::string& name : original.names())
            writer.add_bytes(name, original.info(name).dtype, original.shape(name), original.bytes(name));
        for (const auto& [key, value] : original.metadata()) writer.set_metadata(key, value);
        writer.write(folder / "copy.safetensors");

        const Safetensors copy = Safetensors::read(folder / "copy.safetensors");
        ASSERT_EQ(copy.size(), original.size());
        EXPECT_EQ(copy.metadata(), original.metadata());
        for (const std::string& name : original.names()) {
            EXPECT_EQ(copy.info(name).dtype, original.info(name).dtype) << name;
            EXPECT_EQ(copy.shape(name), original.shape(name)) << name;
            EXPECT_TRUE(std::ranges::equal(copy.bytes(name), original.bytes(name))) << name;
        }
    }
}

TEST(Safetensors, ReadAndParseAgree) {
    const auto path = std::filesystem::path{S4_TEST_SOURCE_DIR} / "golden" / "disc_diag_n8.safetensors";
    const std::string text = s4::test::contents(path);
    const Safetensors parsed = Safetensors::parse(std::as_bytes(std::span{text}), "copy");
    const Safetensors read = Safetensors::read(path);
    EXPECT_EQ(parsed.names(), read.names());
    EXPECT_EQ(parsed.vector<double>("A"), read.vector<double>("A"));
    EXPECT_EQ(parsed.file(), "copy");
    EXPECT_EQ(read.file(), path.string());
}

TEST(Safetensors, RefusesWhatIsNotAFile) {
    const s4::test::TemporaryFolder folder;
    EXPECT_S4_ERROR(static_cast<void>(Safetensors::read(folder / "none.safetensors")), "none.safetensors",
                    "expected a file, found none");
    EXPECT_S4_ERROR(static_cast<void>(Safetensors::read(folder / "")), "expected a file, found something else");
    s4::test::write_text(folder / "short", "1234567");
    EXPECT_S4_ERROR(static_cast<void>(Safetensors::read(folder / "short")),
                    "short\": expected at least 8 bytes, found 7");
}

TEST(Safetensors, CopyOutlivesTheOriginal) {
    auto original = std::make_unique<Safetensors>(Safetensors::parse(one_tensor<float>("F32", "[2]", {1.5F, -2.0F})));
    const Safetensors copy = *original;
    const auto bytes = copy.bytes("x");
    original.reset();
    EXPECT_EQ(bytes.size(), 8U);
    EXPECT_EQ(copy.vector<float>("x"), Eigen::Vector2f(1.5F, -2.0F));
}

TEST(Safetensors, DataOutlivesTheParsedBytes) {
    auto bytes = one_tensor<float>("F32", "[2]", {1.5F, -2.0F});
    const Safetensors file = Safetensors::parse(bytes);
    std::fill(bytes.begin(), bytes.end(), std::byte{0xff});
    EXPECT_EQ(file.vector<float>("x"), Eigen::Vector2f(1.5F, -2.0F));
}

TEST(Safetensors, MatrixIsRowMajorWhateverTheShape) {
    for (const char* shape : {"[2,3]", "[6]", "[1,2,3,1]", "[3,2]"}) {
        const auto file = Safetensors::parse(one_tensor<double>("F64", shape, {1, 2, 3, 4, 5, 6}));
        const s4::Sequence<double> expected{{1, 2, 3}, {4, 5, 6}};
        EXPECT_EQ(file.matrix<double>("x", 2, 3), expected) << shape;
    }
}

TEST(Safetensors, NamesTheShapesThatDiffer) {
    const auto file = Safetensors::parse(one_tensor<double>("F64", "[2,3]", {1, 2, 3, 4, 5, 6}));
    EXPECT_S4_ERROR(static_cast<void>(file.matrix<float>("x", 2, 4)),
                    "tensor \"x\": expected [2, 4], found shape [2, 3]");
    EXPECT_S4_ERROR(static_cast<void>(file.matrix<float>("x", -2, -3)), "expected [-2, -3], found shape [2, 3]");
    EXPECT_S4_ERROR(static_cast<void>(file.matrix<float>("x", Index{1} << 62, 8)), "found shape [2, 3]");
    EXPECT_S4_ERROR(static_cast<void>(file.complex<float>("x")), "tensor \"x\": expected a last axis of size 2",
                    "[2, 3]");
    EXPECT_S4_ERROR(static_cast<void>(file.integer("x")), "tensor \"x\": expected [], found shape [2, 3]");
    std::vector<float> too_short(5);
    EXPECT_S4_ERROR(file.copy_to<float>("x", too_short), "tensor \"x\": expected [5], found shape [2, 3]");
    EXPECT_NO_THROW(file.require_shape("x", {2, 3}));
    EXPECT_S4_ERROR(file.require_shape("x", {3, 2}), "tensor \"x\": expected shape [3, 2], found [2, 3]");
    EXPECT_S4_ERROR(file.require_shape("x", {2}), "expected shape [2], found [2, 3]");
}

TEST(Safetensors, ListsSomeTensorsWhenOneIsMissing) {
    s4::SafetensorsWriter writer;
    for (const char* name : {"a", "b", "c", "d", "e", "f", "g"}) writer.add_scalar(name, 1.0);
    const s4::test::TemporaryFolder folder;
    writer.write(folder / "x");
    const Safetensors file = Safetensors::read(folder / "x");
    EXPECT_S4_ERROR(static_cast<void>(file.vector<float>("h")), "tensor \"h\"", "found 7 other tensors: \"a\", \"b\"",
                    "...");
    EXPECT_S4_ERROR(static_cast<void>(Safetensors::parse(s4::test::file_bytes("{}", 0)).info("h")),
                    "found 0 other tensors");
}

template <class Scalar>
class SafetensorsConversion : public ::testing::Test {};
using Scalars = ::testing::Types<float, double>;
TYPED_TEST_SUITE(SafetensorsConversion, Scalars);

TYPED_TEST(SafetensorsConversion, IsExactForSmallNumbersOfEveryType) {
    using Vector = Eigen::Matrix<TypeParam, Eigen::Dynamic, 1>;
    const auto read = [](const std::vector<std::byte>& bytes) -> Vector {
        return Safetensors::parse(bytes).vector<TypeParam>("x");
    };
    const Vector positive{{0, 1, 100}};
    const Vector both{{0, -1, 100}};
    EXPECT_EQ(read(one_tensor<std::uint8_t>("BOOL", "[3]", {0, 1, 1})), (Vector{{0, 1, 1}}));
    EXPECT_EQ(read(one_tensor<std::uint8_t>("U8", "[3]", {0, 1, 100})), positive);
    EXPECT_EQ(read(one_tensor<std::uint16_t>("U16", "[3]", {0, 1, 100})), positive);
    EXPECT_EQ(read(one_tensor<std::uint32_t>("U32", "[3]", {0, 1, 100})), positive);
    EXPECT_EQ(read(one_tensor<std::uint64_t>("U64", "[3]", {0, 1, 100})), positive);
    EXPECT_EQ(read(one_tensor<std::int8_t>("I8", "[3]", {0, -1, 100})), both);
    EXPECT_EQ(read(one_tensor<std::int16_t>("I16", "[3]", {0, -1, 100})), both);
    EXPECT_EQ(read(one_tensor<std::int32_t>("I32", "[3]", {0, -1, 100})), both);
    EXPECT_EQ(read(one_tensor<std::int64_t>("I64", "[3]", {0, -1, 100})), both);
    EXPECT_EQ(read(one_tensor<std::uint16_t>("F16", "[3]", {0, 0xbc00, 0x5640})), both);
    EXPECT_EQ(read(one_tensor<std::uint16_t>("BF16", "[3]", {0, 0xbf80, 0x42c8})), both);
    EXPECT_EQ(read(one_tensor<float>("F32", "[3]", {0, -1, 100})), both);
    EXPECT_EQ(read(one_tensor<double>("F64", "[3]", {0, -1, 100})), both);
    EXPECT_EQ(read(one_tensor<std::uint16_t>("F16", "[2]", {0x0001, 0x7bff})),
              (Vector{{TypeParam{0x1p-24F}, TypeParam{65504}}}));
}

TYPED_TEST(SafetensorsConversion, RefusesTypesWithoutRealNumbers) {
    for (const char* dtype : {"F8_E4M3", "F8_E5M2"}) {
        const auto file = Safetensors::parse(one_tensor<std::uint8_t>(dtype, "[1]", {1}));
        EXPECT_S4_ERROR(static_cast<void>(file.template vector<TypeParam>("x")), "tensor \"x\"", dtype);
        EXPECT_S4_ERROR(static_cast<void>(file.integer("x")), "tensor \"x\": expected a whole number, found ", dtype);
    }
    const auto file = Safetensors::parse(one_tensor<std::complex<float>>("C64", "[1]", {{1, 2}}));
    EXPECT_S4_ERROR(static_cast<void>(file.template vector<TypeParam>("x")), "tensor \"x\"", "C64");
}

TYPED_TEST(SafetensorsConversion, ReadsComplexNumbersFromPairsAndFromC64) {
    using Complex = std::complex<TypeParam>;
    const auto pairs = Safetensors::parse(one_tensor<double>("F64", "[2,1,2]", {1, 2, 3, -4}));
    const auto c64 = Safetensors::parse(one_tensor<std::complex<float>>("C64", "[2,1]", {{1, 2}, {3, -4}}));
    const Eigen::Matrix<Complex, 2, 1> expected(Complex(1, 2), Complex(3, -4));
    EXPECT_EQ(pairs.template complex<TypeParam>("x"), expected);
    EXPECT_EQ(c64.template complex<TypeParam>("x"), expected);
    EXPECT_EQ((pairs.template complex_matrix<TypeParam>("x", 1, 2)), expected.transpose());
    EXPECT_EQ((c64.template complex_matrix<TypeParam>("x", 2, 1)), expected);
    EXPECT_S4_ERROR(static_cast<void>(c64.template complex_matrix<TypeParam>("x", 2, 2)), "expected [2, 2, 2]",
                    "[2, 1, 2]");
}

TYPED_TEST(SafetensorsConversion, FillsGivenMemory) {
    const auto file = Safetensors::parse(one_tensor<float>("F32", "[2,2]", {1, 2, 3, 4}));
    std::vector<TypeParam> values(4);
    file.template copy_to<TypeParam>("x", values);
    EXPECT_EQ(values, (std::vector<TypeParam>{1, 2, 3, 4}));
}

TEST(Safetensors, RoundsDoubleToTheNearestFloat) {
    const double third = 1.0 / 3.0;
    const double beyond = std::numeric_limits<double>::infinity();
    const auto file = Safetensors::parse(one_tensor<double>("F64", "[4]", {third, beyond, -beyond, std::nan("")}));
    const Eigen::VectorXf values = file.vector<float>("x");
    EXPECT_EQ(values[0], static_cast<float>(third));
    EXPECT_EQ(values[1], std::numeric_limits<float>::infinity());
    EXPECT_EQ(values[2], -std::numeric_limits<float>::infinity());
    EXPECT_TRUE(std::isnan(values[3]));
}

TEST(Safetensors, RefusesNumbersTheScalarCannotHold) {
    const auto large = Safetensors::parse(one_tensor<double>("F64", "[2]", {1, -1e300}));
    EXPECT_S4_ERROR(static_cast<void>(large.vector<float>("x")), "tensor \"x\"", "32-bit", "-1e+300", "element 1");
    EXPECT_EQ(large.vector<double>("x")[1], -1e300);

    const std::int64_t odd = (std::int64_t{1} << 53) + 1;
    const auto whole = Safetensors::parse(one_tensor<std::int64_t>("I64", "[1]", {-odd}));
    EXPECT_S4_ERROR(static_cast<void>(whole.vector<double>("x")), "tensor \"x\"", "64-bit", "-9007199254740993",
                    "element 0");
    EXPECT_EQ(whole.vector<long double>("x")[0], -static_cast<long double>(odd));
    EXPECT_EQ(whole.integer("x"), -odd);

    const std::int64_t least = std::numeric_limits<std::int64_t>::min();
    EXPECT_EQ(Safetensors::parse(one_tensor<std::int64_t>("I64", "[1]", {least})).vector<float>("x")[0], -0x1p63F);
    EXPECT_S4_ERROR(
        static_cast<void>(Safetensors::parse(one_tensor<std::int64_t>("I64", "[1]", {least + 1})).vector<float>("x")),
        "-9223372036854775807");
    EXPECT_S4_ERROR(static_cast<void>(
                        Safetensors::parse(one_tensor<std::int32_t>("I32", "[1]", {(1 << 24) + 1})).vector<float>("x")),
                    "16777217");
}

TEST(Safetensors, IntegerTakesOneWholeNumber) {
    EXPECT_EQ(Safetensors::parse(one_tensor<std::int64_t>("I64", "[]", {-5})).integer("x"), -5);
    EXPECT_EQ(Safetensors::parse(one_tensor<std::uint8_t>("U8", "[1,1]", {200})).integer("x"), 200);
    const auto large = Safetensors::parse(one_tensor<std::uint64_t>("U64", "[]", {~std::uint64_t{0}}));
    EXPECT_S4_ERROR(static_cast<void>(large.integer("x")),
                    "tensor \"x\": expected a number below 2^63, found 18446744073709551615");
    const auto real = Safetensors::parse(one_tensor<float>("F32", "[]", {1.0F}));
    EXPECT_S4_ERROR(static_cast<void>(real.integer("x")), "tensor \"x\": expected a whole number, found F32");
}

TEST(Safetensors, AcceptsEmptyTensors) {
    const auto file = Safetensors::parse(one_tensor<float>("F32", "[0,2]", {}));
    EXPECT_EQ(file.vector<double>("x").size(), 0);
    EXPECT_EQ(file.complex<float>("x").size(), 0);
    EXPECT_EQ(file.matrix<float>("x", 3, 0).rows(), 3);
    EXPECT_TRUE(file.bytes("x").empty());
}

}  // namespace
