// Online HiPPO memory: samples a second, summed over the channels.
#include <s4/core/random.hpp>
#include <s4/discretize/euler.hpp>
#include <s4/recurrence/hippo_memory.hpp>
#include <s4/recurrence/legs_memory.hpp>

#include <benchmark/benchmark.h>

#include <type_traits>

namespace {

using s4::Index;

constexpr Index block = 1024;  // samples of every channel in one iteration

template <class Memory>
void run_scan(benchmark::State& state, const Memory& memory, typename Memory::State& stream) {
    const auto u = s4::white_noise<typename Memory::Scalar>(block, memory.channels(), 1);
    for (auto _ : state) {
        memory.scan(stream, u);
        benchmark::DoNotOptimize(stream);
    }
    state.counters["samples_per_second"] = benchmark::Counter(
        static_cast<double>(state.iterations() * block * memory.channels()), benchmark::Counter::kIsRate);
}

template <class Memory>
void run_steps(benchmark::State& state, const Memory& memory, typename Memory::State& stream) {
    const auto u = s4::white_noise<typename Memory::Scalar>(block, memory.channels(), 1);
    for (auto _ : state) {
        for (Index t = 0; t < block; ++t) memory.step(stream, u.row(t));
        benchmark::DoNotOptimize(stream);
    }
    state.counters["samples_per_second"] = benchmark::Counter(
        static_cast<double>(state.iterations() * block * memory.channels()), benchmark::Counter::kIsRate);
}

/// A stream of LegS that has heard `samples` samples already: what a sample costs must not depend on it.
template <class Memory>
typename Memory::State legs_stream(const Memory& memory, Index samples) {
    auto stream = memory.make_state();
    memory.write_coefficients(stream, Memory::Coefficients::Zero(memory.channels(), memory.state_size()), samples);
    return stream;
}

template <class Scalar, class Rule>
void BM_LegsMemoryScan(benchmark::State& state) {
    const s4::LegsMemory<Scalar, Rule> memory(state.range(0), state.range(1));
    auto stream = legs_stream(memory, state.range(2));
    run_scan(state, memory, stream);
}

template <class Scalar, class Rule>
void BM_LegsMemoryStep(benchmark::State& state) {
    const s4::LegsMemory<Scalar, Rule> memory(state.range(0), state.range(1));
    auto stream = legs_stream(memory, state.range(2));
    run_steps(state, memory, stream);
}

template <class Scalar, class Measure>
void BM_HippoMemoryScan(benchmark::State& state) {
    const auto window = static_cast<double>(state.range(1) * state.range(1));
    const s4::HippoMemory<Scalar> memory(
        {.channels = state.range(0), .state_size = state.range(1), .hippo = Measure{}, .window = window});
    auto stream = memory.make_state();
    run_scan(state, memory, stream);
}

/// The limit of the running sum over n: a chain of N fused multiplications and additions for one lane block, one after
/// the other, for each sample. What a step of LegsMemory takes at least with one lane block.
template <class Scalar>
void BM_ChainOfSums(benchmark::State& state) {
    using L = s4::Lanes<Scalar>;
    L sum = L::zero();
    L factor = L::broadcast(Scalar(0.5));
    benchmark::DoNotOptimize(factor);
    for (auto _ : state)
        for (Index t = 0; t < block; ++t) {
            for (Index n = 0; n < state.range(1); ++n) sum = fma(sum, factor, factor);
            benchmark::DoNotOptimize(sum);
        }
    state.counters["samples_per_second"] =
        benchmark::Counter(static_cast<double>(state.iterations() * block * L::count), benchmark::Counter::kIsRate);
}

void sizes(benchmark::internal::Benchmark* benchmark) {
    benchmark->ArgNames({"H", "N", "seen"})->Args({16, 64, 1'000'000})->Args({16, 256, 1'000'000});
    benchmark->Args({64, 256, 1'000'000});
}
void early_and_late(benchmark::internal::Benchmark* benchmark) {
    sizes(benchmark);
    benchmark->Args({16, 256, 100})->Args({16, 256, 100'000});
}
void window_sizes(benchmark::internal::Benchmark* benchmark) {
    benchmark->ArgNames({"H", "N"})->Args({16, 64})->Args({16, 256})->Args({64, 256});
}

BENCHMARK_TEMPLATE(BM_ChainOfSums, float)->ArgNames({"H", "N"})->Args({s4::Lanes<float>::count, 256});
BENCHMARK_TEMPLATE(BM_LegsMemoryScan, float, s4::Bilinear)->Apply(sizes);
BENCHMARK_TEMPLATE(BM_LegsMemoryScan, float, s4::Euler)->Apply(sizes);
BENCHMARK_TEMPLATE(BM_LegsMemoryScan, float, s4::BackwardEuler)->Apply(sizes);
BENCHMARK_TEMPLATE(BM_LegsMemoryScan, float, s4::ZeroOrderHold)->Apply(early_and_late);
BENCHMARK_TEMPLATE(BM_LegsMemoryScan, double, s4::Bilinear)->Apply(sizes);
BENCHMARK_TEMPLATE(BM_LegsMemoryScan, double, s4::ZeroOrderHold)->Apply(early_and_late);
BENCHMARK_TEMPLATE(BM_LegsMemoryStep, float, s4::Bilinear)->Apply(sizes);
BENCHMARK_TEMPLATE(BM_LegsMemoryStep, float, s4::ZeroOrderHold)->Apply(early_and_late);
BENCHMARK_TEMPLATE(BM_HippoMemoryScan, float, s4::LegT)->Apply(window_sizes);
BENCHMARK_TEMPLATE(BM_HippoMemoryScan, float, s4::LegS)->Apply(window_sizes);
BENCHMARK_TEMPLATE(BM_HippoMemoryScan, float, s4::Fourier)->Apply(window_sizes);
BENCHMARK_TEMPLATE(BM_HippoMemoryScan, double, s4::LegT)->Apply(window_sizes);

}  // namespace
