// Elements of a tensor in memory, from their bytes in a file to the scalar that is asked for.
#pragma once

#include <s4/core/error.hpp>
#include <s4/io/dtype.hpp>

#include <bit>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <string>
#include <type_traits>

namespace s4::inline S4_ABI::detail {

template <class T>
[[nodiscard]] T load(const std::byte* from) noexcept {
    T value;
    std::memcpy(static_cast<void*>(&value), from, sizeof value);
    return value;
}

/// Whether `value` is a number of type Real exactly: the bits between its first and its last one fit the mantissa.
template <RealScalar Real, std::integral Integer>
[[nodiscard]] bool is_exact(Integer value) noexcept {
    if constexpr (std::numeric_limits<Integer>::digits <= std::numeric_limits<Real>::digits) {
        return true;
    } else {
        const auto bits = static_cast<std::uint64_t>(value);
        const std::uint64_t magnitude = value < Integer{0} ? std::uint64_t{0} - bits : bits;
        return magnitude == 0 || static_cast<int>(std::bit_width(magnitude)) - std::countr_zero(magnitude) <=
                                     std::numeric_limits<Real>::digits;
    }
}

/// Calls `use(std::type_identity<Stored>)` with the C++ type of the elements (BOOL is a byte). False when there is
/// none: 8-bit floating point, and C64, which is read as pairs of F32.
template <class Use>
bool visit_dtype(DType dtype, const Use& use) {
    switch (dtype) {
        case DType::BOOL:
        case DType::U8:
            use(std::type_identity<std::uint8_t>{});
            return true;
        case DType::I8:
            use(std::type_identity<std::int8_t>{});
            return true;
        case DType::I16:
            use(std::type_identity<std::int16_t>{});
            return true;
        case DType::U16:
            use(std::type_identity<std::uint16_t>{});
            return true;
        case DType::F16:
            use(std::type_identity<Eigen::half>{});
            return true;
        case DType::BF16:
            use(std::type_identity<Eigen::bfloat16>{});
            return true;
        case DType::I32:
            use(std::type_identity<std::int32_t>{});
            return true;
        case DType::U32:
            use(std::type_identity<std::uint32_t>{});
            return true;
        case DType::F32:
            use(std::type_identity<float>{});
            return true;
        case DType::F64:
            use(std::type_identity<double>{});
            return true;
        case DType::I64:
            use(std::type_identity<std::int64_t>{});
            return true;
        case DType::U64:
            use(std::type_identity<std::uint64_t>{});
            return true;
        case DType::F8_E5M2:
        case DType::F8_E4M3:
        case DType::C64:
            break;
    }
    return false;
}

/// Fills `values` from as many elements at `from`. F64 is rounded to Scalar; every other type converts exactly, or the
/// result says which element cannot (empty: all went well). O(size).
template <RealScalar Scalar>
[[nodiscard]] std::string convert_elements(DType dtype, const std::byte* from, std::span<Scalar> values) {
    std::string problem;
    const auto report = [&](auto value, std::size_t i) {
        problem = "expected numbers that " + to_text(8 * sizeof(Scalar)) + "-bit floating point can hold, found " +
                  to_text(value) + " at element " + to_text(i);
    };
    const bool known = visit_dtype(dtype, [&]<class Stored>(std::type_identity<Stored>) {
        for (std::size_t i = 0; i < values.size(); ++i) {
            const auto stored = load<Stored>(from + i * sizeof(Stored));
            if constexpr (std::integral<Stored>) {
                if (!is_exact<Scalar>(stored)) [[unlikely]]
                    return report(stored, i);
                values[i] = static_cast<Scalar>(stored);
            } else if constexpr (std::floating_point<Stored>) {
                if constexpr (sizeof(Stored) > sizeof(Scalar)) {
                    if (std::abs(stored) > std::numeric_limits<Scalar>::max() && is_finite(stored)) [[unlikely]]
                        return report(stored, i);
                }
                values[i] = static_cast<Scalar>(stored);
            } else {
                values[i] = static_cast<Scalar>(static_cast<float>(stored));
            }
        }
    });
    if (!known)
        problem = "expected real numbers of at least 16 bits, or whole numbers, found " + std::string{name_of(dtype)};
    return problem;
}

}  // namespace s4::inline S4_ABI::detail
