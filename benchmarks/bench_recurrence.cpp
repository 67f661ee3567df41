// Steps and scans of the recurrent layers, against the read bandwidth of the L2 cache and the FMA peak.
#include "benchmarks/limits.hpp"
#include "benchmarks/problems.hpp"
#include <s4/layer/s4_layer.hpp>

#include <benchmark/benchmark.h>

namespace s4::bench {
namespace {

void step_rows(benchmark::internal::Benchmark* rows) {
    rows->ArgNames({"H", "N"})->Args({256, 32})->Args({64, 16})->Args({1, 32});
}
void scan_rows(benchmark::internal::Benchmark* rows) {
    rows->ArgNames({"H", "N", "L"})->Args({256, 32, 1024})->Args({256, 32, 16'384})->Args({16, 8, 1024});
}
void target_scan(benchmark::internal::Benchmark* rows) { rows->ArgNames({"H", "N", "L"})->Args({256, 32, 1024}); }

/// What a step or scan has to do for each pair, whatever the implementation, with B folded into C: for a diagonal
/// system it reads Ā − 1, C B̄ and the state and writes the state, 8 numbers, and needs 12 flops (a complex
/// multiply-add, and the real part of a complex product added to the output). Each rank of a DPLR system adds F and G,
/// 4 numbers, and 8 flops. (PERFORMANCE's 32 bytes are the 8 numbers in float.)
template <class Ssm>
struct PairCost {
    double numbers = 8;
    double flops = 12;
    explicit PairCost(const typename Ssm::Parameters& p) {
        if constexpr (requires { p.rank(); }) {
            numbers += 4 * static_cast<double>(p.rank());
            flops += 8 * static_cast<double>(p.rank());
        }
    }
};

/// How many times faster than a stream of 48 000 samples a second, all channels together.
double real_time(double seconds_per_step) { return 1 / (48e3 * seconds_per_step); }

/// One sample of every channel.
///   l2_bandwidth_fraction  of the bytes above over the read bandwidth of an array of half the L2 cache; above 1 where
///                          the whole system fits the L1
template <class Ssm>
void run_step(benchmark::State& state, const typename Ssm::Parameters& p) {
    using Scalar = typename Ssm::Scalar;
    const Index channels = state.range(0);
    const Index pairs = state.range(1);
    const S4Layer<Ssm, Mode::recurrence> layer{p};
    auto x = layer.make_state();
    const Frame<Scalar> u = noise<Scalar>(1, channels);
    Frame<Scalar> y(channels);
    Laps laps;
    laps.run(state, [&] { layer.step(x, u, y); });
    const double each = laps.median();
    const double bytes = PairCost<Ssm>{p}.numbers * static_cast<double>(channels * pairs) * sizeof(Scalar);
    state.counters["l2_bandwidth_fraction"] = bytes / each / limits().l2_bandwidth;
    state.counters["ns_per_step"] = 1e9 * each;
    state.counters["x_realtime_48k"] = real_time(each);
}

/// L samples of every channel in one call.
///   fma_peak_fraction  of the flops above
///   ns_per_step        of one sample of every channel, as for a step
template <class Ssm>
void run_scan(benchmark::State& state, const typename Ssm::Parameters& p) {
    using Scalar = typename Ssm::Scalar;
    const Index channels = state.range(0);
    const Index pairs = state.range(1);
    const Index length = state.range(2);
    const S4Layer<Ssm, Mode::recurrence> layer{p};
    auto x = layer.make_state();
    const Sequence<Scalar> u = noise<Scalar>(length, channels);
    Sequence<Scalar> y = Sequence<Scalar>::Zero(length, channels);
    Laps laps;
    laps.run(state, [&] { layer.scan(x, u, y); });
    const double each = laps.median() / static_cast<double>(length);
    const double flops = PairCost<Ssm>{p}.flops * static_cast<double>(channels * pairs);
    state.counters["fma_peak_fraction"] = flops / each / fma_peak<Scalar>();
    state.counters["ns_per_step"] = 1e9 * each;
    state.counters["x_realtime_48k"] = real_time(each);
}

template <RealScalar Scalar>
void BM_DiagonalStep(benchmark::State& state) {
    run_step<Diagonal<Scalar>>(state, parameters<Diagonal<Scalar>>(state.range(0), state.range(1)));
}
BENCHMARK_TEMPLATE(BM_DiagonalStep, float)->Apply(step_rows);
BENCHMARK_TEMPLATE(BM_DiagonalStep, double)->Apply(step_rows);

template <RealScalar Scalar>
void BM_DplrStep(benchmark::State& state) {
    run_step<Dplr<Scalar>>(state, parameters<Dplr<Scalar>>(state.range(0), state.range(1)));
}
BENCHMARK_TEMPLATE(BM_DplrStep, float)->Apply(step_rows);
BENCHMARK_TEMPLATE(BM_DplrStep, double)->Apply(step_rows);

template <RealScalar Scalar>
void BM_DiagonalScan(benchmark::State& state) {
    run_scan<Diagonal<Scalar>>(state, parameters<Diagonal<Scalar>>(state.range(0), state.range(1)));
}
BENCHMARK_TEMPLATE(BM_DiagonalScan, float)->Apply(scan_rows);
BENCHMARK_TEMPLATE(BM_DiagonalScan, double)->Apply(scan_rows);

/// Modes so slow (dt = 1e-3) that float keeps the rounding errors of Ā and multiplies them along.
template <RealScalar Scalar>
void BM_DiagonalScanSlowModes(benchmark::State& state) {
    run_scan<Diagonal<Scalar>>(state, parameters<Diagonal<Scalar>>(state.range(0), state.range(1), 1e-3));
}
BENCHMARK_TEMPLATE(BM_DiagonalScanSlowModes, float)->Apply(target_scan);

template <RealScalar Scalar>
void BM_DplrScan(benchmark::State& state) {
    run_scan<Dplr<Scalar>>(state, parameters<Dplr<Scalar>>(state.range(0), state.range(1)));
}
BENCHMARK_TEMPLATE(BM_DplrScan, float)->Apply(scan_rows);
BENCHMARK_TEMPLATE(BM_DplrScan, double)->Apply(scan_rows);

}  // namespace
}  // namespace s4::bench
