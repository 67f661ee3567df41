// Trains an S4 model to name images that it reads pixel by pixel, then classifies as a stream what it has learnt.
//
// The images of MNIST or Fashion-MNIST as sequences of 784 pixels, one per step, in reading order or permuted: the
// long-memory benchmark of the S4 papers. Writes the checkpoint, the history and the learning curve; a run that was
// stopped goes on with --resume.
#include "program.hpp"
#include <s4/discretize/zero_order_hold.hpp>
#include <s4/fft/fftw.hpp>
#include <s4/model/deployed_model.hpp>
#include <s4/train/image_folder.hpp>
#include <s4/train/trainer.hpp>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <iomanip>
#include <iostream>
#include <numeric>
#include <sstream>
#include <string>
#include <vector>

namespace {

using example::Error;
namespace fs = std::filesystem;
using s4::Index;

struct Settings {
    std::string dataset = "fashion";
    std::string data;
    std::string ssm = "s4d";
    bool permute = false;
    Index features = 32;
    Index layers = 2;
    Index state_size = 64;
    Index epochs = 2;
    Index batch_size = 50;
    Index train_images = 0;
    Index test_images = 0;
    Index stream_images = 100;
    Index warm_up = 300;
    double learning_rate = 0.01;
    double weight_decay = 0.01;
    double dropout = 0;
    std::uint64_t seed = 1;
    std::string output_dir = "train_classifier_output";
    bool resume = false;
    bool no_plot = false;
};

constexpr const char* fashion_names[] = {"T-shirt", "trousers", "pullover", "dress", "coat",
                                         "sandal",  "shirt",    "sneaker",  "bag",   "boot"};

constexpr const char* checkpoint_name = "checkpoint.safetensors";

/// Set by Ctrl-C: the trainer saves and stops. A second Ctrl-C ends the program at once.
volatile std::sig_atomic_t stop_requested = 0;
extern "C" void request_stop(int signal) {
    stop_requested = 1;
    std::signal(signal, SIG_DFL);
}

fs::path data_folder(const Settings& settings) {
    if (!settings.data.empty()) return settings.data;
    if (settings.dataset == "fashion") return s4::fashion_mnist_folder;
    throw Error("--dataset mnist needs --data DIR, the folder with train-images-idx3-ubyte and its three companions");
}

void print_confusion(const s4::ConfusionTable& table, bool fashion) {
    const Index classes = table.counts.rows();
    std::cout << "\nconfusion table: rows are what it is, columns what the model says\n          ";
    for (Index k = 0; k < classes; ++k) std::cout << std::setw(6) << k;
    std::cout << '\n';
    for (Index row = 0; row < classes; ++row) {
        std::cout << std::setw(2) << row << ' ' << std::left << std::setw(7)
                  << (fashion && classes == 10 ? fashion_names[row] : "") << std::right;
        for (Index k = 0; k < classes; ++k) std::cout << std::setw(6) << table.counts(row, k);
        std::cout << '\n';
    }
}

void draw_learning_curve(const fs::path& folder, const std::vector<s4::HistoryRecord>& history) {
    Eigen::MatrixXd table(static_cast<Index>(history.size()), 5);
    for (Index row = 0; row < table.rows(); ++row) {
        const s4::HistoryRecord& record = history[static_cast<std::size_t>(row)];
        table.row(row) << static_cast<double>(record.epoch), record.train_loss, record.validation_loss,
            100 * record.train_accuracy, 100 * record.validation_accuracy;
    }
    example::Plot plot{folder};
    plot.data("history", table);
    plot.picture("learning_curve.png", 1200, 500);
    plot << "set multiplot layout 1, 2\nset grid\nset xlabel 'epoch'\nset xtics 1, "
         << std::max<Index>(1, table.rows() / 12) << '\n'
         << "set ylabel 'loss (nats)'\n"
            "plot $history using 1:2 with linespoints title 'training',"
            " $history using 1:3 with linespoints title 'validation'\n"
            "set ylabel 'accuracy (%)'\nset key bottom right\n"
            "plot $history using 1:4 with linespoints title 'training',"
            " $history using 1:5 with linespoints title 'validation'\n"
            "unset multiplot\n";
    plot.draw();
}

/// Whole images through the convolution, then pixel by pixel through the recurrence.
template <class Model>
void run_deployed(const Settings& settings, const s4::ImageSequences& test, const typename Model::Parameters& p) {
    using Sequence = s4::Sequence<float>;
    const Index length = test.length();
    const Index classes = test.classes();
    s4::DeployedModel<Model, s4::Mode::convolution> whole{p};
    whole.prepare(length);
    constexpr Index batch = 20;
    auto workspace = whole.make_workspace(batch);
    const Index count = settings.test_images > 0 ? std::min(settings.test_images, test.size()) : test.size();
    Sequence logits(count, classes);
    std::vector<Index> labels(static_cast<std::size_t>(count));
    Sequence pixels(batch * length, 1);
    std::vector<Index> examples(static_cast<std::size_t>(count));
    std::iota(examples.begin(), examples.end(), Index{0});
    for (Index first = 0; first < count; first += batch) {
        const Index some = std::min(batch, count - first);
        const auto at = static_cast<std::size_t>(first);
        const auto size = static_cast<std::size_t>(some);
        test.fill<float>(std::span{examples}.subspan(at, size), pixels.topRows(some * length),
                         std::span{labels}.subspan(at, size));
        whole.forward(workspace, pixels.topRows(some * length), logits.middleRows(first, some), some);
    }
    s4::ConfusionTable table{classes};
    table.add<float>(logits, labels);
    std::cout << "test accuracy       " << std::fixed << std::setprecision(2) << 100 * table.accuracy() << " % of "
              << count << " images\n";
    print_confusion(table, settings.dataset == "fashion");

    const s4::DeployedModel<Model, s4::Mode::recurrence> stream{p};
    auto state = stream.make_state();
    const Index streamed = std::min(settings.stream_images, count);
    Index agree = 0;
    float difference = 0;
    Sequence said(1, classes);
    const auto begin = std::chrono::steady_clock::now();
    for (Index image = 0; image < streamed; ++image) {
        test.fill<float>(std::span{examples}.subspan(static_cast<std::size_t>(image), 1), pixels.topRows(length),
                         std::span{labels}.subspan(static_cast<std::size_t>(image), 1));
        state.reset();
        for (Index t = 0; t < length; ++t) stream.step(state, pixels.row(t), said.row(0));
        agree += s4::predicted_class<float>(said.row(0)) == s4::predicted_class<float>(logits.row(image));
        difference = std::max(difference, (said.row(0) - logits.row(image)).cwiseAbs().maxCoeff());
    }
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    std::cout << "\nas a stream         " << agree << " of " << streamed
              << " images get the same answer pixel by pixel, largest logit difference " << std::scientific
              << std::setprecision(1) << difference << '\n'
              << "                    " << std::fixed << std::setprecision(0)
              << static_cast<double>(streamed * length) / std::max(seconds, 1e-9) << " pixels/s, "
              << std::setprecision(2) << 1e6 * seconds / static_cast<double>(std::max<Index>(streamed * length, 1))
              << " us each\n";
}

template <class Ssm>
void train(const Settings& settings, s4::ImageDataset& data) {
    using Model = s4::SequenceModel<s4::S4Block<Ssm>>;
    typename Model::Options model;
    model.inputs = 1;
    model.features = settings.features;
    model.outputs = data.training.classes();
    model.layers = settings.layers;
    model.block.ssm.state_size = settings.state_size;
    if constexpr (requires { model.block.ssm.init; }) model.block.ssm.ssm.frozen.B = true;  // S4D: B = 1
    model.block.block.dropout = {.probability = settings.dropout, .tied = true};
    model.model.dropout = {.probability = settings.dropout, .tied = true};
    const auto start = Model::random(model, settings.seed);

    const Index available = data.training.size();
    const Index used = settings.train_images > 0 ? std::min(settings.train_images, available) : available;
    if (used < 2)
        throw Error("--train-images: expected at least 2, one of which validates, found " + std::to_string(used));
    // A tenth, at most 5000, tells how it goes; the rest is trained on.
    const s4::Split split =
        s4::split_examples(used, std::max<Index>(1, std::min<Index>(used / 10, 5000)), settings.seed);
    const fs::path folder = example::make_folder(settings.output_dir);

    s4::TrainerOptions options;
    options.epochs = settings.epochs;
    options.batch_size = settings.batch_size;
    options.seed = settings.seed;
    options.adamw.learning_rate = settings.learning_rate;
    options.adamw.weight_decay = settings.weight_decay;
    options.adamw.ssm_output_is_ordinary = settings.ssm == "s4d";
    const auto steps = static_cast<std::int64_t>((static_cast<Index>(split.training.size()) + settings.batch_size - 1) /
                                                 settings.batch_size * settings.epochs);
    options.schedule =
        s4::CosineSchedule{.steps = steps, .warm_up = std::min<std::int64_t>(settings.warm_up, steps / 10)};
    options.checkpoint = folder / checkpoint_name;
    options.checkpoint_steps = 100;
    options.history = folder / "history.tsv";
    options.description = settings.dataset + (settings.permute ? " permuted " : " ") + settings.ssm + " state size " +
                          std::to_string(settings.state_size) + " dropout " + std::to_string(settings.dropout) +
                          " images " + std::to_string(used);
    options.stop = &stop_requested;

    std::cout << settings.dataset << (settings.permute ? " (permuted)" : "") << ": " << split.training.size()
              << " images to train on, " << split.validation.size() << " to validate, " << data.test.size()
              << " to test; " << data.training.length() << " steps each\n"
              << settings.layers << " layers of " << settings.features << " channels, N = " << settings.state_size
              << ", " << s4::trained_numbers<Model>(start) << " parameters; " << s4::max_threads() << " thread"
              << (s4::max_threads() == 1 ? "" : "s") << std::endl;

    std::signal(SIGINT, request_stop);
    const auto begin = std::chrono::steady_clock::now();
    s4::Trainer<Model, s4::ImageClassification<float>> trainer{
        start,          s4::ImageClassification<float>{data.training}, split.training, split.validation, options,
        settings.resume};
    if (settings.resume) std::cout << "resumed after epoch " << trainer.epoch() << std::endl;
    s4::ProgressPrinter printer{stderr};
    const s4::TrainingResult result = trainer.run(&printer);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    std::signal(SIGINT, SIG_DFL);
    if (result.end == s4::TrainingEnd::not_finite)
        throw Error("training stopped: " + result.trouble + "; " +
                    (result.saved_step ? "the last good weights, of step " + std::to_string(*result.saved_step) +
                                             ", are in " + options.checkpoint.string()
                                       : "this run has saved nothing yet") +
                    "; a smaller --lr may help");
    if (result.end == s4::TrainingEnd::interrupted) {
        if (!result.save_problem.empty())
            throw Error("stopped, and the checkpoint could not be written: " + result.save_problem + "; " +
                        (result.saved_step ? "--resume goes on from step " + std::to_string(*result.saved_step)
                                           : "this run has saved nothing"));
        std::cout << "\nstopped; the same command with --resume goes on from " << options.checkpoint.string() << '\n';
        return;
    }
    std::cout << "\ntrained             " << s4::duration_text(seconds) << '\n';
    // From the checkpoint, as a product would load it – unless the disk did not take it.
    auto trained = trainer.parameters();
    if (result.save_problem.empty()) s4::load_tensors<Model>(options.checkpoint, "model", trained);
    run_deployed<Model>(settings, data.test, trained);
    if (!result.save_problem.empty())
        throw Error("the checkpoint could not be written: " + result.save_problem + "; the results above are of " +
                    "weights that are lost now");
    std::cout << "\ncheckpoint          " << options.checkpoint.string() << "\nhistory             "
              << options.history.string() << '\n';
    if (!settings.no_plot) draw_learning_curve(folder, result.history);
}

void run(const Settings& settings) {
    if (const fs::path file = fs::path{settings.output_dir} / checkpoint_name; settings.resume && !fs::exists(file))
        throw Error("--resume: there is no checkpoint " + file.string() + " to go on from");
    s4::ImageDataset data = s4::read_image_folder(data_folder(settings));
    if (settings.permute) {
        constexpr std::uint64_t permutation_seed = 42;  // one order for every run, as a benchmark needs
        const auto order = s4::random_permutation(data.training.length(), permutation_seed);
        data.training.set_order(order);
        data.test.set_order(order);
    }
    if (settings.ssm == "s4d")
        train<s4::Diagonal<float>>(settings, data);
    else
        train<s4::Dplr<float>>(settings, data);
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app{"Trains an S4 model to name images it reads pixel by pixel, and runs it as a stream",
                 "train_classifier"};
    Settings settings;
    const auto number = [&app](const char* name, Index& value, const char* help, Index least, Index most) {
        app.add_option(name, value, help)->capture_default_str()->check(CLI::Range(least, most));
    };
    const auto real = [&app](const char* name, double& value, const char* help, double least, double most) {
        app.add_option(name, value, help)->capture_default_str()->check([least, most](const std::string& text) {
            const double found = std::strtod(text.c_str(), nullptr);
            if (found >= least && found <= most) return std::string{};  // neither is true of NaN
            std::ostringstream problem;
            problem << "expected a number from " << least << " to " << most << ", found " << text;
            return problem.str();
        });
    };
    app.add_option("--dataset", settings.dataset, "fashion or mnist")
        ->capture_default_str()
        ->check(CLI::IsMember({"fashion", "mnist"}));
    app.add_option("--data", settings.data,
                   "Folder of the four IDX files, plain or .gz (fashion: Debian's dataset-fashion-mnist)");
    app.add_flag("--permute", settings.permute, "Read the pixels in one fixed random order");
    app.add_option("--ssm", settings.ssm, "s4d (diagonal, zero-order hold) or s4 (DPLR, LegS)")
        ->capture_default_str()
        ->check(CLI::IsMember({"s4d", "s4"}));
    number("--features", settings.features, "Channels H", 1, 4096);
    number("--layers", settings.layers, "S4 blocks", 1, 64);
    number("--state-size", settings.state_size, "States N of each channel, even", 2, 4096);
    number("--epochs", settings.epochs, "Passes over the training images", 1, 100'000);
    number("--batch", settings.batch_size, "Images in a mini-batch", 1, 100'000);
    number("--warm-up", settings.warm_up, "Steps in which the learning rate rises (at most a tenth of all)", 0,
           1'000'000);
    number("--train-images", settings.train_images, "Use only so many (0: all)", 0, 10'000'000);
    number("--test-images", settings.test_images, "Use only so many (0: all)", 0, 10'000'000);
    number("--stream-images", settings.stream_images, "Test images classified as a stream as well", 0, 10'000'000);
    real("--lr", settings.learning_rate, "Learning rate; dt and A have at most 0.001", 1e-12, 1e12);
    real("--weight-decay", settings.weight_decay, "Weight decay; dt and A have none", 0, 1e6);
    real("--dropout", settings.dropout, "Probability, tied over time", 0, 0.99);
    app.add_option("--seed", settings.seed, "Of weights, order and dropout")->capture_default_str();
    app.add_option("--output-dir", settings.output_dir, "Folder for checkpoint, history and picture")
        ->capture_default_str();
    app.add_flag("--resume", settings.resume, "Go on with the run whose checkpoint is in --output-dir");
    app.add_flag("--no-plot", settings.no_plot, "Draw no learning curve");
    return example::run_program(app, argc, argv, [&settings] { run(settings); });
}
