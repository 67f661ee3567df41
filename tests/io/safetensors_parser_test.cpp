// What the reader refuses and what it accepts, by hand-made files; errors say what is wrong and where.
#include "safetensors_bytes.hpp"

#include <map>
#include <string>
#include <string_view>
#include <tests/support/expect_error.hpp>
#include <utility>
#include <vector>

namespace {

using s4::Safetensors;
using s4::test::file_bytes;
using s4::test::file_bytes_with_length;

struct BadFile {
    std::string json;
    std::size_t data_size;
    const char* says;
};

std::string tensor(std::string_view name, std::string_view dtype, std::string_view shape, std::string_view offsets) {
    std::string text = "\"";
    text.append(name).append(R"(":{"dtype":)").append(dtype).append(R"(,"shape":)").append(shape);
    return text.append(R"(,"data_offsets":)").append(offsets).append("}");
}
/// A header with one tensor "a".
std::string one(std::string_view dtype, std::string_view shape, std::string_view offsets) {
    return "{" + tensor("a", dtype, shape, offsets) + "}";
}

void expect_all_refused(const std::vector<BadFile>& files) {
    for (const BadFile& file : files) {
        SCOPED_TRACE(file.json.substr(0, 200));
        EXPECT_S4_ERROR(static_cast<void>(Safetensors::parse(file_bytes(file.json, file.data_size))),
                        "\"memory\": ", file.says);
    }
}

TEST(SafetensorsParser, RefusesTextThatIsNotOneJsonObject) {
    expect_all_refused({
        {"", 0, "one JSON object"},
        {" ", 0, "one JSON object"},
        {"[]", 0, "one JSON object"},
        {"null", 0, "one JSON object"},
        {" {}", 0, "one JSON object"},
        {"\n{}", 0, "one JSON object"},
        {"\xef\xbb\xbf{}", 0, "one JSON object"},
        {"{}\n", 0, "one JSON object"},
        {"{}x", 0, "one JSON object"},
        {std::string{"{}\0", 3}, 0, "one JSON object"},
        {std::string{"{}\0 }", 5}, 0, "zero byte"},
        {"{} {}", 0, "byte"},
        {"{", 0, "one JSON object"},
        {"{}}", 0, "found an error at byte 3"},
        {"{/**/}", 0, "found an error"},
        {"{\"a\":}", 0, "found an error"},
        {"{\"a\" {}}", 0, "found an error"},
        {"{'a':{}}", 0, "found an error"},
        {"{" + tensor("a", R"("U8")", "[1]", "[0,1]") + ",}", 1, "found an error"},
        {"{" + tensor("a\xff", R"("U8")", "[1]", "[0,1]") + "}", 1, "UTF-8"},
        {"{" + tensor("a\xc0\xaf", R"("U8")", "[1]", "[0,1]") + "}", 1, "UTF-8"},
        {"{" + tensor("a\xed\xa0\x80", R"("U8")", "[1]", "[0,1]") + "}", 1, "UTF-8"},
        {"{" + tensor("a\xf4\x90\x80\x80", R"("U8")", "[1]", "[0,1]") + "}", 1, "UTF-8"},
        {"{" + tensor("a\xf0\x9f", R"("U8")", "[1]", "[0,1]") + "}", 1, "UTF-8"},
        {"{" + tensor("\\ud800", R"("U8")", "[1]", "[0,1]") + "}", 1, "found an error"},
        {"{" + tensor("\\udc00", R"("U8")", "[1]", "[0,1]") + "}", 1, "found an error"},
        {"{" + tensor("\\x41", R"("U8")", "[1]", "[0,1]") + "}", 1, "found an error"},
        {"{" + tensor("a\nb", R"("U8")", "[1]", "[0,1]") + "}", 1, "found an error"},
        {std::string(100'000, '{') + "}", 0, "found an error"},
        {R"({"a":)" + std::string(100'000, '[') + "}", 0, R"(tensor "a": expected an object, found an array)"},
    });
}

TEST(SafetensorsParser, RefusesEntriesOfAnotherForm) {
    expect_all_refused({
        {R"({"a":3})", 0, R"(tensor "a": expected an object, found a number)"},
        {R"({"a":null})", 0, R"(tensor "a": expected an object, found null)"},
        {R"({"a":"F32"})", 0, R"(tensor "a": expected an object, found text)"},
        {R"({"a":[]})", 0, R"(tensor "a": expected an object, found an array)"},
        {R"({"a":{}})", 0, R"(tensor "a": expected dtype, found none)"},
        {R"({"a":{"shape":[1],"data_offsets":[0,1]}})", 1, R"(tensor "a": expected dtype, found none)"},
        {R"({"a":{"dtype":"U8","data_offsets":[0,1]}})", 1, R"(tensor "a": expected shape, found none)"},
        {R"({"a":{"dtype":"U8","shape":[1]}})", 1, R"(tensor "a": expected data_offsets, found none)"},
        {R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"x":1}})", 1, R"(found "x")"},
        {R"({"a":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 1, "expected one dtype, found two"},
        {R"({"a":{"dtype":"U8","shape":[1],"shape":[1],"data_offsets":[0,1]}})", 1, "expected one shape, found two"},
        {R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1],"data_offsets":[0,1]}})", 1,
         "expected one data_offsets"},
        {one(R"("F33")", "[1]", "[0,4]"), 4, R"(tensor "a": expected a known dtype (F32, F64, I64, ...), found "F33")"},
        {one(R"("f32")", "[1]", "[0,4]"), 4, R"(found "f32")"},
        {one(R"("")", "[1]", "[0,4]"), 4, R"(found "")"},
        {one("32", "[1]", "[0,4]"), 4, "expected dtype as text, found a number"},
        {one(R"(["F32"])", "[1]", "[0,4]"), 4, "expected dtype as text, found an array"},
        {one(R"({"F32":1})", "[1]", "[0,4]"), 4, "expected dtype as text, found an object"},
        {one(R"("F32")", "1", "[0,4]"), 4,
         R"(tensor "a": expected shape as an array of integers from 0, found a number)"},
        {one(R"("F32")", "\"1\"", "[0,4]"), 4, "expected shape as an array of integers from 0, found text"},
        {one(R"("F32")", "{}", "[0,4]"), 4, "expected shape as an array of integers from 0, found an object"},
        {one(R"("F32")", "[[1]]", "[0,4]"), 4, "expected shape as an array of integers from 0, found an array"},
        {one(R"("F32")", "[null]", "[0,4]"), 4, "found null"},
        {one(R"("F32")", "[true]", "[0,4]"), 4, "found true"},
        {one(R"("F32")", "[-1]", "[0,4]"), 4, "found -1"},
        {one(R"("F32")", "[-0]", "[0,4]"), 4, "found -0"},
        {one(R"("F32")", "[1.0]", "[0,4]"), 4, "found 1.0"},
        {one(R"("F32")", "[1e0]", "[0,4]"), 4, "found 1e0"},
        {one(R"("F32")", "[01]", "[0,4]"), 4, "found an error"},
        {one(R"("F32")", "[NaN]", "[0,4]"), 4, "found an error"},
        {one(R"("F32")", "[Infinity]", "[0,4]"), 4, "found an error"},
        {one(R"("F32")", "[1e999]", "[0,4]"), 4, "found an error"},
        {one(R"("F32")", "[1]", "4"), 4, "expected data_offsets as an array of 2 integers from 0, found a number"},
        {one(R"("F32")", "[1]", "[]"), 4, "data_offsets: expected 2 numbers, found 0"},
        {one(R"("F32")", "[1]", "[0]"), 4, "data_offsets: expected 2 numbers, found 1"},
        {one(R"("F32")", "[1]", "[0,4,4]"), 4, "data_offsets: expected 2 numbers, found more"},
        {one(R"("F32")", "[1]", "[-4,0]"), 4, "found -4"},
        {one(R"("F32")", "[1]", "[0,4.0]"), 4, "found 4.0"},
        {one(R"("F32")", "[1]", "[[0],4]"), 4, "found an array"},
        {one(R"("F32")", "[1]", "[0,\"4\"]"), 4, "found text"},
        {R"({"__metadata__":3})", 0, "__metadata__: expected an object, found a number"},
        {R"({"__metadata__":[]})", 0, "__metadata__: expected an object, found an array"},
        {R"({"__metadata__":{"k":3}})", 0, R"(__metadata__: key "k": expected text, found a number)"},
        {R"({"__metadata__":{"k":null}})", 0, R"(__metadata__: key "k": expected text, found null)"},
        {R"({"__metadata__":{"k":{}}})", 0, R"(__metadata__: key "k": expected text, found an object)"},
        {R"({"__metadata__":{"k":["v"]}})", 0, R"(__metadata__: key "k": expected text, found an array)"},
    });
}

TEST(SafetensorsParser, RefusesDuplicates) {
    const std::string a = tensor("a", R"("U8")", "[1]", "[0,1]");
    expect_all_refused({
        {"{" + a + "," + a + "}", 1, R"(tensor "a": expected data from byte 1, found from byte 0 (an overlap))"},
        {"{" + a + "," + tensor("a", R"("U8")", "[1]", "[1,2]") + "}", 2, R"(unique tensor names, found "a" twice)"},
        {"{" + a + "," + tensor("\\u0061", R"("U8")", "[1]", "[1,2]") + "}", 2, R"(found "a" twice)"},
        {R"({"__metadata__":{},"__metadata__":{}})", 0, "expected one __metadata__, found two"},
        {R"({"__metadata__":{"k":"1","j":"2","k":"1"}})", 0, R"(__metadata__: expected unique keys, found "k" twice)"},
    });
}

TEST(SafetensorsParser, RefusesSizesThatDisagree) {
    const std::string two_to_32 = "4294967296";
    std::string rank_33 = "[1";
    for (int axis = 1; axis < 33; ++axis) rank_33 += ",1";
    rank_33 += ']';
    expect_all_refused({
        {one(R"("F32")", "[2]", "[0,4]"), 4, R"(tensor "a": expected 8 bytes for F32 [2], found data_offsets [0, 4])"},
        {one(R"("F64")", "[]", "[0,4]"), 4, "expected 8 bytes for F64 []"},
        {one(R"("F32")", "[0]", "[0,4]"), 4, "expected 0 bytes for F32 [0]"},
        {one(R"("BF16")", "[2,3]", "[0,24]"), 24, "expected 12 bytes for BF16 [2, 3]"},
        {one(R"("F32")", "[1]", "[4,0]"), 4, "with begin <= end, found [4, 0]"},
        {one(R"("F32")", "[0]", "[18446744073709551615,18446744073709551615]"), 0, "expected data from byte 0"},
        {one(R"("F32")", "[18446744073709551616]", "[0,4]"), 4, "found 18446744073709551616"},
        {one(R"("F32")", "[1]", "[0,18446744073709551616]"), 4, "found 18446744073709551616"},
        {one(R"("U8")", "[18446744073709551615]", "[0,18446744073709551615]"), 4, "sizes below 2^63"},
        {one(R"("U8")", "[9223372036854775807]", "[0,9223372036854775807]"), 4, "found 4 (last tensor: \"a\")"},
        {one(R"("F64")", "[2305843009213693952]", "[0,0]"), 0, "expected a size below 2^63 bytes"},
        {one(R"("F32")", "[" + two_to_32 + "," + two_to_32 + "]", "[0,0]"), 0, "expected a size below 2^63 bytes"},
        {one(R"("U8")", "[" + two_to_32 + "," + two_to_32 + "," + two_to_32 + ",0]", "[0,0]"), 0, "below 2^63 bytes"},
        {one(R"("U8")", "[0," + two_to_32 + "," + two_to_32 + "," + two_to_32 + "]", "[0,0]"), 0, "below 2^63 bytes"},
        {one(R"("U8")", rank_33, "[0,1]"), 1, "shape: expected at most 32 sizes"},
        {one(R"("F32")", "[1]", "[4,8]"), 8, R"(tensor "a": expected data from byte 0, found from byte 4 (a hole))"},
        {one(R"("F32")", "[1]", "[0,4]"), 3,
         R"(expected 4 bytes of data after the header, found 3 (last tensor: "a"))"},
        {one(R"("F32")", "[1]", "[0,4]"), 5, "expected 4 bytes of data after the header, found 5"},
        {"{}", 1, "expected 0 bytes of data after the header, found 1"},
        {"{" + tensor("a", R"("U8")", "[4]", "[0,4]") + "," + tensor("b", R"("U8")", "[4]", "[5,9]") + "}", 9,
         R"(tensor "b": expected data from byte 4, found from byte 5 (a hole))"},
        {"{" + tensor("b", R"("U8")", "[4]", "[3,7]") + "," + tensor("a", R"("U8")", "[4]", "[0,4]") + "}", 7,
         R"(tensor "b": expected data from byte 4, found from byte 3 (an overlap))"},
        {"{" + tensor("a", R"("U8")", "[4]", "[0,4]") + "," + tensor("e", R"("U8")", "[0]", "[2,2]") + "}", 4,
         R"(tensor "e": expected data from byte 4, found from byte 2 (an overlap))"},
        {"{" + tensor("a", R"("U8")", "[4]", "[0,4]") + "," + tensor("e", R"("U8")", "[0]", "[8,8]") + "}", 4,
         R"(tensor "e": expected data from byte 4, found from byte 8 (a hole))"},
    });
}

TEST(SafetensorsParser, RefusesImpossibleHeaderLengths) {
    const std::string json = "{}";
    for (const std::uint64_t length : {std::uint64_t{3}, std::uint64_t{100'000'000}})
        EXPECT_S4_ERROR(static_cast<void>(Safetensors::parse(file_bytes_with_length(length, json, {}))),
                        "expected a header of ", "found only 2 bytes");
    for (const std::uint64_t length : {std::uint64_t{100'000'001}, ~std::uint64_t{0}, ~std::uint64_t{7}})
        EXPECT_S4_ERROR(static_cast<void>(Safetensors::parse(file_bytes_with_length(length, json, {}))),
                        "expected a header of at most 100000000 bytes");
    EXPECT_S4_ERROR(static_cast<void>(Safetensors::parse(file_bytes_with_length(1, json, {}))), "one JSON object");
}

TEST(SafetensorsParser, HidesControlCharactersAndLongNamesInMessages) {
    const std::string name = "\\u0000\\n" + std::string(500, 'n');
    std::string message;
    try {
        static_cast<void>(Safetensors::parse(file_bytes("{\"" + name + "\":3}", 0)));
    } catch (const s4::Error& error) {
        message = error.what();
    }
    EXPECT_EQ(message, "\"memory\": tensor \"??" + std::string(78, 'n') + "...\": expected an object, found a number");
}

/// A small file with every kind of entry.
std::vector<std::byte> small_file() {
    return file_bytes(R"({"__metadata__":{"format":"pt","k":"v\n"},)" + tensor("a", R"("F32")", "[2,1]", "[0,8]") +
                          "," + tensor("e", R"("I64")", "[0,7]", "[8,8]") + "," +
                          tensor("s", R"("F64")", "[]", "[8,16]") + "}  ",
                      16);
}

TEST(SafetensorsParser, RefusesEveryTruncation) {
    const std::vector<std::byte> whole = small_file();
    ASSERT_EQ(Safetensors::parse(whole).size(), 3U);
    for (std::size_t size = 0; size < whole.size(); ++size) {
        // A copy of exactly this size, so that the address sanitizer sees one byte too far.
        const std::vector<std::byte> part(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
        EXPECT_S4_ERROR(static_cast<void>(Safetensors::parse(part)), "\"memory\": expected");
    }
}

TEST(SafetensorsParser, RefusesEveryFlippedBitOrStaysConsistent) {
    std::vector<std::byte> bytes = small_file();
    const std::size_t header_end = bytes.size() - 16;
    int refused = 0;
    int accepted = 0;
    for (std::size_t bit = 0; bit < 8 * header_end; ++bit) {
        const auto mask = static_cast<std::byte>(1U << (bit % 8));
        bytes[bit / 8] ^= mask;
        try {
            s4::test::expect_consistent(Safetensors::parse(bytes));
            ++accepted;
        } catch (const s4::Error&) {
            ++refused;
        }
        bytes[bit / 8] ^= mask;
    }
    // What passes are letters of names and metadata, which nothing in the format protects.
    EXPECT_LT(accepted, refused / 3);
    EXPECT_GT(accepted, 0);
}

TEST(SafetensorsParser, AcceptsUnusualFiles) {
    const std::string many_ones = "[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]";
    const std::vector<std::pair<std::string, std::size_t>> files{
        {"{}", 0},
        {"{}      ", 0},
        {R"({"__metadata__":{}})", 0},
        {R"({ "__metadata__" : { "k" : "" , "" : "v" } })", 0},
        {one(R"("F64")", "[]", "[0,8]"), 8},
        {one(R"("F32")", "[0]", "[0,0]"), 0},
        {one(R"("F32")", "[0,4294967296]", "[0,0]"), 0},
        {one(R"("U8")", many_ones, "[0,1]"), 1},
        {one(R"("C64")", "[3]", "[0,24]"), 24},
        {one(R"("F8_E4M3")", "[3]", "[0,3]"), 3},
        {"{\n\t\"a\":\r\n{\"data_offsets\" : [ 0, 1 ], \"shape\" : [ 1 ], \"dtype\" : \"BOOL\"}\n}   ", 1},
        {"{" + tensor("", R"("U8")", "[1]", "[0,1]") + "}", 1},
        {"{" + tensor("\\u00e9\\ud83d\\ude00/\\u0000\xf0\x9f\x98\x80", R"("U8")", "[1]", "[0,1]") + "}", 1},
        {"{" + tensor("late", R"("U8")", "[1]", "[4,5]") + "," + tensor("none", R"("F64")", "[0]", "[4,4]") + "," +
             tensor("early", R"("U8")", "[4]", "[0,4]") + "}",
         5},
    };
    for (const auto& [json, data_size] : files) {
        SCOPED_TRACE(json);
        ASSERT_NO_THROW(s4::test::expect_consistent(Safetensors::parse(file_bytes(json, data_size))));
    }
}

TEST(SafetensorsParser, NamesComeInTheOrderOfTheData) {
    const std::string json = "{" + tensor("late", R"("U8")", "[1]", "[4,5]") + "," +
                             tensor("none", R"("F64")", "[0]", "[4,4]") + "," +
                             tensor("early", R"("U8")", "[4]", "[0,4]") + "}";
    EXPECT_EQ(Safetensors::parse(file_bytes(json, 5)).names(), (std::vector<std::string>{"early", "none", "late"}));
}

TEST(LongTokens, AreJudgedAsTheJsonLibraryJudgesThem) {
    const std::string filler(2 * s4::detail::long_token, 'v');
    const std::vector<std::string> inside{"",
                                          "\\n",
                                          "\\u00e9",
                                          "\\\\",
                                          "\xc3\xa9",
                                          "\xf4\x8f\xbf\xbf",
                                          "\x7f",
                                          "\\\"",
                                          "\xff",
                                          "\\x",
                                          "\xc0\xaf",
                                          "\xed\xa0\x80",
                                          "\x01",
                                          "\xe2\x82",
                                          "\n",
                                          "\xf5\x80\x80\x80",
                                          "\xf4\x90\x80\x80",
                                          "\xc3"};
    for (const std::string& middle : inside)
        for (const std::string& json :
             {'{' + ("\"" + filler + middle + "\":1}"), R"({"k":")" + middle + filler + "\"}",
              R"({"k":[0, ")" + filler + middle + "\"\n]}", R"({"a":1 ")" + filler + middle + "\"}",
              R"({"a":")" + filler + middle + "\" 3}", R"({"a":")" + filler + middle + "\"\"\"}",
              R"({"a":")" + filler + middle})
            EXPECT_EQ(!s4::detail::mistake_in_long_token(json).has_value(), nlohmann::json::accept(json))
                << json.substr(0, 20) << " … " << middle;
    EXPECT_FALSE(s4::detail::mistake_in_long_token("{\"a\xff\": tru}").has_value());  // short ones are not its business
    EXPECT_EQ(s4::detail::mistake_in_long_token("{\"k\":" + std::string(5000, '1') + "}"), 5U);
}

TEST(SafetensorsParser, UnescapesNamesAndMetadata) {
    const Safetensors file =
        Safetensors::parse(file_bytes(R"({"__metadata__":{"z":"\"\\\/\b\f\n\r\t\u20ac","a":"\ud83d\ude00"},)" +
                                          tensor("\\u0041b", R"("U8")", "[1]", "[0,1]") + "}",
                                      1));
    EXPECT_TRUE(file.contains("Ab"));
    EXPECT_EQ(file.metadata("z"), "\"\\/\b\f\n\r\t\xe2\x82\xac");
    EXPECT_EQ(file.metadata("a"), "\xf0\x9f\x98\x80");
    EXPECT_EQ(file.metadata(),
              (std::map<std::string, std::string>{{"a", file.metadata("a")}, {"z", file.metadata("z")}}));
    EXPECT_EQ(file.metadata_or("b", "fallback"), "fallback");
    EXPECT_EQ(file.metadata_or("a", "fallback"), file.metadata("a"));
    EXPECT_FALSE(file.contains_metadata("b"));
    EXPECT_S4_ERROR(static_cast<void>(file.metadata("b")), "expected metadata \"b\", found none");
}

}  // namespace
