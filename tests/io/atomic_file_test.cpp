// A file appears whole or not at all, whatever goes wrong meanwhile.
#include "safetensors_bytes.hpp"
#include <s4/io/atomic_file.hpp>
#include <s4/io/safetensors_writer.hpp>

#include <csignal>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <tests/support/expect_error.hpp>

namespace {

using s4::AtomicFile;
using s4::Safetensors;
using s4::test::contents;
using s4::test::TemporaryFolder;
using s4::test::write_text;

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span{text}); }

TEST(AtomicFile, ReplacesAnOldFile) {
    const TemporaryFolder folder;
    write_text(folder / "x", "old");
    ::chmod((folder / "x").c_str(), 0600);
    AtomicFile file{folder / "x"};
    file.write(bytes_of("new"));
    file.write(bytes_of(" text"));
    EXPECT_EQ(contents(folder / "x"), "old");
    file.commit();
    EXPECT_EQ(contents(folder / "x"), "new text");
    EXPECT_EQ(std::filesystem::status(folder / "x").permissions(), std::filesystem::perms{0600});
    EXPECT_EQ(folder.files(), std::vector<std::string>{"x"});
}

TEST(AtomicFile, LeavesNothingWithoutCommit) {
    const TemporaryFolder folder;
    { AtomicFile{folder / "x"}.write(bytes_of("text")); }
    EXPECT_TRUE(folder.files().empty());
}

TEST(AtomicFile, TwoWritersOfOneFileDoNotMix) {
    const TemporaryFolder folder;
    AtomicFile first{folder / "x"};
    AtomicFile second{folder / "x"};
    first.write(bytes_of("first"));
    second.write(bytes_of("second"));
    second.commit();
    first.commit();
    EXPECT_EQ(contents(folder / "x"), "first");
    EXPECT_EQ(folder.files(), std::vector<std::string>{"x"});
}

TEST(AtomicFile, NamesAFolderThatIsMissingOrCannotBeWritten) {
    const TemporaryFolder folder;
    EXPECT_S4_ERROR(AtomicFile{folder / "none/x"}, "none/x\": cannot create a file in its folder");
    write_text(folder / "file", "text");
    EXPECT_S4_ERROR(AtomicFile{folder / "file/x"}, "file/x\": ");
    if (std::filesystem::exists("/proc/version")) {
        EXPECT_S4_ERROR(AtomicFile{"/proc/x"}, "\"/proc/x\": cannot create a file");
    }
    EXPECT_EQ(folder.files(), std::vector<std::string>{"file"});
}

TEST(AtomicFile, RefusesFoldersAndDevices) {
    const TemporaryFolder folder;
    std::filesystem::create_directory(folder / "x");
    EXPECT_S4_ERROR(AtomicFile{folder / "x"}, "x\": expected a file to write, found a folder or device");
    EXPECT_S4_ERROR(AtomicFile{"/dev/null"}, "\"/dev/null\": expected a file to write");
    EXPECT_EQ(folder.files(), std::vector<std::string>{"x"});
}

/// Files of this process cannot grow beyond `bytes` while this lives: a disk that is full.
class FullDisk {
public:
    explicit FullDisk(rlim_t bytes) : handler_{std::signal(SIGXFSZ, SIG_IGN)} {
        ::getrlimit(RLIMIT_FSIZE, &old_);
        const rlimit limit{bytes, old_.rlim_max};
        ::setrlimit(RLIMIT_FSIZE, &limit);
    }
    FullDisk(const FullDisk&) = delete;
    FullDisk& operator=(const FullDisk&) = delete;
    ~FullDisk() {
        ::setrlimit(RLIMIT_FSIZE, &old_);
        std::signal(SIGXFSZ, handler_);
    }

private:
    void (*handler_)(int);
    rlimit old_{};
};

TEST(AtomicFile, LeavesTheOldFileWhenTheDiskIsFull) {
    const TemporaryFolder folder;
    write_text(folder / "x", "old");
    s4::SafetensorsWriter writer;
    writer.add_matrix("a", Eigen::VectorXd::Zero(10'000));
    {
        const FullDisk disk{4096};
        EXPECT_S4_ERROR(writer.write(folder / "x"), "x\": cannot be written: ");
    }
    EXPECT_EQ(contents(folder / "x"), "old");
    EXPECT_EQ(folder.files(), std::vector<std::string>{"x"});
}

TEST(AtomicFile, KilledWriterLeavesAWholeFile) {
    const TemporaryFolder folder;
    s4::SafetensorsWriter writer;
    writer.add_matrix("a", Eigen::VectorXd::Ones(100'000));
    writer.write(folder / "x");
    for (int kill = 0; kill < 20; ++kill) {
        const pid_t child = ::fork();
        ASSERT_GE(child, 0);
        if (child == 0)
            for (;;) writer.write(folder / "x");
        ::usleep(static_cast<useconds_t>(1'000 + 531 * kill));
        ASSERT_EQ(::kill(child, SIGKILL), 0);
        ASSERT_EQ(::waitpid(child, nullptr, 0), child);
        const Safetensors file = Safetensors::read(folder / "x");
        ASSERT_EQ(file.vector<double>("a"), Eigen::VectorXd::Ones(100'000));
    }
}

TEST(AtomicFile, RemovesWhatKilledWritersLeft) {
    const TemporaryFolder folder;
    const pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
        AtomicFile file{folder / "x"};
        ::raise(SIGKILL);
    }
    ASSERT_EQ(::waitpid(child, nullptr, 0), child);
    ASSERT_EQ(folder.files().size(), 1u);
    const char* const others[]{"x", "x.1-2", "x.1-2.tmp2", "x.tmp", "x.-.tmp", "x.a-1.tmp", "x.1-2-3.tmp", "y.1-2.tmp"};
    for (const char* name : others) write_text(folder / name, "kept");
    std::filesystem::create_directory(folder / "x.3-4.tmp");
    {
        AtomicFile file{folder / "x"};
        AtomicFile::remove_abandoned(folder / "x");
        EXPECT_EQ(folder.files().size(), std::size(others) + 2);  // and the folder, and the file being written
        file.commit();
    }
    EXPECT_EQ(folder.files().size(), std::size(others) + 1);
    for (const char* name : others) EXPECT_TRUE(std::filesystem::exists(folder / name)) << name;
    AtomicFile::remove_abandoned(folder / "none" / "x");
}

}  // namespace
