// FFTW as the back end. The only header that includes FFTW; link fftw3, fftw3f and their _threads libraries.
// FFTW is under the GPL: a binary that is distributed with it must meet the GPL.
#pragma once

#include <s4/core/error.hpp>
#include <s4/fft/backend.hpp>
#include <s4/fft/good_size.hpp>
#include <s4/fft/lane_rows.hpp>

#include <fftw3.h>

#include <complex>
#include <memory>
#include <mutex>
#include <new>
#include <type_traits>

namespace s4::inline S4_ABI {

namespace detail {

/// FFTW's functions under one name for both precisions.
template <RealScalar Scalar>
struct FftwFunctions {
    static_assert(std::same_as<Scalar, double>, "s4::Fftw works in float and double");
    using Plan = fftw_plan;
    using Complex = fftw_complex;
    static Plan dft(int n, Complex* in, Complex* out, int sign, unsigned flags) {
        return fftw_plan_dft_1d(n, in, out, sign, flags);
    }
    static Plan c2r(int n, Complex* in, double* out, unsigned flags) { return fftw_plan_dft_c2r_1d(n, in, out, flags); }
    static void execute(Plan plan, Complex* in, Complex* out) noexcept { fftw_execute_dft(plan, in, out); }
    static void execute(Plan plan, Complex* in, double* out) noexcept { fftw_execute_dft_c2r(plan, in, out); }
    static void destroy(Plan plan) noexcept { fftw_destroy_plan(plan); }
    static void make_planner_thread_safe() { fftw_make_planner_thread_safe(); }
};

template <>
struct FftwFunctions<float> {
    using Plan = fftwf_plan;
    using Complex = fftwf_complex;
    static Plan dft(int n, Complex* in, Complex* out, int sign, unsigned flags) {
        return fftwf_plan_dft_1d(n, in, out, sign, flags);
    }
    static Plan c2r(int n, Complex* in, float* out, unsigned flags) { return fftwf_plan_dft_c2r_1d(n, in, out, flags); }
    static void execute(Plan plan, Complex* in, Complex* out) noexcept { fftwf_execute_dft(plan, in, out); }
    static void execute(Plan plan, Complex* in, float* out) noexcept { fftwf_execute_dft_c2r(plan, in, out); }
    static void destroy(Plan plan) noexcept { fftwf_destroy_plan(plan); }
    static void make_planner_thread_safe() { fftwf_make_planner_thread_safe(); }
};

/// Only FFTW's execute may run in several threads at once. This lock orders our own planning and destroying; as an
/// inline mutex is one per shared library, FFTW is told to lock its planner itself as well.
template <RealScalar Scalar>
[[nodiscard]] std::unique_lock<std::mutex> lock_fftw_planner() {
    static std::mutex mutex;
    static std::once_flag once;
    std::call_once(once, [] { FftwFunctions<Scalar>::make_planner_thread_safe(); });
    return std::unique_lock{mutex};
}

/// Owns one FFTW plan.
template <RealScalar Scalar>
class FftwPlan {
public:
    using Functions = FftwFunctions<Scalar>;

    template <class MakePlan>
    FftwPlan(Index length, const MakePlan& make_plan) {  // `length` ≥ 1 is checked
        require_planner_memory(length);
        const auto lock = lock_fftw_planner<Scalar>();
        plan_.reset(make_plan());
        require(plan_ != nullptr, "FFTW cannot make a plan of length ", length);
    }

    [[nodiscard]] typename Functions::Plan get() const noexcept { return plan_.get(); }

private:
    /// FFTW's planner ends the process when memory runs out. What it may need for twiddles and trials is taken and
    /// given back first, so that a lack of memory is an Error. (Another thread may still take it in between.)
    static void require_planner_memory(Index length) {
        const std::size_t bytes = (std::size_t{1} << 23) + 8 * sizeof(Scalar) * static_cast<std::size_t>(length);
        void* probe = ::operator new(bytes, std::nothrow);
        require(probe != nullptr, "out of memory: planning a transform of length ", length, " needs about ", bytes,
                " bytes");
        ::operator delete(probe);
    }

    struct Destroy {
        void operator()(typename Functions::Plan plan) const noexcept {
            const auto lock = lock_fftw_planner<Scalar>();
            Functions::destroy(plan);
        }
    };
    std::unique_ptr<std::remove_pointer_t<typename Functions::Plan>, Destroy> plan_;
};

[[nodiscard]] constexpr unsigned fftw_flags(Planning planning) noexcept {
    return planning == Planning::measure ? FFTW_MEASURE : FFTW_ESTIMATE;
}

}  // namespace detail

/// The FFTW back end (concept FftBackend). Plans run by new-array execute on the library's own aligned rows only: a
/// plan on memory of another alignment crashes.
template <RealScalar S>
class Fftw {
public:
    using Scalar = S;
    using Complex = std::complex<Scalar>;
    using Spectrum = LaneRows<Scalar>;

    class Buffer;
    class RealBuffer;

