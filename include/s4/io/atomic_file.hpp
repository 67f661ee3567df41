// A file that appears whole or not at all: written beside its place, then moved onto it in one step.
#pragma once

#include <s4/core/error.hpp>
#include <s4/io/dtype.hpp>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#if defined(__unix__) || defined(__APPLE__)
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#else
#include <fstream>
#endif

namespace s4::inline S4_ABI {

/// Collects a new file in a temporary one of the same folder; `commit` moves it to `path` (which may exist already and
/// is replaced, permissions kept; a symbolic link is replaced itself). Without `commit`, and after every error, nothing
/// is left and an old file is as it was. On POSIX systems the data is on the disk before the move, and the move when
/// `commit` returns, so a loss of power leaves the old file or the new one. Errors name the file.
class AtomicFile {
public:
    /// Error when there is something else than a file at `path`, or the temporary one cannot be made.
    explicit AtomicFile(std::filesystem::path path) : path_{std::move(path)} {
        std::error_code problem;
        const auto status = std::filesystem::symlink_status(path_, problem);
        detail::require(!std::filesystem::exists(status) || std::filesystem::is_regular_file(status) ||
                            std::filesystem::is_symlink(status),
                        detail::printable(path_.string()), ": expected a file to write, found a folder or device");
        open(status);
    }
    AtomicFile(const AtomicFile&) = delete;
    AtomicFile& operator=(const AtomicFile&) = delete;
    ~AtomicFile() { discard(); }

    /// Appends `bytes`. Error when they cannot be written, such as on a full disk.
    void write(std::span<const std::byte> bytes);
    /// Moves the file to its place; nothing may be written afterwards.
    void commit();

    /// Removes the temporary files of `path` that processes which were killed have left; those that are being written,
    /// here or elsewhere, stay. Never an error: what cannot be removed stays. (POSIX systems; otherwise nothing.)
    static void remove_abandoned(const std::filesystem::path& path);

private:
    void open(const std::filesystem::file_status& old);
    void discard() noexcept;

    /// Next name to try for the temporary file.
    [[nodiscard]] std::filesystem::path temporary_name(long process) const {
        static std::atomic<unsigned> counter{0};
        std::filesystem::path name = path_;
        name += "." + std::to_string(process) + "-" + std::to_string(counter++) + ".tmp";
        return name;
    }
    /// Whether `name` is one that temporary_name gives to a file called `file`.
    [[nodiscard]] static bool is_temporary_name(std::string_view name, const std::string& file) {
        constexpr std::string_view end = ".tmp";
        if (!name.starts_with(file + '.') || !name.ends_with(end) || name.size() < file.size() + 1 + end.size())
            return false;
        name = name.substr(file.size() + 1, name.size() - file.size() - 1 - end.size());
        const std::size_t dash = name.find('-');
        const auto is_number = [](std::string_view text) {
            return !text.empty() && text.find_first_not_of("0123456789") == text.npos;
        };
        return dash != name.npos && is_number(name.substr(0, dash)) && is_number(name.substr(dash + 1));
    }
    [[noreturn]] void fail(const char* what, int code) {
        discard();
        detail::raise(detail::printable(path_.string()), ": ", what, ": ", std::generic_category().message(code));
    }

