// Transforms: FFTW without the library around it, and every back end of the library on a block of lanes.
#include "benchmarks/limits.hpp"
#include <s4/fft/fftw.hpp>
#include <s4/fft/kiss_fft.hpp>

#include <benchmark/benchmark.h>

#include <cmath>

namespace s4::bench {
namespace {

void lengths(benchmark::internal::Benchmark* rows) {
    rows->ArgNames({"L"});
    for (const Index length : {256, 1024, 4096, 16'384}) rows->Args({length});
}

/// 5 n log2 n, the usual count for a complex transform.
double complex_flops(Index n) { return 5 * static_cast<double>(n) * std::log2(static_cast<double>(n)); }

template <RealScalar Scalar>
void run_bare(benchmark::State& state, const BareFftw<Scalar>& transforms) {
    Laps laps;
    laps.run(state, [&] { transforms.run(); });
    state.counters["gflops"] = 1e-9 * transforms.flops() / laps.median();
}

/// The yardstick of a convolution of L samples: r2c and c2r of size 2L.
template <RealScalar Scalar>
void BM_FftwPair(benchmark::State& state) {
    run_bare(state, BareFftw<Scalar>::real_pair(state.range(0)));
}
BENCHMARK_TEMPLATE(BM_FftwPair, float)->Apply(lengths);
BENCHMARK_TEMPLATE(BM_FftwPair, double)->Apply(lengths);

/// One complex transform of size L.
template <RealScalar Scalar>
void BM_FftwC2c(benchmark::State& state) {
    run_bare(state, BareFftw<Scalar>::complex(state.range(0)));
}
BENCHMARK_TEMPLATE(BM_FftwC2c, float)->Apply(lengths);
BENCHMARK_TEMPLATE(BM_FftwC2c, double)->Apply(lengths);

// What a transform of a whole lane block works on.
template <class Fft>
struct LaneBlock {
    using Scalar = typename Fft::Scalar;
    static constexpr Index lanes = Lanes<Scalar>::count;

    explicit LaneBlock(Index length)
        : plan{length, Planning::measure}, buffer{plan}, spectrum{plan.make_spectrum(lanes)} {
        buffer.fill(lanes, length, [](Index) {
            return ComplexLanes<Scalar>{Lanes<Scalar>::zero(), Lanes<Scalar>::zero()};  // stays zero without a 1/n
        });
    }

    typename Fft::Plan plan;
    typename Fft::Buffer buffer;
    typename Fft::Spectrum spectrum;
};

/// Complex transforms of a whole lane block through a back end. `over_fftw_c2c`: the time of one transform of one lane
/// over that of FFTW's bare one.
template <class Fft, class Work>
void run_lane_block(benchmark::State& state, int transforms, const Work& work) {
    using Scalar = typename Fft::Scalar;
    const Index length = state.range(0);
    LaneBlock<Fft> block{length};
    const BareFftw<Scalar>& bare = BareFftw<Scalar>::complex(length);
    Laps laps;
    Laps bare_laps;
    bare.time(bare_laps);
    laps.run(state, [&] { work(block); });
    bare.time(bare_laps);
    const double each = laps.median() / (transforms * static_cast<double>(LaneBlock<Fft>::lanes));
    state.counters["gflops"] = 1e-9 * complex_flops(length) / each;
    state.counters["over_fftw_c2c"] = each / bare_laps.median();
}

/// Forward and backward, what a convolution needs.
template <RealScalar Scalar, template <RealScalar> class Backend>
void BM_FftPair(benchmark::State& state) {
    run_lane_block<Backend<Scalar>>(state, 2, [](auto& block) {
        block.plan.forward(block.buffer, block.lanes, block.spectrum);
        block.plan.inverse(block.spectrum, block.lanes, block.buffer);
    });
}
BENCHMARK_TEMPLATE(BM_FftPair, float, Fftw)->Apply(lengths);
BENCHMARK_TEMPLATE(BM_FftPair, double, Fftw)->Apply(lengths);
BENCHMARK_TEMPLATE(BM_FftPair, float, KissFft)->Apply(lengths);
BENCHMARK_TEMPLATE(BM_FftPair, double, KissFft)->Apply(lengths);

/// Forward alone.
template <RealScalar Scalar, template <RealScalar> class Backend>
void BM_FftC2c(benchmark::State& state) {
    run_lane_block<Backend<Scalar>>(state, 1,
                                    [](auto& block) { block.plan.forward(block.buffer, block.lanes, block.spectrum); });
}
BENCHMARK_TEMPLATE(BM_FftC2c, float, Fftw)->Apply(lengths);
BENCHMARK_TEMPLATE(BM_FftC2c, double, Fftw)->Apply(lengths);
BENCHMARK_TEMPLATE(BM_FftC2c, float, KissFft)->Apply(lengths);
BENCHMARK_TEMPLATE(BM_FftC2c, double, KissFft)->Apply(lengths);

/// The real inverse transform that ends a DPLR kernel of length L, in half the flops of a complex one.
template <RealScalar Scalar, template <RealScalar> class Backend>
void BM_FftC2r(benchmark::State& state) {
    using Fft = Backend<Scalar>;
    const Index length = state.range(0);
    const typename Fft::RealPlan plan{length, Planning::measure};
    typename Fft::RealBuffer buffer{plan};
    Laps laps;
    laps.run(state, [&] { plan.inverse(buffer); });
    state.counters["gflops"] = 0.5e-9 * complex_flops(length) / laps.median();
}
BENCHMARK_TEMPLATE(BM_FftC2r, float, Fftw)->Apply(lengths);
BENCHMARK_TEMPLATE(BM_FftC2r, double, Fftw)->Apply(lengths);
BENCHMARK_TEMPLATE(BM_FftC2r, float, KissFft)->Apply(lengths);
BENCHMARK_TEMPLATE(BM_FftC2r, double, KissFft)->Apply(lengths);

}  // namespace
}  // namespace s4::bench
