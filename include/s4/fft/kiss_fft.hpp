// Eigen's bundled kissfft as the back end: any length, no GPL, no further library.
#pragma once

#include <s4/core/error.hpp>
#include <s4/fft/backend.hpp>
#include <s4/fft/good_size.hpp>
#include <s4/fft/lane_rows.hpp>

#include <unsupported/Eigen/FFT>

#include <cmath>
#include <complex>
#include <numbers>

namespace s4::inline S4_ABI {

namespace detail {

/// kissfft's transform of one length and direction. It keeps scratch inside, so every buffer owns a copy.
template <RealScalar Scalar>
struct KissTransform : Eigen::internal::kiss_cpx_fft<Scalar> {
    KissTransform(Index length, bool inverse) {
        require(length >= 1 && length <= max_fft_size, "FFT length: allowed are 1 to ", max_fft_size, ", found ",
                length);
        this->make_twiddles(static_cast<int>(length), inverse);
        this->factorize(static_cast<int>(length));
        if (this->m_scratchBuf.empty()) this->m_scratchBuf.resize(1);  // length 1 has a radix of 1, which uses one
    }
    void run(const std::complex<Scalar>* in, std::complex<Scalar>* out) noexcept { this->work(0, out, in, 1, 1); }
};

}  // namespace detail

/// The kissfft back end (concept FftBackend).
template <RealScalar S>
class KissFft {
public:
    using Scalar = S;
    using Complex = std::complex<Scalar>;
    using Spectrum = LaneRows<Scalar>;

    class Buffer;
    class RealBuffer;

    /// A forward and a backward complex transform of `length` ≥ 1. Planning has no choice to make here.
    class Plan {
    public:
        explicit Plan(Index length, Planning = Planning::estimate)
            : length_{length}, forward_{length, false}, inverse_{length, true} {}

        [[nodiscard]] Index length() const noexcept { return length_; }
        [[nodiscard]] Spectrum make_spectrum(Index active) const { return {length_, active}; }

        void forward(Buffer& buffer, Index active, Spectrum& spectrum) const noexcept {
            for (Index lane = 0; lane < active; ++lane) buffer.forward_.run(buffer.rows_.row(lane), spectrum.row(lane));
        }
        void inverse(const Spectrum& spectrum, Index active, Buffer& buffer) const noexcept {
            for (Index lane = 0; lane < active; ++lane) buffer.inverse_.run(spectrum.row(lane), buffer.rows_.row(lane));
        }
        void convolve(Buffer& buffer, Index active, const Spectrum& spectrum) const noexcept {
            Complex* scratch = buffer.rows_.row(Lanes<Scalar>::count);
            for (Index lane = 0; lane < active; ++lane) {
                buffer.forward_.run(buffer.rows_.row(lane), scratch);
                multiply_row(scratch, spectrum.row(lane), length_);
                buffer.inverse_.run(scratch, buffer.rows_.row(lane));
            }
        }
        void inverse_product(const Spectrum& a, const Spectrum& b, Index active, Buffer& buffer) const noexcept {
            Complex* scratch = buffer.rows_.row(Lanes<Scalar>::count);
            for (Index lane = 0; lane < active; ++lane) {
                product_row(a.row(lane), b.row(lane), scratch, length_);
                buffer.inverse_.run(scratch, buffer.rows_.row(lane));
            }
        }
        void add_product(const Spectrum& a, const Spectrum& b, Index active, Spectrum& sum) const noexcept {
            s4::add_product(a, b, active, sum);
        }
        void add_conjugate_product(const Spectrum& a, const Spectrum& b, Index active, Spectrum& sum) const noexcept {
            s4::add_conjugate_product(a, b, active, sum);
        }
        [[nodiscard]] Complex bin(const Spectrum& spectrum, Index lane, Index k) const noexcept {
            return spectrum.row(lane)[k];
        }

    private:
        friend class Buffer;
        Index length_;
        detail::KissTransform<Scalar> forward_;
        detail::KissTransform<Scalar> inverse_;
    };

    /// The signals of one lane block, a row of scratch and the transforms themselves.
    class Buffer {
    public:
        explicit Buffer(const Plan& plan)
            : rows_{plan.length(), Lanes<Scalar>::count + 1}, forward_{plan.forward_}, inverse_{plan.inverse_} {}
        template <class Generator>
        void fill(Index active, Index count, const Generator& generator) noexcept {
            rows_.fill(active, count, generator);
        }
        template <class Consumer>
        void drain(Index active, Index count, const Consumer& consumer) const noexcept {
            rows_.drain(active, count, consumer);
        }

    private:
        friend class Plan;
        LaneRows<Scalar> rows_;
        detail::KissTransform<Scalar> forward_;
        detail::KissTransform<Scalar> inverse_;
    };

    /// Inverse transform of n/2 + 1 bins to `length` = n real samples, n even, by one complex transform of length n/2.
    class RealPlan {
    public:
        explicit RealPlan(Index length, Planning = Planning::estimate)
            : length_{length}, inverse_{checked_half(length), true}, twiddle_{length / 2} {
            for (Index k = 0; k < length / 2; ++k) {
                const double angle = 2 * std::numbers::pi * static_cast<double>(k) / static_cast<double>(length);
                twiddle_.data()[k] =
                    Complex(static_cast<Scalar>(std::cos(angle)), static_cast<Scalar>(std::sin(angle)));
            }
        }

        [[nodiscard]] Index length() const noexcept { return length_; }

        void inverse(RealBuffer& buffer) const noexcept {
            const Index half = length_ / 2;
            const Complex* bins = buffer.spectrum();
            Complex* packed = buffer.packed_.data();
            // Even samples in the real part, odd ones in the imaginary part: Z_k = E_k + i O_k.
            for (Index k = 0; k < half; ++k) {
                const Complex mirrored = std::conj(bins[half - k]);
                const Complex odd = detail::multiply(twiddle_.data()[k], bins[k] - mirrored);
                const Complex even = bins[k] + mirrored;
                packed[k] = Complex(even.real() - odd.imag(), even.imag() + odd.real());
            }
            // A complex number is two reals in memory, so the samples come out in order.
            buffer.inverse_.run(packed, reinterpret_cast<Complex*>(buffer.signal()));
        }

    private:
        friend class RealBuffer;
        static Index checked_half(Index length) {
            detail::require(length >= 2 && length % 2 == 0 && length <= max_fft_size,
                            "real FFT length: allowed are even lengths from 2 to ", max_fft_size, ", found ", length);
            return length / 2;
        }
        Index length_;
        detail::KissTransform<Scalar> inverse_;
        Storage<Complex> twiddle_;
    };

    /// n/2 + 1 bins, n samples and the transform itself.
    class RealBuffer {
    public:
        explicit RealBuffer(const RealPlan& plan)
            : spectrum_{plan.length() / 2 + 1},
              packed_{plan.length() / 2},
              signal_{plan.length()},
              inverse_{plan.inverse_} {}
        [[nodiscard]] Complex* spectrum() noexcept { return spectrum_.data(); }
        [[nodiscard]] Scalar* signal() noexcept { return signal_.data(); }

    private:
        friend class RealPlan;
        Storage<Complex> spectrum_;
        Storage<Complex> packed_;
        Storage<Scalar> signal_;
        detail::KissTransform<Scalar> inverse_;
    };
};

}  // namespace s4::inline S4_ABI