    std::filesystem::path path_;
    std::filesystem::path temporary_;  ///< empty when there is none to remove
#if defined(__unix__) || defined(__APPLE__)
    int descriptor_ = -1;
#else
    std::ofstream stream_;
#endif
};

#if defined(__unix__) || defined(__APPLE__)

inline void AtomicFile::open(const std::filesystem::file_status& old) {
    do {
        temporary_ = temporary_name(::getpid());
        descriptor_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    } while (descriptor_ < 0 && (errno == EEXIST || errno == EINTR));
    if (descriptor_ < 0) {
        const int code = errno;
        temporary_.clear();
        fail("cannot create a file in its folder", code);
    }
    // Until it is closed, also by the death of the process: a file without this lock is abandoned. Where files cannot
    // be locked, none is ever found abandoned.
    static_cast<void>(::flock(descriptor_, LOCK_EX | LOCK_NB));
    if (std::filesystem::is_regular_file(old) && ::fchmod(descriptor_, static_cast<mode_t>(old.permissions())) != 0)
        fail("cannot keep the permissions", errno);
}

inline void AtomicFile::write(std::span<const std::byte> bytes) {
    constexpr std::size_t most = std::size_t{1} << 30;  // one call writes less than 2 GiB on Linux and macOS
    while (!bytes.empty()) {
        const ::ssize_t written = ::write(descriptor_, bytes.data(), bytes.size() < most ? bytes.size() : most);
        if (written >= 0)
            bytes = bytes.subspan(static_cast<std::size_t>(written));
        else if (errno != EINTR)
            fail("cannot be written", errno);
    }
}

inline void AtomicFile::commit() {
    if (::fsync(descriptor_) != 0) fail("cannot be written to the disk", errno);
    if (::close(std::exchange(descriptor_, -1)) != 0) fail("cannot be closed", errno);
    if (::rename(temporary_.c_str(), path_.c_str()) != 0) fail("cannot be replaced", errno);
    temporary_.clear();
    // The move is in the folder's own data. Some file systems cannot flush a folder, and say so by EINVAL.
    const std::filesystem::path folder = path_.has_parent_path() ? path_.parent_path() : std::filesystem::path{"."};
    const int descriptor = ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (descriptor < 0) return;  // a folder that may be written but not read
    const int code = ::fsync(descriptor) != 0 ? errno : 0;
    ::close(descriptor);
    if (code != 0 && code != EINVAL) fail("written, but its folder cannot be flushed to the disk", code);
}

inline void AtomicFile::remove_abandoned(const std::filesystem::path& path) {
    const std::filesystem::path folder = path.has_parent_path() ? path.parent_path() : std::filesystem::path{"."};
    std::error_code problem;
    std::filesystem::directory_iterator entry{folder, problem};
    for (; !problem && entry != std::filesystem::directory_iterator{}; entry.increment(problem)) {
        if (!is_temporary_name(entry->path().filename().string(), path.filename().string())) continue;
        const int descriptor = ::open(entry->path().c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (descriptor < 0) continue;
        if (::flock(descriptor, LOCK_EX | LOCK_NB) == 0) ::unlink(entry->path().c_str());
        ::close(descriptor);
    }
}

inline void AtomicFile::discard() noexcept {
    if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
    if (!temporary_.empty()) ::unlink(temporary_.c_str());
    temporary_.clear();
}

#else

inline void AtomicFile::open(const std::filesystem::file_status&) {
    std::error_code problem;
    do temporary_ = temporary_name(0);
    while (std::filesystem::exists(temporary_, problem));
    stream_.open(temporary_, std::ios::binary);
    if (!stream_) {
        temporary_.clear();
        fail("cannot create a file in its folder", EIO);
    }
}

inline void AtomicFile::write(std::span<const std::byte> bytes) {
    stream_.write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
    if (!stream_) fail("cannot be written", EIO);
}

inline void AtomicFile::commit() {
    stream_.close();
    if (!stream_) fail("cannot be written to the disk", EIO);
    std::error_code problem;
    std::filesystem::rename(temporary_, path_, problem);
    if (problem) fail("cannot be replaced", problem.default_error_condition().value());
    temporary_.clear();
}

inline void AtomicFile::remove_abandoned(const std::filesystem::path&) {}

inline void AtomicFile::discard() noexcept {
    stream_.close();
    std::error_code ignored;
    if (!temporary_.empty()) std::filesystem::remove(temporary_, ignored);
    temporary_.clear();
}

#endif

}  // namespace s4::inline S4_ABI
