// One step of training of the sequential MNIST model, beside the time that its matrix products and transforms take
// alone.
#include "benchmarks/limits.hpp"
#include "benchmarks/problems.hpp"
#include <s4/fft/fftw.hpp>
#include <s4/model/trainable_model.hpp>
#include <s4/parameters/diagonal.hpp>
#include <s4/parameters/dplr.hpp>
#include <s4/train/adamw.hpp>
#include <s4/train/loss.hpp>

#include <benchmark/benchmark.h>
#if defined(__unix__) || defined(__APPLE__)
#include <sys/resource.h>
#endif

#include <concepts>
#include <cstdint>
#include <fstream>
#include <span>
#include <string>
#include <utility>
#include <vector>
#if defined(__GLIBC__)
#include <malloc.h>
#endif

namespace s4::bench {
namespace {

using S4D = Diagonal<float>;
using DPLR = Dplr<float>;

constexpr Index classes = 10;
constexpr Index layers = 4;
constexpr double part_budget = 0.3;  // seconds for each part of a step

/// The most memory that the process has had since `restart`, in Mbytes: VmHWM of Linux, which can start anew for every
/// row; elsewhere ru_maxrss of getrusage, which cannot, and 0 where there is neither.
class PeakMemory {
public:
    static void restart() {
#if defined(__GLIBC__)
        malloc_trim(0);  // what the rows before have freed
#endif
        std::ofstream{"/proc/self/clear_refs"} << 5;
    }
    [[nodiscard]] static double mbytes() {
        std::ifstream status{"/proc/self/status"};
        for (std::string word; status >> word;) {
            if (word != "VmHWM:") continue;
            double kbytes = 0;
            status >> kbytes;
            return kbytes * 1024e-6;
        }
#if defined(__APPLE__)
        rusage usage{};
        return getrusage(RUSAGE_SELF, &usage) == 0 ? static_cast<double>(usage.ru_maxrss) * 1e-6 : 0;
#elif defined(__unix__)
        rusage usage{};
        return getrusage(RUSAGE_SELF, &usage) == 0 ? static_cast<double>(usage.ru_maxrss) * 1024e-6 : 0;
#else
        return 0;
#endif
    }
};

/// Sizes of a step, from the arguments of a row.
struct StepSizes {
    Index batch;
    Index features;
    Index pairs;
    Index length;
    Index kernel_length;
};

/// Post-norm, GELU and GLU, dropout tied over time in both places, mean over time.
template <class Ssm>
typename SequenceModel<S4Block<Ssm>>::Parameters start_of_training(const StepSizes& sizes) {
    constexpr Dropout tied{.probability = 0.1, .tied = true};
    typename SequenceModel<S4Block<Ssm>>::Options options;
    options.features = sizes.features;
    options.outputs = classes;
    options.layers = layers;
    options.block.ssm.state_size = 2 * sizes.pairs;
    options.block.block.dropout = tied;
    options.model.dropout = tied;
    auto p = SequenceModel<S4Block<Ssm>>::random(options, /*seed=*/1);
    if constexpr (requires { p.blocks.front().ssm.kernel_length; })
        for (auto& block : p.blocks) block.ssm.kernel_length = sizes.kernel_length;
    return p;
}

/// A step on noise: gradient of the cross-entropy, and AdamW.
template <class Ssm>
class TrainingStep {
public:
    using Model = SequenceModel<S4Block<Ssm>>;
    using Parameters = typename Model::Parameters;

    explicit TrainingStep(const StepSizes& sizes)
        : p{start_of_training<Ssm>(sizes)},
          gradient{zero_like<Model>(p)},
          adamw{{}, p},
          sharing{},
          model_{p, sizes.length, sharing, Planning::measure},
          inputs_{noise<float>(sizes.batch * sizes.length, 1)} {
        for (Index n = 0; n < sizes.batch; ++n) targets_.push_back(n % classes);
    }

    void run() {
        const Index batch = std::ssize(targets_);
        Model::for_each_tensor([](const TensorInfo&, auto& tensor) { tensor.setZero(); }, gradient);
        const auto loss = [&](Index first, const SequenceView<float>& outputs, const SequenceOut<float>& doutputs) {
            const auto targets = std::span<const Index>(targets_).subspan(static_cast<std::size_t>(first),
                                                                          static_cast<std::size_t>(outputs.rows()));
            return cross_entropy<float>(outputs, targets, {.rows = batch}, doutputs);
        };
        const auto step = static_cast<std::uint64_t>(adamw.steps());
        benchmark::DoNotOptimize(model_.gradient(p, {.inputs = inputs_, .size = batch}, {1, step}, loss, gradient));
        adamw.step(p, gradient);
    }

