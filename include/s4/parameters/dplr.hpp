// The diagonal-plus-low-rank system of S4: A = Λ − P P* (S4 paper, section 3; S4D paper, section 2).
#pragma once

#include <s4/core/random.hpp>
#include <s4/hippo/nplr.hpp>
#include <s4/parameters/tensors.hpp>
#include <s4/parameters/timescale.hpp>

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace s4::inline S4_ABI {

/// One channel of a DPLR system, in double and in natural values: x' = (Λ − Σ_r P_r P_r*) x + B u, y = 2 Re(C x) + D u.
/// Half of each conjugate pair is stored; the sums of P_r P_r* run over both halves.
struct DplrSystem {
    Eigen::VectorXcd lambda;  ///< [N/2], Re < 0
    Eigen::MatrixXcd P;       ///< [rank × N/2]
    Eigen::VectorXcd B;       ///< [N/2]
    Eigen::VectorXcd C;       ///< [N/2], plain or C~ (see kernel_length)
    Eigen::VectorXd dt;       ///< [N/2], seconds (or any unit) per sample; row n of A and B is scaled by dt[n]
    double D = 0;
    Index kernel_length = 0;  ///< 0: C is plain; n: C holds C~ = C (I − Ā^n)
};

/// The highest rank of the correction: LegT and Fourier need 2.
inline constexpr int max_rank = 4;

/// Diagonal plus low rank, discretised by the bilinear rule (other rules lose the structure). `Shape` fixes N and H at
/// compile time or leaves them to run time.
template <RealScalar S, class Shape_ = Shape<>>
struct Dplr {
    using Scalar = S;
    using Shape = Shape_;
    static constexpr const char* name = "Dplr";

    /// The trained tensors, raw: dt = T(inv_dt), Re λ = −T(A_real), Im λ = −T(A_imag). A plain value: gradients and
    /// the moments of an optimiser have this type too.
    struct Parameters {
        static constexpr int H = Shape::channels;
        static constexpr int pairs = Shape::pairs;
        using RealTable = detail::RowMajorMatrix<Scalar, H, pairs>;
        using ComplexTable = detail::RowMajorMatrix<std::complex<Scalar>, H, pairs>;

        detail::RowMajorMatrix<Scalar, H, Dynamic, H, pairs> inv_dt;  ///< [H × 1] or [H × N/2]
        RealTable A_real, A_imag;                                     ///< [H × N/2]
        detail::RowMajorMatrix<std::complex<Scalar>, Dynamic, pairs, H == Dynamic ? Dynamic : H * max_rank, pairs>
            P;                          ///< [rank·H × N/2], row r·H + h
        ComplexTable B, C;              ///< [H × N/2]
        Eigen::Matrix<Scalar, H, 1> D;  ///< [H]
        Index kernel_length = 0;        ///< 0: C is plain; n: C holds C~ = C (I − Ā^n), what the S4 paper trains
        Transform dt_transform = Transform::exp;
        Transform real_transform = Transform::exp;
        Transform imag_transform = Transform::none;

        [[nodiscard]] Index channels() const noexcept { return A_real.rows(); }
        [[nodiscard]] Index state_size() const noexcept { return 2 * A_real.cols(); }
        [[nodiscard]] Index rank() const noexcept { return channels() > 0 ? P.rows() / channels() : 0; }
    };

    /// visit(TensorInfo, tensor of p, tensor of each of `more`) for every trained tensor, in a fixed order.
    template <class Visitor, class P, class... More>
    static void for_each_tensor(Visitor&& visit, P&& p, More&&... more) {
        visit(TensorInfo{"inv_dt", TensorRole::ssm}, p.inv_dt, more.inv_dt...);
        visit(TensorInfo{"A_real", TensorRole::ssm}, p.A_real, more.A_real...);
        visit(TensorInfo{"A_imag", TensorRole::ssm}, p.A_imag, more.A_imag...);
        visit(TensorInfo{"P", TensorRole::ssm}, p.P, more.P...);
        visit(TensorInfo{"B", TensorRole::ssm}, p.B, more.B...);
        visit(TensorInfo{"C", TensorRole::ssm_output}, p.C, more.C...);
        visit(TensorInfo{"D", TensorRole::ordinary}, p.D, more.D...);
    }

    /// Error unless the shapes agree, every entry is finite, Re λ < 0 and dt is in range.
    static void validate(const Parameters& p) {
        detail::check_poles(name, p);
        const Index channels = p.channels();
        const Index pairs = p.A_real.cols();
        detail::require(p.P.rows() % channels == 0 && p.rank() <= max_rank, name, ": P must have rank x H rows with ",
                        "rank 0 to ", max_rank, ", found ", p.P.rows(), " rows for H = ", channels);
        detail::check_tensor(name, "P", p.P, p.P.rows(), pairs);
        detail::check_tensor(name, "B", p.B, channels, pairs);
        detail::check_tensor(name, "C", p.C, channels, pairs);
        detail::check_tensor(name, "D", p.D, channels, 1);
        detail::require(p.kernel_length >= 0, name, ": kernel_length must not be negative, found ", p.kernel_length);
    }

    /// Channel `h` in double. O(rank · N).
    [[nodiscard]] static DplrSystem system(const Parameters& p, Index h) {
        DplrSystem system;
        system.lambda = detail::eigenvalues(p, h);
        system.dt = detail::step_sizes(p, h);
        system.P.resize(p.rank(), p.A_real.cols());
        system.B.resize(p.A_real.cols());
        system.C.resize(p.A_real.cols());
        for (Index n = 0; n < p.A_real.cols(); ++n) {
            for (Index r = 0; r < p.rank(); ++r)
                system.P(r, n) = static_cast<std::complex<double>>(p.P(r * p.channels() + h, n));
            system.B[n] = static_cast<std::complex<double>>(p.B(h, n));
            system.C[n] = static_cast<std::complex<double>>(p.C(h, n));
        }
        system.D = static_cast<double>(p.D[h]);
        system.kernel_length = p.kernel_length;
        return system;
    }

    /// Parameters whose channels are `systems` (equal sizes, ranks and kernel lengths). Values are rounded once, to
    /// Scalar; Re λ in [−min_decay, 0] becomes −min_decay. One dt per channel unless they differ within one. Error where
    /// Re λ is positive or a value is not finite.
    [[nodiscard]] static Parameters from_systems(std::span<const DplrSystem> systems) {
        detail::require(!systems.empty(), name, ": at least one channel is needed, found H = 0");
        const DplrSystem& first = systems.front();
        const Index channels = std::ssize(systems);
        const Index pairs = first.lambda.size();
        const Index rank = first.P.rows();
        detail::require(pairs > 0, name, ": at least one pair of states is needed, found N = 0");
        bool tied = true;
        for (const DplrSystem& system : systems) {
            detail::require(system.lambda.size() == pairs && system.P.rows() == rank && system.P.cols() == pairs &&
                                system.B.size() == pairs && system.C.size() == pairs && system.dt.size() == pairs &&
                                system.kernel_length == first.kernel_length,
                            name,
                            ": all channels need the same N, rank and kernel length; the first has N = ", 2 * pairs,
                            ", rank ", rank);
            for (Index n = 1; n < pairs; ++n) tied = tied && system.dt[n] == system.dt[0];
        }
        Parameters p = make(channels, pairs, rank, tied ? 1 : pairs);
        for (Index h = 0; h < channels; ++h) {
            const DplrSystem& system = systems[static_cast<std::size_t>(h)];
            detail::set_poles(p, h, system.lambda, system.dt);
            for (Index n = 0; n < pairs; ++n) {
                for (Index r = 0; r < rank; ++r)
                    p.P(r * channels + h, n) = static_cast<std::complex<Scalar>>(system.P(r, n));
                p.B(h, n) = static_cast<std::complex<Scalar>>(system.B[n]);
                p.C(h, n) = static_cast<std::complex<Scalar>>(system.C[n]);
            }
            p.D[h] = static_cast<Scalar>(system.D);
        }
        p.kernel_length = first.kernel_length;
        validate(p);
        return p;
    }

    /// What `random` makes. A rank of −1 is the measure's own (1; LegT 2).
    struct Options {
        Index channels = Shape::channels == Dynamic ? 1 : Shape::channels;
        Index state_size = Shape::state_size == Dynamic ? 64 : Shape::state_size;
        Hippo hippo = LegS{};
        Index rank = -1;
        Timescale timescale = {};
    };

    /// A HiPPO system for every channel, dt log-uniform, C complex normal, D normal: the start of training in the S4
    /// paper. One eigen-decomposition, O(N³), in double.
    [[nodiscard]] static Parameters random(const Options& options, std::uint64_t seed) {
        detail::require(options.channels > 0, name, ": channels must be positive, found ", options.channels);
        detail::require(options.state_size > 0 && options.state_size % 2 == 0, name,
                        ": state_size must be even and positive, found ", options.state_size);
        detail::require((Shape::channels == Dynamic || options.channels == Shape::channels) &&
                            (Shape::state_size == Dynamic || options.state_size == Shape::state_size),
                        name, ": the sizes are fixed at compile time to H = ", Shape::channels,
                        ", N = ", Shape::state_size, ", found H = ", options.channels, ", N = ", options.state_size);
        const Nplr basis =
            nplr(options.hippo, options.state_size, options.rank < 0 ? natural_rank(options.hippo) : options.rank);
        const Index pairs = options.state_size / 2;
        RandomEngine engine{seed};
        std::vector<DplrSystem> systems;
        systems.reserve(static_cast<std::size_t>(options.channels));
        for (Index h = 0; h < options.channels; ++h) {
            DplrSystem system{basis.lambda, basis.P, basis.B, Eigen::VectorXcd(pairs), {}, 0, 0};
            system.dt = Eigen::VectorXd::Constant(pairs, log_uniform(options.timescale, engine));
            for (std::complex<double>& c : system.C) c = complex_normal(engine);
            system.D = normal(engine);
            systems.push_back(std::move(system));
        }
        return from_systems(systems);
    }

private:
    static Parameters make(Index channels, Index pairs, Index rank, Index step_columns) {
        detail::require((Shape::channels == Dynamic || channels == Shape::channels) &&
                            (Shape::pairs == Dynamic || pairs == Shape::pairs),
                        name, ": the sizes are fixed at compile time to H = ", Shape::channels,
                        ", N = ", Shape::state_size, ", found H = ", channels, ", N = ", 2 * pairs);
        detail::require(rank <= max_rank, name, ": the rank is at most ", max_rank, ", found ", rank);
        Parameters p;
        p.inv_dt.resize(channels, step_columns);
        p.A_real.resize(channels, pairs);
        p.A_imag.resize(channels, pairs);
        p.P.resize(rank * channels, pairs);
        p.B.resize(channels, pairs);
        p.C.resize(channels, pairs);
        p.D.resize(channels);
        return p;
    }
};

}  // namespace s4::inline S4_ABI
