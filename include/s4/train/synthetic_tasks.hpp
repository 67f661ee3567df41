// The synthetic tasks of the literature on long memory: delay, copying, adding, reconstruction of band-limited noise.
// Each makes its examples from (seed, number of the example) and knows the error of who has learnt nothing.
#pragma once

#include <s4/core/error.hpp>
#include <s4/core/random.hpp>
#include <s4/core/random_stream.hpp>
#include <s4/core/scalar.hpp>
#include <s4/core/sequence.hpp>

#include <cmath>
#include <complex>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <numbers>
#include <span>

namespace s4::inline S4_ABI {

// What the tasks share. A batch is B sequences of length() steps, `u` [B·L × inputs()], one after the other. The loss
// counts at the last scored_steps() steps S of each sequence: the targets are [B·S × outputs()] or, for classes, [B·S].
// Example i of a seed is the same in any batch: `first` is the number of the batch's first example. Different seeds,
// such as one for training and one for test, make different examples. Filling is O(B L) unless said otherwise and does
// not allocate. `validate` raises an Error that names the option; the other functions need valid options.

namespace detail {

/// Calls `make(engine, b)` for each of the `batch` examples from number `first` on.
template <class Make>
void for_each_example(std::uint64_t seed, std::uint64_t first, Index batch, const Make& make) noexcept {
    for (Index b = 0; b < batch; ++b) {
        RandomEngine engine = random_stream(seed, first + static_cast<std::uint64_t>(b));
        make(engine, b);
    }
}

/// Sines that fit whole half-waves into `length` samples, below `cutoff` cycles a sample.
[[nodiscard]] inline Index noise_components(Index length, double cutoff) noexcept {
    constexpr double rounding = 1e-9;  // 0.29 · 200 is 58
    return static_cast<Index>(std::floor(2 * cutoff * static_cast<double>(length) + rounding));
}

inline void validate_cutoff(const char* task, Index length, double cutoff) {
    require(is_finite(cutoff) && cutoff >= 0 && cutoff <= 0.5, task, ": option cutoff must lie in [0, 0.5], found ",
            cutoff);
    require(cutoff == 0 || noise_components(length, cutoff) > 0, task, ": option cutoff must be 0 or at least ",
            0.5 / static_cast<double>(length), ", half a cycle in the whole sequence, found ", cutoff);
}

/// Normal noise of variance 1 in the rows [begin, begin + length) of the column `u`. Without a cutoff (0) its samples
/// are independent; with one it is Σ_k a_k cos(ω_k t) + b_k sin(ω_k t), ω_k = π k/length, over all ω_k up to 2π cutoff,
/// with normal a_k and b_k of equal variance: the same power at each frequency, and no repetition within the sequence.
/// O(length · components); summed in Scalar.
template <RealScalar Scalar>
void fill_noise(RandomEngine& engine, double cutoff, SequenceOut<Scalar> u, Index begin, Index length) noexcept {
    if (cutoff == 0) {
        for (Index t = 0; t < length; ++t) *u.row(begin + t) = static_cast<Scalar>(normal(engine));
        return;
    }
    for (Index t = 0; t < length; ++t) *u.row(begin + t) = 0;
    const Index components = noise_components(length, cutoff);
    const double deviation = 1 / std::sqrt(static_cast<double>(components));
    for (Index k = 1; k <= components; ++k) {
        const double omega = std::numbers::pi * static_cast<double>(k) / static_cast<double>(length);
        const std::complex<double> turn{std::cos(omega), std::sin(omega)};
        const double a = deviation * normal(engine);
        std::complex<double> z{a, -deviation * normal(engine)};  // Re z = a cos(ω t) + b sin(ω t)
        for (Index t = 0; t < length; ++t) {
            *u.row(begin + t) += static_cast<Scalar>(z.real());
            z = multiply(z, turn);
        }
    }
}

}  // namespace detail

/// Delay: the output is the input some steps ago. White or band-limited noise of variance 1 (Voelker, Kajić and
/// Eliasmith, "Legendre memory units", 2019; Gu et al., "How to train your HiPPO", 2022).
struct DelayTask {
    Index steps = 1000;  ///< length of each sequence L
    Index lag = 250;     ///< y(t) = u(t − lag), in [0, L); steps before `lag` do not count
    double cutoff = 0;   ///< the highest frequency, in cycles a step, at most 0.5; 0: white noise

    /// Error that names the option unless all are in range.
    void validate() const {
        detail::require(steps >= 1, "DelayTask: option steps must be at least 1, found ", steps);
        detail::require(lag >= 0 && lag < steps, "DelayTask: option lag must lie in [0, ", steps, "), found ", lag);
        detail::validate_cutoff("DelayTask", steps, cutoff);
    }
    [[nodiscard]] Index length() const noexcept { return steps; }              ///< L
    [[nodiscard]] Index scored_steps() const noexcept { return steps - lag; }  ///< S
    [[nodiscard]] static constexpr Index inputs() noexcept { return 1; }       ///< columns of u
    [[nodiscard]] static constexpr Index outputs() noexcept { return 1; }      ///< columns of the target
    /// Mean squared error of who always answers 0, the variance of the noise.
    [[nodiscard]] static constexpr double baseline() noexcept { return 1; }

