// Training: epochs of shuffled mini-batches with AdamW, checkpoints that a run goes on from bit by bit, early stop.
#pragma once

#include <s4/core/error.hpp>
#include <s4/model/trainable_model.hpp>
#include <s4/train/adamw.hpp>
#include <s4/train/checkpoint.hpp>
#include <s4/train/gradient.hpp>
#include <s4/train/history.hpp>
#include <s4/train/moving_average.hpp>
#include <s4/train/progress_printer.hpp>
#include <s4/train/schedule.hpp>
#include <s4/train/task.hpp>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace s4::inline S4_ABI {

/// How a model is trained.
struct TrainerOptions {
    Index epochs = 10;        ///< passes over the training examples
    Index batch_size = 50;    ///< examples of a mini-batch
    Index accumulate = 1;     ///< mini-batches whose gradients make one step of the optimiser
    std::uint64_t seed = 1;   ///< of the order of the examples and of dropout
    AdamWOptions adamw = {};  ///< of the optimiser
    Schedule schedule = {};   ///< counts steps of the optimiser; a plateau sees the validation loss of an epoch
    double clip = 0;          ///< the largest norm of a gradient; 0: no limit
    std::optional<MovingAverageOptions> average = {};  ///< validation and results then use the averaged weights
    Index patience = 0;                     ///< epochs without a better validation loss before it stops early; 0: never
    BatchSharing sharing = {};              ///< of a mini-batch among threads
    std::filesystem::path checkpoint = {};  ///< the file; empty: none
    Index checkpoint_steps = 0;          ///< saved after every so many mini-batches too, not only after an epoch; 0: no
    std::filesystem::path history = {};  ///< a TSV of the epochs; empty: none
    std::string description = {};        ///< of the run (model, data): a checkpoint of another one is refused
    const volatile std::sig_atomic_t* stop = nullptr;  ///< saves and stops once this is not 0, such as set by a signal
};

/// Why a run ended.
enum class TrainingEnd {
    finished,     ///< all epochs
    early,        ///< no better validation loss for `patience` epochs
    interrupted,  ///< `stop` was set; the checkpoint goes on from here
    not_finite,   ///< a loss, gradient or parameter is infinite or NaN; the checkpoint is that before
};

/// What a run came to.
struct TrainingResult {
    TrainingEnd end = TrainingEnd::finished;      ///< why it ended
    std::string trouble = {};                     ///< not_finite: the tensor (or "the loss") and the step
    std::optional<std::int64_t> saved_step = {};  ///< of the checkpoint's weights; none: this run has no checkpoint
    std::string save_problem = {};                ///< why the last checkpoint could not be written; empty: it was
    std::vector<HistoryRecord> history = {};      ///< of all epochs, those before it was taken up again too
};

/// Trains a SequenceModel on a TrainingTask.
///
/// Everything random follows from (seed, epoch, step), and sums are taken in a fixed order, so that the bits of a run
/// do not depend on the number of threads, nor on where it was stopped and taken up again. A run is taken up again from
/// its checkpoint by the constructor's `resume`; with other options that shape the run, or another description, that is
/// an Error. A checkpoint that cannot be written (disk full) leaves the old one as it is; the run goes on and says so.
template <class Model_, TrainingTask Task_, class Fft = Fftw<typename Model_::Scalar>>
class Trainer {
public:
    using Model = Model_;
    using Task = Task_;
    using Scalar = typename Model::Scalar;
    using Parameters = typename Model::Parameters;

