// NumPy array files (.npy, format 1.0), written for a look at results in Python.
#pragma once

#include <s4/core/error.hpp>
#include <s4/core/scalar.hpp>
#include <s4/io/atomic_file.hpp>

#include <array>
#include <complex>
#include <concepts>
#include <cstddef>
#include <filesystem>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

namespace s4::inline S4_ABI {

/// The numbers that `write_npy` writes.
template <class T>
concept NpyScalar = std::same_as<T, float> || std::same_as<T, double> || std::same_as<T, std::complex<float>> ||
    std::same_as<T, std::complex<double>>;

namespace detail {

/// Everything before the data: magic, version, header length, and a Python dictionary padded to a multiple of 64 bytes.
template <NpyScalar T>
[[nodiscard]] std::string npy_header(std::span<const Index> shape) {
    constexpr bool is_real = std::same_as<T, float> || std::same_as<T, double>;
    std::string text = std::string{"{'descr': '<"} + (is_real ? 'f' : 'c') + std::to_string(sizeof(T)) +
                       "', 'fortran_order': False, 'shape': (";
    for (std::size_t axis = 0; axis < shape.size(); ++axis)
        text += (axis > 0 ? ", " : "") + std::to_string(shape[axis]);
    text += shape.size() == 1 ? ",), }" : "), }";
    constexpr std::size_t before = 10;  // magic, version and the 16-bit length
    text.append(63 - (before + text.size()) % 64, ' ');
    text += '\n';
    return std::string{"\x93NUMPY\x01\x00", 8} + static_cast<char>(text.size() & 0xff) +
           static_cast<char>(text.size() >> 8) + text;
}

}  // namespace detail

/// Writes row-major `data` of the given shape, on top of an old file if there is one (all or nothing).
/// Errors: data that does not fill the shape, more than 32 axes (NumPy's limit), a folder or disk that cannot take it.
template <NpyScalar T>
void write_npy(const std::filesystem::path& path, std::span<const T> data, std::span<const Index> shape) {
    detail::require(shape.size() <= 32, detail::printable(path.string()), ": expected at most 32 axes, found ",
                    shape.size());
    detail::require(detail::checked_bytes(shape, sizeof(T)) == data.size_bytes(), detail::printable(path.string()),
                    ": expected data for shape ", detail::shape_text(shape), ", found ", data.size(), " elements");
    const std::string header = detail::npy_header<T>(shape);
    AtomicFile file{path};
    file.write(std::as_bytes(std::span{header}));
    file.write(std::as_bytes(data));
    file.commit();
}
/// The same, with the shape as a list: {2, 3}.
template <NpyScalar T>
void write_npy(const std::filesystem::path& path, std::span<const T> data, std::initializer_list<Index> shape) {
    write_npy<T>(path, data, std::span<const Index>{shape.begin(), shape.size()});
}

/// Writes an Eigen matrix [rows × cols]; a vector as [size].
template <class Derived>
requires NpyScalar<typename Derived::Scalar>
void write_npy(const std::filesystem::path& path, const Eigen::DenseBase<Derived>& matrix) {
    using Scalar = typename Derived::Scalar;
    const Eigen::Array<Scalar, Dynamic, Dynamic, Eigen::RowMajor> values = matrix.derived().array();
    const std::span<const Scalar> data{values.data(), static_cast<std::size_t>(values.size())};
    if constexpr (Derived::IsVectorAtCompileTime)
        write_npy<Scalar>(path, data, {matrix.size()});
    else
        write_npy<Scalar>(path, data, {matrix.rows(), matrix.cols()});
}

}  // namespace s4::inline S4_ABI
