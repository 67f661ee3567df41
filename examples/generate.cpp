// An S4 model learns to tell the next pixel of an image from all pixels before it, then draws images pixel by pixel.
//
// MNIST or Fashion-MNIST in a few levels of grey, in reading order: 784 steps, trained as whole sequences, drawn by the
// recurrence. Writes the checkpoint, the history and a picture: what the model drew, below it images of the test set. A
// run with the defaults takes some 10 to 20 minutes on one core; then about half of the digits can be read.
#include "png.hpp"
#include "program.hpp"
#include <s4/discretize/zero_order_hold.hpp>
#include <s4/fft/fftw.hpp>
#include <s4/model/deployed_model.hpp>
#include <s4/train/image_folder.hpp>
#include <s4/train/trainer.hpp>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>
#include <iomanip>
#include <iostream>
#include <numbers>
#include <string>
#include <vector>

namespace {

using example::Error;
namespace fs = std::filesystem;
using s4::Index;
using Model = s4::SequenceModel<s4::S4Block<s4::Diagonal<float>>>;
constexpr const char* checkpoint_name = "checkpoint.safetensors";
using Clock = std::chrono::steady_clock;

struct Settings {
    std::string dataset = "fashion";
    std::string data;
    Index levels = 8;
    Index features = 64;
    Index layers = 3;
    Index state_size = 64;
    Index epochs = 1;
    Index batch_size = 16;
    Index train_images = 20'000;
    Index test_images = 500;
    Index count = 40;
    double learning_rate = 0.01;
    double temperature = 1;
    std::uint64_t seed = 1;
    std::uint64_t drawing_seed = 1;
    std::string output_dir = "generate_output";
    bool resume = false;
};

/// Set by Ctrl-C: the trainer saves and stops. A second Ctrl-C ends the program at once.
volatile std::sig_atomic_t stop_requested = 0;
extern "C" void request_stop(int signal) {
    stop_requested = 1;
    std::signal(signal, SIG_DFL);
}

/// Example i: image i. The input of a step is the level of the pixel before, as one of `levels` numbers that is 1 (none
/// at the first step); wanted is the level of the pixel itself.
class NextPixel {
public:
    using Scalar = float;
    using Targets = std::vector<Index>;

    NextPixel(const s4::ImageSequences& images, Index levels) : images_{&images}, levels_{levels} {}

    [[nodiscard]] Index length() const { return images_->length(); }
    [[nodiscard]] Index inputs() const { return levels_; }
    [[nodiscard]] Index outputs() const { return levels_; }
    [[nodiscard]] Index level(std::uint8_t pixel) const { return pixel * levels_ / 256; }
    [[nodiscard]] std::uint8_t grey(Index level) const {
        return static_cast<std::uint8_t>(level * 255 / (levels_ - 1));
    }

