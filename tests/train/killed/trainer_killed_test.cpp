// Training in a process that is killed (SIGKILL) at any moment, also while it writes, and goes on from its checkpoint.
#include <s4/io/safetensors.hpp>
#include <s4/train/history.hpp>

#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <random>
#include <spawn.h>
#include <string>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

extern char** environ;

namespace s4::test {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using Microseconds = std::chrono::microseconds;

class KilledTrainer : public ::testing::Test {
protected:
    void SetUp() override {
        folder_ = fs::temp_directory_path() / ("s4_trainer_killed" + std::to_string(::getpid()));
        fs::create_directories(folder_);
    }
    void TearDown() override { fs::remove_all(folder_); }

    static ::pid_t start(const fs::path& folder) {
        std::string program = S4_TRAIN_IN_FOLDER;
        std::string argument = folder.string();
        char* const arguments[] = {program.data(), argument.data(), nullptr};
        ::pid_t process = 0;
        if (::posix_spawn(&process, program.c_str(), nullptr, nullptr, arguments, environ) != 0) std::abort();
        return process;
    }
    /// Whether the process has ended; if so, `status` is how.
    static bool ended(::pid_t process, int& status) { return ::waitpid(process, &status, WNOHANG) == process; }
    static void expect_success(int status) {
        ASSERT_TRUE(WIFEXITED(status)) << "ended by signal " << WTERMSIG(status);
        ASSERT_EQ(WEXITSTATUS(status), 0);
    }

    /// Whether a file is being written: its temporary one is there.
    static bool has_temporary(const fs::path& folder) {
        std::error_code problem;
        for (fs::directory_iterator entry{folder, problem}; !problem && entry != fs::directory_iterator{};
             entry.increment(problem))
            if (entry->path().extension() == ".tmp") return true;
        return false;
    }

    /// Steps that the checkpoint of a folder has; every byte of its files was read. 0 without a checkpoint.
    static std::int64_t saved_steps(const fs::path& folder) {
        const fs::path history = folder / "history.tsv";
        if (fs::exists(history)) static_cast<void>(read_history(history));
        const fs::path checkpoint = folder / "run.safetensors";
        if (!fs::exists(checkpoint)) return 0;
        const Safetensors file = Safetensors::read(checkpoint);
        EXPECT_TRUE(file.contains("model.encoder.weight"));
        EXPECT_TRUE(file.contains_metadata("history"));
        return file.integer("adamw.steps");
    }

    static void expect_same_run(const fs::path& found, const fs::path& expected) {
        const Safetensors a = Safetensors::read(found / "run.safetensors");
        const Safetensors b = Safetensors::read(expected / "run.safetensors");
        ASSERT_EQ(a.names(), b.names());
        int moments = 0;
        int averages = 0;
        for (const std::string& name : a.names()) {
            if (name == "seconds") continue;
            ASSERT_EQ(a.bytes(name).size(), b.bytes(name).size()) << name;
            EXPECT_EQ(std::memcmp(a.bytes(name).data(), b.bytes(name).data(), a.bytes(name).size()), 0) << name;
            moments += name.starts_with("adamw.m.") || name.starts_with("adamw.v.");
            averages += name.starts_with("average.");
        }
        EXPECT_GT(moments, 20);
        EXPECT_GT(averages, 10);
        const std::vector<HistoryRecord> history = read_history(found / "history.tsv");
        const std::vector<HistoryRecord> other = read_history(expected / "history.tsv");
        ASSERT_EQ(history.size(), 4u);
        ASSERT_EQ(other.size(), 4u);
        for (std::size_t i = 0; i < 4; ++i) {
            EXPECT_EQ(history[i].step, other[i].step);
            EXPECT_EQ(history[i].train_loss, other[i].train_loss);
            EXPECT_EQ(history[i].validation_loss, other[i].validation_loss);
        }
        EXPECT_FALSE(has_temporary(found));
    }

    fs::path folder_;
};

TEST_F(KilledTrainer, EndsWithTheSameBitsAfterFiftyKills) {
    const unsigned seed = std::random_device{}();
    std::cout << "seed " << seed << std::endl;
    std::mt19937 random{seed};
    const auto draw = [&random](Clock::duration most) {
        const auto count = std::chrono::duration_cast<Microseconds>(most).count();
        return Microseconds{std::uniform_int_distribution<Microseconds::rep>{0, count}(random)};
    };

    const fs::path whole = folder_ / "whole";
    fs::create_directories(whole);
    const Clock::time_point begin = Clock::now();
    int status = 0;
    ASSERT_GT(::waitpid(start(whole), &status, 0), 0);
    const Clock::duration duration = Clock::now() - begin;
    expect_success(status);
    ASSERT_EQ(saved_steps(whole), 100);

    // Every other kill waits for a file that is being written. A run that ends too early is compared as it is, and
    // another one begun.
    constexpr int wanted = 50;
    int kills = 0;
    int in_a_write = 0;
    int progress = 0;
    int runs = 0;
    while (kills < wanted || runs == 0) {
        const fs::path folder = folder_ / ("run" + std::to_string(runs));
        fs::create_directories(folder);
        std::int64_t steps = 0;
        bool finished = false;
        while (!finished && !HasFatalFailure()) {
            const ::pid_t process = start(folder);
            if (kills < wanted) {
                std::this_thread::sleep_for(draw(duration / 8));
                if (kills % 2 == 1) {
                    while (!has_temporary(folder) && !(finished = ended(process, status))) {
                    }
                    if (!finished) std::this_thread::sleep_for(draw(std::chrono::milliseconds{1}));
                }
                if (!finished && !(finished = ended(process, status))) {
                    ASSERT_EQ(::kill(process, SIGKILL), 0);
                    ASSERT_EQ(::waitpid(process, &status, 0), process);
                    finished = WIFEXITED(status);  // it was faster
                    kills += !finished;
                    in_a_write += !finished && has_temporary(folder);
                }
            } else {
                ASSERT_EQ(::waitpid(process, &status, 0), process);
                finished = true;
            }
            if (finished) expect_success(status);
            const std::int64_t now = saved_steps(folder);
            ASSERT_GE(now, steps);
            progress += now > steps;
            steps = now;
        }
        expect_same_run(folder, whole);
        if (HasFailure()) return;
        ++runs;
    }
    std::cout << kills << " kills, " << in_a_write << " while a file was written, " << progress
              << " after new steps were saved; " << runs << " runs\n";
    EXPECT_EQ(kills, wanted);
    EXPECT_GT(in_a_write, 0);
}

// Killed between the last checkpoint and the history, or while it wrote the history: the checkpoint has it all, the
// file must follow.
TEST_F(KilledTrainer, WritesTheHistoryThatIsMissing) {
    int status = 0;
    ASSERT_GT(::waitpid(start(folder_), &status, 0), 0);
    expect_success(status);
    const std::vector<HistoryRecord> expected = read_history(folder_ / "history.tsv");
    fs::rename(folder_ / "history.tsv", folder_ / "history.tsv.1-0.tmp");
    ASSERT_GT(::waitpid(start(folder_), &status, 0), 0);
    expect_success(status);
    ASSERT_TRUE(fs::exists(folder_ / "history.tsv"));
    EXPECT_EQ(read_history(folder_ / "history.tsv").size(), expected.size());
    EXPECT_FALSE(has_temporary(folder_));
}

}  // namespace
}  // namespace s4::test