    /// From these parameters, or with `resume` from the checkpoint. `training` and `validation` are numbers of examples
    /// of the task; without validation there is no early stop. Errors: options out of range or that contradict each
    /// other, a model whose inputs or outputs are not the task's, a checkpoint of another run, out of memory.
    Trainer(Parameters p, Task task, std::vector<Index> training, std::vector<Index> validation,
            const TrainerOptions& options, bool resume = false)
        : options_{checked(options, std::ssize(validation))},
          task_{std::move(task)},
          state_{options_, fitting(std::move(p), task_)},
          model_{state_.parameters, task_.length(), options_.sharing},
          gradient_{zero_like<Model>(state_.parameters)},
          order_{std::move(training), options_.batch_size, options_.seed},
          validation_{std::move(validation)},
          targets_{task_.make_targets(options_.batch_size)} {
        detail::or_out_of_memory("Trainer", [&] {
            inputs_.resize(options_.batch_size * task_.length(), task_.inputs());
            const Index rows = rows_after(state_.parameters.pooling, options_.batch_size, task_.length());
            outputs_.resize(rows, task_.outputs());
        });
        if (!options_.history.empty()) AtomicFile::remove_abandoned(options_.history);
        if (options_.checkpoint.empty()) {
            detail::require(!resume, "Trainer: there is no checkpoint to resume from: option checkpoint is empty");
            return;
        }
        AtomicFile::remove_abandoned(options_.checkpoint);
        if (resume) {
            load_checkpoint(options_.checkpoint, state_);
            saved_step_ = state_.adamw.steps();
        }
    }

    /// The weights as the optimiser has them.
    [[nodiscard]] const Parameters& parameters() const noexcept { return state_.parameters; }
    /// The weights to use: averaged if there is an average, and with `patience` those of the best epoch.
    [[nodiscard]] const Parameters& result() const noexcept { return state_.best ? *state_.best : current(); }
    /// Mini-batches in an epoch.
    [[nodiscard]] Index batches() const noexcept { return order_.batches(); }
    /// Epochs that are complete.
    [[nodiscard]] std::int64_t epoch() const noexcept { return state_.epoch; }

    /// Trains to the end, or until something stops it. Progress goes to `printer`, if there is one.
    TrainingResult run(ProgressPrinter* printer = nullptr) {
        printer_ = printer;
        TrainingResult result;
        measured_ = {};
        save_problem_.clear();
        if (!state_.history.empty()) write_history_file();  // a run that was killed has not always come to that
        while (state_.epoch < options_.epochs && !stopped_early()) {
            std::string trouble = run_epoch(result.end);
            if (result.end == TrainingEnd::not_finite) result.trouble = std::move(trouble);
            if (result.end != TrainingEnd::finished) break;
        }
        if (result.end == TrainingEnd::finished && stopped_early()) result.end = TrainingEnd::early;
        result.saved_step = saved_step_;
        result.save_problem = save_problem_;
        result.history = state_.history;
        return result;
    }

    /// Loss and accuracy of examples, without dropout, by `result()`. Allocates.
    [[nodiscard]] Score evaluate(std::span<const Index> examples) { return evaluate(result(), examples); }

private:
    using Clock = std::chrono::steady_clock;

    // What a checkpoint holds.
    struct State {
        State(const TrainerOptions& options, Parameters start)
            : parameters{std::move(start)},
              adamw{options.adamw, parameters},
              schedule{options.schedule},
              fixed{options_texts(options)} {
            if (options.average) average.emplace(*options.average, parameters);
            if (options.patience > 0) best = parameters;
        }
        Parameters parameters;
        AdamW<Model> adamw;
        Schedule schedule;
        std::vector<std::pair<std::string, std::string>> fixed;  // what decides the bits of a run, by name
        std::optional<MovingAverage<Model>> average;
        std::optional<Parameters> best;
        double best_loss = std::numeric_limits<double>::infinity();
        std::int64_t epochs_since_best = 0;
        std::int64_t epoch = 0;  // complete ones
        std::int64_t batch = 0;  // of the next epoch, complete ones
        Score so_far;            // of that epoch: the sum of the losses of its mini-batches
        double seconds = 0;
        std::vector<HistoryRecord> history;

        template <class Archive, class Self>
        static void for_each_item(Archive& archive, Self& self) {
            archive.template tensors<Model>("model", self.parameters);
            for (const auto& [name, value] : self.fixed) archive.fixed("run." + name, value);
            archive("adamw", self.adamw);
            archive("schedule", self.schedule);
            if (self.average) archive("average", *self.average);
            if (self.best) archive.template tensors<Model>("best", *self.best);
            archive("best_loss", self.best_loss);
            archive("epochs_since_best", self.epochs_since_best);
            archive("epoch", self.epoch);
            archive("batch", self.batch);
            archive("so_far.loss", self.so_far.loss);
            archive("so_far.correct", self.so_far.correct);
            archive("so_far.answers", self.so_far.answers);
            archive("seconds", self.seconds);
            std::string table = history_text(self.history);
            archive("history", table);
            if constexpr (!std::is_const_v<Self>) self.history = parse_history(table, "the history of a checkpoint");
        }
    };

