// The real forward transform, from the real inverse one: reverse passes need it, inference does not.
#pragma once

#include <s4/fft/backend.hpp>

namespace s4::inline S4_ABI {

/// buffer.spectrum()[k] = Σ_l x[l] e^{-2πikl/n}, k ≤ n/2, of the n real samples x in buffer.signal(), which are lost.
///
/// Runs the plan's inverse transform, so that back ends need no second plan: from the bins
/// ((x[l] + x[n−l]) − i (x[l] − x[n−l]))/2 it makes Σ_l x[l] (cos + sin)(2πkl/n), whose even and odd parts are the real
/// part and minus the imaginary part of the answer. O(n log n).
template <FftBackend Fft>
void forward_real(const typename Fft::RealPlan& plan, typename Fft::RealBuffer& buffer) noexcept {
    using Scalar = typename Fft::Scalar;
    constexpr Scalar half = 0.5F;
    const Index n = plan.length();
    Scalar* signal = buffer.signal();
    std::complex<Scalar>* spectrum = buffer.spectrum();
    spectrum[0] = signal[0];
    spectrum[n / 2] = signal[n / 2];
    for (Index l = 1; l < n / 2; ++l)
        spectrum[l] = {half * (signal[l] + signal[n - l]), -half * (signal[l] - signal[n - l])};
    plan.inverse(buffer);
    spectrum[0] = signal[0];
    spectrum[n / 2] = signal[n / 2];
    for (Index k = 1; k < n / 2; ++k)
        spectrum[k] = {half * (signal[k] + signal[n - k]), -half * (signal[k] - signal[n - k])};
}

}  // namespace s4::inline S4_ABI
