// The numbers that the recurrence of a diagonal system multiplies by: computed in double, rounded once.
#pragma once

#include <s4/discretize/complex_exponential.hpp>
#include <s4/discretize/zero_order_hold.hpp>
#include <s4/parameters/diagonal.hpp>
#include <s4/recurrence/recurrence.hpp>
#include <s4/recurrence/stable_rounding.hpp>

#include <algorithm>
#include <cmath>
#include <complex>
#include <limits>
#include <vector>

namespace s4::inline S4_ABI::detail {

/// Rounding Ā − 1 to float turns a mode by up to 2^-25 |Ā − 1| too much in every step, which adds up over the
/// 1/(1 − |Ā|) steps that it remembers. Above this sum (its effect on a state is about a third) the rounding error of
/// the coefficient is kept too, and multiplied along: 40 % more arithmetic for the whole layer, and what is left
/// is the rounding of the state itself.
inline constexpr double max_phase_drift = 1e-5;

[[nodiscard]] inline double phase_drift(std::complex<double> a_minus_one) noexcept {
    const double decay = -(2 * a_minus_one.real() + std::norm(a_minus_one));  // 1 − |Ā|² ≈ 2 (1 − |Ā|)
    return decay > 0 ? 0x1p-24 * std::abs(a_minus_one) / decay : 1.0;
}

/// The time step of mode n of channel h. Error where the rule makes it grow.
template <class Rule>
[[nodiscard]] DiagonalStep<double> stable_step(const char* name, const Rule& rule, const DiagonalSystem& system,
                                               Index h, Index n) {
    const DiagonalStep<double> step = discretize(rule, system.lambda[n], system.dt[n]);
    const double growth = 2 * step.a_minus_one.real() + std::norm(step.a_minus_one);
    require(growth <= 1e-12, name, ": the rule makes state ", n, " of channel ", h, " grow: |A_bar|^2 - 1 = ", growth,
            ", dt = ", system.dt[n]);
    return step;
}

/// Tables of every channel, in lanes, and the sizes they were made for. For each pair Ā − 1 and, with B̄ folded in, the
/// output vector 2 C B̄ of each head.
template <RealScalar Scalar, class Rule, class Shape>
struct DiagonalCoefficients {
    using Ssm = Diagonal<Scalar, Rule, Shape>;
    using Parameters = typename Ssm::Parameters;
    static constexpr Index width = Lanes<Scalar>::count;
    static constexpr int state_table =
        lane_table_size<Scalar>(Shape::channels, Shape::pairs == Dynamic ? Dynamic : 2 * Shape::pairs);
    static constexpr int pair_table = state_table == Dynamic ? Dynamic : state_table / 2;
    static constexpr int coefficient_table =
        pair_table == Dynamic || Shape::heads == Dynamic ? Dynamic : pair_table * (2 + 2 * Shape::heads);
    /// Whether the scalar is so narrow that what the rounding of Ā − 1 takes may be needed.
    static constexpr bool corrects = std::same_as<Scalar, float>;

    Index channels;
    Index heads;
    Index pairs;
    Index kernel_limit;                               ///< at the rate
    Storage<Scalar, coefficient_table> coefficients;  ///< [lane block][n][Re, Im of Ā − 1; Re, −Im of 2 C B̄][lane]
    Storage<Scalar, !corrects && state_table != Dynamic ? 0 : state_table>
        residues;               ///< what Ā − 1 lost: [lane block][n][re, im][lane]
    Storage<Scalar> forgotten;  ///< Ā^m − 1: an input leaves again by −Ā^m after m = kernel_limit samples; or empty
    Storage<Scalar, lane_table_size<Scalar>(Shape::channels, Shape::heads)> feed_through;  ///< D: [head][channel]
    bool corrected = false;                                                                ///< residues are needed
    Storage<Scalar, pair_table> scale_re;  ///< B̄, to read and write states
    Storage<Scalar, pair_table> scale_im;

