// Runs one S4 layer over a sound twice – whole by FFT convolution, then sample by sample by the recurrent step – and
// compares the results and the speed. Writes what the layer makes of the sound, and pictures of kernels and signals.
#include "sound.hpp"
#include <s4/fft/fftw.hpp>
#include <s4/s4.hpp>

#include <CLI/CLI.hpp>
#include <sndfile.hh>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;
using namespace examples;

struct Options {
    std::string input = "/usr/share/sounds/alsa/Front_Center.wav";
    std::string output_dir = "stream_audio_output";
    s4::Index channels = 16;
    s4::Index state_size = 64;
    std::uint64_t seed = 1;
    bool no_plot = false;
};

/// 16-bit WAV, complete or not there at all.
void write_sound(const Sound& sound, const fs::path& path) {
    const fs::path part = path.string() + ".part";
    SndfileHandle file{part.string(), SFM_WRITE, SF_FORMAT_WAV | SF_FORMAT_PCM_16, 1, sound.rate};
    bool written = file.error() == SF_ERR_NO_ERROR &&
                   file.write(sound.samples.data(), sound.samples.size()) == sound.samples.size();
    const std::string problem = file.strError();
    file = {};  // closes
    std::error_code failure;
    if (written) fs::rename(part, path, failure);
    if (!written || failure) {
        std::error_code ignored;
        fs::remove(part, ignored);
        throw Error("cannot write " + path.string() + ": " + (written ? failure.message() : problem));
    }
}

