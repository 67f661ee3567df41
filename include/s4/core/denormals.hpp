// Flushing subnormal numbers to zero while a stream runs. The only header with processor instructions of its own.
#pragma once

#include <s4/core/config.hpp>

#include <cstdint>

#if defined(__SSE2__) || defined(_M_X64)
#define S4_DENORMALS_X86
#include <xmmintrin.h>
#elif defined(__aarch64__) && (defined(__GNUC__) || defined(__clang__))
#define S4_DENORMALS_ARM
#endif

namespace s4::inline S4_ABI {

/// While it lives, the calling thread's arithmetic takes subnormal inputs as zero and gives zero for subnormal results.
///
/// Opt-in, for real-time streams: after a sound has ended the states of a layer decay towards zero, and many processors
/// compute up to a hundred times slower on the subnormal numbers they would pass through (and, without the guard, stay
/// at: rounding keeps them from ever reaching zero). Costs a few cycles; restores what was set before. Does nothing on
/// processors it does not know.
class ScopedFlushDenormals {
public:
    ScopedFlushDenormals() noexcept : before_{read()} { write(before_ | flush_bits); }
    ScopedFlushDenormals(const ScopedFlushDenormals&) = delete;
    ScopedFlushDenormals& operator=(const ScopedFlushDenormals&) = delete;
    ~ScopedFlushDenormals() { write(before_); }

private:
#if defined(S4_DENORMALS_X86)
    using Register = unsigned int;
    static constexpr Register flush_bits = 0x8040;  // FTZ and DAZ of MXCSR
    static Register read() noexcept { return _mm_getcsr(); }
    static void write(Register value) noexcept { _mm_setcsr(value); }
#elif defined(S4_DENORMALS_ARM)
    using Register = std::uint64_t;
    static constexpr Register flush_bits = Register{1} << 24;  // FZ of FPCR
    static Register read() noexcept {
        Register value = 0;
        asm volatile("mrs %0, fpcr" : "=r"(value));
        return value;
    }
    static void write(Register value) noexcept { asm volatile("msr fpcr, %0" : : "r"(value)); }
#else
    using Register = unsigned int;
    static constexpr Register flush_bits = 0;
    static Register read() noexcept { return 0; }
    static void write(Register) noexcept {}
#endif

    Register before_;
};

}  // namespace s4::inline S4_ABI

#undef S4_DENORMALS_X86
#undef S4_DENORMALS_ARM