    Parameters p;
    Parameters gradient;
    AdamW<Model> adamw;
    BatchSharing sharing;

private:
    TrainableModel<Model> model_;
    Sequence<float> inputs_;
    std::vector<Index> targets_;
};

/// The pieces of a step on their own: one sequence through all layers and back, as in TrainableModel, with memory of
/// its own for every layer, so that each finds its numbers in the caches where the model does.
template <class Ssm>
class Parts {
public:
    using Step = TrainingStep<Ssm>;
    using Model = typename Step::Model;
    using Block = TrainableBlock<typename Model::Block>;
    using Convolution = typename Block::Convolution;

    Parts(Step& step, const StepSizes& sizes)
        : step_{step},
          input_{noise<float>(sizes.length, 1)},
          x_{noise<float>(sizes.length, sizes.features)},
          inner_{x_},
          pooled_{noise<float>(1, sizes.features)},
          outputs_{noise<float>(1, classes)},
          wide_{noise<float>(sizes.length, 2 * sizes.features)} {
        for (const auto& block : step.p.blocks) {
            blocks_.emplace_back(block, sizes.length, Planning::measure);
            layers_.emplace_back(sizes);
        }
        for (Index part = 0; part < step.sharing.parts; ++part) {
            sums_.emplace_back(step.gradient, std::vector<typename Block::KernelGradient>{});
            for (const Block& block : blocks_) sums_.back().second.push_back(block.make_kernel_gradient());
        }
    }

