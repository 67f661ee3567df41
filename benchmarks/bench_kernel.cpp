// Convolution kernels of diagonal and DPLR systems against the FMA peak, with their error.
#include "benchmarks/limits.hpp"
#include "benchmarks/problems.hpp"
#include <s4/fft/fftw.hpp>
#include <s4/fft/kiss_fft.hpp>
#include <s4/kernel/diagonal_kernel.hpp>
#include <s4/kernel/dplr_kernel.hpp>

#include <benchmark/benchmark.h>

#include <algorithm>
#include <complex>
#include <span>
#include <vector>

namespace s4::bench {
namespace {

struct Sizes {
    explicit Sizes(const benchmark::State& state)
        : channels{state.range(0)}, pairs{state.range(1)}, length{state.range(2)} {}
    [[nodiscard]] double product() const { return static_cast<double>(channels * pairs * length); }
    Index channels, pairs, length;
};

void names(benchmark::internal::Benchmark* rows) { rows->ArgNames({"H", "N", "L"}); }

/// What the targets speak of.
void target_rows(benchmark::internal::Benchmark* rows) {
    names(rows);
    for (const Index length : {1024, 16'384}) rows->Args({256, 32, length});
}
void small_rows(benchmark::internal::Benchmark* rows) {
    names(rows);
    rows->Args({16, 8, 256})->Args({16, 32, 4096});
}
void plain_rows(benchmark::internal::Benchmark* rows) {
    names(rows);
    rows->Args({16, 32, 1024});
}

/// S4D, zero-order hold.
///   fma_peak_fraction  of 4 flops for each (channel, pair, sample): the real part of a complex product and its sum
///   max_rel_error      of the first and the last kernel, of the largest value
template <RealScalar Scalar>
void BM_DiagonalKernel(benchmark::State& state) {
    using Ssm = Diagonal<Scalar>;
    const Sizes size{state};
    const auto p = parameters<Ssm>(size.channels, size.pairs);
    Sequence<Scalar> kernels;
    Laps laps;
    laps.run(state, [&] { kernels = convolution_kernels<Ssm, Fftw<Scalar>>(p, size.length, Planning::measure); });
    state.counters["fma_peak_fraction"] = 4 * size.product() / laps.median() / fma_peak<Scalar>();
    state.counters["max_rel_error"] = kernel_error<Ssm>(p, kernels);
}
BENCHMARK_TEMPLATE(BM_DiagonalKernel, float)->Apply(target_rows)->Apply(small_rows);
BENCHMARK_TEMPLATE(BM_DiagonalKernel, double)->Apply(target_rows);

/// flops of the Cauchy sums of rank 1 over n/2 nodes: 32 for each (channel, pair, node), those of the four sums, each
/// with two numerators and two multiply-adds for either. The reciprocal that they share (some 15 more, one of them a
/// division) is not counted: it is what the method costs beyond the sums.
double cauchy_flops(const Sizes& size) { return 32 * size.product() / 2; }

/// Four sums at the poles and nodes of the kernels below.
template <RealScalar Scalar>
struct CauchyProblem {
    CauchyProblem(Index pairs, Index length) : nodes{length}, sums{pairs, 4}, out{8 * nodes.padded()} {
        const DplrSystem system = Dplr<Scalar>::system(parameters<Dplr<Scalar>>(1, pairs), 0);
        for (Index n = 0; n < pairs; ++n) {
            const std::complex<double> mu = 0.5 * system.dt[n] * system.lambda[n];
            sums.set_pole(n, mu);
            for (Index sum = 0; sum < 4; ++sum) sums.set_numerator(sum, n, system.C[n], mu);
        }
    }
    void evaluate(Index channels) noexcept {
        for (Index h = 0; h < channels; ++h) {
            sums.evaluate(nodes, out.data());
            benchmark::ClobberMemory();
        }
    }
    ImaginaryNodes<Scalar> nodes;
    CauchySums<Scalar> sums;
    Storage<Scalar> out;
};

/// The sums alone.
template <RealScalar Scalar>
void BM_CauchySums(benchmark::State& state) {
    const Sizes size{state};
    CauchyProblem<Scalar> cauchy{size.pairs, size.length};
    Laps laps;
    laps.run(state, [&] { cauchy.evaluate(size.channels); });
    state.counters["fma_peak_fraction"] = cauchy_flops(size) / laps.median() / fma_peak<Scalar>();
}
BENCHMARK_TEMPLATE(BM_CauchySums, float)->Apply(target_rows);
BENCHMARK_TEMPLATE(BM_CauchySums, double)->Apply(target_rows);

template <RealScalar Scalar, template <RealScalar> class Backend>
void run_dplr_kernel(benchmark::State& state, const typename Dplr<Scalar>::Parameters& p) {
    using Ssm = Dplr<Scalar>;
    const Sizes size{state};
    CauchyProblem<Scalar> cauchy{size.pairs, size.length};
    Sequence<Scalar> kernels;
    Laps laps;
    Laps cauchy_laps;
    cauchy_laps.run(0.02, [&] { cauchy.evaluate(size.channels); });
    laps.run(state, [&] { kernels = convolution_kernels<Ssm, Backend<Scalar>>(p, size.length, Planning::measure); });
    cauchy_laps.run(0.02, [&] { cauchy.evaluate(size.channels); });
    state.counters["fma_peak_fraction"] = cauchy_flops(size) / laps.median() / fma_peak<Scalar>();
    state.counters["over_cauchy_sums"] = laps.median() / cauchy_laps.median();
    state.counters["max_rel_error"] = kernel_error<Ssm>(p, kernels);
}

/// S4 with C~ given, as in training.
///   fma_peak_fraction  of the flops of its Cauchy sums, over the time of everything
///   over_cauchy_sums   time over that of its Cauchy sums: the rest is Woodbury's identity and the inverse FFT
template <RealScalar Scalar, template <RealScalar> class Backend>
void BM_DplrKernel(benchmark::State& state) {
    const Sizes size{state};
    run_dplr_kernel<Scalar, Backend>(state, trained_parameters<Dplr<Scalar>>(size.channels, size.pairs, size.length));
}
BENCHMARK_TEMPLATE(BM_DplrKernel, float, Fftw)->Apply(target_rows)->Apply(small_rows);
BENCHMARK_TEMPLATE(BM_DplrKernel, float, KissFft)->Apply(target_rows);
BENCHMARK_TEMPLATE(BM_DplrKernel, double, Fftw)->Apply(target_rows);
BENCHMARK_TEMPLATE(BM_DplrKernel, double, KissFft)->Apply(target_rows);

/// S4 with plain C, which becomes C~ by a power of Ā: once when a layer is deployed, never in training.
template <RealScalar Scalar, template <RealScalar> class Backend>
void BM_DplrKernelPlainC(benchmark::State& state) {
    const Sizes size{state};
    run_dplr_kernel<Scalar, Backend>(state, parameters<Dplr<Scalar>>(size.channels, size.pairs));
}
BENCHMARK_TEMPLATE(BM_DplrKernelPlainC, float, Fftw)->Apply(plain_rows);

// Reverse passes. vjp_over_forward: time over that of the forward pass of the same channels, which runs before and
// after. Both are taken channel by channel from systems that are ready.

template <class Ssm>
[[nodiscard]] auto systems_of(const typename Ssm::Parameters& p) {
    std::vector<decltype(Ssm::system(p, 0))> systems;
    for (Index h = 0; h < p.channels(); ++h) systems.push_back(Ssm::system(p, h));
    return systems;
}

template <class Forward, class Reverse>
void run_vjp(benchmark::State& state, const Forward& forward, const Reverse& reverse) {
    constexpr double budget = 0.03;
    Laps laps;
    Laps forward_laps;
    forward_laps.run(budget, forward);
    laps.run(state, reverse);
    forward_laps.run(budget, forward);
    state.counters["vjp_over_forward"] = laps.median() / forward_laps.median();
}

template <RealScalar Scalar>
void BM_DiagonalKernelVjp(benchmark::State& state) {
    const Sizes size{state};
    const auto systems = systems_of<Diagonal<Scalar>>(parameters<Diagonal<Scalar>>(size.channels, size.pairs));
    const auto cotangent = noise<Scalar>(1, size.length);
    const std::span dK{cotangent.data(), static_cast<std::size_t>(size.length)};
    Sequence<Scalar> kernel(1, size.length);
    DiagonalSystem gradient = zero_gradient(systems.front());
    run_vjp(
        state,
        [&] {
            for (const DiagonalSystem& system : systems)
                diagonal_kernel(ZeroOrderHold{}, system, std::span<Scalar>{kernel.data(), dK.size()});
        },
        [&] {
            for (const DiagonalSystem& system : systems) diagonal_kernel_vjp(ZeroOrderHold{}, system, dK, gradient);
        });
}
BENCHMARK_TEMPLATE(BM_DiagonalKernelVjp, float)->Apply(target_rows);
BENCHMARK_TEMPLATE(BM_DiagonalKernelVjp, double)->Apply(target_rows);

/// The Cauchy sums alone.
template <RealScalar Scalar>
void BM_CauchySumsVjp(benchmark::State& state) {
    const Sizes size{state};
    CauchyProblem<Scalar> cauchy{size.pairs, size.length};
    Storage<Scalar> cotangent{cauchy.out.size()};
    const auto values = noise<Scalar>(8, cauchy.nodes.count());
    for (Index row = 0; row < 8; ++row)
        std::copy_n(values.row(row).data(), cauchy.nodes.count(), cotangent.data() + row * cauchy.nodes.padded());
    typename CauchySums<Scalar>::Gradient gradient{cauchy.sums};
    run_vjp(
        state, [&] { cauchy.evaluate(size.channels); },
        [&] {
            for (Index h = 0; h < size.channels; ++h) {
                cauchy.sums.evaluate_vjp(cauchy.nodes, cotangent.data(), gradient);
                benchmark::ClobberMemory();
            }
        });
}
BENCHMARK_TEMPLATE(BM_CauchySumsVjp, float)->Apply(target_rows);
BENCHMARK_TEMPLATE(BM_CauchySumsVjp, double)->Apply(target_rows);

/// The forward pass of all channels leaves a tape for each, as in training.
template <RealScalar Scalar, template <RealScalar> class Backend>
void BM_DplrKernelVjp(benchmark::State& state) {
    using Kernel = DplrKernel<Backend<Scalar>>;
    const Sizes size{state};
    const auto p = trained_parameters<Dplr<Scalar>>(size.channels, size.pairs, size.length);
    const auto systems = systems_of<Dplr<Scalar>>(p);
    const Kernel make_kernel(size.length, p.kernel_length, KernelPrecision::standard, Planning::measure);
    typename Kernel::Workspace workspace{make_kernel};
    std::vector<typename Kernel::Tape> tapes(systems.size(), typename Kernel::Tape{make_kernel, p.rank()});
    const auto cotangent = noise<Scalar>(1, size.length);
    const std::span dK{cotangent.data(), static_cast<std::size_t>(size.length)};
    Sequence<Scalar> kernel(1, size.length);
    DplrSystem gradient = zero_gradient(systems.front());
    run_vjp(
        state,
        [&] {
            for (std::size_t h = 0; h < systems.size(); ++h)
                make_kernel(workspace, systems[h], std::span<Scalar>{kernel.data(), dK.size()}, tapes[h]);
        },
        [&] {
            for (std::size_t h = 0; h < systems.size(); ++h)
                make_kernel.vjp(workspace, systems[h], dK, tapes[h], gradient);
        });
}
BENCHMARK_TEMPLATE(BM_DplrKernelVjp, float, Fftw)->Apply(target_rows);
BENCHMARK_TEMPLATE(BM_DplrKernelVjp, double, Fftw)->Apply(target_rows);

}  // namespace
}  // namespace s4::bench