    [[nodiscard]] Targets make_targets(Index batch) const {
        return Targets(static_cast<std::size_t>(batch * length()));
    }
    void fill(std::span<const Index> examples, s4::SequenceOut<float> u, Targets& targets) const noexcept {
        Index row = 0;
        for (const Index example : examples) {
            Index before = -1;
            for (const std::uint8_t pixel : images_->image(example)) {
                for (Index k = 0; k < levels_; ++k) u.row(row)[k] = k == before ? 1.0F : 0.0F;
                targets[static_cast<std::size_t>(row++)] = before = level(pixel);
            }
        }
    }
    [[nodiscard]] s4::Score score(const Targets& targets, Index first, Index count, Index batch,
                                  s4::SequenceView<float> y, s4::SequenceOut<float> dy) const noexcept {
        const auto wanted = std::span{targets}.subspan(static_cast<std::size_t>(first * length()),
                                                       static_cast<std::size_t>(count * length()));
        const Index correct = s4::correct_predictions<float>(y, wanted);
        return {s4::cross_entropy<float>(y, wanted, {.rows = batch * length()}, dy), correct, count * length()};
    }

private:
    const s4::ImageSequences* images_;
    Index levels_;
};

/// How many bits a pixel of the first `count` test images takes: by the model, by how frequent a level is, and by how
/// frequent it is in that place.
void print_bits(const Model::Parameters& p, const NextPixel& task, const s4::ImageDataset& data,
                std::span<const Index> training, Index count) {
    const Index length = task.length();
    Eigen::ArrayXXd frequency = Eigen::ArrayXXd::Ones(task.outputs(), length);  // one more than was counted
    for (const Index example : training)
        for (Index t = 0; t < length; ++t)
            frequency(task.level(data.training.image(example)[static_cast<std::size_t>(t)]), t) += 1;
    const Eigen::ArrayXd level = frequency.rowwise().sum() / frequency.sum();
    frequency.rowwise() /= frequency.colwise().sum().eval();

    s4::DeployedModel<Model, s4::Mode::convolution> whole{p};
    whole.prepare(length);
    auto workspace = whole.make_workspace();
    const NextPixel test{data.test, task.outputs()};
    s4::Sequence<float> u(length, task.inputs()), logits(length, task.outputs());
    NextPixel::Targets targets = test.make_targets(1);
    double by_model = 0, by_level = 0, by_place = 0;  // nats per image
    for (Index image = 0; image < count; ++image) {
        test.fill(std::span{&image, 1}, u, targets);
        whole.forward(workspace, u, logits);
        by_model += s4::cross_entropy<float>(logits, targets) * static_cast<double>(length);
        for (Index t = 0; t < length; ++t) {
            const Index wanted = targets[static_cast<std::size_t>(t)];
            by_level -= std::log(level[wanted]);
            by_place -= std::log(frequency(wanted, t));
        }
    }
    const double bits = 1 / (std::numbers::ln2 * static_cast<double>(count * length));
    std::cout << "bits per pixel of " << count << " test images\n"
              << std::fixed << std::setprecision(4) << "  the model                " << by_model * bits << '\n'
              << "  frequency of each level  " << by_level * bits << '\n'
              << "  frequency in each place  " << by_place * bits << '\n';
}

/// Draws images [count × L] with the recurrence: each pixel is drawn from what the model says and is its next input.
std::vector<std::uint8_t> generate(const Model::Parameters& p, const NextPixel& task, const Settings& settings) {
    const s4::DeployedModel<Model, s4::Mode::recurrence> stream{p};
    auto state = stream.make_state();
    s4::RandomEngine engine{settings.drawing_seed};
    Eigen::ArrayXf input(task.inputs()), logits(task.outputs());
    std::vector<std::uint8_t> pixels;
    const auto begin = Clock::now();
    for (Index image = 0; image < settings.count; ++image) {
        state.reset();
        input.setZero();
        for (Index t = 0; t < task.length(); ++t) {
            stream.step(state, input, logits);
            const Eigen::ArrayXd weight = ((logits - logits.maxCoeff()).cast<double>() / settings.temperature).exp();
            double rest = s4::uniform(engine) * weight.sum();
            Index level = 0;
            while (level + 1 < weight.size() && (rest -= weight[level]) >= 0) ++level;
            input.setZero();
            input[level] = 1;
            pixels.push_back(task.grey(level));
        }
    }
    const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
    const auto steps = static_cast<double>(pixels.size());
    std::cout << "drew                " << settings.count << " images, " << std::setprecision(2)
              << static_cast<double>(settings.count) / seconds << " images/s, " << std::setprecision(0)
              << steps / seconds << " pixels/s\n";
    return pixels;
}

void run(const Settings& settings) {
    if (settings.data.empty() && settings.dataset == "mnist")
        throw Error(
            "--dataset mnist needs --data DIR, the folder with train-images-idx3-ubyte and its three companions");
    if (!(settings.temperature >= 0.01 && settings.temperature <= 100))
        throw Error("--temperature must lie in [0.01, 100], found " + std::to_string(settings.temperature));
    const fs::path file = fs::path{settings.output_dir} / checkpoint_name;
    if (settings.resume && !fs::exists(file))
        throw Error("--resume: there is no checkpoint " + file.string() + " to go on from");
    const s4::ImageDataset data =
        s4::read_image_folder(settings.data.empty() ? fs::path{s4::fashion_mnist_folder} : fs::path{settings.data});
    const NextPixel task{data.training, settings.levels};

    Model::Options model;
    model.inputs = task.inputs();
    model.features = settings.features;
    model.outputs = task.outputs();
    model.layers = settings.layers;
    model.block.ssm.state_size = settings.state_size;
    model.block.ssm.ssm.frozen.B = true;
    model.model.pooling = s4::Pooling::none;
    const auto start = Model::random(model, settings.seed);

    const Index available = data.training.size();
    const Index used = settings.train_images > 0 ? std::min(settings.train_images, available) : available;
    if (used < 2)
        throw Error("--train-images: expected at least 2, one of which validates, found " + std::to_string(used));
    const s4::Split split = s4::split_examples(used, std::clamp<Index>(used / 50, 1, 500), settings.seed);
    const fs::path folder = example::make_folder(settings.output_dir);
    s4::TrainerOptions options;
    options.epochs = settings.epochs;
    options.batch_size = settings.batch_size;
    options.seed = settings.seed;
    options.adamw.learning_rate = settings.learning_rate;
    options.adamw.ssm_output_is_ordinary = true;
    const Index batches = (std::ssize(split.training) + settings.batch_size - 1) / settings.batch_size;
    const Index steps = batches * settings.epochs;
    options.schedule = s4::CosineSchedule{.steps = steps, .warm_up = std::min<Index>(200, steps / 10)};
    options.clip = 1;
    options.checkpoint = folder / checkpoint_name;
    options.checkpoint_steps = 100;
    options.history = folder / "history.tsv";
    options.description = settings.dataset + " levels " + std::to_string(settings.levels) + " state size " +
                          std::to_string(settings.state_size) + " images " + std::to_string(used);
    options.stop = &stop_requested;

    std::cout << settings.dataset << ": " << split.training.size() << " images to train on, " << task.length()
              << " steps each, " << settings.levels << " levels of grey\n"
              << settings.layers << " layers of " << settings.features << " channels, N = " << settings.state_size
              << ", " << s4::trained_numbers<Model>(start) << " parameters" << std::endl;
    std::signal(SIGINT, request_stop);
    s4::Trainer<Model, NextPixel> trainer{start, task, split.training, split.validation, options, settings.resume};
    s4::ProgressPrinter printer{stderr};
    const s4::TrainingResult result = trainer.run(&printer);
    std::signal(SIGINT, SIG_DFL);
    if (result.end == s4::TrainingEnd::not_finite)
        throw Error("training stopped: " + result.trouble + "; a smaller --lr may help");
    if (!result.save_problem.empty()) throw Error("the checkpoint could not be written: " + result.save_problem);
    if (result.end == s4::TrainingEnd::interrupted) {
        std::cout << "\nstopped; the same command with --resume goes on from " << options.checkpoint.string() << '\n';
        return;
    }
    print_bits(trainer.result(), task, data, split.training, std::min(settings.test_images, data.test.size()));

    std::vector<std::uint8_t> pixels = generate(trainer.result(), task, settings);
    const Index columns = std::min<Index>(10, settings.count);
    const example::GridOptions grid{.columns = static_cast<std::size_t>(columns), .zoom = 2};
    // Below a row of nothing, as many real ones with the same levels.
    pixels.resize(static_cast<std::size_t>((settings.count + 2 * columns - 1) / columns * columns * task.length()),
                  grid.background);
    for (Index image = 0; image < std::min(settings.count, data.test.size()); ++image)
        for (const std::uint8_t pixel : data.test.image(image)) pixels.push_back(task.grey(task.level(pixel)));
    const auto height = static_cast<std::size_t>(data.test.height());
    example::write_png(example::draw_grid(pixels, height, static_cast<std::size_t>(data.test.width()), grid),
                       folder / "generated.png");
    std::cout << "picture             " << (folder / "generated.png").string()
              << " (below: real ones)\ncheckpoint          " << options.checkpoint.string() << '\n';
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app{"An S4 model learns to tell the next pixel, then draws images pixel by pixel", "generate"};
    Settings settings;
    const auto number = [&app](const char* name, Index& value, const char* help, Index least, Index most) {
        app.add_option(name, value, help)->capture_default_str()->check(CLI::Range(least, most));
    };
    app.add_option("--dataset", settings.dataset, "fashion or mnist")
        ->capture_default_str()
        ->check(CLI::IsMember({"fashion", "mnist"}));
    app.add_option("--data", settings.data,
                   "Folder of the four IDX files, plain or .gz (fashion: Debian's dataset-fashion-mnist)");
    number("--levels", settings.levels, "Levels of grey", 2, 256);
    number("--features", settings.features, "Channels H", 1, 4096);
    number("--layers", settings.layers, "S4 blocks", 1, 64);
    number("--state-size", settings.state_size, "States N of each channel, even", 2, 4096);
    number("--epochs", settings.epochs, "Passes over the training images", 1, 100'000);
    number("--batch", settings.batch_size, "Images in a mini-batch", 1, 100'000);
    number("--train-images", settings.train_images, "Learn from the first so many (0: all)", 0, 10'000'000);
    number("--test-images", settings.test_images, "Test images whose bits are counted", 1, 10'000'000);
    number("--count", settings.count, "Images to draw", 1, 10'000);
    app.add_option("--lr", settings.learning_rate, "Learning rate; dt and A have at most 0.001")
        ->capture_default_str()
        ->check(CLI::PositiveNumber);
    app.add_option("--temperature", settings.temperature, "Below 1: likelier pixels, above 1: wilder ones")
        ->capture_default_str();
    app.add_option("--seed", settings.seed, "Of weights and order")->capture_default_str();
    app.add_option("--drawing-seed", settings.drawing_seed, "Of the images drawn")->capture_default_str();
    app.add_option("--output-dir", settings.output_dir, "Folder for checkpoint, history and picture")
        ->capture_default_str();
    app.add_flag("--resume", settings.resume,
                 "Go on with the run whose checkpoint is in --output-dir; one that ended draws anew");
    return example::run_program(app, argc, argv, [&settings] { run(settings); });
}