    /// A forward and a backward complex transform of `length` ≥ 1. Error when the length is out of range.
    class Plan {
    public:
        explicit Plan(Index length, Planning planning = Planning::estimate)
            : length_{checked(length)},
              scratch_{length, 2},
              forward_{make(scratch_, FFTW_FORWARD, planning)},
              inverse_{make(scratch_, FFTW_BACKWARD, planning)} {
            scratch_ = LaneRows<Scalar>{1, 1};  // planning needs arrays of the real size, running does not
        }

        [[nodiscard]] Index length() const noexcept { return length_; }
        [[nodiscard]] Spectrum make_spectrum(Index active) const { return {length_, active}; }

        void forward(const Buffer& buffer, Index active, Spectrum& spectrum) const noexcept {
            for (Index lane = 0; lane < active; ++lane) run(forward_, buffer.rows_.row(lane), spectrum.row(lane));
        }
        void inverse(const Spectrum& spectrum, Index active, Buffer& buffer) const noexcept {
            for (Index lane = 0; lane < active; ++lane) run(inverse_, spectrum.row(lane), buffer.rows_.row(lane));
        }
        void convolve(Buffer& buffer, Index active, const Spectrum& spectrum) const noexcept {
            Complex* scratch = buffer.rows_.row(Lanes<Scalar>::count);
            for (Index lane = 0; lane < active; ++lane) {
                run(forward_, buffer.rows_.row(lane), scratch);
                multiply_row(scratch, spectrum.row(lane), length_);
                run(inverse_, scratch, buffer.rows_.row(lane));
            }
        }
        void inverse_product(const Spectrum& a, const Spectrum& b, Index active, Buffer& buffer) const noexcept {
            Complex* scratch = buffer.rows_.row(Lanes<Scalar>::count);
            for (Index lane = 0; lane < active; ++lane) {
                product_row(a.row(lane), b.row(lane), scratch, length_);
                run(inverse_, scratch, buffer.rows_.row(lane));
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
        using Functions = detail::FftwFunctions<Scalar>;
        using Raw = typename Functions::Complex;

        static Index checked(Index length) {
            detail::require(length >= 1 && length <= max_fft_size, "FFT length: allowed are 1 to ", max_fft_size,
                            ", found ", length);
            return length;
        }
        static detail::FftwPlan<Scalar> make(LaneRows<Scalar>& scratch, int sign, Planning planning) {
            const int n = static_cast<int>(scratch.length());
            return {scratch.length(), [&] {
                        return Functions::dft(n, reinterpret_cast<Raw*>(scratch.row(0)),
                                              reinterpret_cast<Raw*>(scratch.row(1)), sign,
                                              detail::fftw_flags(planning) | FFTW_PRESERVE_INPUT);
                    }};
        }
        // FFTW takes its input by pointer to non-const but keeps it (FFTW_PRESERVE_INPUT, and out of place).
        static void run(const detail::FftwPlan<Scalar>& plan, const Complex* in, Complex* out) noexcept {
            Functions::execute(plan.get(), reinterpret_cast<Raw*>(const_cast<Complex*>(in)),
                               reinterpret_cast<Raw*>(out));
        }

        Index length_;
        LaneRows<Scalar> scratch_;
        detail::FftwPlan<Scalar> forward_;
        detail::FftwPlan<Scalar> inverse_;
    };

    /// The signals of one lane block, and a row of scratch.
    class Buffer {
    public:
        explicit Buffer(const Plan& plan) : rows_{plan.length(), Lanes<Scalar>::count + 1} {}
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
    };

    /// Inverse transform of n/2 + 1 bins to `length` = n real samples.
    class RealPlan {
    public:
        explicit RealPlan(Index length, Planning planning = Planning::estimate)
            : length_{length}, plan_{make(length, planning)} {}

        [[nodiscard]] Index length() const noexcept { return length_; }
        void inverse(RealBuffer& buffer) const noexcept {
            Functions::execute(plan_.get(), reinterpret_cast<Raw*>(buffer.spectrum()), buffer.signal());
        }

    private:
        using Functions = detail::FftwFunctions<Scalar>;
        using Raw = typename Functions::Complex;

        static detail::FftwPlan<Scalar> make(Index length, Planning planning) {
            detail::require(length >= 1 && length <= max_fft_size, "FFT length: allowed are 1 to ", max_fft_size,
                            ", found ", length);
            RealBuffer scratch{length};
            return {length, [&] {
                        return Functions::c2r(static_cast<int>(length), reinterpret_cast<Raw*>(scratch.spectrum()),
                                              scratch.signal(), detail::fftw_flags(planning));
                    }};
        }

        Index length_;
        detail::FftwPlan<Scalar> plan_;
    };

    /// n/2 + 1 bins and n samples.
    class RealBuffer {
    public:
        explicit RealBuffer(const RealPlan& plan) : RealBuffer{plan.length()} {}
        [[nodiscard]] Complex* spectrum() noexcept { return spectrum_.data(); }
        [[nodiscard]] Scalar* signal() noexcept { return signal_.data(); }

    private:
        friend class RealPlan;
        explicit RealBuffer(Index length) : spectrum_{length / 2 + 1}, signal_{length} {}
        Storage<Complex> spectrum_;
        Storage<Scalar> signal_;
    };
};

}  // namespace s4::inline S4_ABI
