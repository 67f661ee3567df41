#include "tests/support/expect_error.hpp"
#include <s4/fft/fftw.hpp>
#include <s4/fft/kiss_fft.hpp>
#include <s4/train/trainer.hpp>

#include <gtest/gtest.h>

#include <cmath>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <numeric>
#include <string>
#include <vector>

namespace s4::test {
namespace {

using Model = SequenceModel<S4Block<Diagonal<float>>>;
using Adding = SyntheticTask<float, AddingTask>;
using AddingTrainer = Trainer<Model, Adding, Fftw<float>>;

class Trainers : public ::testing::Test {
protected:
    void SetUp() override {
        const auto* info = ::testing::UnitTest::GetInstance()->current_test_info();
        folder_ = std::filesystem::temp_directory_path() /
                  (std::string{"s4_trainer_"} + info->name() + std::to_string(::getpid()));
        std::filesystem::create_directories(folder_);
    }
    void TearDown() override { std::filesystem::remove_all(folder_); }

    static Model::Parameters start(Index features = 4) {
        Model::Options options;
        options.inputs = 2;
        options.features = features;
        options.outputs = 1;
        options.layers = 2;
        options.block.ssm.state_size = 4;
        options.model.pooling = Pooling::last;
        options.model.dropout = {.probability = 0.1, .tied = true};
        return Model::random(options, 3);
    }
    static Adding task() { return {{.steps = 12}, 4}; }
    static std::vector<Index> numbers(Index first, Index count) {
        std::vector<Index> examples(static_cast<std::size_t>(count));
        std::iota(examples.begin(), examples.end(), first);
        return examples;
    }
    TrainerOptions options() const {
        TrainerOptions o;
        o.epochs = 3;
        o.batch_size = 8;
        o.adamw.learning_rate = 0.01;
        o.schedule = CosineSchedule{.steps = 15, .warm_up = 2};
        o.checkpoint = folder_ / "run.safetensors";
        o.history = folder_ / "run.tsv";
        return o;
    }
    static AddingTrainer trainer(const TrainerOptions& o, bool resume = false) {
        return {start(), task(), numbers(0, 38), numbers(1000, 10), o, resume};
    }
    static std::string content(const std::filesystem::path& path) {
        std::ifstream stream(path, std::ios::binary);
        return {std::istreambuf_iterator<char>{stream}, {}};
    }
    static std::string bits(const Model::Parameters& p) {
        std::string all;
        Model::for_each_tensor(
            [&](const TensorInfo&, const auto& tensor) {
                all.append(reinterpret_cast<const char*>(tensor.data()),
                           static_cast<std::size_t>(tensor.size()) * sizeof(*tensor.data()));
            },
            p);
        return all;
    }

