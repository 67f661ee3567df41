// Memory that is not there: an error that says so, and a layer as it was.
#include "tests/support/expect_error.hpp"
#include "tests/support/systems.hpp"
#include <s4/fft/fftw.hpp>
#include <s4/s4.hpp>

#include <gtest/gtest.h>

#include <sys/resource.h>

namespace s4::test {
namespace {

#if defined(__cpp_exceptions) && defined(__linux__)
/// Leaves this process about `spare` bytes of further address space while it lives.
class TightMemory {
public:
    explicit TightMemory(rlim_t spare = rlim_t{256} << 20) {
        getrlimit(RLIMIT_AS, &before_);
        long pages = 0;
        if (std::FILE* statistics = std::fopen("/proc/self/statm", "r")) {
            if (std::fscanf(statistics, "%ld", &pages) != 1) pages = 0;
            std::fclose(statistics);
        }
        rlimit tight = before_;
        tight.rlim_cur = static_cast<rlim_t>(pages) * 4096 + spare;
        setrlimit(RLIMIT_AS, &tight);
    }
    TightMemory(const TightMemory&) = delete;
    TightMemory& operator=(const TightMemory&) = delete;
    ~TightMemory() { setrlimit(RLIMIT_AS, &before_); }

private:
    rlimit before_{};
};

TEST(OutOfMemory, IsAnErrorAndLeavesTheLayerAsItWas) {
    S4Layer<Dplr<float>, Mode::convolution> layer(random_parameters<Dplr<float>>(4, 8, 1));
    layer.prepare(100);
    {
        const TightMemory tight;
        for (const Index length : {Index{1} << 24, Index{1} << 26, max_fft_size})
            EXPECT_S4_ERROR(layer.prepare(length), "out of memory");
        EXPECT_S4_ERROR(Storage<float>(Index{1} << 30), "out of memory", "1073741824");
    }
    EXPECT_EQ(layer.prepared_length(), 100);
    auto workspace = layer.make_workspace();
    const Sequence<float> u = white_noise<float>(100, 4, 2);
    Sequence<float> y(100, 4);
    layer.forward(workspace, u, y);
    EXPECT_TRUE(detail::all_finite(y));
}

/// Stack that was used once needs no further address space.
[[gnu::noinline]] void touch_stack() {
    volatile char room[1 << 20];
    for (std::size_t i = 0; i < sizeof room; i += 1024) room[i] = 0;
}

// FFTW ends the process when its planner finds no memory: it must not be asked then.
TEST(OutOfMemory, IsAnErrorOrNoneButNeverTheEnd) {
    S4Layer<Diagonal<float>, Mode::convolution> layer(random_parameters<Diagonal<float>>(1, 4, 1));
    int errors = 0;
    int successes = 0;
    touch_stack();
    for (const Index length : {1000, 16'384, 100'003, 1'000'003})
        for (rlim_t spare = 0; spare <= rlim_t{64} << 20; spare = spare == 0 ? rlim_t{1} << 16 : 2 * spare) {
            const TightMemory tight(spare);
            try {
                layer.prepare(length);
                ++successes;
            } catch (const Error&) {
                ++errors;
            }
        }
    EXPECT_GT(errors, 0);
    EXPECT_GT(successes, 0);
}
#endif

}  // namespace
}  // namespace s4::test
