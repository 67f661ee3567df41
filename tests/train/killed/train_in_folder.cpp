// What the test kills: a training run that saves after every step and goes on from the checkpoint in its folder, if
// there is one.
#include <s4/fft/fftw.hpp>
#include <s4/train/trainer.hpp>

#include <exception>
#include <filesystem>
#include <iostream>
#include <numeric>
#include <vector>

namespace {

using s4::Index;
using Model = s4::SequenceModel<s4::S4Block<s4::Diagonal<float>>>;
using Adding = s4::SyntheticTask<float, s4::AddingTask>;

std::vector<Index> numbers(Index first, Index count) {
    std::vector<Index> examples(static_cast<std::size_t>(count));
    std::iota(examples.begin(), examples.end(), first);
    return examples;
}

void train(const std::filesystem::path& folder) {
    Model::Options model;
    model.inputs = 2;
    model.features = 24;
    model.outputs = 1;
    model.layers = 2;
    model.block.ssm.state_size = 16;
    model.model.pooling = s4::Pooling::last;
    model.model.dropout = {.probability = 0.1, .tied = true};
    s4::TrainerOptions options;
    options.epochs = 4;
    options.batch_size = 16;
    options.clip = 1;
    options.average = s4::MovingAverageOptions{.decay = 0.9};
    options.patience = 4;
    options.schedule = s4::CosineSchedule{.steps = 100, .warm_up = 5};
    options.checkpoint = folder / "run.safetensors";
    options.checkpoint_steps = 1;
    options.history = folder / "history.tsv";
    const bool resume = std::filesystem::exists(options.checkpoint);
    s4::Trainer<Model, Adding> trainer{
        Model::random(model, 3), {{.steps = 60}, 4}, numbers(0, 400), numbers(1000, 40), options, resume};
    static_cast<void>(trainer.run());
}

}  // namespace

int main(int argc, char** argv) {
    try {
        if (argc != 2) throw s4::Error("expected one argument, the folder");
        train(argv[1]);
        return 0;
    } catch (const std::exception& error) {
        std::cerr << error.what() << '\n';
        return 1;
    }
}
