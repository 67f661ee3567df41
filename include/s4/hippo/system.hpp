// What every HiPPO measure gives: the memory x' = A x + B u, and for most of them a low-rank way to a normal matrix.
#pragma once

#include <s4/core/error.hpp>
#include <s4/core/scalar.hpp>

#include <concepts>
#include <string_view>
#include <utility>

namespace s4::inline S4_ABI {

// Functions that would instantiate Eigen's assignments in every file that includes this are templates on the scalar,
// which is always double: so they cost nothing where they are not called.

/// The continuous memory x' = A x + B u. Always double, whatever the scalar of a layer.
struct HippoSystem {
    Eigen::MatrixXd A;  ///< [N × N]
    Eigen::VectorXd B;  ///< [N]
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
template <std::same_as<double> Real = double>
[[nodiscard]] Eigen::MatrixXd pad_rank(const Eigen::MatrixXd& P, Index rank) {
    detail::require(rank >= P.rows(), "hippo: rank must be at least ", P.rows(), ", found ", rank);
    Eigen::Matrix<Real, Dynamic, Dynamic> padded(rank, P.cols());
    for (Index n = 0; n < P.cols(); ++n)
        for (Index r = 0; r < rank; ++r) padded(r, n) = r < P.rows() ? P(r, n) : 0.0;
    return padded;
}

namespace detail {

inline void require_state_size(std::string_view name, Index N) {
    require(N >= 1, "hippo ", name, ": the state size N must be at least 1, found ", N);
}

/// A = 0 [N × N] and B = 0 [N]. Error unless N ≥ 1.
template <std::same_as<double> Real>
HippoSystem zero_system(std::string_view name, Index N) {
    require_state_size(name, N);
    Eigen::Matrix<Real, Dynamic, Dynamic> A(N, N);
    Eigen::Matrix<Real, Dynamic, 1> B(N);
    A.setZero();
    B.setZero();
    return {std::move(A), std::move(B)};
}

/// [rank × N] zeros. Error unless N ≥ 1.
template <std::same_as<double> Real>
Eigen::MatrixXd zero_low_rank(std::string_view name, Index rank, Index N) {
    require_state_size(name, N);
    Eigen::Matrix<Real, Dynamic, Dynamic> P(rank, N);
    P.setZero();
    return P;
}

}  // namespace detail
}  // namespace s4::inline S4_ABI