    /// Fills `u` [B·L × 1] and `target` [B·S × 1]. Below a cutoff O(B L² cutoff).
    template <RealScalar Scalar>
    void fill(std::uint64_t seed, std::uint64_t first, SequenceOut<Scalar> u,
              SequenceOut<Scalar> target) const noexcept {
        const Index batch = u.rows() / length();
        S4_ASSERT(u.rows() == batch * length() && u.cols() == inputs(), "u is [B L x 1]");
        S4_ASSERT(target.rows() == batch * scored_steps() && target.cols() == outputs(), "the target is [B S x 1]");
        detail::for_each_example(seed, first, batch, [&](RandomEngine& engine, Index b) {
            detail::fill_noise(engine, cutoff, u, b * length(), length());
            for (Index t = 0; t < scored_steps(); ++t) *target.row(b * scored_steps() + t) = *u.row(b * length() + t);
        });
    }
};

/// Reconstruction: after the last step, all of the last inputs at once, oldest first. Band-limited noise of variance 1
/// (Voelker, Kajić and Eliasmith 2019; Gu et al. 2022).
struct ReconstructionTask {
    Index steps = 1000;    ///< length of each sequence L
    Index window = 1000;   ///< how many inputs are asked for, in [1, L]
    double cutoff = 0.01;  ///< the highest frequency, in cycles a step, at most 0.5; 0: white noise

    /// Error that names the option unless all are in range.
    void validate() const {
        detail::require(steps >= 1, "ReconstructionTask: option steps must be at least 1, found ", steps);
        detail::require(window >= 1 && window <= steps, "ReconstructionTask: option window must lie in [1, ", steps,
                        "], found ", window);
        detail::validate_cutoff("ReconstructionTask", steps, cutoff);
    }
    [[nodiscard]] Index length() const noexcept { return steps; }               ///< L
    [[nodiscard]] static constexpr Index scored_steps() noexcept { return 1; }  ///< S
    [[nodiscard]] static constexpr Index inputs() noexcept { return 1; }        ///< columns of u
    [[nodiscard]] Index outputs() const noexcept { return window; }             ///< columns of the target
    /// Mean squared error of who always answers 0, the variance of the noise.
    [[nodiscard]] static constexpr double baseline() noexcept { return 1; }

    /// Fills `u` [B·L × 1] and `target` [B × window]. Below a cutoff O(B L² cutoff).
    template <RealScalar Scalar>
    void fill(std::uint64_t seed, std::uint64_t first, SequenceOut<Scalar> u,
              SequenceOut<Scalar> target) const noexcept {
        const Index batch = u.rows() / length();
        S4_ASSERT(u.rows() == batch * length() && u.cols() == inputs(), "u is [B L x 1]");
        S4_ASSERT(target.rows() == batch && target.cols() == outputs(), "the target is [B x window]");
        detail::for_each_example(seed, first, batch, [&](RandomEngine& engine, Index b) {
            detail::fill_noise(engine, cutoff, u, b * length(), length());
            const Index oldest = (b + 1) * length() - window;
            for (Index i = 0; i < window; ++i) target.row(b)[i] = *u.row(oldest + i);
        });
    }
};

/// Adding: of a sequence of numbers two are marked, one in each half; the answer after the last step is their sum
/// (Hochreiter and Schmidhuber, "Long short-term memory", 1997, experiment 4; numbers uniform in [0, 1) and a marker of
/// 0 or 1, as in Le, Jaitly and Hinton 2015 and Arjovsky, Shah and Bengio 2016).
struct AddingTask {
    Index steps = 1000;  ///< length of each sequence L, at least 2

    /// Error that names the option unless it is in range.
    void validate() const { detail::require(steps >= 2, "AddingTask: option steps must be at least 2, found ", steps); }
    [[nodiscard]] Index length() const noexcept { return steps; }               ///< L
    [[nodiscard]] static constexpr Index scored_steps() noexcept { return 1; }  ///< S
    [[nodiscard]] static constexpr Index inputs() noexcept { return 2; }        ///< columns of u: number, marker
    [[nodiscard]] static constexpr Index outputs() noexcept { return 1; }       ///< columns of the target
    /// Mean squared error of who always answers 1: twice the variance 1/12 of a number.
    [[nodiscard]] static constexpr double baseline() noexcept { return 1.0 / 6; }

