// The diagonal-plus-low-rank system of S4: A = Λ − P P* (S4 paper, section 3; S4D paper, section 2).
#pragma once

#include <s4/core/random.hpp>
#include <s4/hippo/mixture.hpp>
#include <s4/hippo/nplr.hpp>
#include <s4/parameters/pole_parameters.hpp>
#include <s4/parameters/random_channels.hpp>
#include <s4/parameters/timescale.hpp>

#include <algorithm>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace s4::inline S4_ABI {

struct Bilinear;  // <s4/discretize/bilinear.hpp>
template <class Ssm>
struct Bidirectional;

/// One channel (and head) of a DPLR system, in double and in natural values: x' = (Λ − Σ_r P_r P_r*) x + B u,
/// y = 2 Re(C x) + D u.
///
/// The papers write y = C x over N states. A real matrix has its eigenvalues in conjugate pairs, and in the eigenbasis
/// everything else (B, C, P, x) comes in such pairs too; so one half is stored, N/2 numbers, and what the papers sum
/// over N states is twice the real part of the sum over the stored ones. That holds for P* x inside of A as well. Which
/// half does not matter: here it is the one with Im λ ≤ 0.
struct DplrSystem {
    Eigen::VectorXcd lambda;  ///< [N/2], Re < 0
    Eigen::MatrixXcd P;       ///< [rank × N/2]
    Eigen::VectorXcd B;       ///< [N/2]
    Eigen::VectorXcd C;       ///< [N/2], plain or C~ (see kernel_length)
    Eigen::VectorXd dt;       ///< [N/2], seconds (or any unit) per sample; row n of A and B is scaled by dt[n]
    double D = 0;             ///< feed-through
    Index kernel_length = 0;  ///< 0: C is plain; n: C holds C~ = C (I − Ā^n), with Ā at rate 1
    double rate = 1;          ///< what one sample spans, in units of dt; 1 unless `kernel_length` keeps dt as it is
};

/// The highest rank of the correction: LegT and Fourier need 2.
inline constexpr int max_rank = 4;

/// Diagonal plus low rank, discretised by the bilinear rule (other rules lose the structure). `Shape` fixes N and H at
/// compile time or leaves them to run time.
template <RealScalar S, class Shape_ = Shape<>>
struct Dplr {
    static_assert(
        requires { Shape_::pairs; },
        "s4::Dplr is always discretised by the bilinear rule: its second argument is a Shape, not a rule");
    using Scalar = S;
    using Rule = Bilinear;
    using Shape = Shape_;
    static constexpr const char* name = "Dplr";

    /// The trained tensors (see PoleParameters) and options. A plain value: gradients and the moments of an optimiser
    /// have this type too.
    struct Parameters : PoleParameters<Scalar, Shape> {
        static constexpr int H = Shape::channels;
        static constexpr int pairs = Shape::pairs;
        /// [rank·S × N/2], row r·S + s.
        detail::RowMajorMatrix<std::complex<Scalar>, Dynamic, pairs, H == Dynamic ? Dynamic : H * max_rank, pairs> P;
        /// 0: C is plain; n: C holds C~ = C (I − Ā^n), with Ā at rate 1: what the S4 paper trains.
        Index kernel_length = 0;

        [[nodiscard]] Index rank() const noexcept { return this->sets() > 0 ? P.rows() / this->sets() : 0; }
    };

    /// visit(TensorInfo, tensor of p, tensor of each of `more`) for every trained tensor, in a fixed order.
    template <class Visitor, class P, class... More>
    static void for_each_tensor(Visitor&& visit, P&& p, More&&... more) {
        const Frozen& frozen = p.frozen;
        visit(detail::tensor_info("inv_dt", TensorRole::ssm, frozen.dt), p.inv_dt, more.inv_dt...);
        visit(detail::tensor_info("A_real", TensorRole::ssm, frozen.A), p.A_real, more.A_real...);
        visit(detail::tensor_info("A_imag", TensorRole::ssm, frozen.A), p.A_imag, more.A_imag...);
        visit(detail::tensor_info("P", TensorRole::ssm, frozen.P), p.P, more.P...);
        visit(detail::tensor_info("B", TensorRole::ssm, frozen.B), p.B, more.B...);
        visit(detail::tensor_info("C", TensorRole::ssm_output, frozen.C), p.C, more.C...);
        visit(detail::tensor_info("D", TensorRole::ordinary, frozen.D), p.D, more.D...);
    }

    /// Error unless the shapes agree, options are in range, every entry is finite, Re λ < 0 and dt is in range.
    static void validate(const Parameters& p) { validate(p, 1); }

    /// Channel `h` (and head `head`) in double, within the band limit of the parameters: of the entries of C as they
    /// are stored, plain or C~. With plain C the rate is in dt, otherwise it is left to `at_rate`. O(rank · N).
    [[nodiscard]] static DplrSystem system(const Parameters& p, Index h, Index head = 0) {
        DplrSystem system;
        detail::read_channel(p, h, head, system);
        const Index pairs = p.A_real.cols();
        system.P.resize(p.rank(), pairs);
        for (Index n = 0; n < pairs; ++n)
            for (Index r = 0; r < p.rank(); ++r)
                system.P(r, n) = static_cast<std::complex<double>>(p.P(r * p.sets() + h % p.sets(), n));
        system.kernel_length = p.kernel_length;
        if (p.kernel_length == 0) {
            system.dt *= p.rate;
        } else {
            system.rate = p.rate;
        }
        return system;
    }

