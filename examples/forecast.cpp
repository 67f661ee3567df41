// Forecasts the carbon dioxide in the air above Mauna Loa: an S4 model learns from the first years what the next months
// bring, then runs as a stream over all of the past and goes on by itself, feeding its forecasts back.
//
// The weekly means become monthly ones (months without a measurement: linear interpolation). The model sees changes, in
// a unit that comes from the past alone.
#include "program.hpp"
#include <s4/discretize/zero_order_hold.hpp>
#include <s4/fft/fftw.hpp>
#include <s4/model/deployed_model.hpp>
#include <s4/train/trainer.hpp>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <fstream>
#include <iomanip>
#include <iostream>
#include <map>
#include <numeric>
#include <string>
#include <vector>

namespace {

using example::Error;
using s4::Index;
using Model = s4::SequenceModel<s4::S4Block<s4::Diagonal<float>>>;

constexpr Index year = 12;  // months

struct Settings {
    std::string data = CO2_FILE;
    double past = 0.8;
    Index window = 240;
    Index features = 32;
    Index layers = 1;
    Index state_size = 32;
    Index epochs = 40;
    double learning_rate = 0.005;
    std::uint64_t seed = 1;
    std::string output_dir = "forecast_output";
    bool no_plot = false;
};

/// Values of successive months, the first of them month `first` since the year 0.
struct Series {
    Index first = 0;
    Eigen::VectorXd values;
};

/// Monthly means of the lines "YYYYMMDD,value"; lines that begin with # or "date", and those without a value, are
/// passed over.
Series read_months(const std::string& path) {
    std::ifstream file{path};
    if (!file) throw Error(path + ": cannot open the file");
    std::map<Index, std::pair<double, int>> months;  // sum and number of the measurements
    std::string line;
    for (int number = 1; std::getline(file, line); ++number) {
        if (!line.empty() && line.back() == '\r') line.pop_back();
        if (line.empty() || line.front() == '#' || line.starts_with("date") || line.back() == ',') continue;
        int date = 0;
        double value = 0;
        const char* const end = line.data() + line.size();
        const auto [comma, bad_date] = std::from_chars(line.data(), end, date);
        const bool has_date = bad_date == std::errc{} && comma != end && *comma == ',' && date / 100 % 100 >= 1 &&
                              date / 100 % 100 <= 12 && date >= 1'000'00'00;
        const auto [rest, bad_value] = std::from_chars(has_date ? comma + 1 : end, end, value);
        if (!has_date || bad_value != std::errc{} || rest != end || !std::isfinite(value))
            throw Error(path + ": line " + std::to_string(number) + ": expected YYYYMMDD,value, found " + line);
        auto& [sum, count] = months[date / 1'00'00 * year + date / 100 % 100 - 1];
        sum += value;
        ++count;
    }
    if (months.empty()) throw Error(path + ": no measurements");
    const Index last = months.rbegin()->first;
    if (last - months.begin()->first > 100'000) throw Error(path + ": the dates span too many years");
    Series series{months.begin()->first, Eigen::VectorXd(last - months.begin()->first + 1)};
    auto before = months.begin();
    for (auto month = months.begin(); month != months.end(); before = month++) {
        month->second.first /= month->second.second;  // now the mean
        const auto gap = static_cast<double>(std::max<Index>(1, month->first - before->first));
        const double from = before->second.first, step = (month->second.first - from) / gap;
        for (Index at = before->first; at <= month->first; ++at)
            series.values[at - series.first] = from + step * static_cast<double>(at - before->first);
    }
    return series;
}

/// Example i: a window of the series from month i + 1 on. The input of a step is the change since the month before;
/// wanted are the changes from that month to each of the year that follows. So nothing depends on how much there is.
class NextYear {
public:
    using Scalar = float;
    using Targets = s4::Sequence<float>;

    /// `series` stays as long as this lives.
    NextYear(const Eigen::VectorXf& series, Index window) : series_{&series}, window_{window} {}

    [[nodiscard]] Index length() const { return window_; }
    [[nodiscard]] static Index inputs() { return 1; }
    [[nodiscard]] static Index outputs() { return year; }
    /// Number of examples.
    [[nodiscard]] Index size() const { return series_->size() - window_ - year; }

    [[nodiscard]] Targets make_targets(Index batch) const { return {batch * window_, year}; }
    void fill(std::span<const Index> examples, s4::SequenceOut<float> u, Targets& targets) const noexcept {
        Index row = 0;
        for (const Index first : examples)
            for (Index t = first + 1; t <= first + window_; ++t, ++row) {
                *u.row(row) = (*series_)[t] - (*series_)[t - 1];
                targets.row(row) = series_->segment(t + 1, year).transpose().array() - (*series_)[t];
            }
    }
    [[nodiscard]] s4::Score score(const Targets& targets, Index first, Index count, Index batch,
                                  s4::SequenceView<float> y, s4::SequenceOut<float> dy) const noexcept {
        const auto wanted = targets.middleRows(first * window_, count * window_);
        return {s4::mse<float>(y, wanted, {.rows = batch * window_}, dy), 0, 0};
    }

private:
    const Eigen::VectorXf* series_;
    Index window_;
};

/// The trained model reads the changes of `past` as a stream; the year that it expects becomes its input, and so on.
Eigen::VectorXf forecast(const Model::Parameters& p, const Eigen::VectorXf& past, Index steps) {
    const s4::DeployedModel<Model, s4::Mode::recurrence> stream{p};
    auto state = stream.make_state();
    Eigen::VectorXf input(1), next(year), expected(past.size() + steps);
    expected.head(past.size()) = past;
    for (Index t = 1; t < expected.size(); ++t) {
        const Index ahead = t - past.size();
        if (ahead >= 0 && ahead % year == 0) {
            const Index some = std::min(year, expected.size() - t);
            expected.segment(t, some) = next.head(some).array() + expected[t - 1];
        }
        input[0] = expected[t] - expected[t - 1];
        stream.step(state, input, next);
    }
    return expected.tail(steps);
}

void draw(const std::string& output_dir, const Series& series, const Eigen::MatrixXd& forecasts) {
    const Index past = series.values.size() - forecasts.rows();
    Eigen::MatrixXd table(series.values.size(), 4);  // year, measured, S4, seasonal naive + growth
    table.setConstant(std::nan(""));
    for (Index t = 0; t < table.rows(); ++t) {
        table(t, 0) = (static_cast<double>(series.first + t) + 0.5) / year;
        table(t, 1) = series.values[t];
        if (t >= past) table.row(t).tail(2) << forecasts(t - past, 0), forecasts(t - past, 2);
    }
    example::Plot plot{example::make_folder(output_dir)};
    plot.data("co2", table);
    plot.picture("forecast.png", 1200, 600);
    plot << "set grid\nset key top left\nset xlabel 'year'\nset ylabel 'CO2 (ppmv)'\nset xrange ["
         << table(std::max<Index>(0, past - 10 * year), 0) << ":*]\nset arrow from " << table(past, 0)
         << ", graph 0 rto 0, graph 1 nohead dashtype 2\n"
         << "plot $co2 using 1:2 with lines lw 2 title 'measured', $co2 using 1:4 with lines title"
            " 'seasonal naive + growth', $co2 using 1:3 with lines lw 2 title 'S4'\n";
    plot.draw();
}

void run(const Settings& settings) {
    const Series series = read_months(settings.data);
    const Index length = series.values.size();
    if (!(settings.past > 0 && settings.past < 1))
        throw Error("--past must lie between 0 and 1, found " + std::to_string(settings.past));
    const auto past = static_cast<Index>(settings.past * static_cast<double>(length));
    if (past <= settings.window + year || past == length)
        throw Error(settings.data + ": " + std::to_string(past) + " months to learn from of " + std::to_string(length) +
                    ", needed are " + std::to_string(settings.window + year + 1) +
                    " (a window, a year and a month) and one to forecast");

    if (!settings.no_plot) example::make_folder(settings.output_dir);
    // The unit is what the past changes by in a month.
    const auto known = series.values.head(past);
    const double scale =
        (known.tail(past - 1) - known.head(past - 1)).norm() / std::sqrt(static_cast<double>(past - 1));
    if (!(scale > 0)) throw Error(settings.data + ": nothing to learn: the values of the past do not change");
    const Eigen::VectorXf seen = ((known.array() - known[past - 1]) / scale).cast<float>();
    const double growth = (known.tail(year).mean() - known.head(year).mean()) / static_cast<double>(past - year);

    Model::Options model;
    model.features = settings.features;
    model.outputs = year;
    model.layers = settings.layers;
    model.block.ssm.state_size = settings.state_size;
    model.block.ssm.ssm.frozen.B = true;
    model.model.pooling = s4::Pooling::none;
    const NextYear task{seen, settings.window};
    std::vector<Index> examples(static_cast<std::size_t>(task.size()));
    std::iota(examples.begin(), examples.end(), Index{0});
    s4::TrainerOptions options;
    options.epochs = settings.epochs;
    options.batch_size = 16;
    options.seed = settings.seed;
    options.adamw.learning_rate = settings.learning_rate;
    options.adamw.ssm_output_is_ordinary = true;
    const Index steps = (task.size() + options.batch_size - 1) / options.batch_size * settings.epochs;
    options.schedule = s4::CosineSchedule{.steps = steps, .warm_up = std::min<Index>(100, steps / 10)};
    const auto begin = std::chrono::steady_clock::now();
    s4::Trainer<Model, NextYear> trainer{Model::random(model, settings.seed), task, examples, {}, options};
    std::cout << length << " months, the first " << past << " to learn from in windows of " << settings.window << "; "
              << s4::trained_numbers<Model>(trainer.parameters()) << " parameters" << std::endl;
    s4::ProgressPrinter printer{stderr};
    const s4::TrainingResult result = trainer.run(&printer);
    if (result.end != s4::TrainingEnd::finished) throw Error("training stopped: " + result.trouble);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    std::cout << "trained             " << s4::duration_text(seconds) << ", loss " << result.history.back().train_loss
              << "\n\n";

    const Index ahead = length - past;
    Eigen::MatrixXd forecasts(ahead, 4);  // S4, seasonal naive, seasonal naive and growth, last value
    forecasts.col(0) = forecast(trainer.result(), seen, ahead).cast<double>().array() * scale + known[past - 1];
    for (Index t = 0; t < ahead; ++t) {
        const Index same_month = past - year + t % year;
        forecasts(t, 1) = series.values[same_month];
        forecasts(t, 2) = series.values[same_month] + growth * static_cast<double>(past + t - same_month);
        forecasts(t, 3) = series.values[past - 1];
    }
    std::cout << "forecast of " << ahead << " months        RMSE   MAE (ppmv)\n" << std::fixed << std::setprecision(2);
    const char* names[] = {"S4", "seasonal naive", "seasonal naive + growth", "last value"};
    for (Index k = 0; k < 4; ++k) {
        const Eigen::ArrayXd error = (forecasts.col(k) - series.values.tail(ahead)).array();
        std::cout << std::left << std::setw(28) << names[k] << std::right << std::setw(6)
                  << std::sqrt(error.square().mean()) << std::setw(6) << error.abs().mean() << '\n';
    }
    if (!settings.no_plot) draw(settings.output_dir, series, forecasts);
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app{"Forecasts monthly CO2 at Mauna Loa by an S4 model that feeds its own forecasts back", "forecast"};
    Settings settings;
    const auto number = [&app](const char* name, Index& value, const char* help, Index least, Index most) {
        app.add_option(name, value, help)->capture_default_str()->check(CLI::Range(least, most));
    };
    app.add_option("--data", settings.data, "File of lines YYYYMMDD,value")->capture_default_str();
    app.add_option("--past", settings.past, "The share of the months to learn from")->capture_default_str();
    number("--window", settings.window, "Months that the model sees at a time while it learns", 1, 10'000);
    number("--features", settings.features, "Channels H", 1, 1024);
    number("--layers", settings.layers, "S4 blocks", 1, 64);
    number("--state-size", settings.state_size, "States N of each channel, even", 2, 1024);
    number("--epochs", settings.epochs, "Passes over the windows", 1, 100'000);
    app.add_option("--lr", settings.learning_rate, "Learning rate; dt and A have at most 0.001")
        ->capture_default_str()
        ->check(CLI::PositiveNumber);
    app.add_option("--seed", settings.seed, "Of weights and order")->capture_default_str();
    app.add_option("--output-dir", settings.output_dir, "Folder for the picture")->capture_default_str();
    app.add_flag("--no-plot", settings.no_plot, "Draw no picture");
    return example::run_program(app, argc, argv, [&settings] { run(settings); });
}
