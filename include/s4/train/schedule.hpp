// Schedules: by what factor the learning rates are multiplied at each step.
#pragma once

#include <s4/core/error.hpp>
#include <s4/core/scalar.hpp>

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <limits>
#include <numbers>
#include <variant>

namespace s4::inline S4_ABI {

/// The learning rates stay as they are.
struct ConstantSchedule {
    /// 1, at every step.
    [[nodiscard]] double factor(std::int64_t /*step*/) const noexcept { return 1; }
};

/// Half a cosine from 1 down to `final_fraction`, after a linear warm-up.
struct CosineSchedule {
    std::int64_t steps = 1;     ///< of the whole run, warm-up included
    std::int64_t warm_up = 0;   ///< steps that climb: 1/warm_up, 2/warm_up, …, 1
    double final_fraction = 0;  ///< reached after `steps` steps, kept from there on

    /// `step` is the number of steps made before.
    [[nodiscard]] double factor(std::int64_t step) const noexcept {
        if (step < warm_up) return static_cast<double>(step + 1) / static_cast<double>(warm_up);
        if (step >= steps) return final_fraction;
        const double progress = static_cast<double>(step - warm_up) / static_cast<double>(steps - warm_up);
        return final_fraction + (1 - final_fraction) * (1 + std::cos(std::numbers::pi * progress)) / 2;
    }
};

/// Multiplied by `decay` after every `period` steps.
struct StepSchedule {
    std::int64_t period = 1;  ///< steps
    double decay = 0.1;

    /// `step` is the number of steps made before.
    [[nodiscard]] double factor(std::int64_t step) const noexcept {
        return std::pow(decay, static_cast<double>(step / period));
    }
};

/// Multiplied by `decay` when a figure that should fall, such as the validation loss, has not fallen for a while. Has a
/// state, part of checkpoints. (PyTorch's ReduceLROnPlateau, mode min, relative threshold)
struct PlateauSchedule {
    double decay = 0.1;
    std::int64_t patience = 10;  ///< figures in a row without progress that are let pass
    double threshold = 1e-4;     ///< progress is a figure below (1 − threshold) times the best one
    double smallest_factor = 0;  ///< the factor never falls below

    double best = std::numeric_limits<double>::infinity();  ///< state: the smallest figure so far
    std::int64_t waited = 0;                                ///< state: figures since then
    double current = 1;                                     ///< state: the factor

    /// The factor after the figures observed so far.
    [[nodiscard]] double factor(std::int64_t /*step*/) const noexcept { return current; }

    /// Takes a new figure, such as after each epoch. NaN is no progress.
    void observe(double figure) noexcept {
        // A negative best figure (a log-likelihood) has its threshold on the other side, so that it is still below.
        if (figure < best - threshold * std::abs(best) || (figure < best && !detail::is_finite(best))) {
            best = figure;
            waited = 0;
        } else if (++waited > patience) {
            current = std::max(current * decay, smallest_factor);
            waited = 0;
        }
    }

    /// Its state, for checkpoints.
    template <class Archive, class Self>
    static void for_each_item(Archive& archive, Self& self) {
        archive("best", self.best);
        archive("waited", self.waited);
        archive("current", self.current);
    }
};

/// Error that names the option unless all are in range.
inline void validate(const ConstantSchedule& /*schedule*/) noexcept {}
/// Error that names the option unless all are in range.
inline void validate(const CosineSchedule& schedule) {
    detail::require(schedule.steps >= 1, "CosineSchedule: option steps must be at least 1, found ", schedule.steps);
    detail::require(schedule.warm_up >= 0 && schedule.warm_up <= schedule.steps,
                    "CosineSchedule: option warm_up must lie in [0, steps = ", schedule.steps, "], found ",
                    schedule.warm_up);
    detail::require(schedule.final_fraction >= 0 && schedule.final_fraction <= 1,
                    "CosineSchedule: option final_fraction must lie in [0, 1], found ", schedule.final_fraction);
}
/// Error that names the option unless all are in range.
inline void validate(const StepSchedule& schedule) {
    detail::require(schedule.period >= 1, "StepSchedule: option period must be at least 1, found ", schedule.period);
    detail::require(schedule.decay > 0 && schedule.decay <= 1, "StepSchedule: option decay must lie in (0, 1], found ",
                    schedule.decay);
}
/// Error that names the option unless all are in range.
inline void validate(const PlateauSchedule& schedule) {
    detail::require(schedule.decay > 0 && schedule.decay < 1,
                    "PlateauSchedule: option decay must lie in (0, 1), found ", schedule.decay);
    detail::require(schedule.patience >= 0, "PlateauSchedule: option patience must not be negative, found ",
                    schedule.patience);
    detail::require(schedule.threshold >= 0 && schedule.threshold < 1,
                    "PlateauSchedule: option threshold must lie in [0, 1), found ", schedule.threshold);
    detail::require(schedule.smallest_factor >= 0 && schedule.smallest_factor <= 1,
                    "PlateauSchedule: option smallest_factor must lie in [0, 1], found ", schedule.smallest_factor);
}

/// A schedule chosen at run time.
class Schedule {
    using Kinds = std::variant<ConstantSchedule, CosineSchedule, StepSchedule, PlateauSchedule>;

public:
    /// Constant.
    Schedule() = default;
    /// One of the schedules above. Error that names an option out of range.
    template <class S>
    requires std::constructible_from<Kinds, const S&> Schedule(const S& schedule) : schedule_{schedule} {
        validate(schedule);
    }

    /// By what the learning rates are multiplied when `step` steps have been made. Does not allocate.
    [[nodiscard]] double factor(std::int64_t step) const noexcept {
        return std::visit([step](const auto& schedule) { return schedule.factor(step); }, schedule_);
    }
    /// Takes a figure that should fall; only a plateau schedule looks at it.
    void observe(double figure) noexcept {
        if (auto* plateau = std::get_if<PlateauSchedule>(&schedule_)) plateau->observe(figure);
    }

    /// Its state, for checkpoints; only a plateau schedule has one.
    template <class Archive, class Self>
    static void for_each_item(Archive& archive, Self& self) {
        if (auto* plateau = std::get_if<PlateauSchedule>(&self.schedule_))
            PlateauSchedule::for_each_item(archive, *plateau);
    }

private:
    Kinds schedule_;
};

}  // namespace s4::inline S4_ABI