    /// Parameters whose output c·H + h, of `heads` heads c, is that of `systems[c·H + h]` (equal sizes, ranks and
    /// kernel lengths; Λ, P, B and dt of a channel are those of its head 0). Values are rounded once, to Scalar;
    /// Re λ in [−min_decay, 0] becomes −min_decay. One dt per channel unless they differ within one. Error where Re λ
    /// is positive or a value is not finite.
    [[nodiscard]] static Parameters from_systems(std::span<const DplrSystem> systems, Index heads = 1) {
        return detail::or_out_of_memory("the parameters", [&] {
            Parameters p = assemble(systems, {.heads = heads}, {});
            validate(p);
            return p;
        });
    }

    /// What `random` makes. A rank of −1 is the measure's own (1; LegT 2), the highest of a mixture.
    struct Options {
        Index channels = Shape::channels == Dynamic ? 1 : Shape::channels;
        Index state_size = Shape::state_size == Dynamic ? 64 : Shape::state_size;
        Index heads = Shape::heads == Dynamic ? 1 : Shape::heads;  ///< outputs for each channel
        Index sets = 0;                                            ///< of states (n_ssm); 0: one for every channel
        Mixture<Hippo> hippo = LegS{};
        Index rank = -1;
        Timescale timescale = {};
        bool tied_dt = true;         ///< one dt per channel; false: one for every state
        bool deterministic = false;  ///< dt a geometric grid, C = (1, 0, 0, …), instead of random ones
        SsmOptions ssm = {};
    };

    /// A HiPPO system for every set of states, dt log-uniform, C complex normal, D normal: the start of training in
    /// the S4 paper. One eigen-decomposition for each measure, O(N³), in double. Error that names an option out of
    /// range.
    [[nodiscard]] static Parameters random(const Options& options, std::uint64_t seed) {
        return detail::or_out_of_memory("the random parameters", [&] {
            Parameters p = draw(options, seed, 1);
            validate(p);
            return p;
        });
    }

private:
    friend struct Bidirectional<Dplr>;

    static void validate(const Parameters& p, Index directions) {
        detail::require(!p.real, name, ": option real is for Diagonal systems only, found true");
        detail::check_poles(name, p, directions);
        detail::require(p.P.rows() % p.sets() == 0 && p.rank() <= max_rank, name, ": P must have rank x S rows with ",
                        "rank 0 to ", max_rank, ", found ", p.P.rows(), " rows for S = ", p.sets());
        detail::check_tensor(name, "P", p.P, p.P.rows(), p.A_real.cols());
        detail::require(p.kernel_length >= 0, name, ": kernel_length must not be negative, found ", p.kernel_length);
    }

    static Parameters draw(const Options& options, std::uint64_t seed, Index directions) {
        detail::require(!options.ssm.real, name, ": option real is for Diagonal systems only, found true");
        const detail::PoleLayout layout{options.heads, directions, options.sets};
        const Index sets = detail::checked_sets(name, options, layout);
        detail::require(options.rank >= -1 && options.rank <= max_rank, name,
                        ": option rank must be -1 (that of the measure) or lie in [0, ", max_rank, "], found ",
                        options.rank);
        Index rank = options.rank;
        for (const Hippo& hippo : options.hippo.kinds()) {
            const Index natural = natural_rank(hippo);
            detail::require(options.rank < 0 || options.rank >= natural, name, ": option rank must be at least ",
                            natural, " for ", name_of(hippo), ", found ", options.rank);
            rank = std::max(rank, natural);
        }
        std::vector<Nplr> starts;
        for (const Hippo& hippo : options.hippo.kinds()) starts.push_back(nplr(hippo, options.state_size, rank));
        std::vector<DplrSystem> systems;
        for (Index h = 0; h < options.channels; ++h) {
            const Nplr& start = starts[options.hippo.kind_of(h % sets, sets)];
            systems.push_back({start.lambda, start.P, start.B, {}, {}});
        }
        RandomEngine engine{seed};
        return assemble(detail::draw_channels(std::move(systems), options, layout, engine), layout, options.ssm);
    }

    static Parameters assemble(std::span<const DplrSystem> systems, const detail::PoleLayout& layout,
                               const SsmOptions& options) {
        const Index channels = detail::check_systems(name, systems, layout);
        const DplrSystem& first = systems.front();
        const Index pairs = first.lambda.size();
        const Index rank = first.P.rows();
        detail::require(rank <= max_rank, name, ": the rank is at most ", max_rank, ", found ", rank);
        for (const DplrSystem& system : systems) {
            detail::require(
                system.P.rows() == rank && system.P.cols() == pairs && system.kernel_length == first.kernel_length,
                name, ": all channels need the same rank and kernel length; the first has rank ", rank,
                ", kernel length ", first.kernel_length);
            detail::require(system.rate == 1, name, ": systems at another rate have no parameters; see at_rate");
        }
        Parameters p;
        static_cast<SsmOptions&>(p) = options;
        detail::check_options(name, p);
        detail::resize(name, p, channels, pairs, detail::steps_are_tied(systems) ? 1 : pairs, layout);
        p.P.resize(rank * p.sets(), pairs);
        for (Index row = 0; row < p.C.rows(); ++row) {
            const DplrSystem& system = systems[static_cast<std::size_t>(row)];
            detail::write_channel(name, p, row, system);
            if (row >= p.sets()) continue;
            for (Index n = 0; n < pairs; ++n)
                for (Index r = 0; r < rank; ++r)
                    p.P(r * p.sets() + row, n) = static_cast<std::complex<Scalar>>(system.P(r, n));
        }
        p.kernel_length = first.kernel_length;
        return p;
    }
};

}  // namespace s4::inline S4_ABI