    /// Fills `u` [B·L × 2] and `target` [B × 1].
    template <RealScalar Scalar>
    void fill(std::uint64_t seed, std::uint64_t first, SequenceOut<Scalar> u,
              SequenceOut<Scalar> target) const noexcept {
        const Index batch = u.rows() / length();
        S4_ASSERT(u.rows() == batch * length() && u.cols() == inputs(), "u is [B L x 2]");
        S4_ASSERT(target.rows() == batch && target.cols() == outputs(), "the target is [B x 1]");
        detail::for_each_example(seed, first, batch, [&](RandomEngine& engine, Index b) {
            const Index half = length() / 2;
            const Index early = uniform_below(engine, half);
            const Index late = half + uniform_below(engine, length() - half);
            for (Index t = 0; t < length(); ++t) {
                Scalar* step = u.row(b * length() + t);
                step[0] = static_cast<Scalar>(uniform(engine));
                step[1] = t == early || t == late ? Scalar{1} : Scalar{0};
            }
            *target.row(b) = u.row(b * length() + early)[0] + u.row(b * length() + late)[0];
        });
    }
};

/// Copying: some symbols to remember, blanks, and from the sign "go" on the symbols again (Hochreiter and Schmidhuber
/// 1997; in this form Arjovsky, Shah and Bengio, "Unitary evolution recurrent neural networks", 2016). Symbols are the
/// classes 0 … symbols − 1, then come `blank()` and `go()`. With M symbols to remember and T blanks the input is
///     M symbols, T − 1 blanks, go, M blanks (L = T + 2M)
/// so that a symbol comes back M + T steps after it was seen.
struct CopyingTask {
    Index symbols = 8;       ///< how many different ones
    Index memory = 10;       ///< symbols to remember M
    Index blanks = 100;      ///< steps from the last symbol to the answer T
    bool score_all = false;  ///< whether the T + M steps before the answer count as well, where it is blank

    /// Error that names the option unless all are in range.
    void validate() const {
        detail::require(symbols >= 2, "CopyingTask: option symbols must be at least 2, found ", symbols);
        detail::require(memory >= 1, "CopyingTask: option memory must be at least 1, found ", memory);
        detail::require(blanks >= 1, "CopyingTask: option blanks must be at least 1, found ", blanks);
    }
    [[nodiscard]] Index blank() const noexcept { return symbols; }               ///< the token that means nothing
    [[nodiscard]] Index go() const noexcept { return symbols + 1; }              ///< the token that asks for the answer
    [[nodiscard]] Index length() const noexcept { return blanks + 2 * memory; }  ///< L
    /// S: the last M steps, or all of them.
    [[nodiscard]] Index scored_steps() const noexcept { return score_all ? length() : memory; }
    /// Columns of u with one column for each token; tokens lie in [0, inputs()).
    [[nodiscard]] Index inputs() const noexcept { return symbols + 2; }
    /// Classes of the answer: the symbols, and the blank where it counts.
    [[nodiscard]] Index outputs() const noexcept { return score_all ? symbols + 1 : symbols; }
    /// Cross-entropy (in nats) of who knows where the answer is and guesses its symbols: log(symbols) · M/S.
    [[nodiscard]] double baseline() const noexcept {
        return std::log(static_cast<double>(symbols)) * static_cast<double>(memory) /
               static_cast<double>(scored_steps());
    }

    /// Fills `tokens` [B·L] and `targets` [B·S].
    void fill(std::uint64_t seed, std::uint64_t first, std::span<Index> tokens,
              std::span<Index> targets) const noexcept {
        const Index batch = std::ssize(tokens) / length();
        S4_ASSERT(std::ssize(tokens) == batch * length(), "tokens are [B L]");
        fill(seed, first, batch, targets,
             [&](Index step, Index token) { tokens[static_cast<std::size_t>(step)] = token; });
    }
    /// Fills `u` [B·L × inputs()], 1 in the column of the token and 0 elsewhere, and `targets` [B·S]: the same
    /// examples.
    template <RealScalar Scalar>
    void fill(std::uint64_t seed, std::uint64_t first, SequenceOut<Scalar> u, std::span<Index> targets) const noexcept {
        const Index batch = u.rows() / length();
        S4_ASSERT(u.rows() == batch * length() && u.cols() == inputs(), "u is [B L x inputs]");
        fill(seed, first, batch, targets, [&](Index step, Index token) {
            Scalar* row = u.row(step);
            for (Index i = 0; i < inputs(); ++i) row[i] = i == token ? Scalar{1} : Scalar{0};
        });
    }

private:
    /// Calls `put(step of the batch, token)` for each step, and fills `targets`.
    template <class Put>
    void fill(std::uint64_t seed, std::uint64_t first, Index batch, std::span<Index> targets,
              const Put& put) const noexcept {
        S4_ASSERT(std::ssize(targets) == batch * scored_steps(), "targets are [B S]");
        detail::for_each_example(seed, first, batch, [&](RandomEngine& engine, Index b) {
            Index* target = targets.data() + b * scored_steps();
            for (Index t = 0; t < scored_steps() - memory; ++t) target[t] = blank();
            for (Index t = 0; t < length(); ++t) {
                Index token = t == memory + blanks - 1 ? go() : blank();
                if (t < memory) token = target[scored_steps() - memory + t] = uniform_below(engine, symbols);
                put(b * length() + t, token);
            }
        });
    }
};

}  // namespace s4::inline S4_ABI
