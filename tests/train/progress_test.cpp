// What is shown of a run, from numbers alone; and the printer on a file and on a pseudo-terminal.
#include <s4/train/progress.hpp>
#include <s4/train/progress_printer.hpp>

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <limits>
#include <string>
#include <tests/io/safetensors_bytes.hpp>
#include <unistd.h>

namespace s4::test {
namespace {

const Progress half{.epoch = 3,
                    .epochs = 20,
                    .step = 450,
                    .steps = 900,
                    .loss = 0.31214,
                    .accuracy = 0.912,
                    .measured_steps = 900,
                    .measured_samples = 45'000,
                    .measured_seconds = 30};

TEST(SecondsLeft, AreTheStepsLeftAtTheSpeedSoFar) {
    EXPECT_DOUBLE_EQ(seconds_left(half), (450 + 17 * 900) / 30.0);
    EXPECT_TRUE(std::isnan(seconds_left({})));
    EXPECT_EQ(seconds_left({.step = 1, .measured_steps = 1, .measured_seconds = 5}), 0);
}

TEST(DurationText, IsMinutesHoursOrDays) {
    EXPECT_EQ(duration_text(0), "0:00");
    EXPECT_EQ(duration_text(6.2), "0:07");
    EXPECT_EQ(duration_text(59.5), "1:00");
    EXPECT_EQ(duration_text(3599), "59:59");
    EXPECT_EQ(duration_text(3723), "1:02:03");
    EXPECT_EQ(duration_text(2 * 86400 + 3723), "2 d 01:02:03");
    EXPECT_EQ(duration_text(std::numeric_limits<double>::quiet_NaN()), "?");
    EXPECT_EQ(duration_text(std::numeric_limits<double>::infinity()), "?");
    EXPECT_EQ(duration_text(-1), "?");
}

TEST(ProgressLine, HasABarAndTheFigures) {
    EXPECT_EQ(progress_line(half, 95),
              "epoch 3/20 [###########...........]  50 % loss 0.3121 accuracy 91.20 % 1500 samples/s 8:45 left");
    EXPECT_EQ(log_line(half), "epoch 3/20 step 450/900 loss 0.3121 accuracy 91.20 % 1500 samples/s 8:45 left");
}

TEST(ProgressLine, LeavesOutWhatIsNotKnown) {
    EXPECT_EQ(progress_line({.epochs = 2, .steps = 10}, 40), "epoch 1/2 [......................]   0 %");
    EXPECT_EQ(log_line({.epochs = 2, .step = 1, .steps = 10, .loss = 2e-5}), "epoch 1/2 step 1/10 loss 2.000e-05");
    EXPECT_EQ(log_line({.epochs = 2, .step = 1, .steps = 10}), "epoch 1/2 step 1/10 loss nan");
    const std::string slow = log_line(
        {.step = 1, .steps = 2, .loss = 12345, .measured_steps = 1, .measured_samples = 7, .measured_seconds = 2});
    EXPECT_EQ(slow, "epoch 1/1 step 1/2 loss 1.234e+04 3.50 samples/s 0:02 left");
}

TEST(ProgressLine, FitsEveryWidth) {
    for (int columns = -1; columns < 200; ++columns) {
        const std::string line = progress_line(half, columns);
        EXPECT_LE(static_cast<int>(line.size()), std::max(columns, 0));
        EXPECT_EQ(line.find("left") != line.npos, columns >= 70);
    }
    EXPECT_EQ(progress_line(half, 200).find(std::string(20, '#') + std::string(20, '.') + ']'), 12u);
    EXPECT_EQ(progress_line(half, 30), "epoch 3/20  50 % loss 0.3121 a");
}

TEST(ProgressLine, BarIsEmptyAtFirstAndFullAtLast) {
    Progress p{.steps = 3};
    EXPECT_EQ(progress_line(p, 30), "epoch 1/1 [............]   0 %");
    p.step = 3;
    p.loss = 1;
    EXPECT_EQ(progress_line(p, 40), "epoch 1/1 [##########] 100 % loss 1.0000");
    p.step = 5;
    EXPECT_NE(progress_line(p, 40).find(" 100 %"), std::string::npos);
}

TEST(ProgressDisplay, RewritesItsLineTenTimesASecond) {
    ProgressDisplay display{true};
    const Progress long_line = half;
    const Progress short_line{.epochs = 2, .step = 0, .steps = 10};
    const std::string first = display.update(long_line, 0);
    EXPECT_EQ(first, '\r' + progress_line(long_line, 79));
    EXPECT_EQ(display.update(short_line, 0.05), "");
    EXPECT_EQ(display.update(short_line, 0.0999), "");
    const std::string line = progress_line(short_line, 79);
    ASSERT_LT(line.size(), first.size() - 1);
    EXPECT_EQ(display.update(short_line, 0.1), '\r' + line + std::string(first.size() - 1 - line.size(), ' '));
    EXPECT_EQ(display.end_epoch(short_line, 0.11), '\r' + line + '\n');
    EXPECT_EQ(display.message("saved"), "\rsaved\n");
    int lines = 0;
    for (int millisecond = 1000; millisecond < 2000; ++millisecond)
        lines += display.update(short_line, millisecond / 1000.0).empty() ? 0 : 1;
    EXPECT_LE(lines, 10);
    EXPECT_GE(lines, 9);
}

TEST(ProgressDisplay, MessagesCoverTheProgress) {
    ProgressDisplay display{true};
    const std::size_t shown = display.update(half, 0).size() - 1;
    EXPECT_EQ(display.message("saved"), "\rsaved" + std::string(shown - 5, ' ') + '\n');
}

TEST(ProgressDisplay, WritesPlainLinesInALog) {
    ProgressDisplay display{false};
    EXPECT_EQ(display.update(half, 0), log_line(half) + '\n');
    EXPECT_EQ(display.update(half, 29.9), "");
    EXPECT_EQ(display.update(half, 30), log_line(half) + '\n');
    EXPECT_EQ(display.end_epoch(half, 31), log_line(half) + '\n');
    EXPECT_EQ(display.message("saved"), "saved\n");
}

TEST(ProgressPrinter, WritesPlainLinesToAFile) {
    const TemporaryFolder folder;
    std::FILE* file = std::fopen((folder / "log").c_str(), "w");
    ASSERT_NE(file, nullptr);
    EXPECT_FALSE(is_terminal(file));
    EXPECT_EQ(terminal_columns(file), 80);
    ProgressPrinter printer{file};
    printer.update(half);
    printer.update(half);  // too early
    printer.message("saved");
    EXPECT_EQ(contents(folder / "log"), log_line(half) + "\nsaved\n");  // flushed
    std::fclose(file);
}

TEST(ProgressPrinter, RewritesItsLineOnATerminal) {
    const int terminal = ::posix_openpt(O_RDWR | O_NOCTTY);
    if (terminal < 0 || ::grantpt(terminal) != 0 || ::unlockpt(terminal) != 0) GTEST_SKIP() << "NOT TESTED: no pseudo-terminals";
    ::setenv("TERM", "xterm", 1);
    std::FILE* file = std::fopen(::ptsname(terminal), "w");
    ASSERT_NE(file, nullptr);
    const winsize size{.ws_row = 24, .ws_col = 60, .ws_xpixel = 0, .ws_ypixel = 0};
    ASSERT_EQ(::ioctl(terminal, TIOCSWINSZ, &size), 0);
    EXPECT_EQ(terminal_columns(file), 60);
    EXPECT_TRUE(is_terminal(file));
    ProgressPrinter{file}.update(half);
    char text[200];
    const ssize_t count = ::read(terminal, text, sizeof text);
    ASSERT_GT(count, 0);
    EXPECT_EQ(std::string(text, static_cast<std::size_t>(count)), '\r' + progress_line(half, 59));
    ::setenv("TERM", "dumb", 1);
    EXPECT_FALSE(is_terminal(file));
    std::fclose(file);
    ::close(terminal);
}

}  // namespace
}  // namespace s4::test
