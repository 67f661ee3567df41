// What a differentiable scan multiplies by, and the way back from its gradient to that of the system.
#pragma once

#include <s4/discretize/dplr_vjp.hpp>
#include <s4/discretize/rule.hpp>
#include <s4/recurrence/diagonal_coefficients.hpp>
#include <s4/recurrence/dplr_coefficients.hpp>

#include <complex>
#include <span>
#include <vector>

namespace s4::inline S4_ABI::detail {

/// The tables of `Ssm` that ScanVjp reads, in lanes: [lane block][n][field][lane] with the fields Re, Im of Ā − 1;
/// Re, Im of B̄; for each rank Re F, Im F, 2 Re G, −2 Im G; for each head 2 Re C, −2 Im C; D is [head][channel]. And
/// `add_gradient(h, sums, feed_through, gradients)`: from the gradients of the fields of channel h (pair n and field f
/// at sums[(n·fields + f)·width], D of a head at feed_through[head·width]) to those of its systems.
template <class Ssm>
struct ScanCoefficients {
    static_assert(always_false<Ssm>,
                  "s4::ScanVjp: only the scans of Diagonal and Dplr systems are differentiated, of one direction");
};

/// Error where a state does not hold all that a later sample depends on.
template <class Parameters>
const Parameters& whole_past_is_state(const char* name, const Parameters& parameters) {
    require(parameters.kernel_limit == 0, name, ": option kernel_limit must be 0 in a scan that is differentiated, ",
            "found ", parameters.kernel_limit, ": the samples to be forgotten are no part of a state");
    return parameters;
}

/// Adds the gradients of the C and D of every head of a channel.
template <class Coefficients, class System>
void add_output_gradients(const Coefficients& c, Index h, const double* sums, const double* feed_through,
                          std::span<System> gradients) noexcept {
    constexpr Index width = Coefficients::width;
    for (Index head = 0; head < c.heads; ++head) {
        System& gradient = gradients[static_cast<std::size_t>(head * c.channels + h)];
        gradient.D += feed_through[head * width];
        const double* by_output = sums + (4 + 4 * c.rank + 2 * head) * width;
        for (Index n = 0; n < c.pairs; ++n, by_output += c.fields() * width)
            gradient.C[n] += 2.0 * std::complex<double>{by_output[0], -by_output[width]};
    }
}

/// Of a diagonal system. Unlike in DiagonalCoefficients B̄ is not folded into C: a state is x itself, so that its
/// cotangent is never divided by a B̄ near zero.
template <RealScalar Scalar, class Rule, class Shape>
struct ScanCoefficients<Diagonal<Scalar, Rule, Shape>> {
    static_assert(DifferentiableRule<Rule>, "s4::ScanVjp: the rule has no diagonal_vjp (see s4::DifferentiableRule)");
    using Ssm = Diagonal<Scalar, Rule, Shape>;
    using Parameters = typename Ssm::Parameters;
    using System = DiagonalSystem;
    static constexpr Index width = Lanes<Scalar>::count;
    static constexpr Index highest_rank = 0;
    static constexpr Index rank = 0;
    /// Whether what the rounding of Ā − 1 takes may be needed (see max_phase_drift).
    static constexpr bool corrects = std::same_as<Scalar, float>;

    Index channels;
    Index heads;
    Index pairs;
    Storage<Scalar> coefficients;
    Storage<Scalar> residues;      ///< what Ā − 1 lost: [lane block][n][re, im][lane]; or empty
    Storage<Scalar> feed_through;  ///< D: [head][channel]
    bool corrected = false;        ///< residues are needed

    /// O(heads·H N). Error on bad parameters, a kernel_limit, and where the rule makes a mode grow.
    explicit ScanCoefficients(const Parameters& parameters)
        : channels{checked(parameters).channels()},
          heads{parameters.heads()},
          pairs{parameters.A_real.cols()},
          coefficients{lane_blocks<Scalar>(channels) * pairs * fields() * width},
          residues{corrects ? lane_blocks<Scalar>(channels) * pairs * 2 * width : 0},
          feed_through{heads * lane_blocks<Scalar>(channels) * width},
          rule_{parameters.rule} {
        for (Index h = 0; h < channels; ++h) set_channel(parameters, h);
        require_finite(Ssm::name, coefficients);
    }

    /// Numbers a pair.
    [[nodiscard]] Index fields() const noexcept { return 4 + 2 * heads; }
    /// A gradient of zeros for the system of channel h.
    [[nodiscard]] System zero_gradient(Index h) const {
        System gradient = systems_[static_cast<std::size_t>(h)];
        gradient.lambda.setZero();
        gradient.B.setZero();
        gradient.C.setZero();
        gradient.dt.setZero();
        gradient.D = 0;
        return gradient;
    }

    /// Scratch of add_gradient.
    struct Scratch {
        explicit Scratch(const ScanCoefficients&) noexcept {}
    };
    void add_gradient(Scratch&, Index h, const double* sums, const double* feed_through_sums,
                      std::span<System> gradients) const noexcept {
        add_output_gradients(*this, h, sums, feed_through_sums, gradients);
        const System& system = systems_[static_cast<std::size_t>(h)];
        System& gradient = gradients[static_cast<std::size_t>(h)];
        for (Index n = 0; n < pairs; ++n, sums += fields() * width) {
            const DiagonalStep<double> step = discretize(rule_, system.lambda[n], system.dt[n]);
            const std::complex<double> by_b_bar{sums[2 * width], sums[3 * width]};
            const DiagonalGradient<double> by_step =
                discretize_vjp(rule_, system.lambda[n], system.dt[n],
                               {{sums[0], sums[width]}, multiply(std::conj(system.B[n]), by_b_bar)});
            gradient.lambda[n] += by_step.lambda;
            gradient.dt[n] += by_step.dt;
            gradient.B[n] += multiply(std::conj(step.b), by_b_bar);
        }
    }

private:
    static const Parameters& checked(const Parameters& parameters) {
        Ssm::validate(parameters);
        return whole_past_is_state(Ssm::name, parameters);
    }