    static TrainerOptions checked(const TrainerOptions& options, Index validation) {
        const auto at_least = [](const char* option, Index value, Index least) {
            detail::require(value >= least, "Trainer: option ", option, " must be at least ", least, ", found ", value);
        };
        at_least("epochs", options.epochs, 1);
        at_least("batch_size", options.batch_size, 1);
        at_least("accumulate", options.accumulate, 1);
        at_least("patience", options.patience, 0);
        at_least("checkpoint_steps", options.checkpoint_steps, 0);
        detail::require(detail::is_finite(options.clip) && options.clip >= 0,
                        "Trainer: option clip must be finite and not negative, found ", options.clip);
        detail::require(options.patience == 0 || validation > 0,
                        "Trainer: option patience waits for the validation loss, and there are no validation examples");
        return options;
    }
    static Parameters fitting(Parameters p, const Task& task) {
        Model::validate(p);
        detail::require(p.inputs() == task.inputs(), "Trainer: the task has ", task.inputs(),
                        " inputs a step, the model's encoder ", p.inputs());
        detail::require(p.outputs() == task.outputs(), "Trainer: the task has ", task.outputs(),
                        " outputs, the model's decoder ", p.outputs());
        return p;
    }
    static std::vector<std::pair<std::string, std::string>> options_texts(const TrainerOptions& o) {
        std::vector<std::pair<std::string, std::string>> texts{{"description", o.description}};
        const auto add = [&texts](const std::string& name, auto value) {
            texts.emplace_back(name, detail::exact_text(value));
        };
        add("epochs", o.epochs), add("batch_size", o.batch_size), add("accumulate", o.accumulate);
        add("seed", static_cast<std::int64_t>(o.seed)), add("clip", o.clip), add("patience", o.patience);
        add("parts", o.sharing.parts), add("together", o.sharing.together);
        add("learning_rate", o.adamw.learning_rate), add("weight_decay", o.adamw.weight_decay);
        add("ssm_learning_rate", o.adamw.ssm_learning_rate), add("ssm_weight_decay", o.adamw.ssm_weight_decay);
        add("ssm_output_is_ordinary", std::int64_t{o.adamw.ssm_output_is_ordinary});
        add("beta1", o.adamw.beta1), add("beta2", o.adamw.beta2), add("epsilon", o.adamw.epsilon);
        add("average", o.average ? o.average->decay : 0.0);
        for (const std::int64_t step : {0, 1, 10, 100, 1000, 10'000})
            add("schedule_at_" + std::to_string(step), o.schedule.factor(step));
        return texts;
    }

    /// The weights as they are now, averaged if there is an average.
    [[nodiscard]] const Parameters& current() const noexcept {
        return state_.average ? state_.average->parameters() : state_.parameters;
    }
    [[nodiscard]] bool stopped_early() const noexcept {
        return options_.patience > 0 && state_.epochs_since_best >= options_.patience;
    }

    /// What is wrong, if anything is.
    std::string run_epoch(TrainingEnd& end) {
        order_.start_epoch(static_cast<std::uint64_t>(state_.epoch));
        while (state_.batch < order_.batches()) {
            const Clock::time_point begin = Clock::now();
            std::string trouble = run_batch();
            if (!trouble.empty()) {
                end = TrainingEnd::not_finite;
                return trouble;
            }
            const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
            state_.seconds += seconds;
            show_progress(seconds);
            // A checkpoint knows nothing of a gradient that is half summed up.
            if (state_.batch % options_.accumulate != 0 && state_.batch < order_.batches()) continue;
            if (options_.stop != nullptr && *options_.stop != 0) {
                save();
                end = TrainingEnd::interrupted;
                return {};
            }
            if (options_.checkpoint_steps > 0 && state_.batch < order_.batches() &&
                state_.batch / options_.checkpoint_steps != saved_batch_ / options_.checkpoint_steps)
                save();
        }
        std::string trouble = finish_epoch();
        if (!trouble.empty()) end = TrainingEnd::not_finite;
        return trouble;
    }

    std::string run_batch() {
        const std::span<const Index> examples = order_.batch(state_.batch);
        const auto count = static_cast<Index>(examples.size());
        task_.fill(examples, out(inputs_, count * task_.length()), targets_);
        if (state_.batch % options_.accumulate == 0) zero_gradient<Model>(gradient_);
        std::vector<Score> scores(static_cast<std::size_t>(count));  // by first sequence, so that their order is fixed
        const SequenceBatch<Scalar> batch{rows(inputs_, count * task_.length()), count};
        const DropoutStep step{options_.seed,
                               static_cast<std::uint64_t>(state_.epoch * order_.batches() + state_.batch)};
        const double loss = model_.gradient(
            state_.parameters, batch, step,
            [&](Index first, const SequenceView<Scalar>& y, const SequenceOut<Scalar>& dy) {
                const Index sequences = y.rows() / rows_after(state_.parameters.pooling, 1, task_.length());
                Score& score = scores[static_cast<std::size_t>(first)];
                score = task_.score(targets_, first, sequences, count, y, dy);
                return score.loss;
            },
            gradient_);
        const std::string where = ", in step " + std::to_string(state_.adamw.steps() + 1);
        if (!detail::is_finite(loss)) {
            const auto name = first_not_finite<Model>(gradient_);
            return "the loss is not finite" + (name ? ", nor the gradient of " + *name : std::string{}) + where;
        }
        ++state_.batch;
        state_.so_far.loss += loss;
        for (const Score& score : scores) {
            state_.so_far.correct += score.correct;
            state_.so_far.answers += score.answers;
        }
        if (state_.batch % options_.accumulate != 0 && state_.batch < order_.batches()) return {};
        return optimise(where);
    }

    std::string optimise(const std::string& where) {
        const Index summed = (state_.batch - 1) % options_.accumulate + 1;
        if (summed > 1) scale_gradient<Model>(gradient_, 1 / static_cast<double>(summed));
        const double norm =
            options_.clip > 0 ? clip_gradient<Model>(gradient_, options_.clip) : gradient_norm<Model>(gradient_);
        if (!detail::is_finite(norm)) {
            const auto name = first_not_finite<Model>(gradient_);
            return "the gradient of " + name.value_or("all tensors together") + " is not finite" + where;
        }
        state_.adamw.step(state_.parameters, gradient_, state_.schedule.factor(state_.adamw.steps()));
        if (const auto name = first_not_finite<Model>(state_.parameters)) return *name + " is not finite" + where;
        try {
            Model::validate(state_.parameters);  // dt and the eigenvalues within their range
        } catch (const Error& error) {
            return error.what() + where;
        }
        if (state_.average) state_.average->update(state_.parameters);
        return {};
    }

    /// What is wrong, if anything is; nothing is saved then.
    std::string finish_epoch() {
        HistoryRecord record;
        record.epoch = ++state_.epoch;
        record.step = state_.adamw.steps();
        record.learning_rate = options_.adamw.learning_rate * state_.schedule.factor(state_.adamw.steps() - 1);
        record.train_loss = state_.so_far.loss / static_cast<double>(order_.batches());
        if (state_.so_far.answers > 0) record.train_accuracy = share(state_.so_far);
        if (!validation_.empty()) {
            const Score score = evaluate(current(), validation_);
            if (!detail::is_finite(score.loss))
                return "the validation loss is not finite after step " + std::to_string(record.step);
            record.validation_loss = score.loss;
            if (score.answers > 0) record.validation_accuracy = share(score);
            state_.schedule.observe(score.loss);
            if (score.loss < state_.best_loss) {
                state_.best_loss = score.loss;
                state_.epochs_since_best = 0;
                if (state_.best) *state_.best = current();
            } else {
                ++state_.epochs_since_best;
            }
        }
        record.seconds = state_.seconds;
        if (printer_ != nullptr) printer_->end_epoch(progress(record.epoch, order_.batches()));
        if (printer_ != nullptr && !validation_.empty()) printer_->message(validation_text(record));
        add_record(state_.history, record);
        state_.batch = 0;
        state_.so_far = {};
        state_.seconds = 0;
        save();
        write_history_file();
        return {};
    }

    [[nodiscard]] Score evaluate(const Parameters& p, std::span<const Index> examples) {
        model_.prepare(p);
        Score sum;
        Sequence<Scalar> ignored(outputs_.rows(), outputs_.cols());
        for (std::size_t first = 0; first < examples.size(); first += static_cast<std::size_t>(options_.batch_size)) {
            const auto some = examples.subspan(
                first, std::min(static_cast<std::size_t>(options_.batch_size), examples.size() - first));
            const auto count = static_cast<Index>(some.size());
            task_.fill(some, out(inputs_, count * task_.length()), targets_);
            const SequenceOut<Scalar> y = out(outputs_, rows_after(p.pooling, count, task_.length()));
            model_.predict(p, {rows(inputs_, count * task_.length()), count}, y);
            sum.add(task_.score(targets_, 0, count, std::ssize(examples), y, out(ignored, y.rows())));
        }
        return sum;
    }

    [[nodiscard]] static double share(const Score& score) noexcept {
        return static_cast<double>(score.correct) / static_cast<double>(score.answers);
    }
    static SequenceView<Scalar> rows(const Sequence<Scalar>& x, Index count) noexcept {
        return {x.data(), count, x.cols(), x.cols()};
    }
    static SequenceOut<Scalar> out(Sequence<Scalar>& x, Index count) noexcept {
        return {x.data(), count, x.cols(), x.cols()};
    }

    [[nodiscard]] Progress progress(std::int64_t epoch, std::int64_t step) const {
        Progress p = measured_;
        p.epoch = epoch;
        p.epochs = options_.epochs;
        p.step = step;
        p.steps = order_.batches();
        p.loss = state_.so_far.loss / static_cast<double>(std::max<std::int64_t>(step, 1));
        if (state_.so_far.answers > 0) p.accuracy = share(state_.so_far);
        return p;
    }
    void show_progress(double seconds) {
        ++measured_.measured_steps;
        measured_.measured_samples += std::ssize(order_.batch(state_.batch - 1));
        measured_.measured_seconds += seconds;
        if (printer_ != nullptr) printer_->update(progress(state_.epoch + 1, state_.batch));
    }
    [[nodiscard]] std::string validation_text(const HistoryRecord& record) const {
        std::string text = "  validation loss " + short_text(record.validation_loss, "%.4f");
        if (detail::is_finite(record.validation_accuracy))
            text += " accuracy " + short_text(100 * record.validation_accuracy, "%.2f") + " %";
        return text;
    }
    [[nodiscard]] static std::string short_text(double value, const char* format) {
        char text[32];
        std::snprintf(text, sizeof text, format, value);
        return text;
    }

    void save() {
        saved_batch_ = state_.batch;
        if (options_.checkpoint.empty()) return;
        save_problem_ = problem_of(options_.checkpoint, [&] { save_checkpoint(options_.checkpoint, state_); });
        if (save_problem_.empty()) saved_step_ = state_.adamw.steps();
    }
    void write_history_file() {
        if (!options_.history.empty())
            problem_of(options_.history, [&] { write_history(options_.history, state_.history); });
    }
    /// Why the file could not be written, said at once as well; empty if it was.
    template <class Write>
    std::string problem_of(const std::filesystem::path& path, const Write& write) {
        try {
            write();
            return {};
        } catch (const Error& error) {
            if (printer_ != nullptr)
                printer_->message("warning: " + path.string() +
                                  " could not be written and stays as it was: " + error.what());
            return error.what();
        }
    }

    TrainerOptions options_;
    Task task_;
    State state_;
    TrainableModel<Model, Fft> model_;
    Parameters gradient_;
    BatchOrder order_;
    std::vector<Index> validation_;
    typename Task::Targets targets_;
    Sequence<Scalar> inputs_, outputs_;
    Progress measured_;
    std::int64_t saved_batch_ = 0;
    std::optional<std::int64_t> saved_step_;
    std::string save_problem_;
    ProgressPrinter* printer_ = nullptr;
};

}  // namespace s4::inline S4_ABI
