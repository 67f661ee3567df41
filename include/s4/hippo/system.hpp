// What every HiPPO measure gives: the memory x' = A x + B u, and for most of them a low-rank way to a normal matrix.
#pragma once

#include <s4/core/error.hpp>
#include <s4/core/scalar.hpp>

#include <concepts>
#include <string_view>

namespace s4::inline S4_ABI {

/// The continuous memory x' = A x + B u: A [N × N], B [N]. Always double, whatever the scalar of a layer.
struct HippoSystem {
    Eigen::MatrixXd A;
    Eigen::VectorXd B;
};

/// A measure: what the memory weighs the past by. `transition(N)` is O(N²); error unless N ≥ 1 and the measure's own
/// parameters are in range.
template <class Measure>
concept HippoMeasure = requires(const Measure& measure, Index N) {
    { measure.transition(N) } -> std::same_as<HippoSystem>;
    { Measure::name } -> std::convertible_to<std::string_view>;
};

/// A measure with A + Σ_r P_r P_rᵀ = real_part·I + (a skew matrix), where P = low_rank(N) [rank × N]. The sum is
/// normal, so that a unitary matrix brings A to diagonal-plus-low-rank form. (S4, theorem 1)
template <class Measure>
concept NormalPlusLowRankMeasure = HippoMeasure<Measure> && requires(const Measure& measure, Index N) {
    { measure.low_rank(N) } -> std::same_as<Eigen::MatrixXd>;
    { measure.real_part() } -> std::same_as<double>;
    { Measure::rank } -> std::convertible_to<Index>;
};

/// `P` [r × N] followed by rows of zeros up to `rank` rows: the same correction, written with a higher rank. Error
/// when `rank` is below r.
[[nodiscard]] inline Eigen::MatrixXd pad_rank(const Eigen::MatrixXd& P, Index rank) {
    detail::require(rank >= P.rows(), "hippo: rank must be at least ", P.rows(), ", found ", rank);
    Eigen::MatrixXd padded = Eigen::MatrixXd::Zero(rank, P.cols());
    padded.topRows(P.rows()) = P;
    return padded;
}

namespace detail {

inline void require_state_size(std::string_view name, Index N) {
    require(N >= 1, "hippo ", name, ": the state size N must be at least 1, found ", N);
}

}  // namespace detail
}  // namespace s4::inline S4_ABI
