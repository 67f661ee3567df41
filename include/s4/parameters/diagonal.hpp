// The diagonal system of S4D (and DSS): A = Λ, one independent first-order mode per stored state.
#pragma once

#include <s4/core/random.hpp>
#include <s4/hippo/s4d_init.hpp>
#include <s4/parameters/tensors.hpp>
#include <s4/parameters/timescale.hpp>

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace s4::inline S4_ABI {

struct ZeroOrderHold;  // <s4/discretize/zero_order_hold.hpp>

/// One channel of a diagonal system, in double and in natural values: x' = Λ x + B u, y = 2 Re(C x) + D u.
struct DiagonalSystem {
    Eigen::VectorXcd lambda;  ///< [N/2], Re < 0
    Eigen::VectorXcd B;       ///< [N/2]
    Eigen::VectorXcd C;       ///< [N/2]
    Eigen::VectorXd dt;       ///< [N/2], seconds (or any unit) per sample, of each mode
    double D = 0;
};

/// Diagonal system discretised by `Rule` (ZeroOrderHold as in S4D's tables, or Bilinear). `Shape` fixes N and H at
/// compile time or leaves them to run time.
template <RealScalar S, class Rule_ = ZeroOrderHold, class Shape_ = Shape<>>
struct Diagonal {
    using Scalar = S;
    using Rule = Rule_;
    using Shape = Shape_;
    static constexpr const char* name = "Diagonal";

    /// The trained tensors, raw: dt = T(inv_dt), Re λ = −T(A_real), Im λ = −T(A_imag).
    struct Parameters {
        static constexpr int H = Shape::channels;
        static constexpr int pairs = Shape::pairs;
        using RealTable = detail::RowMajorMatrix<Scalar, H, pairs>;
        using ComplexTable = detail::RowMajorMatrix<std::complex<Scalar>, H, pairs>;

        detail::RowMajorMatrix<Scalar, H, Dynamic, H, pairs> inv_dt;  ///< [H × 1] or [H × N/2]
        RealTable A_real, A_imag;                                     ///< [H × N/2]
        ComplexTable B, C;                                            ///< [H × N/2]
        Eigen::Matrix<Scalar, H, 1> D;                                ///< [H]
        Transform dt_transform = Transform::exp;
        Transform real_transform = Transform::exp;
        Transform imag_transform = Transform::none;

        [[nodiscard]] Index channels() const noexcept { return A_real.rows(); }
        [[nodiscard]] Index state_size() const noexcept { return 2 * A_real.cols(); }
    };

    /// visit(TensorInfo, tensor of p, tensor of each of `more`) for every trained tensor, in a fixed order.
    template <class Visitor, class P, class... More>
    static void for_each_tensor(Visitor&& visit, P&& p, More&&... more) {
        visit(TensorInfo{"inv_dt", TensorRole::ssm}, p.inv_dt, more.inv_dt...);
        visit(TensorInfo{"A_real", TensorRole::ssm}, p.A_real, more.A_real...);
        visit(TensorInfo{"A_imag", TensorRole::ssm}, p.A_imag, more.A_imag...);
        visit(TensorInfo{"B", TensorRole::ssm}, p.B, more.B...);
        visit(TensorInfo{"C", TensorRole::ssm_output}, p.C, more.C...);
        visit(TensorInfo{"D", TensorRole::ordinary}, p.D, more.D...);
    }

    /// Error unless the shapes agree, every entry is finite, Re λ < 0 and dt is in range.
    static void validate(const Parameters& p) {
        detail::check_poles(name, p);
        detail::check_tensor(name, "B", p.B, p.channels(), p.A_real.cols());
        detail::check_tensor(name, "C", p.C, p.channels(), p.A_real.cols());
        detail::check_tensor(name, "D", p.D, p.channels(), 1);
    }

    /// Channel `h` in double. O(N).
    [[nodiscard]] static DiagonalSystem system(const Parameters& p, Index h) {
        DiagonalSystem system;
        system.lambda = detail::eigenvalues(p, h);
        system.dt = detail::step_sizes(p, h);
        system.B.resize(p.A_real.cols());
        system.C.resize(p.A_real.cols());
        for (Index n = 0; n < p.A_real.cols(); ++n) {
            system.B[n] = static_cast<std::complex<double>>(p.B(h, n));
            system.C[n] = static_cast<std::complex<double>>(p.C(h, n));
        }
        system.D = static_cast<double>(p.D[h]);
        return system;
    }

    /// Parameters whose channels are `systems` (equal sizes). Values are rounded once, to Scalar; Re λ in
    /// [−min_decay, 0] becomes −min_decay; error where it is positive or not finite. One dt per channel unless they
    /// differ within one.
    [[nodiscard]] static Parameters from_systems(std::span<const DiagonalSystem> systems) {
        detail::require(!systems.empty(), name, ": at least one channel is needed, found H = 0");
        const Index channels = std::ssize(systems);
        const Index pairs = systems.front().lambda.size();
        detail::require(pairs > 0, name, ": at least one pair of states is needed, found N = 0");
        bool tied = true;
        for (const DiagonalSystem& system : systems) {
            detail::require(system.lambda.size() == pairs && system.B.size() == pairs && system.C.size() == pairs &&
                                system.dt.size() == pairs,
                            name, ": all channels need the same N; the first has N = ", 2 * pairs);
            for (Index n = 1; n < pairs; ++n) tied = tied && system.dt[n] == system.dt[0];
        }
        Parameters p = make(channels, pairs, tied ? 1 : pairs);
        for (Index h = 0; h < channels; ++h) {
            const DiagonalSystem& system = systems[static_cast<std::size_t>(h)];
            detail::set_poles(p, h, system.lambda, system.dt);
            for (Index n = 0; n < pairs; ++n) {
                p.B(h, n) = static_cast<std::complex<Scalar>>(system.B[n]);
                p.C(h, n) = static_cast<std::complex<Scalar>>(system.C[n]);
            }
            p.D[h] = static_cast<Scalar>(system.D);
        }
        validate(p);
        return p;
    }

    /// What `random` makes.
    struct Options {
        Index channels = Shape::channels == Dynamic ? 1 : Shape::channels;
        Index state_size = Shape::state_size == Dynamic ? 64 : Shape::state_size;
        S4dInit init = S4dInit::lin;
        Timescale timescale = {};
    };

    /// An S4D initialisation for every channel, dt log-uniform, C complex normal, D normal: the start of training in
    /// the S4D paper. O(H N), or one O(N³) decomposition for S4dInit::legs.
    [[nodiscard]] static Parameters random(const Options& options, std::uint64_t seed) {
        detail::require(options.channels > 0, name, ": channels must be positive, found ", options.channels);
        detail::require(options.state_size > 0 && options.state_size % 2 == 0, name,
                        ": state_size must be even and positive, found ", options.state_size);
        const DiagonalInit init = s4d_init(options.init, options.state_size);
        const Index pairs = options.state_size / 2;
        RandomEngine engine{seed};
        std::vector<DiagonalSystem> systems;
        systems.reserve(static_cast<std::size_t>(options.channels));
        for (Index h = 0; h < options.channels; ++h) {
            DiagonalSystem system{init.lambda, init.B, Eigen::VectorXcd(pairs), {}, 0};
            system.dt = Eigen::VectorXd::Constant(pairs, log_uniform(options.timescale, engine));
            for (std::complex<double>& c : system.C) c = complex_normal(engine);
            system.D = normal(engine);
            systems.push_back(std::move(system));
        }
        return from_systems(systems);
    }

private:
    static Parameters make(Index channels, Index pairs, Index step_columns) {
        detail::require((Shape::channels == Dynamic || channels == Shape::channels) &&
                            (Shape::pairs == Dynamic || pairs == Shape::pairs),
                        name, ": the sizes are fixed at compile time to H = ", Shape::channels,
                        ", N = ", Shape::state_size, ", found H = ", channels, ", N = ", 2 * pairs);
        Parameters p;
        p.inv_dt.resize(channels, step_columns);
        p.A_real.resize(channels, pairs);
        p.A_imag.resize(channels, pairs);
        p.B.resize(channels, pairs);
        p.C.resize(channels, pairs);
        p.D.resize(channels);
        return p;
    }
};

}  // namespace s4::inline S4_ABI