    /// Seconds of a whole step.
    double kernels() {
        return time([&] {
            for (std::size_t i = 0; i < blocks_.size(); ++i) {
                blocks_[i].prepare(step_.p.blocks[i]);
                blocks_[i].finish(step_.p.blocks[i], layers_[i].by_kernels, step_.gradient.blocks[i]);
            }
        });
    }
    /// Seconds for one sequence, as of those that follow.
    double convolutions() {
        return time([&] {
            for (Layer& layer : layers_) layer.convolution(layer.workspace, x_, layer.ssm_output, layer.input);
            for (std::size_t i = layers_.size(); i-- > 0;) {
                Layer& layer = layers_[i];
                layer.convolution.vjp(layer.vjp_workspace, layer.input, layer.ssm_output, inner_, layer.by_kernels);
            }
        });
    }
    double mixing() {
        const auto& p = step_.p;
        auto& gradient = step_.gradient;
        return time([&] {
            linear<float>(p.encoder, input_, inner_);
            for (std::size_t i = 0; i < layers_.size(); ++i)
                linear<float>(p.blocks[i].output, layers_[i].features, layers_[i].mixed);
            linear<float>(p.decoder, pooled_, outputs_);
            linear_vjp<float>(p.decoder, pooled_, outputs_, dpooled_, gradient.decoder);
            for (std::size_t i = layers_.size(); i-- > 0;)
                linear_vjp<float>(p.blocks[i].output, layers_[i].features, layers_[i].mixed, inner_,
                                  gradient.blocks[i].output);
            linear_vjp<float>(p.encoder, input_, inner_, gradient.encoder);
        });
    }
    double pointwise() {
        const Dropout drop = step_.p.dropout;
        return time([&] {
            for (std::size_t i = 0; i < layers_.size(); ++i) {
                Layer& layer = layers_[i];
                activate<float>(Activation::gelu, layer.ssm_output, layer.features);
                dropout<float>(drop, {.layer = 2 * i}, 0, 1, layer.features, layer.features);
                activate<float>(Activation::glu, layer.mixed, inner_);
                dropout<float>(drop, {.layer = 2 * i + 1}, 0, 1, inner_, inner_);
                layer_norm<float>(step_.p.norms[i], layer.sum, x_);
            }
            for (std::size_t i = layers_.size(); i-- > 0;) {
                Layer& layer = layers_[i];
                layer_norm_vjp<float>(step_.p.norms[i], layer.sum, x_, inner_, step_.gradient.norms[i]);
                dropout<float>(drop, {.layer = 2 * i + 1}, 0, 1, inner_, inner_);
                activate_vjp<float>(Activation::glu, layer.mixed, inner_, wide_);
                dropout<float>(drop, {.layer = 2 * i}, 0, 1, layer.features, layer.features);
                activate_vjp<float>(Activation::gelu, layer.ssm_output, layer.features, inner_);
            }
        });
    }
    /// Residual connections, pooling and loss.
    double residuals() {
        return time([&] {
            for (Layer& layer : layers_) {
                inner_ = x_;
                layer.sum = x_;
                layer.sum += inner_;
            }
            pool<float>(Pooling::mean, x_, pooled_, 1);
            constexpr Index target[] = {1};
            benchmark::DoNotOptimize(cross_entropy<float>(outputs_, target, {}, outputs_));
            pool_vjp<float>(Pooling::mean, pooled_, x_, 1);
            for (std::size_t i = 0; i < layers_.size(); ++i) {
                inner_ = x_;
                x_ += inner_;
            }
        });
    }
    /// Zeros and sums of the parts of a batch, seconds of a whole step.
    double sums() {
        return time([&] {
            for (auto& [gradient, by_kernels] : sums_) {
                Model::for_each_tensor([](const TensorInfo&, auto& tensor) { tensor.setZero(); }, gradient);
                for (auto& sum : by_kernels) sum.set_zero();
            }
            for (auto& [gradient, by_kernels] : sums_) {
                Model::for_each_tensor([](const TensorInfo&, auto& to, const auto& from) { to += from; },
                                       step_.gradient, gradient);
                for (std::size_t i = 0; i < by_kernels.size(); ++i) sums_.front().second[i].add(by_kernels[i]);
            }
        });
    }
    /// Seconds of a whole step.
    double optimiser() {
        return time([&] { step_.adamw.step(step_.p, step_.gradient); });
    }

private:
    struct Layer {
        explicit Layer(const StepSizes& sizes)
            : convolution{noise<float>(sizes.features, sizes.length), Planning::measure},
              workspace{convolution},
              vjp_workspace{convolution},
              input{convolution, 1},
              by_kernels{convolution},
              ssm_output{noise<float>(sizes.length, sizes.features)},
              features{ssm_output},
              sum{ssm_output},
              mixed{noise<float>(sizes.length, 2 * sizes.features)} {}
        Convolution convolution;
        typename Convolution::Workspace workspace;
        typename Convolution::VjpWorkspace vjp_workspace;
        typename Convolution::InputSpectra input;
        typename Convolution::KernelGradient by_kernels;
        Sequence<float> ssm_output, features, sum, mixed;
    };

    template <class Work>
    static double time(const Work& work) {
        Laps laps;
        laps.run(part_budget, work);
        return laps.median();
    }

    Step& step_;
    std::vector<Block> blocks_;
    std::vector<Layer> layers_;
    std::vector<std::pair<typename Model::Parameters, std::vector<typename Block::KernelGradient>>> sums_;
    Sequence<float> input_, x_, inner_, pooled_, outputs_, wide_;
    Sequence<float> dpooled_ = pooled_;
};

/// Eigen's products of the sizes of a step, nothing around them; on one sequence after the other, as they are faster on
/// rows that stay in the cache than on the whole batch.
class BareProducts {
public:
    explicit BareProducts(const StepSizes& sizes)
        : sequences_{static_cast<double>(sizes.batch)},
          encoder_{sizes.length, 1, sizes.features},
          mixing_{sizes.length, sizes.features, 2 * sizes.features},
          decoder_{1, sizes.features, classes} {}

    /// Adds laps of all that one sequence needs.
    void time(double budget) {
        laps_.run(budget, [&] {
            encoder_.forward();
            encoder_.by_weight();
            for (Index layer = 0; layer < layers; ++layer) {
                mixing_.forward();
                mixing_.by_weight();
                mixing_.by_input();
            }
            decoder_.forward();
            decoder_.by_weight();
            decoder_.by_input();
            benchmark::ClobberMemory();
        });
    }
    [[nodiscard]] double seconds() const { return sequences_ * laps_.median(); }

private:
    struct Product {
        Product(Index rows, Index inputs, Index outputs)
            : x{noise<float>(rows, inputs)},
              y{noise<float>(rows, outputs)},
              dx{x},
              weight{noise<float>(outputs, inputs)},
              dweight{weight} {}
        void forward() { y.noalias() = x * weight.transpose(); }
        void by_weight() { dweight.noalias() = y.transpose() * x; }
        void by_input() { dx.noalias() = y * weight; }
        Sequence<float> x, y, dx, weight, dweight;
    };

