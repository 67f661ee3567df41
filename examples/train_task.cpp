// Trains a small S4 model on one of the tasks that the literature on long memory measures with: the answer depends on
// inputs hundreds of steps ago, and whoever has learnt nothing is known to be wrong by so much.
//
// delay, copying and reconstruction are solved by linear models: one layer whose kernel is all there is to learn.
// adding needs a product of two inputs, a number and its mark: two layers with gates. It is learnt from short to long:
//     train_task --task adding --output-dir short
//     train_task --task adding --steps 300 --epochs 1 --lr 0.005 --from short/checkpoint.safetensors --output-dir
//     longer train_task --task adding --steps 1000 --lr 0.005 --from longer/checkpoint.safetensors --output-dir long
#include "program.hpp"
#include <s4/discretize/zero_order_hold.hpp>
#include <s4/fft/fftw.hpp>
#include <s4/train/trainer.hpp>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <iomanip>
#include <iostream>
#include <numeric>
#include <string>
#include <vector>

namespace {

using example::Error;
using s4::Index;

struct Settings {
    std::string task = "delay";
    Index steps = 1000;
    Index lag = 250;
    Index blanks = 100;
    Index memory = 10;
    Index symbols = 8;
    Index window = 1000;
    double cutoff = 0;
    std::string ssm = "s4d";
    std::string start = "lin";  ///< of A: the S4D initialisation or the HiPPO measure
    Index features = 4;
    Index layers = 1;
    Index state_size = 1024;
    double dt_min = 0.002;
    double dt_max = 0.002;
    bool gates = false;  ///< GELU and a gated linear unit behind the SSM; otherwise nothing
    Index samples = 32'000;
    Index epochs = 2;
    Index batch_size = 64;
    Index test_samples = 1000;
    double learning_rate = 0.01;
    double ssm_learning_rate = 0;
    double weight_decay = 0;
    double clip = 0;
    std::uint64_t seed = 1;
    std::string from;
    std::string output_dir = "train_task_output";
    bool resume = false;
};

/// What solves a task. Modes of S4D-Lin repeat after 2/dt steps: dt is such that the memory is shorter than that, and
/// N such that the fastest mode, which turns by π dt N/2 in a step, sees the highest frequency that matters.
Settings defaults_of(const std::string& task) {
    Settings s;
    s.task = task;
    if (task == "adding") {
        s.steps = 100, s.features = 16, s.layers = 2, s.state_size = 2, s.dt_min = 0.001, s.dt_max = 0.1,
        s.gates = true;
        s.samples = 50'000, s.batch_size = 50, s.ssm_learning_rate = 0.003, s.clip = 1;
    } else if (task == "copying") {
        s.features = 32, s.state_size = 256, s.dt_min = 0.01, s.dt_max = 0.01, s.epochs = 1;
    } else if (task == "reconstruction") {
        s.features = 64, s.state_size = 64, s.dt_min = 0.001, s.dt_max = 0.001, s.cutoff = 0.01;
        s.samples = 16'000;
    }
    return s;
}

/// Set by Ctrl-C: the trainer saves and stops. A second Ctrl-C ends the program at once.
volatile std::sig_atomic_t stop_requested = 0;
extern "C" void request_stop(int signal) {
    stop_requested = 1;
    std::signal(signal, SIG_DFL);
}

template <class Model>
typename Model::Parameters random_model(const Settings& settings, Index inputs, Index outputs, bool at_the_end) {
    typename Model::Options model;
    model.inputs = inputs;
    model.features = settings.features;
    model.outputs = outputs;
    model.layers = settings.layers;
    model.model.norm = s4::Normalisation::none;
    model.model.pooling = at_the_end ? s4::Pooling::last : s4::Pooling::none;
    model.block.linear = settings.gates;
    if (!settings.gates) model.block.block.activation = s4::Activation::identity;
    auto& ssm = model.block.ssm;
    ssm.state_size = settings.state_size;
    ssm.timescale = {settings.dt_min, settings.dt_max};
    if constexpr (requires { ssm.init; }) {
        ssm.init = s4::s4d_init_from_name(settings.start);
    } else {
        ssm.hippo = s4::hippo_from_name(settings.start);
    }
    return Model::random(model, settings.seed);
}

/// `count` numbers from `first` on.
std::vector<Index> numbers(Index first, Index count) {
    std::vector<Index> result(static_cast<std::size_t>(count));
    std::iota(result.begin(), result.end(), first);
    return result;
}

template <class Ssm, class Generator>
void train(const Settings& settings, const Generator& generator) {
    using Model = s4::SequenceModel<s4::S4Block<Ssm>>;
    using Task = s4::SyntheticTask<float, Generator>;
    const Task task{generator, settings.seed};
    auto start = random_model<Model>(settings, task.inputs(), task.outputs(), generator.scored_steps() == 1);
    if constexpr (requires { start.blocks.front().ssm.kernel_length; })  // what is drawn is C~: the paper trains it
        for (auto& block : start.blocks) block.ssm.kernel_length = task.length();
    if (!settings.from.empty()) s4::load_tensors<Model>(settings.from, "model", start);

    const std::filesystem::path folder = example::make_folder(settings.output_dir);
    s4::TrainerOptions options;
    options.epochs = settings.epochs;
    options.batch_size = settings.batch_size;
    options.seed = settings.seed;
    options.clip = settings.clip;
    options.adamw.learning_rate = settings.learning_rate;
    options.adamw.weight_decay = settings.weight_decay;
    options.adamw.ssm_learning_rate = settings.ssm_learning_rate;
    options.adamw.ssm_output_is_ordinary = true;
    const std::int64_t steps =
        (settings.samples + settings.batch_size - 1) / settings.batch_size * std::int64_t{settings.epochs};
    options.schedule = s4::CosineSchedule{.steps = steps, .warm_up = steps / 20};
    options.checkpoint = folder / "checkpoint.safetensors";
    options.checkpoint_steps = 100;
    options.history = folder / "history.tsv";
    options.description = settings.task + ' ' + settings.ssm + ' ' + settings.start + " length " +
                          std::to_string(task.length()) + " lag " + std::to_string(settings.lag) + " memory " +
                          std::to_string(settings.memory) + " window " + std::to_string(settings.window) + " cutoff " +
                          std::to_string(settings.cutoff) + " samples " + std::to_string(settings.samples);
    options.stop = &stop_requested;

    std::cout << settings.task << ": sequences of " << task.length() << " steps, " << settings.samples
              << " to train on\n"
              << settings.ssm << " (" << settings.start << "), " << settings.layers << " layer"
              << (settings.layers == 1 ? "" : "s") << " of " << settings.features
              << " channels, N = " << settings.state_size << ", " << s4::trained_numbers<Model>(start)
              << " parameters; " << steps << " steps of batches of " << settings.batch_size << std::endl;
    std::signal(SIGINT, request_stop);
    // Examples behind those of training validate, and behind those others test.
    const Index validation = std::min<Index>(settings.test_samples, 200);
    const auto begin = std::chrono::steady_clock::now();
    s4::Trainer<Model, Task> trainer{
        std::move(start), task,           numbers(0, settings.samples), numbers(settings.samples, validation),
        options,          settings.resume};
    if (settings.resume) std::cout << "resumed after epoch " << trainer.epoch() << std::endl;
    s4::ProgressPrinter printer{stderr};
    const s4::TrainingResult result = trainer.run(&printer);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    std::signal(SIGINT, SIG_DFL);
    if (result.end == s4::TrainingEnd::not_finite)
        throw Error("training stopped: " + result.trouble + "; the last good weights are in " +
                    options.checkpoint.string() + ", a smaller --lr may help");
    if (result.end == s4::TrainingEnd::interrupted) {
        std::cout << "\nstopped; the same command with --resume goes on from " << options.checkpoint.string() << '\n';
        return;
    }
    const std::vector<Index> test = numbers(settings.samples + validation, settings.test_samples);
    const s4::Score score = trainer.evaluate(test);
    std::cout << "\ntrained             " << s4::duration_text(seconds) << '\n'
              << std::setprecision(4) << "baseline error      " << task.baseline()
              << (score.answers > 0 ? " (cross-entropy of a guess)" : " (mean squared error of a constant)") << '\n'
              << "error               " << score.loss << " on " << test.size() << " sequences never seen\n"
              << "ratio               " << task.baseline() / score.loss << " times below the baseline\n";
    if (score.answers > 0) {
        Index exact = 0;
        for (const Index& example : test) {
            const s4::Score one = trainer.evaluate({&example, 1});
            exact += one.correct == one.answers;
        }
        std::cout << std::fixed << std::setprecision(2) << "symbols recalled    "
                  << 100 * static_cast<double>(score.correct) / static_cast<double>(score.answers) << " % of "
                  << score.answers << "\nexact recall        "
                  << 100 * static_cast<double>(exact) / static_cast<double>(test.size()) << " % of the sequences\n";
    }
    std::cout << "checkpoint          " << options.checkpoint.string() << "\nhistory             "
              << options.history.string() << '\n';
}

template <class Ssm>
void train(const Settings& settings) {
    if (settings.task == "delay") {
        train<Ssm>(settings, s4::DelayTask{settings.steps, settings.lag, settings.cutoff});
    } else if (settings.task == "adding") {
        train<Ssm>(settings, s4::AddingTask{settings.steps});
    } else if (settings.task == "copying") {
        train<Ssm>(settings, s4::CopyingTask{settings.symbols, settings.memory, settings.blanks});
    } else {
        train<Ssm>(settings, s4::ReconstructionTask{settings.steps, settings.window, settings.cutoff});
    }
}

/// The task that is asked for, before the rest of the command line is read: the defaults depend on it.
std::string asked_task(int argc, char** argv) {
    CLI::App app{"the task alone"};
    app.set_help_flag();
    app.allow_extras();
    std::string task = "delay";
    app.add_option("--task", task);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError&) {  // the whole command line says what is wrong
    }
    return task;
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app{"Trains a small S4 model on a task of long memory; every default is one that solves --task",
                 "train_task"};
    Settings settings = defaults_of(asked_task(argc, argv));
    const auto number = [&app](const char* name, Index& value, const char* help, Index least, Index most) {
        app.add_option(name, value, help)->capture_default_str()->check(CLI::Range(least, most));
    };
    const auto real = [&app](const char* name, double& value, const char* help) {
        app.add_option(name, value, help)->capture_default_str()->check(CLI::NonNegativeNumber);
    };
    const auto one_of = [&app](const char* name, std::string& value, const char* help, std::vector<std::string> names) {
        app.add_option(name, value, help)->capture_default_str()->check(CLI::IsMember(std::move(names)));
    };
    one_of("--task", settings.task, "What to learn; the other defaults are those for it",
           {"delay", "adding", "copying", "reconstruction"});
    number("--steps", settings.steps, "Length of a sequence (copying: blanks + 2 memory)", 1, 1'000'000);
    number("--lag", settings.lag, "delay: steps", 0, 1'000'000);
    number("--blanks", settings.blanks, "copying: steps between the symbols and the answer", 1, 1'000'000);
    number("--memory", settings.memory, "copying: symbols to remember", 1, 100'000);
    number("--symbols", settings.symbols, "copying: how many different ones", 2, 10'000);
    number("--window", settings.window, "reconstruction: the last inputs that are asked for", 1, 100'000);
    real("--cutoff", settings.cutoff, "Highest frequency of the noise in cycles a step, at most 0.5 (0: white)");
    one_of("--ssm", settings.ssm, "s4d (diagonal, zero-order hold) or s4 (DPLR)", {"s4d", "s4"});
    auto* start =
        app.add_option("--start", settings.start, "Start of A: S4D's lin, inv, legs, ... or S4's legs, fourier, ...")
            ->capture_default_str();
    number("--features", settings.features, "Channels H", 1, 4096);
    number("--layers", settings.layers, "S4 blocks", 1, 64);
    number("--state-size", settings.state_size, "States N of each channel, even", 2, 4096);
    real("--dt-min", settings.dt_min, "Shortest step size to start from");
    real("--dt-max", settings.dt_max, "Longest one");
    app.add_flag("--gates,!--no-gates", settings.gates,
                 "GELU and a gated linear unit in each block; without, it is linear")
        ->capture_default_str();
    number("--samples", settings.samples, "Sequences to train on", 1, 100'000'000);
    number("--epochs", settings.epochs, "Passes over them", 1, 100'000);
    number("--batch", settings.batch_size, "Sequences in a mini-batch", 1, 100'000);
    number("--test-samples", settings.test_samples, "Other sequences to test on", 1, 10'000'000);
    real("--lr", settings.learning_rate, "Learning rate");
    real("--ssm-lr", settings.ssm_learning_rate,
         "Highest learning rate of dt, A, P and B (0: they stay as they start)");
    real("--weight-decay", settings.weight_decay, "Weight decay; dt, A, P and B have none");
    real("--clip", settings.clip, "Largest norm of a gradient (0: no limit)");
    app.add_option("--seed", settings.seed, "Of weights, data and order")->capture_default_str();
    app.add_option("--from", settings.from,
                   "Checkpoint of the same model to start from, such as one for fewer --steps");
    app.add_option("--output-dir", settings.output_dir, "Folder for checkpoint and history")->capture_default_str();
    app.add_flag("--resume", settings.resume, "Go on with the run whose checkpoint is in --output-dir");
    return example::run_program(app, argc, argv, [&settings, start] {
        if (settings.ssm == "s4" && start->count() == 0) settings.start = "legs";
        settings.ssm == "s4d" ? train<s4::Diagonal<float>>(settings) : train<s4::Dplr<float>>(settings);
    });
}
