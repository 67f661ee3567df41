#include <s4/train/history.hpp>

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <tests/io/safetensors_bytes.hpp>
#include <tests/support/expect_error.hpp>

namespace s4::test {
namespace {

[[nodiscard]] HistoryRecord record_of(std::int64_t epoch, double loss = 0.5) {
    return {.epoch = epoch, .step = 100 * epoch, .learning_rate = 0.01, .train_loss = loss, .seconds = 1.5};
}

const std::string header =
    "epoch\tstep\tlearning_rate\ttrain_loss\ttrain_accuracy\tvalidation_loss\tvalidation_accuracy\tseconds\n";

TEST(History, IsATableWithTabs) {
    const std::vector<HistoryRecord> history{{.epoch = 1,
                                              .step = 200,
                                              .learning_rate = 0.01,
                                              .train_loss = 2.25,
                                              .train_accuracy = 0.1,
                                              .validation_loss = 2,
                                              .validation_accuracy = 0.25,
                                              .seconds = 12.5},
                                             record_of(2)};
    EXPECT_EQ(history_text(history),
              header + "1\t200\t0.01\t2.25\t0.1\t2\t0.25\t12.5\n" + "2\t200\t0.01\t0.5\tnan\tnan\tnan\t1.5\n");
    EXPECT_EQ(history_text({}), header);
    const std::vector<HistoryRecord> negative{record_of(1, -std::numeric_limits<double>::quiet_NaN())};
    EXPECT_EQ(history_text(negative), header + "1\t100\t0.01\tnan\tnan\tnan\tnan\t1.5\n");
}

TEST(History, ReadsTheBitsItWrote) {
    const TemporaryFolder folder;
    const double numbers[]{0.1,
                           1.0 / 3,
                           -0.0,
                           std::numeric_limits<double>::denorm_min(),
                           std::numeric_limits<double>::max(),
                           std::numeric_limits<double>::infinity(),
                           -std::numeric_limits<double>::infinity()};
    std::vector<HistoryRecord> history;
    for (const double number : numbers) history.push_back(record_of(std::ssize(history) + 1, number));
    history.push_back(record_of(std::numeric_limits<std::int64_t>::max() / 100));
    write_history(folder / "x.tsv", history);
    const std::vector<HistoryRecord> read = read_history(folder / "x.tsv");
    ASSERT_EQ(read.size(), history.size());
    for (std::size_t n = 0; n < read.size(); ++n) {
        EXPECT_EQ(read[n].epoch, history[n].epoch);
        EXPECT_EQ(read[n].step, history[n].step);
        EXPECT_EQ(std::bit_cast<std::uint64_t>(read[n].train_loss),
                  std::bit_cast<std::uint64_t>(history[n].train_loss));
        EXPECT_TRUE(std::isnan(read[n].validation_accuracy));
        EXPECT_EQ(read[n].seconds, 1.5);
    }
    EXPECT_EQ(history_text(read), history_text(history));
    write_history(folder / "x.tsv", {});
    EXPECT_TRUE(read_history(folder / "x.tsv").empty());
    EXPECT_EQ(folder.files(), std::vector<std::string>{"x.tsv"});
}

TEST(History, HasEachEpochOnceWhenARunResumes) {
    std::vector<HistoryRecord> history;
    for (int epoch = 1; epoch <= 5; ++epoch) add_record(history, record_of(epoch, 1));
    add_record(history, record_of(4, 2));
    add_record(history, record_of(5, 2));
    ASSERT_EQ(history.size(), 5u);
    for (std::size_t n = 0; n < 5; ++n) {
        EXPECT_EQ(history[n].epoch, static_cast<std::int64_t>(n) + 1);
        EXPECT_EQ(history[n].train_loss, n < 3 ? 1 : 2);
    }
}

TEST(History, NamesTheLineThatIsBroken) {
    const TemporaryFolder folder;
    const auto path = folder / "x.tsv";
    EXPECT_S4_ERROR(static_cast<void>(read_history(path)), "x.tsv\"", "found no file");
    const auto expect = [&](const std::string& text, std::initializer_list<const char*> parts) {
        write_text(path, text);
        try {
            static_cast<void>(read_history(path));
            ADD_FAILURE() << "no error from " << text;
        } catch (const Error& error) {
            EXPECT_TRUE(contains_all(error.what(), parts));
        }
    };
    const std::string row = "1\t200\t0.01\t2.25\t0.1\t2\t0.25\t12.5\n";
    expect("", {"line 1", "expected a whole line"});
    expect("epoch\tloss\n", {"line 1", "expected the header", "epoch?loss"});
    expect(header + row.substr(0, 20), {"line 2", "expected a whole line"});
    expect(header + row + row, {"line 3", "expected an epoch after 1, found 1"});
    expect(header + "1\t2\n", {"line 2", "expected 8 columns, found fewer"});
    expect(header + row.substr(0, row.size() - 1) + "\t1\n", {"line 2", "expected 8 columns, found more"});
    expect(header + "1\t2.5\t0\t0\t0\t0\t0\t0\n", {"line 2, column 2", "expected a number, found \"2.5\""});
    expect(header + "1\t2\t0\t\t0\t0\t0\t0\n", {"column 4", "found \"\""});
    expect(header + "1\t2\t0\t0x\t0\t0\t0\t0\n", {"column 4", "found \"0x\""});
    expect(header + "99999999999999999999\t2\t0\t0\t0\t0\t0\t0\n", {"column 1"});
}

}  // namespace
}  // namespace s4::test