    double sequences_;
    Product encoder_, mixing_, decoder_;
    Laps laps_;
};

/// How many complex transforms of good_fft_size(L) a step makes. For each layer and channel, the convolution: two for
/// each sequence (forward, inverse) and two for its reverse pass from kept spectra, one of the kernel, and one of its
/// gradient. DPLR kernels are made by a real transform, and differentiated by another: half of a complex one each.
template <class Ssm>
double transforms_of(const StepSizes& sizes) {
    const bool is_dplr = std::same_as<Ssm, DPLR>;
    return static_cast<double>(layers * sizes.features * (4 * sizes.batch + 2 + (is_dplr ? 1 : 0)));
}

/// One step on one thread: kernels, forward pass, loss, reverse pass, gradients of the SSMs' tensors, AdamW. FFTs are
/// planned with MEASURE, as the bare ones.
///   samples_per_second  sequences, by the thread's own time
///   peak_memory_mbytes  of the process (VmHWM) while the model is made and takes its steps
///   over_bare           time over that of the bare products and the bare transforms, timed before and after
///   bare_gemm, bare_fft their shares of the step's time
///   share_*             time of a part alone, over that of the step: kernels and their reverse pass (with transforms);
///                       convolutions there and back; linear maps there and back; GELU, GLU, norms and dropout there
///                       and back; AdamW; and the rest: residual connections, pooling, loss, sums over parts of the
///                       batch
///   shares_total        their sum, which caches and noise let differ from 1
template <class Ssm>
void BM_TrainingStep(benchmark::State& state) {
    const StepSizes sizes{state.range(0), state.range(1), state.range(2), state.range(3),
                          std::same_as<Ssm, DPLR> ? state.range(4) : 0};
    BareProducts products{sizes};
    const BareFftw<float>& transform = BareFftw<float>::complex(good_fft_size(sizes.length));
    PeakMemory::restart();
    TrainingStep<Ssm> step{sizes};

    Laps laps;
    Laps transform_laps;
    const auto time_bare = [&] {
        products.time(part_budget / 2);
        for (int n = 0; n < 5; ++n) transform.time(transform_laps);
    };
    time_bare();
    laps.run(state, [&] { step.run(); });
    state.counters["peak_memory_mbytes"] = PeakMemory::mbytes();
    time_bare();

    const double seconds = laps.median();
    const double gemm = products.seconds();
    const double fft = transforms_of<Ssm>(sizes) * transform_laps.median();
    const auto sequences = static_cast<double>(sizes.batch);
    state.counters["samples_per_second"] = sequences / seconds;
    state.counters["over_bare"] = seconds / (gemm + fft);
    state.counters["bare_gemm"] = gemm / seconds;
    state.counters["bare_fft"] = fft / seconds;

    Parts<Ssm> parts{step, sizes};
    double total = 0;
    const auto report = [&](const char* name, double part) {
        state.counters[name] = part / seconds;
        total += part / seconds;
    };
    report("share_convolution", sequences * parts.convolutions());
    report("share_kernel", parts.kernels());
    report("share_mixing", sequences * parts.mixing());
    report("share_pointwise", sequences * parts.pointwise());
    report("share_optimiser", parts.optimiser());
    report("share_rest", sequences * parts.residuals() + parts.sums());
    state.counters["shares_total"] = total;
}
// As many states as the papers' N = 64; with C of DPLR plain, and as C~ for the length of the sequences.
BENCHMARK_TEMPLATE(BM_TrainingStep, S4D)
    ->ArgNames({"B", "H", "N", "L"})
    ->Args({50, 128, 32, 784})
    ->Unit(benchmark::kMillisecond);
BENCHMARK_TEMPLATE(BM_TrainingStep, DPLR)
    ->ArgNames({"B", "H", "N", "L", "kernel_length"})
    ->Args({50, 128, 32, 784, 784})
    ->Args({50, 128, 32, 784, 0})
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace s4::bench
