// A system that also looks ahead: a second set of outputs runs backwards in time.
#pragma once

#include <s4/parameters/diagonal.hpp>
#include <s4/parameters/dplr.hpp>

#include <cstdint>

namespace s4::inline S4_ABI {

/// `Ssm` (Dplr or Diagonal) with twice the rows of C: with K that of the first half and K' that of the second,
/// y_l = Σ_{j≥0} K[j] u[l−j] + Σ_{j≥0} K'[j] u[l+1+j] + D u_l. The states are those of `Ssm`; the anticausal part
/// begins one sample ahead. It has whole sequences only, no step. The parameters have the type of Ssm::Parameters.
template <class Ssm>
struct Bidirectional {
    static_assert(Ssm::Shape::channels == Dynamic && Ssm::Shape::pairs == Dynamic,
                  "s4::Bidirectional has sizes given at run time: leave the Shape out");
    using Scalar = typename Ssm::Scalar;
    using Rule = typename Ssm::Rule;
    using Shape = typename Ssm::Shape;
    using Parameters = typename Ssm::Parameters;
    using Options = typename Ssm::Options;
    static constexpr const char* name = Ssm::name;

    /// As that of `Ssm`.
    template <class Visitor, class P, class... More>
    static void for_each_tensor(Visitor&& visit, P&& p, More&&... more) {
        Ssm::for_each_tensor(visit, p, more...);
    }
    /// As that of `Ssm`, with C [2·heads·H × N/2]: the causal rows, then the anticausal ones.
    static void validate(const Parameters& p) { Ssm::validate(p, 2); }
    /// Heads from p.heads() on are the anticausal ones; they have no D.
    [[nodiscard]] static auto system(const Parameters& p, Index h, Index head = 0) { return Ssm::system(p, h, head); }
    /// As that of `Ssm`; C is drawn for both directions.
    [[nodiscard]] static Parameters random(const Options& options, std::uint64_t seed) {
        return detail::or_out_of_memory("the random parameters", [&] {
            Parameters p = Ssm::draw(options, seed, 2);
            validate(p);
            return p;
        });
    }
};

/// Whether every output of a system depends on the past alone, so that it can be run sample by sample.
template <class Ssm>
inline constexpr bool is_causal = true;
/// It looks ahead.
template <class Ssm>
inline constexpr bool is_causal<Bidirectional<Ssm>> = false;

}  // namespace s4::inline S4_ABI
