// The only header that knows OpenMP. Without the component s4::openmp every loop runs on the calling thread.
#pragma once

#include <s4/core/scalar.hpp>

#if defined(_OPENMP)
#include <omp.h>

#include <exception>
#endif

namespace s4::inline S4_ABI {

/// How many threads `parallel_for` uses at most: 1 without OpenMP or inside a parallel region.
[[nodiscard]] inline Index max_threads() noexcept {
#if defined(_OPENMP)
    return omp_in_parallel() == 0 ? omp_get_max_threads() : 1;
#else
    return 1;
#endif
}

/// Runs `body(index)` for index = 0 … count−1, on all threads when compiled with OpenMP and not already inside a
/// parallel region. Iterations must not touch each other's data and get their own scratch. What one throws arrives at
/// the caller after the others have ended (the first of several).
template <class Body>
void parallel_for(Index count, const Body& body) {
#if defined(_OPENMP)
    if (count > 1 && omp_in_parallel() == 0) {
#if defined(__cpp_exceptions)
        std::exception_ptr first;
#pragma omp parallel for schedule(dynamic)
        for (Index index = 0; index < count; ++index) {
            try {
                body(index);
            } catch (...) {
#pragma omp critical(s4_parallel_for)
                if (!first) first = std::current_exception();
            }
        }
        if (first) std::rethrow_exception(first);
#else
#pragma omp parallel for schedule(dynamic)
        for (Index index = 0; index < count; ++index) body(index);
#endif
        return;
    }
#endif
    for (Index index = 0; index < count; ++index) body(index);
}

/// The same with scratch: `body(scratch, index)`, where every thread has one scratch object from `make_scratch()`.
template <class MakeScratch, class Body>
void parallel_for(Index count, const MakeScratch& make_scratch, const Body& body) {
    Index threads = max_threads();
    threads = threads < count ? threads : count;
    // A thread takes every `threads`-th index: the work of all indices is alike.
    parallel_for(threads, [&](Index thread) {
        auto scratch = make_scratch();
        for (Index index = thread; index < count; index += threads) body(scratch, index);
    });
}

}  // namespace s4::inline S4_ABI
