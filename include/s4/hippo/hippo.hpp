// Any HiPPO measure as one value, chosen at run time or by name.
#pragma once

#include <s4/hippo/fourier.hpp>
#include <s4/hippo/lagt.hpp>
#include <s4/hippo/legs.hpp>
#include <s4/hippo/legt.hpp>

#include <concepts>
#include <cstddef>
#include <string>
#include <utility>
#include <variant>

namespace s4::inline S4_ABI {

/// One of the measures, with its parameters.
using Hippo = std::variant<LegS, LegSD, LegT, Lmu, LagT, TiltedLagT, GeneralisedLagT, Fourier, Fourier2, FourierDecay,
                           FourierDiagonal>;

/// The name that `hippo_from_name` takes.
template <std::same_as<double> Real = double>
[[nodiscard]] std::string_view name_of(const Hippo& hippo) {
    return std::visit([](const auto& measure) { return measure.name; }, hippo);
}

/// A [N × N] and B [N] of x' = A x + B u. O(N²). Error unless N ≥ 1 and the measure's parameters are in range.
template <std::same_as<double> Real = double>
[[nodiscard]] HippoSystem transition(const Hippo& hippo, Index N) {
    return std::visit([N](const auto& measure) { return measure.transition(N); }, hippo);
}

namespace detail {

/// Calls `function(measure)` for a measure with a normal-plus-low-rank form; error for the others.
template <class Result, class Function>
Result visit_normal_plus_low_rank(const Hippo& hippo, const Function& function) {
    return std::visit(
        [&function]<class Measure>(const Measure& measure) -> Result {
            if constexpr (NormalPlusLowRankMeasure<Measure>)
                return function(measure);
            else
                raise("hippo: measure '", Measure::name,
                      "' has no normal-plus-low-rank form; allowed: every measure but lmu and glagt");
        },
        hippo);
}

template <class Variant, std::size_t... Alternative>
Variant hippo_from_name(std::string_view wanted, std::index_sequence<Alternative...>) {
    Variant found;
    const bool known = ((std::variant_alternative_t<Alternative, Variant>::name == wanted
                             ? (found.template emplace<Alternative>(), true)
                             : false) ||
                        ...);
    if (known) return found;
    std::string names;
    (names.append(Alternative == 0 ? "" : ", ").append(std::variant_alternative_t<Alternative, Variant>::name), ...);
    raise("hippo: no measure is called '", wanted, "'; known are ", names);
}

}  // namespace detail

/// Number of rows of the measure's own correction: 0, 1 or 2. Error for lmu and glagt, which have none.
template <std::same_as<double> Real = double>
[[nodiscard]] Index natural_rank(const Hippo& hippo) {
    return detail::visit_normal_plus_low_rank<Index>(hippo, [](const auto& measure) { return measure.rank; });
}

/// The real correction P [rank × N] with A + Σ_r P_r P_rᵀ = real_part·I + skew. O(rank N). Error unless N ≥ 1 and the
/// measure has such a form.
template <std::same_as<double> Real = double>
[[nodiscard]] Eigen::MatrixXd low_rank(const Hippo& hippo, Index N) {
    return detail::visit_normal_plus_low_rank<Eigen::MatrixXd>(
        hippo, [N](const auto& measure) { return measure.low_rank(N); });
}

/// The same with `rank` rows, the last ones zero. Error when `rank` is below the natural rank.
template <std::same_as<double> Real = double>
[[nodiscard]] Eigen::MatrixXd low_rank(const Hippo& hippo, Index N, Index rank) {
    const Index least = natural_rank<Real>(hippo);
    detail::require(rank >= least, "hippo ", name_of<Real>(hippo), ": rank must be at least ", least, ", found ", rank);
    return pad_rank<Real>(low_rank<Real>(hippo, N), rank);
}

/// The multiple of the identity in A + Σ_r P_r P_rᵀ: the real part of every eigenvalue of the normal part.
template <std::same_as<double> Real = double>
[[nodiscard]] double normal_real_part(const Hippo& hippo) {
    return detail::visit_normal_plus_low_rank<double>(hippo, [](const auto& measure) { return measure.real_part(); });
}

/// The measure of that name with its default parameters; "fout" and "foud" are other names of fourier and
/// fourier_diag. Error that lists the names otherwise.
template <std::same_as<Hippo> Variant = Hippo>
[[nodiscard]] Variant hippo_from_name(std::string_view name) {
    if (name == "fout") return Fourier{};
    if (name == "foud") return FourierDiagonal{};
    return detail::hippo_from_name<Variant>(name, std::make_index_sequence<std::variant_size_v<Variant>>{});
}

}  // namespace s4::inline S4_ABI
