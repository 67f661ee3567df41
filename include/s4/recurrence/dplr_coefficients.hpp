// The numbers that the recurrence of a diagonal-plus-low-rank system multiplies by: computed in double, rounded once.
#pragma once

#include <s4/core/parallel.hpp>
#include <s4/discretize/dplr.hpp>
#include <s4/parameters/dplr.hpp>
#include <s4/recurrence/recurrence.hpp>
#include <s4/recurrence/stable_rounding.hpp>

#include <complex>

namespace s4::inline S4_ABI::detail {

/// Tables of every channel, in lanes, and the sizes they were made for (see DiscreteDplr).
template <RealScalar Scalar, class Shape>
struct DplrCoefficients {
    using Ssm = Dplr<Scalar, Shape>;
    using Parameters = typename Ssm::Parameters;
    static constexpr Index width = Lanes<Scalar>::count;
    static constexpr int state_table =
        lane_table_size<Scalar>(Shape::channels, Shape::pairs == Dynamic ? Dynamic : 2 * Shape::pairs);
    static constexpr int sigma_table = lane_table_size<Scalar>(Shape::channels, max_rank);
    // Room for the highest rank when the sizes are static: no heap.
    static constexpr int coefficient_table = state_table == Dynamic || Shape::heads == Dynamic
                                                 ? Dynamic
                                                 : state_table / 2 * (4 + 4 * max_rank + 2 * Shape::heads);

    Index channels;
    Index heads;
    Index pairs;
    Index rank;
    Index kernel_limit;
    Storage<Scalar, coefficient_table> coefficients;  ///< [lane block][n][field][lane]
    Storage<Scalar> forgotten;  ///< Ā^m B̄, with which an input leaves again after m = kernel_limit samples; or empty
    Storage<Scalar, lane_table_size<Scalar>(Shape::channels, Shape::heads)> feed_through;  ///< D: [head][channel]

    /// O(heads·H rank² N), and O(heads·H N³ log n) for C~ or a kernel that ends after n samples. Error on bad
    /// parameters.
    explicit DplrCoefficients(const Parameters& parameters)
        : channels{checked(parameters).channels()},
          heads{parameters.heads()},
          pairs{parameters.A_real.cols()},
          rank{parameters.rank()},
          kernel_limit{kernel_end(parameters)},
          coefficients{table_size(parameters)},
          forgotten{kernel_limit > 0 ? lane_blocks<Scalar>(channels) * width * pairs * 2 : 0},
          feed_through{heads * lane_blocks<Scalar>(channels) * width} {
        parallel_for(channels, [&](Index h) { set_channel(parameters, h); });
        require_finite(Ssm::name, coefficients);
    }

    /// Numbers a pair: Ā − 1, B̄, for each rank F and G, for each head C, all complex.
    [[nodiscard]] Index fields() const noexcept { return 4 + 4 * rank + 2 * heads; }

private:
    static const Parameters& checked(const Parameters& parameters) {
        Ssm::validate(parameters);
        return parameters;
    }
    static Index table_size(const Parameters& p) {
        if constexpr (coefficient_table != Dynamic) return coefficient_table;
        return lane_blocks<Scalar>(p.channels()) * width * p.A_real.cols() * (4 + 4 * p.rank() + 2 * p.heads());
    }

    void set_channel(const Parameters& parameters, Index h) {
        for (Index head = 0; head < heads; ++head) {
            const DplrSystem system = to_plain(Ssm::system(parameters, h, head));
            if (head == 0) set_states(h, system);
            for (Index n = 0; n < pairs; ++n) {
                Scalar* to = coefficients.data() + (h / width * pairs + n) * fields() * width + h % width +
                             (4 + 4 * rank + 2 * head) * width;
                to[0] = static_cast<Scalar>(2 * system.C[n].real());
                to[width] = static_cast<Scalar>(-2 * system.C[n].imag());
            }
            feed_through.data()[head * lane_blocks<Scalar>(channels) * width + h] = static_cast<Scalar>(system.D);
        }
    }
    void set_states(Index h, const DplrSystem& system) {
        const DiscreteDplr discrete = discretize(Bilinear{}, system);
        // Without a low rank every mode is on its own, and kept from growing. With one the modes damp each other: HiPPO
        // systems stay stable after rounding for dt from about 1e-7 on.
        bool independent = true;
        for (Index r = 0; r < rank; ++r)
            for (Index n = 0; n < pairs; ++n) independent = independent && system.P(r, n) == 0.0;
        for (Index n = 0; n < pairs; ++n) {
            Scalar* to = coefficients.data() + (h / width * pairs + n) * fields() * width + h % width;
            const auto put = [&to](double value) {
                *to = static_cast<Scalar>(value);
                to += width;
            };
            const std::complex<Scalar> a = independent ? round_stable<Scalar>(discrete.a_minus_one[n])
                                                       : std::complex<Scalar>(discrete.a_minus_one[n]);
            put(static_cast<double>(a.real()));
            put(static_cast<double>(a.imag()));
            put(discrete.B_bar[n].real());
            put(discrete.B_bar[n].imag());
            for (Index r = 0; r < rank; ++r) {
                put(discrete.F(n, r).real());
                put(discrete.F(n, r).imag());
                put(2 * discrete.G(r, n).real());
                put(-2 * discrete.G(r, n).imag());
            }
        }
        if (kernel_limit == 0) return;
        const Eigen::VectorXcd gone = delayed_input(system, kernel_limit);
        for (Index n = 0; n < pairs; ++n) {
            Scalar* to = forgotten.data() + (h / width * pairs + n) * 2 * width + h % width;
            to[0] = static_cast<Scalar>(gone[n].real());
            to[width] = static_cast<Scalar>(gone[n].imag());
        }
    }
};

}  // namespace s4::inline S4_ABI::detail
