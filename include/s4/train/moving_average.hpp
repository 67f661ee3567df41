// An exponential moving average of the parameters: often a better model than the last step's.
#pragma once

#include <s4/core/error.hpp>
#include <s4/parameters/tensors.hpp>
#include <s4/train/reals.hpp>

#include <algorithm>
#include <cstdint>

namespace s4::inline S4_ABI {

/// Options of a moving average.
struct MovingAverageOptions {
    double decay = 0.999;  ///< share of the old average that stays in each update
    bool warm_up = true;   ///< min(decay, (1 + n)/(10 + n)) after n updates: the start is soon forgotten
};

/// Error that names the option unless all are in range.
inline void validate(const MovingAverageOptions& options) {
    detail::require(options.decay >= 0 && options.decay < 1, "MovingAverage: option decay must lie in [0, 1), found ",
                    options.decay);
}

/// The average of the parameters of `Layer`. Frozen tensors (such as running statistics) are those of the last update.
template <class Layer>
class MovingAverage {
public:
    using Parameters = typename Layer::Parameters;

    /// Starts at `p`. Errors: an option out of range (named); out of memory.
    MovingAverage(const MovingAverageOptions& options, const Parameters& p)
        : options_{checked(options)}, average_{detail::or_out_of_memory("MovingAverage", [&] { return p; })} {}

    /// average ← d · average + (1 − d) · p with the decay d. O(numbers). Does not allocate.
    void update(const Parameters& p) noexcept {
        const double share = 1 - decay();
        ++updates_;
        Layer::for_each_tensor(
            [share](const TensorInfo& info, auto& average, const auto& tensor) {
                S4_ASSERT(average.size() == tensor.size(), "the shapes the average was made for");
                auto to = detail::real_array(average);
                const auto from = detail::real_array(tensor);
                if (info.role == TensorRole::frozen)
                    to = from;
                else
                    to += static_cast<typename decltype(to)::Scalar>(share) * (from - to);
            },
            average_, p);
    }

    /// The decay of the next update.
    [[nodiscard]] double decay() const noexcept {
        const auto n = static_cast<double>(updates_);
        return options_.warm_up ? std::min(options_.decay, (1 + n) / (10 + n)) : options_.decay;
    }
    [[nodiscard]] const Parameters& parameters() const noexcept { return average_; }
    /// Updates made so far.
    [[nodiscard]] std::int64_t updates() const noexcept { return updates_; }

    /// Its state, for checkpoints: archive("updates", …) and the tensors of the average.
    template <class Archive, class Self>
    static void for_each_item(Archive& archive, Self& self) {
        archive("updates", self.updates_);
        archive.template tensors<Layer>("parameters", self.average_);
    }

private:
    static const MovingAverageOptions& checked(const MovingAverageOptions& options) {
        validate(options);
        return options;
    }

    MovingAverageOptions options_;
    Parameters average_;
    std::int64_t updates_ = 0;
};

}  // namespace s4::inline S4_ABI
