// Draws what every initialisation remembers: the kernels of the first few coordinates of its memory. Each is computed
// twice – as the impulse response of the convolution, by FFT, and of the recurrence, step by step – and compared.
#include "program.hpp"
#include <s4/fft/fftw.hpp>
#include <s4/s4.hpp>

#include <CLI/CLI.hpp>

#include <algorithm>
#include <cmath>
#include <complex>
#include <filesystem>
#include <iomanip>
#include <iostream>
#include <numeric>
#include <span>
#include <sstream>
#include <string>
#include <vector>

namespace {

namespace fs = std::filesystem;
using s4::Index;
using Kernels = s4::Sequence<double>;  // [samples × curves]: a column is a kernel

struct Options {
    Index state_size = 64;
    Index length = 5000;
    double dt = 1e-3;
    std::string output_dir = "kernel_gallery_output";
    bool no_plot = false;
};

/// One initialisation: its kernels over four times the length shown, so that what lies beyond is known as well.
struct Exhibit {
    std::string name;
    std::string about;
    std::string system;
    Kernels kernels;
    double difference = 0;  // largest, between the two ways, relative to the largest value
    Index remembers = 0;    // samples
};

constexpr Index most_curves = 5;

/// The samples after which less than 1 % of the energy of all curves is to come.
Index memory(const Kernels& kernels) {
    const Eigen::VectorXd energy = kernels.rowwise().squaredNorm();
    const double limit = 0.01 * energy.sum();
    Index count = energy.size();
    for (double tail = 0; count > 0; --count) {
        tail += energy[count - 1];
        if (tail >= limit) break;
    }
    return count;
}

/// The answer of a layer to one impulse in every channel, in both modes.
template <class Ssm>
Exhibit show(const std::string& name, const char* about, const std::string& system,
             const typename Ssm::Parameters& parameters, Index length) {
    Kernels impulse = Kernels::Zero(length, parameters.channels());
    impulse.row(0).setOnes();
    Exhibit exhibit{.name = name, .about = about, .system = system, .kernels = impulse};

    s4::S4Layer<Ssm, s4::Mode::convolution> layer{parameters};
    layer.prepare(length);
    auto workspace = layer.make_workspace();
    layer.forward(workspace, impulse, exhibit.kernels);

    const s4::S4Layer<Ssm, s4::Mode::recurrence> stream{parameters};
    auto state = stream.make_state();
    Kernels steps = impulse;
    for (Index t = 0; t < length; ++t) stream.step(state, impulse.row(t), steps.row(t));

    exhibit.difference = (exhibit.kernels - steps).cwiseAbs().maxCoeff() / steps.cwiseAbs().maxCoeff();
    exhibit.remembers = memory(exhibit.kernels);
    return exhibit;
}

/// A HiPPO measure in diagonal-plus-low-rank form. Channel h gives coordinate h of the memory: with x = V z + conj(V z)
/// its C is row h of V.
Exhibit show(const s4::Hippo& hippo, const char* about, const Options& options) {
    const s4::Nplr nplr = s4::nplr(hippo, options.state_size);
    const Eigen::VectorXd dt = Eigen::VectorXd::Constant(nplr.lambda.size(), options.dt);
    std::vector<s4::DplrSystem> channels;
    for (Index h = 0; h < std::min(most_curves, options.state_size); ++h)
        channels.push_back({.lambda = nplr.lambda, .P = nplr.P, .B = nplr.B, .C = nplr.V.row(h), .dt = dt});
    using Ssm = s4::Dplr<double>;
    return show<Ssm>(std::string{s4::name_of(hippo)}, about, "DPLR, rank " + std::to_string(nplr.P.rows()),
                     Ssm::from_systems(channels), 4 * options.length);
}

/// A diagonal initialisation. The channels give its slowest modes: y = Re x_n.
Exhibit show(s4::S4dInit init, const char* about, const Options& options) {
    const s4::DiagonalInit start = s4::s4d_init(init, options.state_size);
    const Index pairs = start.lambda.size();
    std::vector<Index> order(static_cast<std::size_t>(pairs));
    std::iota(order.begin(), order.end(), Index{0});
    std::sort(order.begin(), order.end(),
              [&](Index a, Index b) { return std::abs(start.lambda[a]) < std::abs(start.lambda[b]); });
    order.resize(static_cast<std::size_t>(std::min(most_curves, pairs)));
    const Eigen::VectorXd dt = Eigen::VectorXd::Constant(pairs, options.dt);
    std::vector<s4::DiagonalSystem> channels;
    for (const Index n : order)
        channels.push_back(
            {.lambda = start.lambda, .B = start.B, .C = 0.5 * Eigen::VectorXcd::Unit(pairs, n), .dt = dt});
    using Ssm = s4::Diagonal<double>;
    return show<Ssm>("s4d_" + std::string{s4::name_of(init)}, about, "diagonal", Ssm::from_systems(channels),
                     4 * options.length);
}

/// Every measure with a normal-plus-low-rank form (lmu and glagt have none), and every diagonal initialisation.
std::vector<Exhibit> exhibits(const Options& options) {
    return {
        show(s4::LegS{}, "Legendre, the past warped by exp(-t)", options),
        show(s4::LegSD{}, "the normal part of legs: it rings", options),
        show(s4::LegT{}, "Legendre, a sliding window", options),
        show(s4::LagT{}, "Laguerre, a fading past", options),
        show(s4::TiltedLagT{}, "Laguerre, fading faster", options),
        show(s4::Fourier{}, "Fourier, a sliding window", options),
        show(s4::Fourier2{}, "Fourier, half the window", options),
        show(s4::FourierDecay{}, "Fourier, half the correction", options),
        show(s4::FourierDiagonal{}, "damped Fourier, no correction", options),
        show(s4::S4dInit::legs, "the modes of the normal part of legs", options),
        show(s4::S4dInit::lin, "equidistant frequencies", options),
        show(s4::S4dInit::inv, "inverse law, close to legs", options),
        show(s4::S4dInit::inv2, "another inverse law", options),
        show(s4::S4dInit::quad, "quadratic law", options),
        show(s4::S4dInit::real, "no oscillation", options),
    };
}

void print(const std::vector<Exhibit>& gallery, const Options& options) {
    std::cout << "N = " << options.state_size << ", dt = " << options.dt << ", double\n\n"
              << std::left << std::setw(16) << "initialisation" << std::setw(14) << "system" << std::right
              << std::setw(12) << "largest K" << std::setw(12) << "at sample" << std::setw(12) << "remembers"
              << std::setw(12) << "FFT - step" << '\n';
    for (const Exhibit& exhibit : gallery) {
        Index at = 0, curve = 0;
        const double largest = exhibit.kernels.cwiseAbs().maxCoeff(&at, &curve);
        const bool known = exhibit.remembers <= options.length;
        const std::string remembers = known ? std::to_string(exhibit.remembers) : "> " + std::to_string(options.length);
        std::cout << std::left << std::setw(16) << exhibit.name << std::setw(14) << exhibit.system << std::right
                  << std::setprecision(4) << std::setw(12) << largest << std::setw(12) << at << std::setw(12)
                  << remembers << std::setprecision(2) << std::setw(12) << exhibit.difference << '\n';
    }
    std::cout << "\nremembers: samples until less than 1 % of the energy is to come; FFT - step: largest difference\n"
                 "between the two ways to compute the kernel, relative to its largest value\n";
}

/// One page of panels, three in a row.
void draw(example::Plot& plot, const std::string& file, const char* title, std::span<const Exhibit> page,
          const Options& options) {
    const auto count = std::ssize(page);
    const auto rows = (count + 2) / 3;
    plot.picture(file, 1500, static_cast<int>(80 + 300 * rows));
    plot << "set multiplot layout " << rows << ", 3 title '" << title
         << ", as K / dt; dashed: 99 % of the energy is past' font ',15'\nset key invert\n";
    for (Index i = 0; i < count; ++i) {
        const Exhibit& exhibit = page[static_cast<std::size_t>(i)];
        plot << "set title '" << exhibit.name << ": " << exhibit.about << "'\nset xlabel '"
             << (i + 3 >= count ? "sample" : "") << "'\nunset arrow\n";
        if (exhibit.remembers <= options.length)
            plot << "set arrow from " << exhibit.remembers << ", graph 0 to " << exhibit.remembers
                 << ", graph 1 nohead dashtype 2 linecolor '#555555'\n";
        plot << "plot for [n = " << exhibit.kernels.cols() - 1 << ":0:-1] $" << exhibit.name
             << " using 1:n+2 with lines linestyle n+1 title sprintf('n = %d', n)\nunset key\n";
    }
    plot << "unset multiplot\n";
}

void plot(const fs::path& folder, const std::vector<Exhibit>& gallery, const Options& options) {
    example::Plot plot{folder};
    const Index every = (options.length + 2499) / 2500;
    const Index points = (options.length + every - 1) / every;
    for (const Exhibit& exhibit : gallery) {
        Eigen::MatrixXd table(points, 1 + exhibit.kernels.cols());
        for (Index i = 0; i < points; ++i)
            table.row(i) << static_cast<double>(i * every), exhibit.kernels.row(i * every) / options.dt;
        plot.data(exhibit.name, table);
    }
    plot << "set xrange [0:" << options.length << "]\nset grid linecolor '#dddddd' linetype 1\nset border 3\n"
         << "set tics nomirror\nset xzeroaxis linecolor '#999999' linetype 1\n"
         << "set style line 1 linecolor '#0b1f4b' linewidth 2\nset style line 2 linecolor '#1f6fb4' linewidth 1.6\n"
         << "set style line 3 linecolor '#2ba58b' linewidth 1.4\nset style line 4 linecolor '#e08a1e' linewidth 1.2\n"
         << "set style line 5 linecolor '#c8385a' linewidth 1\n";
    const auto diagonal = std::find_if(gallery.begin(), gallery.end(),
                                       [](const Exhibit& exhibit) { return exhibit.system == "diagonal"; });
    draw(plot, "hippo_kernels.png", "HiPPO: kernels of the first coordinates of the memory",
         {gallery.begin(), diagonal}, options);
    draw(plot, "s4d_kernels.png", "S4D: kernels of the slowest modes", {diagonal, gallery.end()}, options);
    plot.draw();
}

void run(const Options& options) {
    if (!(options.dt >= s4::min_step_size && options.dt <= s4::max_step_size)) {
        std::ostringstream message;
        message << "--dt must lie in [" << s4::min_step_size << ", " << s4::max_step_size << "], found " << options.dt;
        throw example::Error(message.str());
    }
    const std::vector<Exhibit> gallery = exhibits(options);
    print(gallery, options);
    if (!options.no_plot) plot(example::make_folder(options.output_dir), gallery, options);
}

}  // namespace

int main(int argc, char** argv) {
    Options options;
    CLI::App app{"Draws the convolution kernels of all HiPPO and S4D initialisations.", "kernel_gallery"};
    app.add_option("--n", options.state_size, "State size N, even")->check(CLI::Range(2, 1024))->capture_default_str();
    app.add_option("--length", options.length, "Samples shown")->check(CLI::Range(16, 1 << 16))->capture_default_str();
    app.add_option("--dt", options.dt, "Step size: time per sample")->capture_default_str();
    app.add_option("--output,--output-dir", options.output_dir, "Folder for the pictures")->capture_default_str();
    app.add_flag("--no-plot", options.no_plot, "Draw no pictures");
    return example::run_program(app, argc, argv, [&] { run(options); });
}
