// The main function of every benchmark: limits first, then the rows, all into one JSON file.
#include "benchmarks/limits.hpp"
#include <s4/core/lanes.hpp>

#include <benchmark/benchmark.h>

#include <cstdio>
#include <string>
#include <vector>

#define S4_BENCH_TEXT_OF(name) #name
#define S4_BENCH_TEXT(macro) S4_BENCH_TEXT_OF(macro)

namespace s4::bench {
namespace {

void add_number(const char* key, double value) {
    char text[32];
    std::snprintf(text, sizeof text, "%.4g", value);
    benchmark::AddCustomContext(key, text);
}

/// What was measured, and on what, for the console and the JSON file.
void describe_run() {
    const Limits& found = limits();
    benchmark::AddCustomContext("compiler", S4_BENCH_COMPILER);
    benchmark::AddCustomContext("flags", S4_BENCH_FLAGS);
    benchmark::AddCustomContext("instructions", S4_BENCH_TEXT(S4_ABI));
    add_number("clock_ghz", found.clock * 1e-9);
    add_number("fma_peak_float_gflops", found.fma_peak_float * 1e-9);
    add_number("fma_peak_double_gflops", found.fma_peak_double * 1e-9);
    // Plausible: 1 to 4 vector multiply-adds a cycle (half of that without FMA instructions).
    const auto per_cycle = [&](double flops, Index lanes) {
        return flops / (2 * static_cast<double>(lanes) * found.clock);
    };
    add_number("fma_per_cycle_float", per_cycle(found.fma_peak_float, Lanes<float>::count));
    add_number("fma_per_cycle_double", per_cycle(found.fma_peak_double, Lanes<double>::count));
    add_number("l1_read_gbytes_per_second", found.l1_bandwidth * 1e-9);
    add_number("l2_read_gbytes_per_second", found.l2_bandwidth * 1e-9);
    add_number("dram_read_gbytes_per_second", found.dram_bandwidth * 1e-9);
    add_number("l1_kib", static_cast<double>(found.l1_bytes) / 1024);
    add_number("l2_kib", static_cast<double>(found.l2_bytes) / 1024);
}

}  // namespace
}  // namespace s4::bench

int main(int argc, char** argv) {
    // Defaults come before the user's own options, which win. A time that a benchmark sets itself would be part of the
    // name of its rows.
    char min_time[] = "--benchmark_min_time=0.05";
    char tabular[] = "--benchmark_counters_tabular=true";
    std::vector<char*> arguments{argv[0], min_time, tabular};
    arguments.insert(arguments.end(), argv + 1, argv + argc);
    int count = static_cast<int>(arguments.size());
    benchmark::Initialize(&count, arguments.data());
    if (benchmark::ReportUnrecognizedArguments(count, arguments.data())) return 1;
    s4::bench::describe_run();
    benchmark::RunSpecifiedBenchmarks();
    benchmark::Shutdown();
}
