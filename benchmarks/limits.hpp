// What this machine can do, measured in the run that reports ratios of it: the FMA peak of the instructions compiled
// for, read bandwidths, and FFTW's bare transforms. One thread, as everything that is benchmarked.
#pragma once

#include <s4/core/scalar.hpp>

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstddef>
#include <limits>
#include <memory>
#include <vector>

namespace s4::bench {

/// Seconds that this thread has run: what other programs do meanwhile is left out, as far as the system can tell.
[[nodiscard]] double thread_seconds() noexcept;
/// Seconds on the wall.
[[nodiscard]] double wall_seconds() noexcept;

/// Times of repeated work. Counters are made from the median of the thread's own time, which moves less than the mean
/// on the wall that Google Benchmark prints as the time of a row.
class Laps {
public:
    /// The rows of a benchmark: runs `work` in the loop of `state`, each time one iteration, and three times at least.
    template <class Work>
    void run(benchmark::State& state, const Work& work) {
        const Index repeats = repeats_of(work);
        while (state.KeepRunningBatch(repeats)) add(work, repeats);
        while (seconds_.size() < 3) add(work, repeats);
    }
    /// The same outside of a benchmark's loop, for about `budget` seconds.
    template <class Work>
    void run(double budget, const Work& work) {
        const Index repeats = repeats_of(work);
        const double end = thread_seconds() + budget;
        for (int lap = 0; lap < 3 || thread_seconds() < end; ++lap) add(work, repeats);
    }

    [[nodiscard]] double median() const {
        std::vector<double> sorted = seconds_;
        const auto middle = sorted.begin() + std::ssize(sorted) / 2;
        std::nth_element(sorted.begin(), middle, sorted.end());
        return *middle;
    }
    /// The best time on the wall, for limits: a virtual machine's account of a thread's time is sometimes too short.
    [[nodiscard]] double best() const noexcept { return best_; }

private:
    // How often to repeat short work within a lap: reading the clock takes a fraction of a microsecond.
    template <class Work>
    static Index repeats_of(const Work& work) {
        constexpr double shortest = 50e-6;
        for (Index repeats = 1;; repeats *= 2) {
            const double start = thread_seconds();
            for (Index repeat = 0; repeat < repeats; ++repeat) work();
            if (thread_seconds() - start > shortest / 2) return repeats;
        }
    }
    template <class Work>
    void add(const Work& work, Index repeats) {
        const double wall_start = wall_seconds();
        const double start = thread_seconds();
        for (Index repeat = 0; repeat < repeats; ++repeat) work();
        seconds_.push_back((thread_seconds() - start) / static_cast<double>(repeats));
        best_ = std::min(best_, (wall_seconds() - wall_start) / static_cast<double>(repeats));
    }

    std::vector<double> seconds_;
    double best_ = std::numeric_limits<double>::infinity();
};

/// Rates of one core: the best of many short measurements.
struct Limits {
    double fma_peak_float;  ///< flop/s of independent multiply-adds in registers, two flops each
    double fma_peak_double;
    double l1_bandwidth;    ///< bytes/s read from an array of half the L1 data cache
    double l2_bandwidth;    ///< bytes/s read from an array of half the L2 cache
    double dram_bandwidth;  ///< bytes/s read from an array of four times the last cache
    double clock;           ///< cycles/s, from a chain of dependent one-cycle instructions
    std::size_t l1_bytes;
    std::size_t l2_bytes;
    std::size_t last_level_bytes;
};

/// The limits, measured at the first call (about a second).
[[nodiscard]] const Limits& limits();

template <RealScalar Scalar>
[[nodiscard]] double fma_peak() {
    return sizeof(Scalar) == sizeof(float) ? limits().fma_peak_float : limits().fma_peak_double;
}

/// FFTW without the library around it: one transform or pair of transforms, again and again on the same rows, which
/// stay in the cache as far as they fit. The fastest of several plans made with FFTW_MEASURE.
template <RealScalar Scalar>
class BareFftw {
public:
    /// The yardstick of a convolution of L samples: r2c and c2r of size 2L. Planned once a process.
    [[nodiscard]] static const BareFftw& real_pair(Index length);
    /// One complex transform of size L. Planned once a process.
    [[nodiscard]] static const BareFftw& complex(Index length);

    ~BareFftw();
    BareFftw(const BareFftw&) = delete;
    BareFftw& operator=(const BareFftw&) = delete;

    void run() const noexcept;
    /// Adds laps of about 20 ms in all. A ratio takes some before its own laps and some after them.
    void time(Laps& laps) const {
        laps.run(0.02, [this] { run(); });
    }
    /// By the usual count: 5 n log2 n for a complex transform of size n, half of that for a real one.
    [[nodiscard]] double flops() const noexcept { return flops_; }

private:
    struct Transforms;
    BareFftw(std::unique_ptr<Transforms> transforms, double flops);
    std::unique_ptr<Transforms> transforms_;
    double flops_;
};

extern template class BareFftw<float>;
extern template class BareFftw<double>;

}  // namespace s4::bench
