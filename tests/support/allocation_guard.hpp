// Counts every call of the allocator itself, malloc and its relatives: a counter in operator new would not see Eigen's.
// To be included by exactly one file of a program (it replaces the C library's functions); others that count include
// allocation_count.hpp.
#pragma once

#include "tests/support/allocation_count.hpp"

#include <Eigen/Core>  // first: clang's intrinsics declare posix_memalign again, which they may only before us

#include <cerrno>
#include <cstddef>

#if !defined(__GLIBC__)
#error "the allocation guard replaces glibc's allocator"
#endif

extern "C" {

void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* memory, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);
void __libc_free(void* memory);

void* malloc(std::size_t size) noexcept {
    ++s4::test::allocator_calls;
    return __libc_malloc(size);
}
void* calloc(std::size_t count, std::size_t size) noexcept {
    ++s4::test::allocator_calls;
    return __libc_calloc(count, size);
}
void* realloc(void* memory, std::size_t size) noexcept {
    ++s4::test::allocator_calls;
    return __libc_realloc(memory, size);
}
void* memalign(std::size_t alignment, std::size_t size) noexcept {
    ++s4::test::allocator_calls;
    return __libc_memalign(alignment, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept {
    ++s4::test::allocator_calls;
    return __libc_memalign(alignment, size);
}
int posix_memalign(void** memory, std::size_t alignment, std::size_t size) noexcept {
    ++s4::test::allocator_calls;
    *memory = __libc_memalign(alignment, size);
    return *memory == nullptr ? ENOMEM : 0;
}
void free(void* memory) noexcept {
    if (memory == nullptr) return;  // no call of the allocator: what destroying an empty Eigen object does
    ++s4::test::allocator_calls;
    __libc_free(memory);
}

}  // extern "C"
