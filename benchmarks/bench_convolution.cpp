// Causal convolution of whole sequences, beside FFTW's two bare transforms of twice the length.
#include "benchmarks/limits.hpp"
#include "benchmarks/problems.hpp"
#include <s4/convolution/causal_convolution.hpp>
#include <s4/fft/fftw.hpp>
#include <s4/fft/kiss_fft.hpp>

#include <benchmark/benchmark.h>

namespace s4::bench {
namespace {

void names(benchmark::internal::Benchmark* rows) { rows->ArgNames({"B", "H", "L"}); }

/// What the targets speak of.
void target_rows(benchmark::internal::Benchmark* rows) {
    names(rows);
    for (const Index batch : {1, 8})
        for (const Index length : {256, 1024, 4096, 16'384}) rows->Args({batch, 256, length});
}
/// One block of lanes, and one channel, which leaves the other lanes empty.
void small_rows(benchmark::internal::Benchmark* rows) {
    names(rows);
    for (const Index channels : {1, 16})
        for (const Index length : {1024, 16'384}) rows->Args({1, channels, length});
}
/// Back ends and scalars that have no target.
void other_rows(benchmark::internal::Benchmark* rows) {
    names(rows);
    for (const Index length : {256, 1024, 4096, 16'384}) rows->Args({1, 256, length});
    rows->Args({8, 256, 1024});
}

/// Spectra of the kernels kept, as for a trained layer; both sides planned with MEASURE.
///   over_fftw_pair  time of one (batch, channel) over that of r2c and c2r of size 2L
///   ns_per_sample   of one (batch, time, channel)
template <RealScalar Scalar, template <RealScalar> class Backend>
void BM_CausalConvolution(benchmark::State& state) {
    using Convolution = CausalConvolution<Backend<Scalar>>;
    const Index batch = state.range(0);
    const Index channels = state.range(1);
    const Index length = state.range(2);
    const BareFftw<Scalar>& pair = BareFftw<Scalar>::real_pair(length);
    const Convolution convolution{noise<Scalar>(channels, length), Planning::measure};
    typename Convolution::Workspace workspace{convolution};
    const Sequence<Scalar> u = noise<Scalar>(batch * length, channels);
    Sequence<Scalar> y = Sequence<Scalar>::Zero(u.rows(), u.cols());

    Laps laps;
    Laps pair_laps;
    pair.time(pair_laps);
    laps.run(state, [&] { convolution(workspace, u, y, batch); });
    pair.time(pair_laps);
    const double each = laps.median() / static_cast<double>(batch * channels);
    state.counters["over_fftw_pair"] = each / pair_laps.median();
    state.counters["ns_per_sample"] = 1e9 * each / static_cast<double>(length);
}
BENCHMARK_TEMPLATE(BM_CausalConvolution, float, Fftw)->Apply(target_rows)->Apply(small_rows);
BENCHMARK_TEMPLATE(BM_CausalConvolution, float, KissFft)->Apply(other_rows);
BENCHMARK_TEMPLATE(BM_CausalConvolution, double, Fftw)->Apply(other_rows);
BENCHMARK_TEMPLATE(BM_CausalConvolution, double, KissFft)->Apply(other_rows);

/// What the targets speak of for the reverse pass.
void backward_rows(benchmark::internal::Benchmark* rows) {
    names(rows);
    for (const Index batch : {1, 8})
        for (const Index length : {1024, 16'384}) rows->Args({batch, 256, length});
}

/// Gradients of u and of the kernels from that of y, the spectrum of u made again.
///   backward_over_forward  time over that of the forward pass, which runs before and after
template <RealScalar Scalar, template <RealScalar> class Backend>
void BM_CausalConvolutionBackward(benchmark::State& state) {
    using Convolution = CausalConvolution<Backend<Scalar>>;
    const Index batch = state.range(0);
    const Index channels = state.range(1);
    const Index length = state.range(2);
    const Sequence<Scalar> kernels = noise<Scalar>(channels, length);
    const Convolution convolution{kernels, Planning::measure};
    typename Convolution::Workspace workspace{convolution};
    typename Convolution::VjpWorkspace vjp_workspace{convolution};
    const Sequence<Scalar> u = noise<Scalar>(batch * length, channels);
    Sequence<Scalar> y = Sequence<Scalar>::Zero(u.rows(), u.cols());
    Sequence<Scalar> du = y;
    Sequence<Scalar> dkernels = Sequence<Scalar>::Zero(channels, length);

    constexpr double budget = 0.05;
    const auto forward = [&] { convolution(workspace, u, y, batch); };
    Laps laps;
    Laps forward_laps;
    forward_laps.run(budget, forward);
    laps.run(state, [&] { convolution.vjp(vjp_workspace, u, y, du, dkernels, batch); });  // y as its own gradient
    forward_laps.run(budget, forward);
    state.counters["backward_over_forward"] = laps.median() / forward_laps.median();
    state.counters["ns_per_sample"] = 1e9 * laps.median() / static_cast<double>(batch * channels * length);
}
BENCHMARK_TEMPLATE(BM_CausalConvolutionBackward, float, Fftw)->Apply(backward_rows);
BENCHMARK_TEMPLATE(BM_CausalConvolutionBackward, double, Fftw)->Apply(backward_rows);

}  // namespace
}  // namespace s4::bench
