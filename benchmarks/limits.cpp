#include "benchmarks/limits.hpp"

#include <s4/core/lanes.hpp>
#include <s4/core/storage.hpp>

#include <fftw3.h>

#include <chrono>
#include <cmath>
#include <cstdint>
#include <ctime>
#include <limits>
#include <map>
#include <string>
#include <utility>

namespace s4::bench {

namespace {

/// The best time of `work` in about `budget` seconds.
template <class Work>
double best_seconds(const Work& work, double budget) {
    Laps laps;
    laps.run(budget, work);
    return laps.best();
}

// With FMA instructions a chain adds a product, the form that Eigen prescribes to clang (any other costs it moves);
// without, that product would be computed once, so the chain multiplies itself, towards b/(1 − a).
#if defined(EIGEN_VECTORIZE_FMA)
template <RealScalar Scalar>
void advance_chain(Lanes<Scalar>& x, Lanes<Scalar> a, Lanes<Scalar> b) noexcept {
    x = fma(a, b, x);
}
#else
template <RealScalar Scalar>
void advance_chain(Lanes<Scalar>& x, Lanes<Scalar> a, Lanes<Scalar> b) noexcept {
    x = fma(x, a, b);
}
#endif

/// flop/s of as many independent chains of multiply-adds as there are numbers `Chain`. They start at different values,
/// or the compiler would keep one of them, and a and b are not known to it.
template <RealScalar Scalar, std::size_t... Chain>
double fma_rate(std::index_sequence<Chain...>) {
    using L = Lanes<Scalar>;
    constexpr int rounds = 4096;
    volatile Scalar factor = static_cast<Scalar>(0.9);
    volatile Scalar addend = static_cast<Scalar>(0.1);
    const L a = L::broadcast(factor);
    const L b = L::broadcast(addend);
    const double seconds = best_seconds(
        [&] {
            L x[] = {(a + L::broadcast(static_cast<Scalar>(Chain)))...};
            for (int round = 0; round < rounds; ++round) (advance_chain(x[Chain], a, b), ...);
            L sum = L::zero();
            ((sum += x[Chain]), ...);
            benchmark::DoNotOptimize(sum.value);
        },
        0.03);
    return 2.0 * rounds * static_cast<double>(L::count * sizeof...(Chain)) / seconds;
}

// Enough chains to fill two units of four or five cycles of latency, few enough for 16 registers: the best of four.
template <RealScalar Scalar>
double measure_fma_peak() {
    return std::max({fma_rate<Scalar>(std::make_index_sequence<8>{}), fma_rate<Scalar>(std::make_index_sequence<10>{}),
                     fma_rate<Scalar>(std::make_index_sequence<12>{}),
                     fma_rate<Scalar>(std::make_index_sequence<14>{})});
}

/// bytes/s of vector loads from an array of about `bytes`, read over and over, each load feeding one addition.
template <std::size_t... Chain>
double measure_bandwidth(std::size_t bytes, double budget, std::index_sequence<Chain...>) {
    using L = Lanes<float>;
    constexpr Index at_once = L::count * static_cast<Index>(sizeof...(Chain));
    const Index count = std::max<Index>(static_cast<Index>(bytes / sizeof(float)) / at_once, 1) * at_once;
    Storage<float> values{count};
    std::fill_n(values.data(), count, 1.0F);
    const double seconds = best_seconds(
        [&] {
            L sums[sizeof...(Chain)] = {(static_cast<void>(Chain), L::zero())...};
            for (const float* from = values.data(); from != values.data() + count; from += at_once)
                ((sums[Chain] += L::load(from + static_cast<Index>(Chain) * L::count)), ...);
            L sum = L::zero();
            ((sum += sums[Chain]), ...);
            benchmark::DoNotOptimize(sum.value);
            benchmark::ClobberMemory();
        },
        budget);
    return static_cast<double>(count) * sizeof(float) / seconds;
}

/// cycles/s by xorshift: six instructions that wait for each other, of one cycle each on every processor we know.
double measure_clock() {
    constexpr int rounds = 4096;
    std::uint64_t x = 88172645463325252ULL;
    const double seconds = best_seconds(
        [&] {
            for (int round = 0; round < rounds; ++round) {
                x ^= x << 13;
                x ^= x >> 7;
                x ^= x << 17;
            }
            benchmark::DoNotOptimize(x);
        },
        0.03);
    return 6.0 * rounds / seconds;
}

/// Bytes of the data (or unified) cache of a level; `otherwise` where the system does not tell.
std::size_t cache_bytes(int level, std::size_t otherwise) {
    for (const auto& cache : benchmark::CPUInfo::Get().caches)
        if (cache.level == level && cache.type != "Instruction" && cache.size > 0)
            return static_cast<std::size_t>(cache.size);
    return otherwise;
}

Limits measure_limits() {
    constexpr auto loads = std::make_index_sequence<12>{};
    Limits limits{};
    limits.l1_bytes = cache_bytes(1, std::size_t{32} << 10);
    limits.l2_bytes = cache_bytes(2, std::size_t{512} << 10);
    limits.last_level_bytes = cache_bytes(3, limits.l2_bytes);
    limits.clock = measure_clock();
    limits.fma_peak_float = measure_fma_peak<float>();
    limits.fma_peak_double = measure_fma_peak<double>();
    limits.l1_bandwidth = measure_bandwidth(limits.l1_bytes / 2, 0.05, loads);
    limits.l2_bandwidth = measure_bandwidth(limits.l2_bytes / 2, 0.1, loads);
    constexpr std::size_t least = std::size_t{64} << 20;
    constexpr std::size_t most = std::size_t{1} << 30;
    limits.dram_bandwidth = measure_bandwidth(std::clamp(4 * limits.last_level_bytes, least, most), 0.2, loads);
    return limits;
}

/// FFTW's functions under one name for both precisions.
template <RealScalar Scalar>
struct Api;
template <>
struct Api<float> {
    using Plan = fftwf_plan;
    using Complex = fftwf_complex;
    static constexpr auto c2c = &fftwf_plan_dft_1d;
    static constexpr auto r2c = &fftwf_plan_dft_r2c_1d;
    static constexpr auto c2r = &fftwf_plan_dft_c2r_1d;
    static constexpr auto execute = &fftwf_execute;
    static constexpr auto destroy = &fftwf_destroy_plan;
    static constexpr auto forget = &fftwf_forget_wisdom;
};
template <>
struct Api<double> {
    using Plan = fftw_plan;
    using Complex = fftw_complex;
    static constexpr auto c2c = &fftw_plan_dft_1d;
    static constexpr auto r2c = &fftw_plan_dft_r2c_1d;
    static constexpr auto c2r = &fftw_plan_dft_c2r_1d;
    static constexpr auto execute = &fftw_execute;
    static constexpr auto destroy = &fftw_destroy_plan;
    static constexpr auto forget = &fftw_forget_wisdom;
};

}  // namespace

double thread_seconds() noexcept {
#if defined(CLOCK_THREAD_CPUTIME_ID)
    std::timespec now{};
    if (clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now) == 0)
        return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
#endif
    return wall_seconds();
}

