// The history of a run: one record for each epoch, kept as a table that plots and spreadsheets read.
#pragma once

#include <s4/core/error.hpp>
#include <s4/io/atomic_file.hpp>
#include <s4/io/dtype.hpp>

#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <limits>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

namespace s4::inline S4_ABI {

/// What an epoch came to; NaN where nothing was measured.
struct HistoryRecord {
    std::int64_t epoch = 0;                                                 ///< from 1
    std::int64_t step = 0;                                                  ///< steps of the optimiser up to its end
    double learning_rate = 0;                                               ///< of ordinary tensors, at its last step
    double train_loss = std::numeric_limits<double>::quiet_NaN();           ///< mean over the epoch
    double train_accuracy = std::numeric_limits<double>::quiet_NaN();       ///< in [0, 1]
    double validation_loss = std::numeric_limits<double>::quiet_NaN();      ///< at its end
    double validation_accuracy = std::numeric_limits<double>::quiet_NaN();  ///< in [0, 1]
    double seconds = 0;                                                     ///< that it took
};

namespace detail {

/// The first line of a history.
inline constexpr std::string_view history_header =
    "epoch\tstep\tlearning_rate\ttrain_loss\ttrain_accuracy\tvalidation_loss\tvalidation_accuracy\tseconds";

/// visit(number) for every column.
template <class Record, class Visitor>
void for_each_column(Record& record, const Visitor& visit) {
    visit(record.epoch);
    visit(record.step);
    visit(record.learning_rate);
    visit(record.train_loss);
    visit(record.train_accuracy);
    visit(record.validation_loss);
    visit(record.validation_accuracy);
    visit(record.seconds);
}

/// The shortest text that is read back as the same number, whatever the locale.
template <class Number>
[[nodiscard]] std::string exact_text(Number value) {
    if (value != value) return "nan";  // without the sign that some have
    std::array<char, 40> text;
    const auto end = std::to_chars(text.data(), text.data() + text.size(), value).ptr;
    return {text.data(), end};
}

/// One line of a history. Error that names the file, the line and the column.
[[nodiscard]] inline HistoryRecord parse_record(std::string_view line, const std::string& where) {
    HistoryRecord record;
    int column = 0;
    for_each_column(record, [&](auto& value) {
        ++column;
        const std::string_view field = line.substr(0, line.find('\t'));
        const auto [end, problem] = std::from_chars(field.data(), field.data() + field.size(), value);
        require(problem == std::errc{} && end == field.data() + field.size(), where, ", column ", column,
                ": expected a number, found ", printable(field));
        const bool is_last = field.size() == line.size();
        require(is_last == (column == 8), where, ": expected 8 columns, found ", is_last ? "fewer" : "more");
        line.remove_prefix(is_last ? field.size() : field.size() + 1);
    });
    return record;
}

}  // namespace detail

/// The table, tab-separated, with a header line.
[[nodiscard]] inline std::string history_text(std::span<const HistoryRecord> history) {
    std::string text{detail::history_header};
    for (const HistoryRecord& record : history) {
        char separator = '\n';
        detail::for_each_column(record, [&](auto value) {
            text += separator + detail::exact_text(value);
            separator = '\t';
        });
    }
    return text += '\n';
}

/// Writes the table on top of an old one, which stays whole when that fails. Error when the disk or folder cannot take
/// it.
inline void write_history(const std::filesystem::path& path, std::span<const HistoryRecord> history) {
    const std::string text = history_text(history);
    AtomicFile file{path};
    file.write(std::as_bytes(std::span{text}));
    file.commit();
}

/// Reads a table: the numbers that were written, exactly; `name` is what errors call it. Errors: whatever is not such a
/// table (the line is named), or epochs that do not increase.
[[nodiscard]] inline std::vector<HistoryRecord> parse_history(std::string_view text, const std::string& name) {
    std::string_view rest{text};
    std::vector<HistoryRecord> history;
    for (std::int64_t line = 1; line == 1 || !rest.empty(); ++line) {
        const std::string where = name + ": line " + std::to_string(line);
        const std::size_t end = rest.find('\n');
        detail::require(end != rest.npos, where, ": expected a whole line, found ", detail::printable(rest));
        const std::string_view row = rest.substr(0, end);
        rest.remove_prefix(end + 1);
        if (line == 1) {
            detail::require(row == detail::history_header, where, ": expected the header of a history, found ",
                            detail::printable(row));
            continue;
        }
        const HistoryRecord record = detail::parse_record(row, where);
        detail::require(history.empty() || record.epoch > history.back().epoch, where, ": expected an epoch after ",
                        history.empty() ? 0 : history.back().epoch, ", found ", record.epoch);
        history.push_back(record);
    }
    return history;
}

/// The same from a file. Error too when there is none.
[[nodiscard]] inline std::vector<HistoryRecord> read_history(const std::filesystem::path& path) {
    const std::string name = detail::printable(path.string());
    std::error_code problem;
    std::ifstream stream(path, std::ios::binary);
    detail::require(std::filesystem::is_regular_file(path, problem) && stream.is_open(), name,
                    ": expected the history of a run, found no file");
    return parse_history(std::string{std::istreambuf_iterator<char>{stream}, {}}, name);
}

/// Appends `record`; what was recorded of its epoch and later ones, before a run was taken up again at a checkpoint, is
/// dropped.
inline void add_record(std::vector<HistoryRecord>& history, const HistoryRecord& record) {
    while (!history.empty() && history.back().epoch >= record.epoch) history.pop_back();
    history.push_back(record);
}

}  // namespace s4::inline S4_ABI
