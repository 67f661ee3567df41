// A tensor as the real numbers it consists of: what works on every number alike sees it so.
#pragma once

#include <s4/core/scalar.hpp>

#include <complex>
#include <cstddef>
#include <span>
#include <type_traits>

namespace s4::inline S4_ABI::detail {

template <class T>
struct RealOf {
    using Type = T;
};
template <class T>
struct RealOf<std::complex<T>> {
    using Type = T;
};

/// The numbers of a tensor in the order of its storage, complex ones as pairs of reals (which is how they lie in
/// memory, by the standard). Tensors of the same Parameters type are in the same order.
template <class Tensor>
[[nodiscard]] auto reals(Tensor& tensor) noexcept {
    using Entry = typename Tensor::Scalar;
    static_assert(std::is_base_of_v<Eigen::PlainObjectBase<std::remove_const_t<Tensor>>, Tensor>,
                  "s4: the tensors of a layer are Eigen matrices or arrays that hold their numbers");
    using Real =
        std::conditional_t<std::is_const_v<Tensor>, const typename RealOf<Entry>::Type, typename RealOf<Entry>::Type>;
    constexpr std::size_t parts = sizeof(Entry) / sizeof(Real);
    return std::span<Real>{reinterpret_cast<Real*>(tensor.data()), parts * static_cast<std::size_t>(tensor.size())};
}

/// The same as an Eigen array.
template <class Tensor>
[[nodiscard]] auto real_array(Tensor& tensor) noexcept {
    const auto values = reals(tensor);
    using Real = typename decltype(values)::value_type;
    using Array = Eigen::Array<Real, Dynamic, 1>;
    return Eigen::Map<std::conditional_t<std::is_const_v<Tensor>, const Array, Array>>(
        values.data(), static_cast<Index>(values.size()));
}

}  // namespace s4::inline S4_ABI::detail
