// How far back a measure looks, and its system for a window of any length.
#pragma once

#include <s4/hippo/hippo.hpp>

namespace s4::inline S4_ABI {

/// What `transition` of a measure counts time in: 2 for LegT, Fourier and FourierDecay, whose windows have that
/// length; 1 for the others: Lmu and Fourier2 have a window of length 1, LegS and its normal part forget like e^(−v),
/// the Laguerre measures like powers of it, and FourierDiagonal has the period 1.
template <std::same_as<double> Real = double>
[[nodiscard]] double natural_window(const Hippo& hippo) {
    const bool two = std::holds_alternative<LegT>(hippo) || std::holds_alternative<Fourier>(hippo) ||
                     std::holds_alternative<FourierDecay>(hippo);
    return two ? 2.0 : 1.0;
}

/// A [N × N] and B [N] of the measure over a window (for measures without an end: with a time constant) of `window`
/// units of time: those of `transition`, times natural_window / window. The states keep their meaning. O(N²). Error
/// unless N ≥ 1, window is finite and above 0 and the measure's parameters are in range.
template <std::same_as<double> Real = double>
[[nodiscard]] HippoSystem windowed_transition(const Hippo& hippo, Index N, double window) {
    detail::require(detail::is_finite(window) && window > 0, "hippo ", name_of<Real>(hippo),
                    ": window must be finite and above 0, found ", window);
    HippoSystem system = transition<Real>(hippo, N);
    const double rate = natural_window<Real>(hippo) / window;
    for (Index n = 0; n < N; ++n) {
        for (Index k = 0; k < N; ++k) system.A(n, k) *= rate;
        system.B(n) *= rate;
    }
    return system;
}

}  // namespace s4::inline S4_ABI
