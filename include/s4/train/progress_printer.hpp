// The progress of a run on a terminal or in a log: the clock and the terminal for progress.hpp.
#pragma once

#include <s4/train/progress.hpp>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#if defined(__unix__) || defined(__APPLE__)
#include <sys/ioctl.h>
#include <unistd.h>
#endif

namespace s4::inline S4_ABI {

/// Whether `file` is a terminal on which a line can be rewritten (not where TERM is "dumb").
[[nodiscard]] inline bool is_terminal(std::FILE* file) noexcept {
#if defined(__unix__) || defined(__APPLE__)
    const char* kind = std::getenv("TERM");
    return ::isatty(::fileno(file)) == 1 && !(kind != nullptr && std::string_view{kind} == "dumb");
#else
    static_cast<void>(file);
    return false;
#endif
}

/// Columns of the terminal `file`; 80 where it does not say.
[[nodiscard]] inline int terminal_columns(std::FILE* file) noexcept {
#if defined(__unix__) || defined(__APPLE__)
    winsize size{};
    if (::ioctl(::fileno(file), TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
#else
    static_cast<void>(file);
#endif
    return 80;
}

/// Writes the progress of a run to a file: a line that rewrites itself if it is a terminal, plain lines otherwise.
class ProgressPrinter {
public:
    /// `file` stays open as long as this lives. Nothing is written yet.
    explicit ProgressPrinter(std::FILE* file = stderr) noexcept : file_{file}, display_{is_terminal(file)} {}

    /// After each step: costs little when nothing is to be written.
    void update(const Progress& p) { write(display_.update(p, now(), columns())); }
    /// At the end of an epoch.
    void end_epoch(const Progress& p) { write(display_.end_epoch(p, now(), columns())); }
    /// A line of its own.
    void message(std::string_view text) { write(display_.message(text)); }

private:
    [[nodiscard]] double now() const noexcept {
        return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
    }
    [[nodiscard]] int columns() const noexcept { return terminal_columns(file_); }
    void write(const std::string& text) noexcept {
        if (text.empty()) return;
        std::fwrite(text.data(), 1, text.size(), file_);
        std::fflush(file_);
    }

    std::FILE* file_;
    ProgressDisplay display_;
    std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
};

}  // namespace s4::inline S4_ABI
