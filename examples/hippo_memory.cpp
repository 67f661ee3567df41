// Listens to a sound sample by sample and keeps N numbers of it, never a sample: what the last 5 ms were (LegT), and
// how loud the last second was (LegT over a window, LegS over everything since it began). Then compares with the truth.
#include "sound.hpp"
#include <s4/recurrence/hippo_memory.hpp>
#include <s4/recurrence/legs_memory.hpp>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <initializer_list>
#include <iomanip>
#include <iostream>
#include <string>

namespace {

using example::Error, example::Sound;
using s4::Index;
using Signal = Eigen::VectorXf;

constexpr std::array<Index, 5> sizes{16, 32, 64, 128, 256};
constexpr std::size_t shown = 2;  // of these sizes, the one whose envelopes are drawn

struct Options {
    std::string input = example::default_sound;
    std::string output_dir = "hippo_memory_output";
    bool no_plot = false;
};

/// A piece of the signal and what the memories of all sizes give back of it, each [samples].
struct Recall {
    Signal truth;
    std::array<Signal, sizes.size()> recalled;

    /// RMS of the error relative to that of the truth, in percent.
    [[nodiscard]] double error(std::size_t size) const {
        const double energy = truth.cast<double>().squaredNorm();
        return energy > 0 ? 100 * std::sqrt((recalled[size] - truth).cast<double>().squaredNorm() / energy) : 0;
    }
};

/// How loud the sound is: its size, smoothed twice over 10 ms.
Signal envelope_of(const Sound& sound) {
    Signal envelope(sound.samples.size());
    const float rate = 1.0F / std::max(1.0F, 0.01F * static_cast<float>(sound.rate));
    float once = 0;
    float twice = 0;
    for (Index t = 0; t < envelope.size(); ++t) {
        once += rate * (std::abs(sound.samples[t]) - once);
        envelope[t] = twice += rate * (once - twice);
    }
    return envelope;
}

/// The last `window` samples before `end`, by LegT. Every sample up to there goes through the memory.
Recall recall_window(const Signal& signal, Index end, Index window) {
    Recall recall{.truth = signal.segment(end - window, window), .recalled = {}};
    const auto whole = static_cast<double>(window);
    const Eigen::VectorXd lags =  // the middle of each sample, the oldest first
        Eigen::VectorXd::LinSpaced(window, whole - 0.5, 0.5) / whole;
    for (std::size_t i = 0; i < sizes.size(); ++i) {
        const s4::HippoMemory<float> memory({.state_size = sizes[i], .hippo = s4::LegT{}, .window = whole},
                                            s4::ZeroOrderHold{});
        auto state = memory.make_state();
        for (Index t = 0; t < end; ++t) memory.step(state, signal.segment(t, 1));
        recall.recalled[i] = memory.reconstruct(state, lags);
    }
    return recall;
}

/// The same of a scale-invariant LegS memory that began to listen `window` samples ago.
Recall recall_everything(const Signal& signal, Index end, Index window) {
    Recall recall{.truth = signal.segment(end - window, window), .recalled = {}};
    const auto whole = static_cast<double>(window);
    const Eigen::VectorXd points = Eigen::VectorXd::LinSpaced(window, 0.5, whole - 0.5) / whole;
    for (std::size_t i = 0; i < sizes.size(); ++i) {
        const s4::LegsMemory<float> memory(1, sizes[i]);
        auto state = memory.make_state();
        for (Index t = end - window; t < end; ++t) memory.step(state, signal.segment(t, 1));
        recall.recalled[i] = memory.reconstruct(state, points);
    }
    return recall;
}

/// Curves of equal length over the time before their end, in units of 1/`per_second` s.
Eigen::MatrixXd curves(double rate, double per_second, std::initializer_list<const Signal*> signals) {
    const Index length = (*signals.begin())->size();
    const Index stride = std::max<Index>(1, length / 2000);  // more than the picture has columns
    Eigen::MatrixXd table((length + stride - 1) / stride, std::ssize(signals) + 1);
    for (Index row = 0; row < table.rows(); ++row) {
        table(row, 0) = per_second * static_cast<double>(row * stride - length) / rate;
        Index column = 0;
        for (const Signal* signal : signals) table(row, ++column) = (*signal)[row * stride];
    }
    return table;
}

/// Draws memory.png in the folder.
void plot(const example::fs::path& folder, double rate, const Recall& wave, const Recall& by_legt,
          const Recall& by_legs) {
    Eigen::MatrixXd errors(std::ssize(sizes), 4);
    for (std::size_t i = 0; i < sizes.size(); ++i)
        errors.row(static_cast<Index>(i)) << static_cast<double>(sizes[i]), wave.error(i), by_legt.error(i),
            by_legs.error(i);
    example::Plot plot{folder};
    plot.data("wave", curves(rate, 1e3, {&wave.truth, &wave.recalled[0], &wave.recalled[1], &wave.recalled[2]}));
    plot.data("envelope", curves(rate, 1, {&by_legt.truth, &by_legt.recalled[shown], &by_legs.recalled[shown]}));
    plot.data("errors", errors);
    plot.picture("memory.png", 1200, 1350);
    plot << "set multiplot layout 3, 1\nset grid lt 1 lc rgb '#e4e4e4'\nset key outside right top\nset lmargin "
            "10\nset rmargin 26\n"
            "set style line 1 lc rgb '#999999' lw 5\nset style line 2 lc rgb '#d95f02' lw 1.5\n"
            "set style line 3 lc rgb '#1b9e77' lw 1.5\nset style line 4 lc rgb '#5e3c99' lw 1.5\n"
            "set title 'The last 5 ms, from the coefficients of LegT'\nset xlabel 'time before now (ms)'\n"
            "set ylabel 'sample'\nset autoscale xfix\n"
            "plot $wave using 1:2 with lines ls 1 title 'truth', ";
    for (int i = 0; i < 3; ++i)
        plot << "$wave using 1:" << i + 3 << " with lines ls " << i + 2
             << " title 'N = " << sizes[static_cast<std::size_t>(i)] << (i < 2 ? "', " : "'\n");
    plot << "set title 'How loud the last second was, from " << sizes[shown]
         << " coefficients'\nset xlabel 'time before now (s)'\nset ylabel 'envelope'\n"
            "plot $envelope using 1:2 with lines ls 1 title 'truth', "
            "$envelope using 1:3 with lines ls 2 title 'LegT', $envelope using 1:4 with lines ls 3 title 'LegS'\n"
            "set title 'Error of what is remembered'\nset xlabel 'coefficients N'\n"
            "set ylabel 'RMS error (% of the RMS of the truth)'\nset logscale xy\nset xrange [14:290]\n"
            "set xtics (16, 32, 64, 128, 256)\nset style data linespoints\nset pointsize 1.5\n"
            "plot $errors using 1:2 ls 4 pt 7 title 'last 5 ms, LegT', $errors using 1:3 ls 2 pt 7 title "
            "'envelope, LegT', $errors using 1:4 ls 3 pt 7 title 'envelope, LegS'\nunset multiplot\n";
    plot.draw();
}

void run(const Options& options) {
    const Sound sound = example::read_sound(options.input);
    const Index length = sound.samples.size();
    const Index window = std::max<Index>(1, sound.rate / 200);  // 5 ms
    if (length < window) throw Error(options.input + ": shorter than 5 ms");
    const example::fs::path folder = example::make_folder(options.output_dir);

    // The 5 ms are those around the loudest sample, the second is the last of the file.
    Index loudest = 0;
    sound.samples.cwiseAbs().maxCoeff(&loudest);
    const Index moment = std::clamp(loudest + window / 2, window, length);
    const Recall wave = recall_window(sound.samples, moment, window);
    const Signal envelope = envelope_of(sound);
    const Index second = std::min<Index>(sound.rate, length);
    const Recall by_legt = recall_window(envelope, length, second);
    const Recall by_legs = recall_everything(envelope, length, second);

    const auto rate = static_cast<double>(sound.rate);
    std::cout << "input               " << options.input << ": " << length << " samples, " << sound.rate << " Hz\n"
              << std::fixed << std::setprecision(3) << "last 5 ms           " << window << " samples up to "
              << static_cast<double>(moment) / rate << " s\n"
              << "last second         " << second << " samples up to " << static_cast<double>(length) / rate << " s\n"
              << "RMS error relative to the truth, in percent:\n"
              << "   N    last 5 ms, LegT    envelope, LegT    envelope, LegS\n";
    for (std::size_t i = 0; i < sizes.size(); ++i)
        std::cout << std::setw(4) << sizes[i] << std::setw(19) << wave.error(i) << std::setw(18) << by_legt.error(i)
                  << std::setw(18) << by_legs.error(i) << '\n';
    std::cout << std::flush;
    if (options.no_plot) return;
    plot(folder, rate, wave, by_legt, by_legs);
}

}  // namespace

int main(int argc, char** argv) {
    Options options;
    CLI::App app{"Compresses a sound online into HiPPO coefficients and shows what they remember of it.",
                 "hippo_memory"};
    app.add_option("--input", options.input, "Sound file (WAV, FLAC, ...)")->capture_default_str();
    app.add_option("--output-dir", options.output_dir, "Folder for the picture")->capture_default_str();
    app.add_flag("--no-plot", options.no_plot, "Draw no picture");
    return example::run_program(app, argc, argv, [&] { run(options); });
}