    void set_channel(const Parameters& parameters, Index h) {
        const System& system = systems_.emplace_back(Ssm::system(parameters, h));
        for (Index n = 0; n < pairs; ++n) {
            const DiagonalStep<double> step = stable_step(Ssm::name, rule_, system, h, n);
            const std::complex<Scalar> a = round_stable<Scalar>(step.a_minus_one);
            const std::complex<double> b = multiply(step.b, system.B[n]);
            Scalar* to = coefficients.data() + ((h / width * pairs + n) * fields()) * width + h % width;
            to[0] = a.real();
            to[width] = a.imag();
            to[2 * width] = static_cast<Scalar>(b.real());
            to[3 * width] = static_cast<Scalar>(b.imag());
            if constexpr (corrects) {
                if (phase_drift(step.a_minus_one) > max_phase_drift) corrected = true;
                const std::complex<double> residue = step.a_minus_one - std::complex<double>(a);
                Scalar* rest = residues.data() + ((h / width * pairs + n) * 2) * width + h % width;
                rest[0] = static_cast<Scalar>(residue.real());
                rest[width] = static_cast<Scalar>(residue.imag());
            }
        }
        for (Index head = 0; head < heads; ++head) {
            const System output = Ssm::system(parameters, h, head);
            for (Index n = 0; n < pairs; ++n) {
                Scalar* to =
                    coefficients.data() + ((h / width * pairs + n) * fields() + 4 + 2 * head) * width + h % width;
                to[0] = static_cast<Scalar>(2 * output.C[n].real());
                to[width] = static_cast<Scalar>(-2 * output.C[n].imag());
            }
            feed_through.data()[head * lane_blocks<Scalar>(channels) * width + h] = static_cast<Scalar>(output.D);
        }
    }

    std::vector<System> systems_;  // of head 0
    [[no_unique_address]] Rule rule_;
};

/// Of a diagonal-plus-low-rank system with plain C: the tables of its recurrence.
template <RealScalar Scalar, class Shape>
struct ScanCoefficients<Dplr<Scalar, Shape>> : DplrCoefficients<Scalar, Shape> {
    using Base = DplrCoefficients<Scalar, Shape>;
    using Ssm = Dplr<Scalar, Shape>;
    using Parameters = typename Ssm::Parameters;
    using System = DplrSystem;
    using Base::width;
    static constexpr Index highest_rank = max_rank;
    static constexpr bool corrects = false;

    /// O(heads·H rank² N). Error on bad parameters, a kernel_limit and C~.
    explicit ScanCoefficients(const Parameters& parameters) : Base{checked(parameters)} {
        for (Index h = 0; h < this->channels; ++h) systems_.push_back(Ssm::system(parameters, h));
    }

    [[nodiscard]] System zero_gradient(Index h) const {
        return s4::zero_gradient(systems_[static_cast<std::size_t>(h)]);
    }

    /// The cotangent of one discrete system.
    struct Scratch {
        explicit Scratch(const ScanCoefficients& of) {
            cotangent.a_minus_one.resize(of.pairs);
            cotangent.F.resize(of.pairs, of.rank);
            cotangent.G.resize(of.rank, of.pairs);
            cotangent.B_bar.resize(of.pairs);
        }
        DiscreteDplr cotangent;
    };
    void add_gradient(Scratch& scratch, Index h, const double* sums, const double* feed_through_sums,
                      std::span<System> gradients) const noexcept {
        add_output_gradients(*this, h, sums, feed_through_sums, gradients);
        DiscreteDplr& cotangent = scratch.cotangent;
        for (Index n = 0; n < this->pairs; ++n, sums += this->fields() * width) {
            cotangent.a_minus_one[n] = {sums[0], sums[width]};
            cotangent.B_bar[n] = {sums[2 * width], sums[3 * width]};
            for (Index r = 0; r < this->rank; ++r) {
                const double* by_rank = sums + (4 + 4 * r) * width;
                cotangent.F(n, r) = {by_rank[0], by_rank[width]};
                cotangent.G(r, n) = 2.0 * std::complex<double>{by_rank[2 * width], -by_rank[3 * width]};
            }
        }
        discretize_vjp(Bilinear{}, systems_[static_cast<std::size_t>(h)], cotangent,
                       gradients[static_cast<std::size_t>(h)]);
    }

private:
    static const Parameters& checked(const Parameters& parameters) {
        Ssm::validate(parameters);
        require(parameters.kernel_length == 0, Ssm::name, ": a scan that is differentiated (chunked training) uses ",
                "plain C, found C~ of kernel_length = ", parameters.kernel_length,
                ": convert the parameters with s4::to_plain");
        return whole_past_is_state(Ssm::name, parameters);
    }

    std::vector<System> systems_;  // of head 0
};

}  // namespace s4::inline S4_ABI::detail
