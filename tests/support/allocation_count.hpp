// The count of allocator calls, for the files of a program in which one file includes allocation_guard.hpp.
#pragma once

#include <atomic>

namespace s4::test {

inline std::atomic<long> allocator_calls{0};

/// Number of allocator calls while `work` runs.
template <class Work>
[[nodiscard]] long allocator_calls_in(const Work& work) {
    const long before = allocator_calls.load();
    work();
    return allocator_calls.load() - before;
}

}  // namespace s4::test
