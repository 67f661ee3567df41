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
/// Leaves this process about 256 MiB of further address space while it lives.
class TightMemory {
public:
    TightMemory() {
        getrlimit(RLIMIT_AS, &before_);
        long pages = 0;
        if (std::FILE* statistics = std::fopen("/proc/self/statm", "r")) {
            if (std::fscanf(statistics, "%ld", &pages) != 1) pages = 0;
            std::fclose(statistics);
        }
        rlimit tight = before_;
        tight.rlim_cur = static_cast<rlim_t>(pages) * 4096 + (rlim_t{256} << 20);
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
#endif

}  // namespace
}  // namespace s4::test
