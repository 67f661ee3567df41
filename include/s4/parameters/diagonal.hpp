// The diagonal system of S4D (and DSS): A = Λ, one independent first-order mode per stored state.
#pragma once

#include <s4/core/random.hpp>
#include <s4/hippo/mixture.hpp>
#include <s4/hippo/s4d_init.hpp>
#include <s4/hippo/s4d_input.hpp>
#include <s4/parameters/pole_parameters.hpp>
#include <s4/parameters/random_channels.hpp>
#include <s4/parameters/timescale.hpp>

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace s4::inline S4_ABI {

// The rules, so that leaving a header out is an error that says so: <s4/discretize/…>.
struct ZeroOrderHold;
struct Bilinear;
struct Euler;
struct BackwardEuler;
struct Dirac;
class GeneralisedBilinear;
template <class Ssm>
struct Bidirectional;

/// One channel (and head) of a diagonal system, in double and in natural values: x' = Λ x + B u, y = 2 Re(C x) + D u.
struct DiagonalSystem {
    Eigen::VectorXcd lambda;  ///< [N/2], Re < 0
    Eigen::VectorXcd B;       ///< [N/2]
    Eigen::VectorXcd C;       ///< [N/2]
    Eigen::VectorXd dt;       ///< [N/2], seconds (or any unit) per sample, of each mode
    double D = 0;             ///< feed-through
};

/// Diagonal system discretised by `Rule` (ZeroOrderHold as in S4D's tables, or any other). `Shape` fixes N and H at
/// compile time or leaves them to run time.
template <RealScalar S, class Rule_ = ZeroOrderHold, class Shape_ = Shape<>>
struct Diagonal {
    using Scalar = S;
    using Rule = Rule_;
    using Shape = Shape_;
    static constexpr const char* name = "Diagonal";

    /// The trained tensors (see PoleParameters), the options, and the rule with its own parameters.
    struct Parameters : PoleParameters<Scalar, Shape> {
        static_assert(
            requires { sizeof(Rule); },
            "s4::Diagonal needs the definition of its rule: #include <s4/discretize/zero_order_hold.hpp> for "
            "the default, or the header of the rule that was named");
        [[no_unique_address]] Rule rule = {};
    };

    /// visit(TensorInfo, tensor of p, tensor of each of `more`) for every trained tensor, in a fixed order.
    template <class Visitor, class P, class... More>
    static void for_each_tensor(Visitor&& visit, P&& p, More&&... more) {
        const Frozen& frozen = p.frozen;
        visit(detail::tensor_info("inv_dt", TensorRole::ssm, frozen.dt), p.inv_dt, more.inv_dt...);
        visit(detail::tensor_info("A_real", TensorRole::ssm, frozen.A), p.A_real, more.A_real...);
        visit(detail::tensor_info("A_imag", TensorRole::ssm, frozen.A || p.real), p.A_imag, more.A_imag...);
        visit(detail::tensor_info("B", TensorRole::ssm, frozen.B), p.B, more.B...);
        visit(detail::tensor_info("C", TensorRole::ssm_output, frozen.C), p.C, more.C...);
        visit(detail::tensor_info("D", TensorRole::ordinary, frozen.D), p.D, more.D...);
    }

    /// Error unless the shapes agree, options are in range, every entry is finite, Re λ < 0 and dt is in range.
    static void validate(const Parameters& p) { validate(p, 1); }

    /// Channel `h` (and head `head`) in double, at the rate of the parameters and within their band limit. O(N).
    [[nodiscard]] static DiagonalSystem system(const Parameters& p, Index h, Index head = 0) {
        DiagonalSystem system;
        detail::read_channel(p, h, head, system);
        system.dt *= p.rate;
        return system;
    }

    /// Parameters whose output c·H + h, of `heads` heads c, is that of `systems[c·H + h]` (equal sizes; Λ, B and dt of
    /// a channel are those of its head 0). Values are rounded once, to Scalar; Re λ in [−min_decay, 0] becomes
    /// −min_decay; error where it is positive or not finite. One dt per channel unless they differ within one.
    [[nodiscard]] static Parameters from_systems(std::span<const DiagonalSystem> systems, Index heads = 1) {
        return detail::or_out_of_memory("the parameters", [&] {
            Parameters p = assemble(systems, {.heads = heads}, {});
            validate(p);
            return p;
        });
    }

    /// What `random` makes.
    struct Options {
        Index channels = Shape::channels == Dynamic ? 1 : Shape::channels;
        Index state_size = Shape::state_size == Dynamic ? 64 : Shape::state_size;
        Index heads = Shape::heads == Dynamic ? 1 : Shape::heads;  ///< outputs for each channel
        Index sets = 0;                                            ///< of states (n_ssm); 0: one for every channel
        Mixture<S4dInit> init = S4dInit::lin;
        S4dInput input = S4dInput::of_init;
        bool normalise = false;  ///< scale B (normalise_input)
        Timescale timescale = {};
        bool tied_dt = true;         ///< one dt per channel; false: one for every state
        bool deterministic = false;  ///< dt a geometric grid, C = (1, 0, 0, …), instead of random ones
        SsmOptions ssm = {};
    };

    /// An S4D initialisation for every set of states, dt log-uniform, C complex normal, D normal: the start of training
    /// in the S4D paper. O(H N), or one O(N³) decomposition for S4dInit::legs. Error that names an option out of range.
    [[nodiscard]] static Parameters random(const Options& options, std::uint64_t seed) {
        return detail::or_out_of_memory("the random parameters", [&] {
            Parameters p = draw(options, seed, 1);
            validate(p);
            return p;
        });
    }

private:
    friend struct Bidirectional<Diagonal>;

    static void validate(const Parameters& p, Index directions) { detail::check_poles(name, p, directions); }

    static Parameters draw(const Options& options, std::uint64_t seed, Index directions) {
        const detail::PoleLayout layout{options.heads, directions, options.sets};
        detail::require(!options.ssm.real || Shape::pairs == Dynamic, name,
                        ": option real needs a state size given at run time, found N = ", Shape::state_size,
                        " fixed at compile time");
        const Index sets = detail::checked_sets(name, options, layout);
        RandomEngine engine{seed};
        std::vector<DiagonalInit> starts;
        for (const S4dInit init : options.init.kinds()) {
            starts.push_back(s4d_init(init, options.ssm.real ? 2 * options.state_size : options.state_size));
            set_input(options.input, starts.back(), engine);
            if (options.normalise) normalise_input(starts.back());
        }
        std::vector<DiagonalSystem> systems;
        for (Index h = 0; h < options.channels; ++h) {
            const DiagonalInit& start = starts[options.init.kind_of(h % sets, sets)];
            systems.push_back({start.lambda, start.B, {}, {}});
        }
        return assemble(detail::draw_channels(std::move(systems), options, layout, engine), layout, options.ssm);
    }

    static Parameters assemble(std::span<const DiagonalSystem> systems, const detail::PoleLayout& layout,
                               const SsmOptions& options) {
        const Index channels = detail::check_systems(name, systems, layout);
        const Index pairs = systems.front().lambda.size();
        Parameters p;
        static_cast<SsmOptions&>(p) = options;
        detail::check_options(name, p);
        detail::resize(name, p, channels, pairs, detail::steps_are_tied(systems) ? 1 : pairs, layout);
        for (Index row = 0; row < p.C.rows(); ++row)
            detail::write_channel(name, p, row, systems[static_cast<std::size_t>(row)]);
        return p;
    }
};

}  // namespace s4::inline S4_ABI
