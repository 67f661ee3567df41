// The progress of a run: one line that rewrites itself on a terminal, plain lines in a log. What is shown follows from
// numbers alone; the clock and the terminal are in progress_printer.hpp.
#pragma once

#include <s4/core/error.hpp>
#include <s4/core/scalar.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <string>
#include <string_view>

namespace s4::inline S4_ABI {

/// How far a run is. The last three are of this process alone, from its first step: a run that was resumed knows
/// nothing of the speed before.
struct Progress {
    std::int64_t epoch = 1;                                      ///< from 1
    std::int64_t epochs = 1;                                     ///< of the whole run
    std::int64_t step = 0;                                       ///< mini-batches of this epoch that are done
    std::int64_t steps = 1;                                      ///< mini-batches in an epoch
    double loss = std::numeric_limits<double>::quiet_NaN();      ///< mean of this epoch so far
    double accuracy = std::numeric_limits<double>::quiet_NaN();  ///< the same, in [0, 1]; NaN: not shown
    std::int64_t measured_steps = 0;
    std::int64_t measured_samples = 0;
    double measured_seconds = 0;
};

/// Seconds to the end of the run at the speed so far; NaN where nothing was measured.
[[nodiscard]] inline double seconds_left(const Progress& p) noexcept {
    if (p.measured_steps <= 0) return std::numeric_limits<double>::quiet_NaN();
    const auto steps = static_cast<double>(p.steps - p.step + (p.epochs - p.epoch) * p.steps);
    return p.measured_seconds / static_cast<double>(p.measured_steps) * std::max(steps, 0.0);
}

/// "0:07", "12:05", "1:02:03", "2 d 01:02:03"; "?" for NaN and what is not a time.
[[nodiscard]] inline std::string duration_text(double seconds) {
    if (!(seconds >= 0 && seconds < 1e9)) return "?";
    const auto whole = static_cast<long>(std::ceil(seconds));
    const long days = whole / 86400;
    const long hours = whole / 3600 % 24;
    char text[48];
    if (days > 0)
        std::snprintf(text, sizeof text, "%ld d %02ld:%02ld:%02ld", days, hours, whole / 60 % 60, whole % 60);
    else if (hours > 0)
        std::snprintf(text, sizeof text, "%ld:%02ld:%02ld", hours, whole / 60 % 60, whole % 60);
    else
        std::snprintf(text, sizeof text, "%ld:%02ld", whole / 60, whole % 60);
    return text;
}

namespace detail {

/// " loss 0.3121 accuracy 91.20 % 1234 samples/s 0:32 left", without what is not known.
[[nodiscard]] inline std::string progress_figures(const Progress& p) {
    char text[64];
    const double size = std::abs(p.loss);
    std::snprintf(text, sizeof text, size >= 1e-3 && size < 1e4 ? " loss %.4f" : " loss %.3e", p.loss);
    std::string figures = p.loss != p.loss && p.step == 0 ? "" : text;
    if (p.accuracy == p.accuracy) {
        std::snprintf(text, sizeof text, " accuracy %.2f %%", 100 * p.accuracy);
        figures += text;
    }
    if (p.measured_steps > 0 && p.measured_seconds > 0) {
        const double speed = static_cast<double>(p.measured_samples) / p.measured_seconds;
        std::snprintf(text, sizeof text, speed < 10 ? " %.2f samples/s" : " %.0f samples/s", speed);
        figures += text;
        figures += " " + duration_text(seconds_left(p)) + " left";
    }
    return figures;
}

[[nodiscard]] inline std::string epoch_text(const Progress& p) {
    return "epoch " + std::to_string(p.epoch) + "/" + std::to_string(p.epochs);
}

}  // namespace detail

/// "epoch 3/20 [#####.....]  50 % loss 0.3121 accuracy 91.20 % 1234 samples/s 0:32 left", at most `columns` wide: the
/// bar, of 10 to 40 signs, gives way first, then what is left is cut.
[[nodiscard]] inline std::string progress_line(const Progress& p, int columns) {
    const double share = p.steps > 0 ? static_cast<double>(p.step) / static_cast<double>(p.steps) : 0;
    const double done = std::clamp(share, 0.0, 1.0);
    char percent[16];
    std::snprintf(percent, sizeof percent, " %3d %%", static_cast<int>(100 * done));
    const std::string left = detail::epoch_text(p);
    const std::string right = percent + detail::progress_figures(p);
    const int room = columns - static_cast<int>(left.size() + right.size()) - 3;
    std::string bar;
    if (room >= 10) {
        const auto width = static_cast<std::size_t>(std::min(room, 40));
        const auto filled = static_cast<std::size_t>(done * static_cast<double>(width));
        bar = " [" + std::string(filled, '#') + std::string(width - filled, '.') + ']';
    }
    return (left + bar + right).substr(0, static_cast<std::size_t>(std::max(columns, 0)));
}

/// "epoch 3/20 step 450/900 loss 0.3121 accuracy 91.20 % 1234 samples/s 0:32 left".
[[nodiscard]] inline std::string log_line(const Progress& p) {
    return detail::epoch_text(p) + " step " + std::to_string(p.step) + "/" + std::to_string(p.steps) +
           detail::progress_figures(p);
}

/// Decides what is written when: on a terminal the line rewrites itself at most ten times a second, in a log there is a
/// new one every `log_interval` seconds. Every function gives the text to write now, often none.
class ProgressDisplay {
public:
    static constexpr double terminal_interval = 0.1;  ///< seconds
    static constexpr double log_interval = 30;        ///< seconds

    explicit ProgressDisplay(bool is_terminal) noexcept : is_terminal_{is_terminal} {}

    /// After each step; `now` in seconds from any beginning, `columns` the width of the terminal.
    [[nodiscard]] std::string update(const Progress& p, double now, int columns = 80) {
        if (now - last_ < (is_terminal_ ? terminal_interval : log_interval)) return {};
        last_ = now;
        return is_terminal_ ? rewrite(progress_line(p, columns - 1)) : log_line(p) + '\n';
    }
    /// At the end of an epoch, whatever the time: the line stays.
    [[nodiscard]] std::string end_epoch(const Progress& p, double now, int columns = 80) {
        last_ = now;
        return is_terminal_ ? keep(progress_line(p, columns - 1)) : log_line(p) + '\n';
    }
    /// A line of its own, above the progress.
    [[nodiscard]] std::string message(std::string_view text) {
        return is_terminal_ ? keep(text) : std::string{text} + '\n';
    }

private:
    /// Goes back to the beginning of the line and covers all of the old one.
    std::string rewrite(std::string_view line) {
        std::string text = '\r' + std::string{line};
        if (line.size() < shown_) text.append(shown_ - line.size(), ' ');
        shown_ = line.size();
        return text;
    }
    /// The same for a line that stays: the next one begins below it.
    std::string keep(std::string_view line) {
        std::string text = rewrite(line) + '\n';
        shown_ = 0;
        return text;
    }

    bool is_terminal_;
    double last_ = -std::numeric_limits<double>::infinity();
    std::size_t shown_ = 0;  ///< signs of the line on the terminal
};

}  // namespace s4::inline S4_ABI