double wall_seconds() noexcept {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

const Limits& limits() {
    static const Limits measured = measure_limits();
    return measured;
}

/// Rows of their own and plans on them, executed one after the other.
template <RealScalar Scalar>
struct BareFftw<Scalar>::Transforms {
    using Fftw = Api<Scalar>;

    explicit Transforms(Index numbers) : first{numbers}, second{numbers} {}
    ~Transforms() {
        for (const auto plan : plans) Fftw::destroy(plan);
    }
    Transforms(const Transforms&) = delete;
    Transforms& operator=(const Transforms&) = delete;

    void add(typename Fftw::Plan plan) {
        detail::require(plan != nullptr, "FFTW cannot make a plan of ", first.size(), " numbers");
        plans.push_back(plan);
    }
    void run() const noexcept {
        for (const auto plan : plans) Fftw::execute(plan);
    }
    [[nodiscard]] typename Fftw::Complex* complex(Storage<Scalar>& row) noexcept {
        return reinterpret_cast<typename Fftw::Complex*>(row.data());
    }

    Storage<Scalar> first;
    Storage<Scalar> second;
    std::vector<typename Fftw::Plan> plans;
};

namespace {

/// The fastest of what `make(in_place)` plans: in place once, out of place twice, as FFTW's own timing is noisy too.
/// Without forgetting in between, FFTW would give the same plan again; forgetting at the end leaves the library to
/// measure for itself.
template <class Scalar, class Make>
auto fastest(const Make& make) {
    decltype(make(false)) best;
    double best_time = std::numeric_limits<double>::infinity();
    for (const bool in_place : {false, true, false}) {
        auto candidate = make(in_place);
        candidate->first.set_zero();  // planning leaves anything there, and values that are no numbers are slow
        candidate->second.set_zero();
        const double time = best_seconds([&] { candidate->run(); }, 0.01);
        if (time < best_time) {
            best_time = time;
            best = std::move(candidate);
        }
        Api<Scalar>::forget();
    }
    return best;
}

}  // namespace

template <RealScalar Scalar>
BareFftw<Scalar>::BareFftw(std::unique_ptr<Transforms> transforms, double flops)
    : transforms_{std::move(transforms)}, flops_{flops} {}

template <RealScalar Scalar>
BareFftw<Scalar>::~BareFftw() = default;

template <RealScalar Scalar>
void BareFftw<Scalar>::run() const noexcept {
    transforms_->run();
}

template <RealScalar Scalar>
const BareFftw<Scalar>& BareFftw<Scalar>::real_pair(Index length) {
    static std::map<Index, std::unique_ptr<BareFftw>> planned;
    auto& found = planned[length];
    if (!found) {
        const Index size = 2 * length;
        auto transforms = fastest<Scalar>([&](bool in_place) {
            using Fftw = Api<Scalar>;
            auto made = std::make_unique<Transforms>(size + 2);
            Storage<Scalar>& out = in_place ? made->first : made->second;
            const int n = static_cast<int>(size);
            made->add(Fftw::r2c(n, made->first.data(), made->complex(out), FFTW_MEASURE));
            made->add(Fftw::c2r(n, made->complex(out), made->first.data(), FFTW_MEASURE));
            return made;
        });
        const double flops = 2 * 2.5 * static_cast<double>(size) * std::log2(static_cast<double>(size));
        found.reset(new BareFftw{std::move(transforms), flops});
    }
    return *found;
}

template <RealScalar Scalar>
const BareFftw<Scalar>& BareFftw<Scalar>::complex(Index length) {
    static std::map<Index, std::unique_ptr<BareFftw>> planned;
    auto& found = planned[length];
    if (!found) {
        auto transforms = fastest<Scalar>([&](bool in_place) {
            using Fftw = Api<Scalar>;
            auto made = std::make_unique<Transforms>(2 * length);
            Storage<Scalar>& out = in_place ? made->first : made->second;
            made->add(Fftw::c2c(static_cast<int>(length), made->complex(made->first), made->complex(out), FFTW_FORWARD,
                                FFTW_MEASURE));
            return made;
        });
        const double flops = 5 * static_cast<double>(length) * std::log2(static_cast<double>(length));
        found.reset(new BareFftw{std::move(transforms), flops});
    }
    return *found;
}

template class BareFftw<float>;
template class BareFftw<double>;

}  // namespace s4::bench
