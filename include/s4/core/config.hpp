// The library's only macros: the ABI tag and the Debug assertion.
#pragma once

#include <Eigen/Core>

#include <cstdio>
#include <cstdlib>

// Everything lives in an inline namespace named after the vector instructions the file is compiled for. Two object
// files built with different -march flags then hold different symbols, and the linker cannot mix their code (ODR).
// That holds for this library, not for Eigen: its functions are shared by such files, and differ in how they align
// memory unless EIGEN_MAX_ALIGN_BYTES is the same in all of them. One -march for a whole program is the safe way.
#if defined(EIGEN_VECTORIZE_AVX512)
#define S4_ABI isa_avx512
#elif defined(EIGEN_VECTORIZE_AVX) && defined(EIGEN_VECTORIZE_FMA)
#define S4_ABI isa_avx_fma
#elif defined(EIGEN_VECTORIZE_AVX)
#define S4_ABI isa_avx
#elif defined(EIGEN_VECTORIZE_SSE)
#define S4_ABI isa_sse
#elif defined(EIGEN_VECTORIZE_NEON)
#define S4_ABI isa_neon
#elif defined(EIGEN_VECTORIZE)
#define S4_ABI isa_vector
#else
#define S4_ABI isa_scalar
#endif

namespace s4::inline S4_ABI::detail {

[[noreturn]] inline void assertion_failed(const char* condition, const char* sentence, const char* file,
                                          int line) noexcept {
    std::fprintf(stderr, "%s:%d: s4 assertion failed: %s [%s]\n", file, line, sentence, condition);
    std::abort();
}

}  // namespace s4::inline S4_ABI::detail

// A programmer's mistake in a hot path, such as a wrong size. Checked unless NDEBUG is defined; define S4_ASSERT
// before the first include to replace it.
#ifndef S4_ASSERT
#ifdef NDEBUG
#define S4_ASSERT(condition, sentence) static_cast<void>(0)
#else
#define S4_ASSERT(condition, sentence) \
    ((condition) ? static_cast<void>(0) : ::s4::detail::assertion_failed(#condition, sentence, __FILE__, __LINE__))
#endif
#endif
