// How far from an oracle is right: the named tolerances of this program, one place.
#pragma once

#include <algorithm>
#include <string_view>
#include <tests/support/tolerances.hpp>

namespace s4::golden {

/// The largest error that passes, relative to the largest value of the tensor.
struct Bounds {
    double in_double;
    double in_float;
};

/// What every oracle is held to unless its README says otherwise.
inline constexpr Bounds standard_bounds{test::Tolerance<double>::golden, test::Tolerance<float>::golden};

/// LegT: the correction of rank 2 cancels, which costs digits in single precision only.
inline constexpr Bounds legt_bounds{test::Tolerance<double>::golden, test::Tolerance<float>::golden_hard};

/// Fourier: the reference takes part of the decomposition in single precision, and its route to the initial state
/// passes next to a pole.
inline constexpr Bounds fourier_bounds{test::Tolerance<double>::golden_hard, test::Tolerance<float>::golden_hard};

/// hippo_nplr_fourier*: the P that the reference decomposes with was rounded to single precision, which moves products
/// of two P by 1.2e-7 and, through its eigenvectors, P and B by up to 2e-7. What such a file holds to 1e-7 is W alone;
/// the decomposition of the library is also held to its own A and B, which it rebuilds to rounding.
inline constexpr Bounds fourier_decomposition_bounds{5e-7, test::Tolerance<float>::golden_hard};

/// DSS: the reference casts its kernel to single precision.
inline constexpr Bounds dss_bounds{test::Tolerance<double>::golden_hard, test::Tolerance<float>::golden};

/// An oracle whose own numbers were rounded to single precision (a few roundings of 2^-24).
inline constexpr Bounds single_precision_oracle_bounds{5e-7, 5e-7};

/// The same where single precision went through an eigensolver.
inline constexpr Bounds single_precision_eigenvectors{5e-6, test::Tolerance<float>::golden};

/// A difference that the metadata state in four digits, and the least of them that rounding leaves comparable.
inline constexpr Bounds stated_gap_bounds{1e-3, 1e-3};
inline constexpr double gap_resolution = 1e-9;

/// One half of the last digit of a pair of floats: how well the float sums know their double inputs.
inline constexpr double pair_of_floats_rounding = 0x1p-48;
/// The same of a float.
inline constexpr double float_rounding = 0x1p-24;

/// Gradients of a DPLR system in float: what a pole gains is a difference of sums over all nodes, which loses a digit.
inline constexpr double dplr_gradient_in_float = test::Tolerance<float>::golden_hard;
/// The same with plain C as the independent number: over a short sequence, what the poles gain at fixed C~ and what
/// they gain by C~ cancel to 1/(L |dt λ|) of either. (Kernels of one sample: 1e-5 remains of 1e-3.)
inline constexpr double raw_gradient_in_float = 5e-4;

/// Parameters after steps of AdamW: the README's bound. In float the result is held to the bound of the layers unless
/// an entry's gradient is nothing but rounding there, below `adamw_undecided` of the largest: AdamW steps by about the
/// learning rate whatever the size of a gradient, so such a step may go either way.
inline constexpr Bounds adamw_bounds{1e-6, test::Tolerance<float>::golden};
inline constexpr double adamw_undecided = 1e-6;

/// Gradients: in double as the forward pass.
[[nodiscard]] constexpr Bounds gradient_bounds(Bounds forward, bool low_rank) {
    return {forward.in_double, low_rank ? dplr_gradient_in_float : forward.in_float};
}
/// Gradients with plain C as the independent number.
[[nodiscard]] constexpr Bounds raw_gradient_bounds(Bounds forward, bool low_rank) {
    const Bounds bounds = gradient_bounds(forward, low_rank);
    return {bounds.in_double, std::max(bounds.in_float, raw_gradient_in_float)};
}

/// The bounds for a measure or an initialisation by its name. "hippo" mixes LegS and Fourier.
[[nodiscard]] inline Bounds bounds_for(std::string_view measure) {
    const auto has = [measure](std::string_view part) { return measure.find(part) != std::string_view::npos; };
    if (has("fou") || measure == "hippo") return fourier_bounds;
    return has("legt") ? legt_bounds : standard_bounds;
}

}  // namespace s4::golden