    std::filesystem::path folder_;
};

TEST_F(Trainers, LearnAndKeepAHistory) {
    TrainerOptions o = options();
    o.epochs = 60;
    o.schedule = CosineSchedule{.steps = 300};
    o.adamw.learning_rate = 0.03;
    Model::Parameters without_dropout = start(16);
    without_dropout.dropout = {};
    AddingTrainer run{without_dropout, task(), numbers(0, 38), numbers(1000, 10), o};
    const double before = run.evaluate(numbers(0, 38)).loss;
    const TrainingResult result = run.run();
    EXPECT_EQ(result.end, TrainingEnd::finished);
    ASSERT_EQ(result.history.size(), 60u);
    EXPECT_LT(result.history.back().train_loss, result.history.front().train_loss / 2);
    EXPECT_LT(run.evaluate(numbers(0, 38)).loss, before / 2);
    EXPECT_EQ(result.history.back().step, 60 * 5);
    const auto written = read_history(o.history);
    ASSERT_EQ(written.size(), 60u);
    EXPECT_EQ(written.back().validation_loss, run.evaluate(numbers(1000, 10)).loss);
}

TEST_F(Trainers, StoppedAfterAnyBatchEndWithTheSameBits) {
    AddingTrainer whole = trainer(options());
    static_cast<void>(whole.run());
    TrainerOptions o = options();
    o.checkpoint = folder_ / "other.safetensors";
    volatile std::sig_atomic_t stop = 1;  // after the first batch, again and again
    o.stop = &stop;
    int runs = 1;
    {
        AddingTrainer first = trainer(o);
        const TrainingResult result = first.run();
        EXPECT_EQ(result.end, TrainingEnd::interrupted);
        EXPECT_EQ(result.saved_step, 1);
        EXPECT_EQ(result.save_problem, "");
    }
    TrainingEnd end = TrainingEnd::interrupted;
    std::string found;
    while (end == TrainingEnd::interrupted && runs < 100) {
        AddingTrainer next = trainer(o, true);
        end = next.run().end;
        found = bits(next.parameters());
        ++runs;
    }
    EXPECT_EQ(runs, 3 * 5 + 1);  // the last one finds nothing left to do
    EXPECT_EQ(end, TrainingEnd::finished);
    EXPECT_EQ(found, bits(whole.parameters()));
}

TEST_F(Trainers, ResumeWithAverageClippingAndAccumulation) {
    TrainerOptions o = options();
    o.average = MovingAverageOptions{.decay = 0.9};
    o.clip = 0.1;
    o.accumulate = 2;
    o.patience = 5;
    AddingTrainer whole = trainer(o);
    static_cast<void>(whole.run());
    o.checkpoint = folder_ / "other.safetensors";
    volatile std::sig_atomic_t stop = 1;
    o.stop = &stop;
    EXPECT_EQ(trainer(o).run().end, TrainingEnd::interrupted);
    stop = 0;
    AddingTrainer rest = trainer(o, true);
    static_cast<void>(rest.run());
    EXPECT_EQ(bits(rest.parameters()), bits(whole.parameters()));
    EXPECT_EQ(bits(rest.result()), bits(whole.result()));
    EXPECT_NE(bits(rest.result()), bits(rest.parameters()));
}

// A task that looks, before each batch, whether there is a checkpoint yet.
class WatchingTask : public Adding {
public:
    WatchingTask(std::filesystem::path path, std::vector<bool>& seen)
        : Adding{task_of_test()}, path_{std::move(path)}, seen_{&seen} {}
    void fill(std::span<const Index> examples, SequenceOut<float> u, Targets& targets) const {
        seen_->push_back(std::filesystem::exists(path_));
        Adding::fill(examples, u, targets);
    }

private:
    static Adding task_of_test() { return {{.steps = 12}, 4}; }
    std::filesystem::path path_;
    std::vector<bool>* seen_;
};

// A task that notes how many rows a batch has, and has a loss that is not finite for examples from 1000 on if asked.
class CountingTask : public Adding {
public:
    CountingTask(std::vector<Index>& rows, double validation_loss)
        : Adding{{.steps = 12}, 4}, rows_{&rows}, validation_loss_{validation_loss} {}
    void fill(std::span<const Index> examples, SequenceOut<float> u, Targets& targets) const {
        EXPECT_EQ(u.rows(), std::ssize(examples) * length());
        rows_->push_back(u.rows());
        is_validation_ = examples[0] >= 1000;
        Adding::fill(examples, u, targets);
    }
    Score score(const Targets& targets, Index first, Index count, Index batch, SequenceView<float> y,
                SequenceOut<float> dy) const {
        Score score = Adding::score(targets, first, count, batch, y, dy);
        if (is_validation_) score.loss += validation_loss_;
        return score;
    }

private:
    std::vector<Index>* rows_;
    double validation_loss_;
    mutable bool is_validation_ = false;
};
using CountingTrainer = Trainer<Model, CountingTask, Fftw<float>>;

TEST_F(Trainers, FillNoMoreThanTheLastBatchHas) {
    TrainerOptions o = options();
    o.epochs = 1;
    std::vector<Index> rows;
    CountingTrainer run{start(), {rows, 0}, numbers(0, 38), numbers(1000, 10), o};
    EXPECT_EQ(run.run().end, TrainingEnd::finished);
    EXPECT_EQ(rows, (std::vector<Index>{96, 96, 96, 96, 72, 96, 24}));
}

TEST_F(Trainers, StopAtAValidationLossThatIsNotFinite) {
    std::vector<Index> rows;
    CountingTrainer run{
        start(), {rows, std::numeric_limits<double>::quiet_NaN()}, numbers(0, 38), numbers(1000, 10), options()};
    const TrainingResult result = run.run();
    EXPECT_EQ(result.end, TrainingEnd::not_finite);
    EXPECT_EQ(result.trouble, "the validation loss is not finite after step 5");
    EXPECT_TRUE(result.history.empty());
    EXPECT_EQ(result.saved_step, std::nullopt);
    EXPECT_FALSE(std::filesystem::exists(options().checkpoint));
}

TEST_F(Trainers, SaveBetweenEpochsWhenAsked) {
    TrainerOptions o = options();
    o.epochs = 1;
    o.checkpoint_steps = 2;
    std::vector<bool> seen;
    Trainer<Model, WatchingTask, Fftw<float>> run{start(), {o.checkpoint, seen}, numbers(0, 38), {}, o};
    static_cast<void>(run.run());
    EXPECT_EQ(seen, (std::vector<bool>{false, false, true, true, true}));
}

TEST_F(Trainers, StopEarlyAndGiveTheBestWeights) {
    TrainerOptions o = options();
    o.epochs = 100;
    o.patience = 2;
    o.schedule = {};
    o.adamw.learning_rate = 0.5;  // too much: it never gets better for long
    AddingTrainer run = trainer(o);
    const TrainingResult result = run.run();
    EXPECT_EQ(result.end, TrainingEnd::early);
    ASSERT_GE(result.history.size(), 3u);
    ASSERT_LT(result.history.size(), 100u);
    double best = std::numeric_limits<double>::infinity();
    for (const HistoryRecord& record : result.history) best = std::min(best, record.validation_loss);
    EXPECT_EQ(result.history[result.history.size() - 3].validation_loss, best);
    EXPECT_EQ(run.evaluate(numbers(1000, 10)).loss, best);  // by those weights
    EXPECT_NE(bits(run.result()), bits(run.parameters()));
}

TEST_F(Trainers, NameWhatIsNotFiniteAndKeepTheLastCheckpoint) {
    TrainerOptions o = options();
    o.epochs = 1;
    {
        AddingTrainer run = trainer(o);
        static_cast<void>(run.run());
    }
    const std::string before = content(o.checkpoint);
    const auto time = std::filesystem::last_write_time(o.checkpoint);
    o.adamw.learning_rate = 1e30;
    o.schedule = {};
    o.epochs = 100;
    AddingTrainer run = trainer(o);
    const TrainingResult result = run.run();
    EXPECT_EQ(result.end, TrainingEnd::not_finite);
    EXPECT_NE(result.trouble.find("in step"), std::string::npos) << result.trouble;
    EXPECT_EQ(result.saved_step, std::nullopt);
    EXPECT_EQ(content(o.checkpoint), before);
    EXPECT_EQ(std::filesystem::last_write_time(o.checkpoint), time);
}

TEST_F(Trainers, GoOnWhenTheCheckpointCannotBeWritten) {
    TrainerOptions o = options();
    o.checkpoint = folder_ / "taken";
    std::filesystem::create_directories(o.checkpoint / "in_the_way");
    std::FILE* log = std::tmpfile();
    ProgressPrinter printer{log};
    AddingTrainer run = trainer(o);
    const TrainingResult result = run.run(&printer);
    EXPECT_EQ(result.end, TrainingEnd::finished);
    EXPECT_EQ(result.saved_step, std::nullopt);
    EXPECT_NE(result.save_problem.find("taken"), std::string::npos) << result.save_problem;
    std::rewind(log);
    std::string text(4096, '\0');
    text.resize(std::fread(text.data(), 1, text.size(), log));
    std::fclose(log);
    EXPECT_NE(text.find("could not be written"), std::string::npos) << text;
    EXPECT_NE(text.find("epoch 3/3"), std::string::npos) << text;
}

TEST_F(Trainers, DoNotResumeAnotherRun) {
    TrainerOptions o = options();
    o.epochs = 1;
    {
        AddingTrainer run = trainer(o);
        static_cast<void>(run.run());
    }
    TrainerOptions other = o;
    other.seed = 2;
    EXPECT_S4_ERROR((trainer(other, true)), "run.seed", "expected 2", "found 1");
    other = o;
    other.adamw.learning_rate = 0.25;
    EXPECT_S4_ERROR((trainer(other, true)), "run.learning_rate", "expected 0.25", "found 0.01");
    other = o;
    other.adamw.beta2 = 0.75;
    EXPECT_S4_ERROR((trainer(other, true)), "run.beta2", "expected 0.75", "found 0.999");
    other = o;
    other.adamw.ssm_output_is_ordinary = true;
    EXPECT_S4_ERROR((trainer(other, true)), "run.ssm_output_is_ordinary");
    other = o;
    other.description = "another model";
    EXPECT_S4_ERROR((trainer(other, true)), "run.description", "another model");
    Model::Options bigger;
    bigger.inputs = 2;
    bigger.features = 8;
    bigger.layers = 2;
    bigger.block.ssm.state_size = 4;
    bigger.model.pooling = Pooling::last;
    EXPECT_S4_ERROR((AddingTrainer{Model::random(bigger, 3), task(), numbers(0, 38), numbers(1000, 10), o, true}),
                    "model.encoder.weight", "[4", "[8");
    o.checkpoint = folder_ / "nothing";
    EXPECT_S4_ERROR((trainer(o, true)), "nothing");
    o.checkpoint.clear();
    EXPECT_S4_ERROR((trainer(o, true)), "option checkpoint is empty");
}

TEST_F(Trainers, RefuseOptionsThatMakeNoSense) {
    const auto with = [this](auto change) {
        TrainerOptions o = options();
        change(o);
        return o;
    };
    EXPECT_S4_ERROR((trainer(with([](auto& o) { o.epochs = 0; }))), "epochs", "found 0");
    EXPECT_S4_ERROR((trainer(with([](auto& o) { o.batch_size = 0; }))), "batch_size", "found 0");
    EXPECT_S4_ERROR((trainer(with([](auto& o) { o.accumulate = 0; }))), "accumulate", "found 0");
    EXPECT_S4_ERROR((trainer(with([](auto& o) { o.clip = -1; }))), "clip", "found -1");
    EXPECT_S4_ERROR((trainer(with([](auto& o) { o.adamw.learning_rate = -1; }))), "learning_rate", "found -1");
    TrainerOptions patient = options();
    patient.patience = 3;
    EXPECT_S4_ERROR((AddingTrainer{start(), task(), numbers(0, 38), {}, patient}), "patience", "no validation");
    Model::Options other;
    other.inputs = 3;
    EXPECT_S4_ERROR((AddingTrainer{Model::random(other, 3), task(), numbers(0, 38), {}, options()}), "2 inputs",
                    "encoder 3");
}

// The copying task has classes, and is scored at several steps.
TEST_F(Trainers, ScoreClassesAtTheLastSteps) {
    using Copying = SyntheticTask<float, CopyingTask>;
    const Copying task{{.symbols = 3, .memory = 2, .blanks = 3}, 1};
    Model::Options options;
    options.inputs = task.inputs();
    options.features = 16;
    options.outputs = task.outputs();
    options.layers = 1;
    options.block.ssm.state_size = 8;
    options.model.pooling = Pooling::none;
    TrainerOptions o;
    o.epochs = 60;
    o.batch_size = 10;
    o.adamw.learning_rate = 0.02;
    o.schedule = CosineSchedule{.steps = 600};
    Trainer<Model, Copying, KissFft<float>> run{Model::random(options, 3), task, numbers(0, 100), {}, o};
    const Score before = run.evaluate(numbers(0, 100));
    EXPECT_EQ(before.answers, 200);
    static_cast<void>(run.run());
    const Score after = run.evaluate(numbers(0, 100));
    EXPECT_LT(after.loss, task.baseline() / 2);
    EXPECT_GT(after.correct, 160);
}

}  // namespace
}  // namespace s4::test
