// The bits of a training run do not depend on the number of threads, nor on what other threads do meanwhile.
#include <s4/core/parallel.hpp>
#include <s4/fft/fftw.hpp>
#include <s4/fft/kiss_fft.hpp>
#include <s4/train/trainer.hpp>

#include <gtest/gtest.h>

#include <cstddef>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

namespace s4::test {
namespace {

std::vector<Index> numbers(Index first, Index count) {
    std::vector<Index> examples(static_cast<std::size_t>(count));
    std::iota(examples.begin(), examples.end(), first);
    return examples;
}

/// The bytes of the weights, their average and the losses after two epochs.
template <class Ssm, class Fft>
std::string trained_bits() {
    using Model = SequenceModel<S4Block<Ssm>>;
    using Adding = SyntheticTask<float, AddingTask>;
    typename Model::Options model;
    model.inputs = 2;
    model.features = 7;
    model.outputs = 1;
    model.layers = 2;
    model.block.ssm.state_size = 8;
    model.model.pooling = Pooling::mean;
    model.model.dropout = {.probability = 0.1, .tied = true};
    TrainerOptions options;
    options.epochs = 2;
    options.batch_size = 19;
    options.accumulate = 2;
    options.clip = 0.5;
    options.average = MovingAverageOptions{.decay = 0.9};
    options.adamw.learning_rate = 0.01;
    Trainer<Model, Adding, Fft> trainer{
        Model::random(model, 3), {{.steps = 21}, 4}, numbers(0, 90), numbers(1000, 23), options};
    const TrainingResult result = trainer.run();
    std::string bits;
    const auto add = [&bits](const auto* data, std::size_t count) {
        bits.append(reinterpret_cast<const char*>(data), count * sizeof *data);
    };
    for (const auto* p : {&trainer.parameters(), &trainer.result()})
        Model::for_each_tensor(
            [&](const TensorInfo&, const auto& tensor) { add(tensor.data(), static_cast<std::size_t>(tensor.size())); },
            *p);
    for (const HistoryRecord& record : result.history) {
        add(&record.train_loss, 1);
        add(&record.validation_loss, 1);
    }
    return bits;
}

template <class Ssm>
class TrainingInThreads : public ::testing::Test {};
using Ssms = ::testing::Types<Diagonal<float>, Dplr<float>>;
TYPED_TEST_SUITE(TrainingInThreads, Ssms);

#if defined(_OPENMP)
/// Sets the number of OpenMP's threads, and back.
class Threads {
public:
    explicit Threads(int count) : before_{omp_get_max_threads()} { omp_set_num_threads(count); }
    Threads(const Threads&) = delete;
    Threads& operator=(const Threads&) = delete;
    ~Threads() { omp_set_num_threads(before_); }

private:
    int before_;
};

TYPED_TEST(TrainingInThreads, OneTwoFiveAndEightGiveTheSameBits) {
    const auto with = [](int count) {
        const Threads threads{count};
        EXPECT_EQ(max_threads(), count);
        return trained_bits<TypeParam, Fftw<float>>();
    };
    const std::string expected = with(1);
    ASSERT_GT(expected.size(), 4000u);
    for (const int count : {2, 5, 8}) EXPECT_TRUE(with(count) == expected) << count << " threads";
}

// Inside a parallel region every loop is the plain one that a build without OpenMP has.
TYPED_TEST(TrainingInThreads, PlainLoopsGiveTheSameBitsAsParallelOnes) {
    const Threads threads{5};
    const std::string expected = trained_bits<TypeParam, Fftw<float>>();
    std::string found;
#pragma omp parallel num_threads(2)
    {
#pragma omp single
        if (max_threads() == 1) found = trained_bits<TypeParam, Fftw<float>>();
    }
    EXPECT_TRUE(found == expected);
}
#endif

TYPED_TEST(TrainingInThreads, RunsAtOnceDoNotDisturbEachOther) {
    const std::string expected = trained_bits<TypeParam, Fftw<float>>();
    const std::string expected_kiss = trained_bits<TypeParam, KissFft<float>>();
    EXPECT_EQ(expected.size(), expected_kiss.size());
    std::vector<std::string> found(4);
    std::vector<std::thread> workers;
    for (std::size_t worker = 0; worker < found.size(); ++worker)
        workers.emplace_back([&found, worker] {
            found[worker] =
                worker % 2 == 0 ? trained_bits<TypeParam, Fftw<float>>() : trained_bits<TypeParam, KissFft<float>>();
        });
    for (std::thread& worker : workers) worker.join();
    for (std::size_t worker = 0; worker < found.size(); ++worker)
        EXPECT_TRUE(found[worker] == (worker % 2 == 0 ? expected : expected_kiss)) << "run " << worker;
}

}  // namespace
}  // namespace s4::test
