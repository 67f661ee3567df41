// Named tolerances per scalar. Errors are relative: max|error| / max|truth| over the whole tensor.
#pragma once

#include <s4/core/scalar.hpp>

#include <algorithm>
#include <cmath>

namespace s4::test {

template <RealScalar Scalar>
struct Tolerance;

template <>
struct Tolerance<float> {
    static constexpr double rounding = 1e-6;     ///< a handful of roundings
    static constexpr double law = 5e-6;          ///< two routes to the same sequence (convolution, recurrence)
    static constexpr double golden = 1e-5;       ///< the oracles, float
    static constexpr double golden_hard = 5e-5;  ///< the oracles, float, LegT and Fourier systems
};

template <>
struct Tolerance<double> {
    static constexpr double rounding = 1e-14;
    static constexpr double law = 1e-11;
    static constexpr double golden = 1e-9;
    static constexpr double golden_hard = 1e-7;
};

template <>
struct Tolerance<long double> : Tolerance<double> {};

/// HiPPO matrices in diagonal-plus-low-rank form, up to N = 1024, in the Frobenius norm (double always).
inline constexpr double hippo_decomposition = 1e-13;
/// Central differences in double of a smooth function, step 1e-6.
inline constexpr double central_difference = 1e-8;
/// Central differences of sixth order in double of a smooth function, step 2^-11.
inline constexpr double wide_difference = 1e-9;
/// Reverse passes in double against central differences in long double (finite_difference.hpp).
inline constexpr double reverse_pass = 1e-10;

/// max|a − b| / max|b| over all entries; the plain difference where b is all zero; infinite if anything is not finite.
template <class DerivedA, class DerivedB>
[[nodiscard]] double relative_error(const Eigen::DenseBase<DerivedA>& a, const Eigen::DenseBase<DerivedB>& b) {
    if (a.rows() != b.rows() || a.cols() != b.cols()) return std::numeric_limits<double>::infinity();
    long double error = 0;
    long double largest = 0;
    for (Index column = 0; column < a.cols(); ++column) {
        for (Index row = 0; row < a.rows(); ++row) {
            using Extended = std::conditional_t<Eigen::NumTraits<typename DerivedB::Scalar>::IsComplex,
                                                std::complex<long double>, long double>;
            const Extended found(a.derived().coeff(row, column));
            const Extended truth(b.derived().coeff(row, column));
            if (!detail::is_finite(found) || !detail::is_finite(truth)) return std::numeric_limits<double>::infinity();
            error = std::max(error, std::abs(found - truth));
            largest = std::max(largest, std::abs(truth));
        }
    }
    return static_cast<double>(largest > 0 ? error / largest : error);
}

}  // namespace s4::test
