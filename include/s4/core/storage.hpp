// Aligned arrays for the hot paths: on the stack when the size is static, on the heap when it is Dynamic.
#pragma once

#include <s4/core/error.hpp>
#include <s4/core/scalar.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <limits>
#include <memory>
#include <new>
#include <type_traits>
#include <utility>

namespace s4::inline S4_ABI {

/// Bytes that every buffer of the library is aligned to: a cache line, and the widest vector of any target.
inline constexpr std::size_t storage_alignment = 64;

/// `Size` values, zero at first, aligned to `storage_alignment`; copies are deep.
template <class T, int Size = Dynamic>
class Storage {
public:
    static_assert(std::is_trivially_copyable_v<T>, "s4::Storage holds plain numbers");

    Storage() = default;
    /// `size` is `Size`: the same call for both kinds.
    explicit Storage([[maybe_unused]] Index size) { S4_ASSERT(size == Size, "the size is fixed at compile time"); }

    [[nodiscard]] T* data() noexcept { return values_.data(); }
    [[nodiscard]] const T* data() const noexcept { return values_.data(); }
    [[nodiscard]] static constexpr Index size() noexcept { return Size; }
    void set_zero() noexcept { values_.fill(T{}); }

private:
    alignas(storage_alignment) std::array<T, static_cast<std::size_t>(Size)> values_{};
};

/// A size known at run time only: on the heap.
template <class T>
class Storage<T, Dynamic> {
public:
    static_assert(std::is_trivially_copyable_v<T>, "s4::Storage holds plain numbers");

    Storage() = default;
    /// Error when the memory is not there.
    explicit Storage(Index size) : values_{allocate(size)}, size_{size} { set_zero(); }
    /// A deep copy. Error when the memory is not there.
    Storage(const Storage& other) : values_{allocate(other.size_)}, size_{other.size_} {
        std::copy_n(other.data(), size_, data());
    }
    /// Leaves the other one empty.
    Storage(Storage&& other) noexcept : values_{std::move(other.values_)}, size_{std::exchange(other.size_, 0)} {}
    /// Does not allocate when the sizes are equal.
    Storage& operator=(const Storage& other) {
        if (this == &other) return *this;
        if (size_ == other.size_) {
            std::copy_n(other.data(), size_, data());
            return *this;
        }
        return *this = Storage{other};
    }
    /// Leaves the other one empty.
    Storage& operator=(Storage&& other) noexcept {
        values_ = std::move(other.values_);
        size_ = std::exchange(other.size_, 0);
        return *this;
    }
    ~Storage() = default;

    [[nodiscard]] T* data() noexcept { return values_.get(); }
    [[nodiscard]] const T* data() const noexcept { return values_.get(); }
    [[nodiscard]] Index size() const noexcept { return size_; }
    void set_zero() noexcept { std::fill_n(data(), size_, T{}); }

private:
    struct Free {
        void operator()(T* values) const noexcept {
            ::operator delete (static_cast<void*>(values), std::align_val_t{storage_alignment});
        }
    };
    using Owner = std::unique_ptr<T[], Free>;

    static Owner allocate(Index size) {
        constexpr Index largest = std::numeric_limits<Index>::max() / static_cast<Index>(sizeof(T));
        if (size < 0 || size > largest) detail::raise("cannot allocate ", size, " values");
        if (size == 0) return {};
        void* memory = ::operator new (static_cast<std::size_t>(size) * sizeof(T), std::align_val_t{storage_alignment},
                                       std::nothrow);
        detail::require(memory != nullptr, "out of memory: ", size, " values of ", sizeof(T), " bytes were needed");
        return Owner{static_cast<T*>(memory)};
    }

    Owner values_;
    Index size_ = 0;
};

}  // namespace s4::inline S4_ABI
