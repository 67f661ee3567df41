// A layer made for one sampling rate runs at another: only `rate` changes. The same sound, with the layer's own
// sampling rate and with every third sample of it, must give the same output at the samples that both have.
#include "sound.hpp"
#include <s4/fft/fftw.hpp>
#include <s4/s4.hpp>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <iomanip>
#include <iostream>
#include <numbers>
#include <string>

namespace {

using example::Error, example::Sound;
using Ssm = s4::Dplr<float>;
using Sequence = s4::Sequence<float>;

struct Options {
    std::string input = example::default_sound;
    std::string output_dir = "resample_output";
    s4::Index factor = 3;
    double cutoff = 500;
    s4::Index channels = 16;
    s4::Index state_size = 64;
    std::uint64_t seed = 1;
    bool no_plot = false;
};

/// What is below `cutoff` (in cycles a sample): a sinc under a Hann window, delayed by half its length. Both sampling
/// rates then carry the same curve.
Sequence low_pass(const Sequence& samples, double cutoff) {
    const auto half = static_cast<s4::Index>(std::ceil(4 / cutoff));
    Sequence filter(1, 2 * half + 1);
    for (s4::Index l = 0; l < filter.cols(); ++l) {
        const double t = std::numbers::pi * static_cast<double>(l - half);
        const double sinc = l == half ? 2 * cutoff : std::sin(2 * cutoff * t) / t;
        filter(0, l) = static_cast<float>(sinc * (0.5 + 0.5 * std::cos(t / static_cast<double>(half + 1))));
    }
    const s4::Index length = samples.rows() + filter.cols();  // the filter's tail is heard too
    Sequence kernel = Sequence::Zero(1, length), sound = Sequence::Zero(length, 1);
    kernel.leftCols(filter.cols()) = filter;
    sound.topRows(samples.rows()) = samples;
    const s4::CausalConvolution<s4::Fftw<float>> convolution{kernel};
    s4::CausalConvolution<s4::Fftw<float>>::Workspace workspace{convolution};
    convolution(workspace, sound, sound);
    return sound;
}

/// Every channel hears the same samples.
Sequence whole(const Ssm::Parameters& parameters, const Sequence& samples) {
    const Sequence u = samples.replicate(1, parameters.channels());
    Sequence y(u.rows(), u.cols());
    s4::S4<float, s4::Mode::convolution> layer{parameters};
    layer.prepare(u.rows());
    auto workspace = layer.make_workspace();
    layer.forward(workspace, u, y);
    return y;
}

Sequence streamed(const Ssm::Parameters& parameters, const Sequence& samples) {
    const Sequence u = samples.replicate(1, parameters.channels());
    Sequence y(u.rows(), u.cols());
    const s4::S4<float, s4::Mode::recurrence> layer{parameters};
    auto state = layer.make_state();
    const s4::ScopedFlushDenormals guard;
    for (s4::Index t = 0; t < u.rows(); ++t) layer.step(state, u.row(t), y.row(t));
    return y;
}

/// Every `factor`-th row.
Sequence decimate(const Sequence& samples, s4::Index factor) {
    Sequence kept((samples.rows() + factor - 1) / factor, samples.cols());
    for (s4::Index t = 0; t < kept.rows(); ++t) kept.row(t) = samples.row(factor * t);
    return kept;
}

/// The RMS of the difference over the RMS of the truth.
double error(const Sequence& found, const Sequence& truth) { return (found - truth).norm() / truth.norm(); }

void plot(const example::fs::path& folder, const Options& options, int sampling_rate, const Sequence& truth,
          const Sequence& rated, const Sequence& unrated) {
    s4::Index loudest = 0, channel = 0;
    truth.cwiseAbs().maxCoeff(&loudest, &channel);
    const s4::Index shown = std::min<s4::Index>(truth.rows() / options.factor, sampling_rate / options.factor / 50);
    const s4::Index first = std::clamp<s4::Index>(loudest / options.factor - shown / 2, 0, rated.rows() - shown);
    Eigen::MatrixXd made(shown * options.factor, 2), slow(shown, 3);
    for (s4::Index t = 0; t < made.rows(); ++t)
        made.row(t) << 1e3 * static_cast<double>(first * options.factor + t) / sampling_rate,
            truth(first * options.factor + t, channel);
    for (s4::Index t = 0; t < shown; ++t)
        slow.row(t) << 1e3 * static_cast<double>((first + t) * options.factor) / sampling_rate,
            rated(first + t, channel), unrated(first + t, channel);
    example::Plot plot{folder};
    plot.data("made", made);
    plot.data("slow", slow);
    plot.picture("resample.png", 1200, 600);
    plot << "set grid\nset key outside bottom center horizontal\nset title 'One layer, made for " << sampling_rate
         << " Hz, at " << sampling_rate / static_cast<double>(options.factor)
         << " Hz'\nset xlabel 'time (ms)'\nset ylabel 'output of one channel'\nplot $made using 1:2 with lines lw 2 lc "
            "rgb '#888888' title 'every sample', $slow using 1:2 with points pt 7 ps 0.8 lc rgb '#0060ad' title 'one "
            "sample in "
         << options.factor << ", rate = " << options.factor
         << "', $slow using 1:3 with linespoints pt 6 ps 0.6 lc rgb '#dd181f' title 'one sample in " << options.factor
         << ", rate = 1'\n";
    plot.draw();
}

void run(const Options& options) {
    const Sound in = example::read_sound(options.input);
    const double slow_rate = in.rate / static_cast<double>(options.factor);
    if (!(options.cutoff > 0 && options.cutoff <= slow_rate / 2))
        throw Error("--cutoff must be above 0 and at most half of the lower sampling rate, " +
                    std::to_string(slow_rate / 2) + " Hz, found " + std::to_string(options.cutoff));
    auto parameters = Ssm::random({.channels = options.channels, .state_size = options.state_size}, options.seed);
    const Sequence samples = low_pass(in.samples, options.cutoff / in.rate);
    const Sequence fewer = decimate(samples, options.factor);
    if (!(samples.norm() > 0)) throw Error(options.input + ": nothing is left of the sound below --cutoff");

    const Sequence made = whole(parameters, samples);
    const Sequence truth = decimate(made, options.factor);
    const Sequence unrated = whole(parameters, fewer);
    parameters.rate = static_cast<double>(options.factor);
    const Sequence rated = whole(parameters, fewer);

    std::cout << std::setprecision(4) << "input               " << options.input << ": " << in.samples.size()
              << " samples, " << in.rate << " Hz, used below " << options.cutoff << " Hz\n"
              << "layer               S4 (HiPPO-LegS), N = " << options.state_size << ", " << options.channels
              << " channels, made for " << in.rate << " Hz, run at " << std::lround(slow_rate) << " Hz\n"
              << "rate = " << std::setw(3) << options.factor << "          differs by " << 100 * error(rated, truth)
              << " % of RMS\n"
              << "rate =   1          differs by " << 100 * error(unrated, truth) << " % of RMS\n"
              << "step, rate = " << std::setw(3) << options.factor << "    differs from the convolution by "
              << 100 * error(streamed(parameters, fewer), rated) << " % of RMS" << std::endl;
    std::cout
        << "                    (what is left at the right rate is the bilinear rule, which bends high frequencies)"
        << std::endl;
    if (options.no_plot) return;
    plot(example::make_folder(options.output_dir), options, in.rate, made, rated, unrated);
}

}  // namespace

int main(int argc, char** argv) {
    Options options;
    CLI::App app{"Runs a layer that was made for the sampling rate of a sound at a lower one.", "resample"};
    app.add_option("--input", options.input, "Sound file (WAV, FLAC, ...)")->capture_default_str();
    app.add_option("--output-dir", options.output_dir, "Folder for the picture")->capture_default_str();
    app.add_option("--factor", options.factor, "How many times lower the other sampling rate is")
        ->check(CLI::Range(1, 64))
        ->capture_default_str();
    app.add_option("--cutoff", options.cutoff, "Highest frequency of the sound that is used, Hz")
        ->capture_default_str();
    app.add_option("--channels", options.channels, "Channels H")->check(CLI::Range(1, 1024))->capture_default_str();
    app.add_option("--state-size", options.state_size, "State size N, even")
        ->check(CLI::Range(2, 1024))
        ->capture_default_str();
    app.add_option("--seed", options.seed, "Seed of the random layer")->capture_default_str();
    app.add_flag("--no-plot", options.no_plot, "Draw no picture");
    return example::run_program(app, argc, argv, [&] { run(options); });
}
