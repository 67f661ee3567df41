// AdamW: the optimiser that S4 models are trained with. What it does to a tensor follows from the tensor's role.
#pragma once

#include <s4/core/error.hpp>
#include <s4/parameters/tensors.hpp>
#include <s4/train/reals.hpp>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace s4::inline S4_ABI {

/// Options of AdamW.
struct AdamWOptions {
    double learning_rate = 1e-3;          ///< of ordinary tensors
    double weight_decay = 0.01;           ///< of ordinary tensors and of C
    double ssm_learning_rate = 1e-3;      ///< the highest of SSM tensors, which have min(this, learning_rate)
    double ssm_weight_decay = 0;          ///< of SSM tensors other than C
    bool ssm_output_is_ordinary = false;  ///< C has the rate of ordinary tensors, as in the minimal S4D
    double beta1 = 0.9;                   ///< share of the old first moment that stays in each step
    double beta2 = 0.999;                 ///< of the old second moment
    double epsilon = 1e-8;                ///< added to the root of the second moment
};

/// Error that names the option unless all are in range.
inline void validate(const AdamWOptions& options) {
    const auto not_negative = [](const char* option, double value) {
        detail::require(detail::is_finite(value) && value >= 0, "AdamW: option ", option,
                        " must be finite and not negative, found ", value);
    };
    const auto share = [](const char* option, double value) {
        detail::require(value >= 0 && value < 1, "AdamW: option ", option, " must lie in [0, 1), found ", value);
    };
    not_negative("learning_rate", options.learning_rate);
    not_negative("weight_decay", options.weight_decay);
    not_negative("ssm_learning_rate", options.ssm_learning_rate);
    not_negative("ssm_weight_decay", options.ssm_weight_decay);
    share("beta1", options.beta1);
    share("beta2", options.beta2);
    detail::require(detail::is_finite(options.epsilon) && options.epsilon > 0,
                    "AdamW: option epsilon must be positive and finite, found ", options.epsilon);
}

/// The learning rate and the weight decay of one tensor.
struct AdamWGroup {
    double learning_rate;
    double weight_decay;
};

/// Those of all tensors of a role. The learning rate is the one before the schedule's factor.
[[nodiscard]] inline AdamWGroup group_of(const AdamWOptions& options, TensorRole role) noexcept {
    const double ssm_rate = std::min(options.ssm_learning_rate, options.learning_rate);
    switch (role) {
        case TensorRole::ssm:
            return {ssm_rate, options.ssm_weight_decay};
        case TensorRole::ssm_output:
            return {options.ssm_output_is_ordinary ? options.learning_rate : ssm_rate, options.weight_decay};
        case TensorRole::frozen:
            return {0, 0};
        case TensorRole::ordinary:
            break;
    }
    return {options.learning_rate, options.weight_decay};
}

/// The optimiser of the parameters of `Layer`: its options and its state, two moments of every gradient. Complex
/// tensors count as pairs of reals; frozen ones are left as they are. (Loshchilov and Hutter, 2019; Kingma and Ba,
/// 2015; with PyTorch's order of operations)
template <class Layer>
class AdamW {
public:
    using Parameters = typename Layer::Parameters;

    /// For parameters of the shapes of `p`, before the first step. Errors: an option out of range (named); out of
    /// memory.
    AdamW(const AdamWOptions& options, const Parameters& p)
        : options_{checked(options)}, m_{zero_like<Layer>(p)}, v_{m_} {}

    /// One step against `gradient`, whose tensors have the shapes of those of `p`; every learning rate is multiplied by
    /// `factor`, the schedule's. O(numbers). Does not allocate.
    void step(Parameters& p, const Parameters& gradient, double factor = 1) noexcept {
        ++steps_;
        const auto count = static_cast<double>(steps_);
        const double correction1 = 1 - std::pow(options_.beta1, count);
        const double correction2 = 1 - std::pow(options_.beta2, count);
        Layer::for_each_tensor(
            [&](const TensorInfo& info, auto& values, const auto& slopes, auto& m, auto& v) {
                if (info.role == TensorRole::frozen) return;
                S4_ASSERT(values.size() == slopes.size() && values.size() == m.size(),
                          "the gradient has the shapes of the parameters the optimiser was made for");
                AdamWGroup group = group_of(options_, info.role);
                group.learning_rate *= factor;
                update(values, slopes, m, v, group, correction1, correction2);
            },
            p, gradient, m_, v_);
    }

    [[nodiscard]] const AdamWOptions& options() const noexcept { return options_; }
    /// Steps made so far.
    [[nodiscard]] std::int64_t steps() const noexcept { return steps_; }
    /// Running mean of the gradients, before the correction of its bias.
    [[nodiscard]] const Parameters& first_moment() const noexcept { return m_; }
    /// Running mean of their squares (of real and imaginary parts apart), before the correction of its bias.
    [[nodiscard]] const Parameters& second_moment() const noexcept { return v_; }

    /// Its state, for checkpoints: archive("steps", …) and the tensors of both moments.
    template <class Archive, class Self>
    static void for_each_item(Archive& archive, Self& self) {
        archive("steps", self.steps_);
        archive.template tensors<Layer>("m", self.m_);
        archive.template tensors<Layer>("v", self.v_);
    }

private:
    static const AdamWOptions& checked(const AdamWOptions& options) {
        validate(options);
        return options;
    }

    template <class Tensor>
    void update(Tensor& values, const Tensor& slopes, Tensor& m, Tensor& v, const AdamWGroup& group, double correction1,
                double correction2) const noexcept {
        auto p = detail::real_array(values);
        const auto g = detail::real_array(slopes);
        auto first = detail::real_array(m);
        auto second = detail::real_array(v);
        using Real = typename decltype(p)::Scalar;
        const auto keep = static_cast<Real>(1 - group.learning_rate * group.weight_decay);
        const auto beta1 = static_cast<Real>(options_.beta1);
        const auto beta2 = static_cast<Real>(options_.beta2);
        const auto new1 = static_cast<Real>(1 - options_.beta1);
        const auto new2 = static_cast<Real>(1 - options_.beta2);
        const auto step = static_cast<Real>(group.learning_rate / correction1);
        const auto spread = static_cast<Real>(1 / std::sqrt(correction2));
        const auto epsilon = static_cast<Real>(options_.epsilon);
        constexpr Index block = 1024;  // numbers of which all four arrays stay in the first-level cache
        for (Index begin = 0; begin < p.size(); begin += block) {
            const Index size = std::min(block, p.size() - begin);
            const auto g_block = g.segment(begin, size);
            auto m_block = first.segment(begin, size);
            auto v_block = second.segment(begin, size);
            auto p_block = p.segment(begin, size);
            m_block = beta1 * m_block + new1 * g_block;
            v_block = beta2 * v_block + new2 * g_block.square();
            p_block = keep * p_block - step * m_block / (v_block.sqrt() * spread + epsilon);
        }
    }

    AdamWOptions options_;
    Parameters m_, v_;
    std::int64_t steps_ = 0;
};

}  // namespace s4::inline S4_ABI