template <class Work>
double seconds(const Work& work) {
    const auto start = std::chrono::steady_clock::now();
    work();
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

struct Comparison {
    Signal output;                                                      // the sum of all channels
    double planning = 0, prepare = 0, convolution = 0, recurrence = 0;  // seconds
    double difference = 0, relative_difference = 0;                     // largest; relative to the RMS of its channel
};

/// Feeds the sound to every channel of both modes. Very long sounds go through block by block, with the state carried
/// from one to the next, so that memory stays bounded; the convolution then pays for the state as well.
Comparison compare(const s4::Dplr<float>::Parameters& parameters, const Signal& samples) {
    const s4::Index H = parameters.channels(), length = samples.size();
    const s4::Index block = length <= (s4::Index{1} << 24) / H ? length : (s4::Index{1} << 20) / H;
    Comparison result{.output = Signal(length)};
    const s4::ScopedFlushDenormals guard;  // silence after a sound would be slow without it

    // FFTW remembers this plan: `prepare` finds it and spends its time on the kernels.
    result.planning = seconds([&] { const s4::Fftw<float>::Plan plan{s4::good_fft_size(block)}; });
    s4::S4<float, s4::Mode::convolution> layer{parameters};
    result.prepare = seconds([&] { layer.prepare(block); });
    auto workspace = layer.make_workspace();
    auto layer_state = layer.make_state();

    const s4::S4<float, s4::Mode::recurrence> stream{parameters};
    auto stream_state = stream.make_state();

    s4::Sequence<float> u(block, H), y = u.setZero(), y_stream = y;
    Eigen::ArrayXd difference = Eigen::ArrayXd::Zero(H), energy = difference;
    for (s4::Index start = 0, rows = 0; start < length; start += rows) {
        rows = std::min(block, length - start);
        if (rows < block) u.conservativeResize(rows, H), y.resize(rows, H), y_stream.resize(rows, H);
        u.colwise() = samples.segment(start, rows);
        result.convolution += seconds([&] {
            if (block == length)
                layer.forward(workspace, u, y);
            else
                layer.forward(workspace, layer_state, u, y);
        });
        result.recurrence += seconds([&] {
            for (s4::Index t = 0; t < rows; ++t) stream.step(stream_state, u.row(t), y_stream.row(t));
        });
        result.output.segment(start, rows) = y.rowwise().sum();
        for (s4::Index h = 0; h < H; ++h) {
            energy[h] += y.col(h).cast<double>().squaredNorm();
            difference[h] = std::max(difference[h], static_cast<double>((y - y_stream).col(h).cwiseAbs().maxCoeff()));
        }
    }
    result.difference = difference.maxCoeff();
    for (s4::Index h = 0; h < H; ++h) {
        const double rms = std::sqrt(energy[h] / static_cast<double>(length));
        if (difference[h] > 0) result.relative_difference = std::max(result.relative_difference, difference[h] / rms);
    }
    return result;
}

/// Draws kernels.png and signal.png in the folder. The command holds no name that a user chose, so nothing in a file
/// name can reach the shell.
bool plot(const fs::path& folder, const s4::Dplr<float>::Parameters& parameters, const Sound& in, const Sound& out) {
    if (std::system("gnuplot --version > /dev/null 2>&1") != 0) return false;
    const s4::Sequence<float> kernels = s4::convolution_kernels<s4::Dplr<float>>(parameters, 4000);
    const s4::Index shown = std::min<s4::Index>(kernels.rows(), 4);
    const s4::Index excerpt = std::min<s4::Index>(in.samples.size(), in.rate / 20);
    s4::Index loudest = 0;
    in.samples.cwiseAbs().maxCoeff(&loudest);
    const s4::Index first = std::clamp<s4::Index>(loudest - excerpt / 2, 0, in.samples.size() - excerpt);

    fs::current_path(folder);
    std::ofstream script{"plot.gp"};
    script << "$kernels << EOD\n" << kernels.topRows(shown).transpose() << "\nEOD\n$signal << EOD\n";
    for (s4::Index t = first; t < first + excerpt; ++t)
        script << static_cast<double>(t) / in.rate << ' ' << in.samples[t] << ' ' << out.samples[t] << '\n';
    script << "EOD\nset terminal pngcairo size 1200, 600\nset grid\n"
              "set output 'kernels.png'\nset title 'Kernels of the first channels'\nset xlabel 'sample, from 1'\n"
              "set logscale x\nplot for [h = 1:"
           << shown
           << "] $kernels using ($0 + 1):h with lines"
              " title sprintf('channel %d', h)\nunset logscale x\n"
              "set output 'signal.png'\nset title 'Around the loudest sample'\nset xlabel 'time (s)'\n"
              "plot $signal using 1:2 with lines title 'input', $signal using 1:3 with lines title 'output'\n";
    script.close();
    if (!script || std::system("gnuplot plot.gp") != 0) {
        fs::remove("kernels.png"), fs::remove("signal.png");
        throw Error("gnuplot could not draw the pictures; its script is " + (folder / "plot.gp").string());
    }
    return true;
}

void run(const Options& options) {
    const Sound in = read_sound(options.input);
    const auto parameters = s4::Dplr<float>::random(
        {.channels = options.channels, .state_size = options.state_size, .hippo = s4::LegS{}}, options.seed);
    std::error_code failure;
    fs::create_directories(options.output_dir, failure);
    if (failure) throw Error("cannot make the folder " + options.output_dir + ": " + failure.message());
    const fs::path folder = fs::canonical(options.output_dir);
    if (fs::equivalent(options.input, folder / "output.wav", failure))
        throw Error("the result would overwrite the input; choose another --output-dir");

    const auto length = static_cast<double>(in.samples.size());
    std::cout << "input               " << options.input << ": " << in.samples.size() << " samples, " << in.rate
              << " Hz, " << std::setprecision(3) << length / in.rate << " s\n"
              << "layer               S4 (HiPPO-LegS), N = " << options.state_size << ", " << options.channels
              << " channels, float\n";
    const Comparison result = compare(parameters, in.samples);
    const auto speed = [&](const char* mode, double time) {
        std::cout << mode << std::setprecision(4) << length / time << " samples/s, " << length / in.rate / time
                  << " x real-time\n";
    };
    std::cout << "FFT planning        " << 1e3 * result.planning << " ms\n"
              << "prepare             " << 1e3 * result.prepare << " ms\n";
    speed("convolution         ", result.convolution);
    speed("recurrent step      ", result.recurrence);
    std::cout << "largest difference  " << result.difference << ", relative to RMS " << result.relative_difference
              << std::endl;

    const float peak = result.output.cwiseAbs().maxCoeff();
    if (!std::isfinite(peak)) throw Error(options.input + ": the samples are so large that the output overflows");
    const Sound out{peak > 0 ? Signal(result.output * (0.9F / peak)) : result.output, in.rate};
    write_sound(out, folder / "output.wav");
    std::cout << "sound               " << (folder / "output.wav").string() << std::endl;
    if (options.no_plot) return;
    if (plot(folder, parameters, in, out))
        std::cout << "pictures            " << (folder / "kernels.png").string() << "\n                    "
                  << (folder / "signal.png").string() << '\n';
    else
        std::cout << "pictures            none: gnuplot was not found (apt-get install gnuplot-nox)\n";
}

}  // namespace

int main(int argc, char** argv) {
    Options options;
    CLI::App app{"Runs an S4 layer over a sound by FFT convolution and sample by sample, and compares the two."};
    app.add_option("--input", options.input, "Sound file (WAV, FLAC, ...)")->capture_default_str();
    app.add_option("--output-dir", options.output_dir, "Folder for the results")->capture_default_str();
    app.add_option("--channels", options.channels, "Channels H")->check(CLI::Range(1, 1024))->capture_default_str();
    app.add_option("--state-size", options.state_size, "State size N, even")
        ->check(CLI::Range(2, 1024))
        ->capture_default_str();
    app.add_option("--seed", options.seed, "Seed of the random layer")->capture_default_str();
    app.add_flag("--no-plot", options.no_plot, "Draw no pictures");
    try {
        app.parse(argc, argv);
        run(options);
        return EXIT_SUCCESS;
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
    } catch (const std::bad_alloc&) {
        std::cerr << "stream_audio: out of memory\n";
    } catch (const std::exception& error) {
        std::cerr << "stream_audio: " << error.what() << '\n';
    }
    return EXIT_FAILURE;
}