    /// O(heads·H N). Error on bad parameters, and where the rule makes a mode grow.
    explicit DiagonalCoefficients(const Parameters& parameters)
        : channels{checked(parameters).channels()},
          heads{parameters.heads()},
          pairs{parameters.A_real.cols()},
          kernel_limit{kernel_end(parameters)},
          coefficients{lane_blocks<Scalar>(channels) * pairs * fields() * width},
          residues{corrects ? state_size() : 0},
          forgotten{kernel_limit > 0 ? state_size() : 0},
          feed_through{heads * lane_blocks<Scalar>(channels) * width},
          scale_re{state_size() / 2},
          scale_im{state_size() / 2} {
        for (Index h = 0; h < channels; ++h) set_channel(parameters, h);
        require_finite(Ssm::name, coefficients);
    }

    /// Numbers of a state: real and imaginary parts of every pair and lane.
    [[nodiscard]] Index state_size() const noexcept { return lane_blocks<Scalar>(channels) * pairs * 2 * width; }
    /// Numbers a pair: Ā − 1, and 2 C B̄ of every head, all complex.
    [[nodiscard]] Index fields() const noexcept { return 2 + 2 * heads; }
    /// Position of (channel, n) in a table of `fields` numbers a pair: [lane block][n][field][lane].
    [[nodiscard]] Index at(Index h, Index n, Index fields) const noexcept {
        return ((h / width * pairs + n) * fields) * width + h % width;
    }
    [[nodiscard]] std::complex<Scalar> scale(Index h, Index n) const noexcept {
        return {scale_re.data()[at(h, n, 1)], scale_im.data()[at(h, n, 1)]};
    }

private:
    static const Parameters& checked(const Parameters& parameters) {
        Ssm::validate(parameters);
        return parameters;
    }

    void set_channel(const Parameters& parameters, Index h) {
        const DiagonalSystem system = Ssm::system(parameters, h);
        const auto input = [&](Index n) {
            return discretize(parameters.rule, system.lambda[n], system.dt[n]).b * system.B[n];
        };
        double largest = static_cast<double>(std::numeric_limits<Scalar>::min()) * 0x1p+100;
        for (Index n = 0; n < pairs; ++n) largest = std::max(largest, std::abs(input(n)));
        std::vector<std::complex<double>> scales(static_cast<std::size_t>(pairs));
        for (Index n = 0; n < pairs; ++n) {
            const DiagonalStep<double> step = stable_step(Ssm::name, parameters.rule, system, h, n);
            const std::complex<Scalar> a = round_stable<Scalar>(step.a_minus_one);
            std::complex<double> applied(a);  // Ā − 1 as it is multiplied
            Scalar* to = coefficients.data() + at(h, n, fields());
            to[0] = a.real();
            to[width] = a.imag();
            if constexpr (corrects) {
                if (phase_drift(step.a_minus_one) > max_phase_drift) corrected = true;
                const std::complex<Scalar> residue(step.a_minus_one - applied);
                residues.data()[at(h, n, 2)] = residue.real();
                residues.data()[at(h, n, 2) + width] = residue.imag();
                applied += std::complex<double>(residue);
            }
            if (kernel_limit > 0) {
                const std::complex<double> power = expm1(static_cast<double>(kernel_limit) * log1p(applied));
                forgotten.data()[at(h, n, 2)] = static_cast<Scalar>(power.real());
                forgotten.data()[at(h, n, 2) + width] = static_cast<Scalar>(power.imag());
            }
            // A mode that the input cannot reach keeps a tiny scale instead of none, so that a state written into it
            // still sounds; what leaks into it from the input is below 1e-20 of the others.
            std::complex<double> b = input(n);
            if (std::abs(b) < 1e-20 * largest) b = 1e-20 * largest;
            scales[static_cast<std::size_t>(n)] = b;
            scale_re.data()[at(h, n, 1)] = static_cast<Scalar>(b.real());
            scale_im.data()[at(h, n, 1)] = static_cast<Scalar>(b.imag());
        }
        for (Index head = 0; head < heads; ++head) {
            const DiagonalSystem output = Ssm::system(parameters, h, head);
            for (Index n = 0; n < pairs; ++n) {
                const std::complex<double> c = 2.0 * (output.C[n] * scales[static_cast<std::size_t>(n)]);
                Scalar* to = coefficients.data() + at(h, n, fields()) + (2 + 2 * head) * width;
                to[0] = static_cast<Scalar>(c.real());
                to[width] = static_cast<Scalar>(-c.imag());
            }
            feed_through.data()[head * lane_blocks<Scalar>(channels) * width + h] = static_cast<Scalar>(output.D);
        }
    }
};

}  // namespace s4::inline S4_ABI::detail
