// What the library asks of an FFT: a complex transform of a block of lanes, and a real inverse transform.
#pragma once

#include <s4/core/lanes.hpp>

#include <complex>
#include <concepts>
#include <utility>

namespace s4::inline S4_ABI {

/// How much time a plan may take: `estimate` is quick and gives the same bits in every process; `measure` times
/// several algorithms (1.7–2.5 × faster transforms from 32 768 on, but not reproducible between processes).
enum class Planning { estimate, measure };

/// One complex number of every lane.
template <RealScalar Scalar>
struct ComplexLanes {
    Lanes<Scalar> re;  ///< real parts
    Lanes<Scalar> im;  ///< imaginary parts
};

namespace detail {

// Archetypes of the two callbacks in the concept below.
template <RealScalar Scalar>
struct LaneGenerator {
    ComplexLanes<Scalar> operator()(Index) const noexcept;
};
template <RealScalar Scalar>
struct LaneConsumer {
    void operator()(Index, ComplexLanes<Scalar>) const noexcept;
};

}  // namespace detail

/// An FFT back end for `Fft::Scalar`.
///
/// A `Plan` of length M is const and shared between threads. A `Buffer` holds the signals of one lane block (up to
/// Lanes::count channels side by side) and all scratch; each thread has its own. A `Spectrum` holds their transforms,
/// bins and lanes in whatever order suits the back end, since only products happen between forward and inverse.
///   plan.make_spectrum(active)              room for the transforms of `active` lanes
///   buffer.fill(active, count, generator)   signal[l] = generator(l) for l < count, 0 up to M; `active` lanes count
///   plan.forward(buffer, active, spectrum)  X[k] = Σ_l x[l] e^{-2πikl/M}; leaves the buffer alone
///   plan.inverse(spectrum, active, buffer)  x[l] = Σ_k X[k] e^{+2πikl/M} (no 1/M); leaves the spectrum alone
///   plan.convolve(buffer, active, spectrum) buffer ← inverse(forward(buffer) · spectrum), fused
///   plan.inverse_product(a, b, active, buffer)         buffer ← inverse(a · b)
///   plan.add_product(a, b, active, sum)                sum ← sum + a · b
///   plan.add_conjugate_product(a, b, active, sum)      sum ← sum + conj(a) · b: a correlation
///   spectrum.set_zero(), spectrum.add(other)           all lanes
///   plan.bin(spectrum, lane, k)             X[k] of one lane, in frequency order (tests, plots)
///   buffer.drain(active, count, consumer)   consumer(l, signal[l]) for l < count
/// `RealPlan` of even length n turns n/2 + 1 bins into n real samples: real_plan.inverse(real_buffer) reads
/// real_buffer.spectrum() (and may destroy it) and writes real_buffer.signal(), without the factor 1/n.
/// Everything but the constructors is noexcept and does not allocate.
template <class Fft>
concept FftBackend = RealScalar<typename Fft::Scalar> &&
    requires(const typename Fft::Plan& plan, typename Fft::Buffer& buffer, const typename Fft::Buffer& const_buffer,
             typename Fft::Spectrum& spectrum, const typename Fft::Spectrum& const_spectrum,
             const typename Fft::RealPlan& real_plan, typename Fft::RealBuffer& real_buffer, Index index,
             detail::LaneGenerator<typename Fft::Scalar> generator,
             detail::LaneConsumer<typename Fft::Scalar> consumer) {
    requires std::constructible_from<typename Fft::Plan, Index, Planning>;
    requires std::constructible_from<typename Fft::Buffer, const typename Fft::Plan&>;
    requires std::constructible_from<typename Fft::RealPlan, Index, Planning>;
    requires std::constructible_from<typename Fft::RealBuffer, const typename Fft::RealPlan&>;
    { plan.make_spectrum(index) } -> std::same_as<typename Fft::Spectrum>;
    { plan.length() } -> std::same_as<Index>;
    { buffer.fill(index, index, generator) }
    noexcept;
    { const_buffer.drain(index, index, consumer) }
    noexcept;
    { plan.forward(buffer, index, spectrum) }
    noexcept;
    { plan.inverse(const_spectrum, index, buffer) }
    noexcept;
    { plan.convolve(buffer, index, const_spectrum) }
    noexcept;
    { plan.inverse_product(const_spectrum, const_spectrum, index, buffer) }
    noexcept;
    { plan.add_product(const_spectrum, const_spectrum, index, spectrum) }
    noexcept;
    { plan.add_conjugate_product(const_spectrum, const_spectrum, index, spectrum) }
    noexcept;
    { spectrum.set_zero() }
    noexcept;
    { spectrum.add(const_spectrum) }
    noexcept;
    { plan.bin(const_spectrum, index, index) } -> std::same_as<std::complex<typename Fft::Scalar>>;
    { real_plan.inverse(real_buffer) }
    noexcept;
    { real_buffer.spectrum() } -> std::same_as<std::complex<typename Fft::Scalar>*>;
    { real_buffer.signal() } -> std::same_as<typename Fft::Scalar*>;
};

/// FFTW, the default back end: defined in <s4/fft/fftw.hpp>, which has to be included where it is used.
template <RealScalar Scalar>
class Fftw;

/// Eigen's kissfft: slower, free of the GPL; defined in <s4/fft/kiss_fft.hpp>.
template <RealScalar Scalar>
class KissFft;

}  // namespace s4::inline S4_ABI
