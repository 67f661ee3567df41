// Sequences: L samples of H channels, channel last. One row is one time step.
#pragma once

#include <s4/core/scalar.hpp>

#include <concepts>
#include <span>
#include <type_traits>

namespace s4::inline S4_ABI {

namespace detail {

/// Row-major storage; a single column has to be called column-major in Eigen, which is the same memory.
template <class Scalar, int Rows, int Cols, int MaxRows = Rows, int MaxCols = Cols>
using RowMajorMatrix =
    Eigen::Matrix<Scalar, Rows, Cols, (MaxCols == 1 && MaxRows != 1) ? Eigen::ColMajor : Eigen::RowMajor, MaxRows,
                  MaxCols>;

}  // namespace detail

/// A sequence [L × H], row-major: `row(t)` is the frame at time t. A batch of B sequences of equal length is
/// [B·L × H], one after the other.
template <RealScalar Scalar>
using Sequence = Eigen::Matrix<Scalar, Dynamic, Dynamic, Eigen::RowMajor>;

/// One time step of every channel [1 × H], contiguous.
template <RealScalar Scalar>
using Frame = Eigen::Matrix<Scalar, 1, Dynamic, Eigen::RowMajor>;

namespace detail {

/// The numbers of M lie in memory: a matrix, a map, a block, not an expression still to be computed.
template <class M>
inline constexpr bool is_in_memory = (M::Flags & Eigen::DirectAccessBit) != 0;

/// Each row of M is contiguous, or M is one column, whose rows are single numbers.
template <class M>
inline constexpr bool has_contiguous_rows = (M::IsRowMajor && M::InnerStrideAtCompileTime == 1) || M::ColsAtCompileTime
                                                                                                       == 1;

/// M shows the numbers of another matrix, so that they outlive it.
template <class M>
inline constexpr bool is_view = !std::is_base_of_v<Eigen::PlainObjectBase<M>, M>;

/// M is one row or column of contiguous numbers.
template <class M>
inline constexpr bool is_contiguous_vector = M::IsVectorAtCompileTime&& M::InnerStrideAtCompileTime == 1;

// Where the numbers of a matrix lie. What cannot be viewed is refused here, with a sentence: a silent copy would
// allocate in the hot path.
template <class T, class M>
[[nodiscard]] T* sequence_data(M& matrix) noexcept {
    static_assert(std::is_same_v<typename M::Scalar, std::remove_const_t<T>>,
                  "s4: the sequence and the layer need the same scalar type");
    static_assert(is_in_memory<M>,
                  "s4: this is an expression still to be computed: assign it to an s4::Sequence first");
    static_assert(!is_in_memory<M> || has_contiguous_rows<M>,
                  "s4: a sequence is row-major, time x channels (s4::Sequence, or a block of its rows or columns); an "
                  "Eigen matrix is column-major unless it says Eigen::RowMajor");
    if constexpr (is_in_memory<M>) {
        static_assert(std::is_convertible_v<decltype(matrix.data()), T*>,
                      "s4: the output is const: it cannot be written to");
        return matrix.data();
    } else {
        return nullptr;
    }
}
template <class T, class M>
[[nodiscard]] T* frame_data(M& frame) noexcept {
    static_assert(std::is_same_v<typename M::Scalar, std::remove_const_t<T>>,
                  "s4: the frame and the layer need the same scalar type");
    static_assert(is_in_memory<M>, "s4: this is an expression still to be computed: assign it to an s4::Frame first");
    static_assert(!is_in_memory<M> || is_contiguous_vector<M>,
                  "s4: a frame is a contiguous row or vector of one number per channel, such as sequence.row(t)");
    if constexpr (is_in_memory<M>) {
        static_assert(std::is_convertible_v<decltype(frame.data()), T*>,
                      "s4: the output is const: it cannot be written to");
        return frame.data();
    } else {
        return nullptr;
    }
}
template <class>
inline constexpr bool always_false = false;
template <class T>
concept ReadOnly = std::is_const_v<T>;
template <class T>
concept Writable = !std::is_const_v<T>;

/// Where the numbers of a sequence [rows × cols] lie, with any distance between its rows; T is `const Scalar` to read,
/// `Scalar` to write. Made from an s4::Sequence, a block of its rows or columns, an Eigen::Map, a single column or a
/// pointer; never a copy.
template <class T>
class SequenceRef {
public:
    template <class Derived>
    requires ReadOnly<T> SequenceRef(const Eigen::DenseBase<Derived>& matrix)
    noexcept
        : SequenceRef{sequence_data<T>(matrix.derived()), matrix.rows(), matrix.cols(), row_stride(matrix.derived())} {}
    template <class Derived>
    requires Writable<T> SequenceRef(Eigen::DenseBase<Derived>& matrix)
    noexcept
        : SequenceRef{sequence_data<T>(matrix.derived()), matrix.rows(), matrix.cols(), row_stride(matrix.derived())} {}
    template <class Derived>
    requires Writable<T> SequenceRef(Eigen::DenseBase<Derived>&& block)
    noexcept : SequenceRef{block} {
        static_assert(is_view<Derived>, "s4: the output is a temporary: what is written would be lost");
    }
    template <class Derived>
    requires Writable<T> SequenceRef(const Eigen::DenseBase<Derived>&) {
        static_assert(always_false<Derived>, "s4: the output is const: it cannot be written to");
    }
    /// What can be written can be read.
    template <class Other>
    requires ReadOnly<T> && std::same_as<Other, std::remove_const_t<T>> SequenceRef(const SequenceRef<Other>& out)
    noexcept : SequenceRef{out.data(), out.rows(), out.cols(), out.row_stride()} {}
    /// `rows` rows of `cols` numbers, their beginnings `row_stride` numbers apart.
    SequenceRef(T* data, Index rows, Index cols, Index row_stride) noexcept
        : data_{data}, rows_{rows}, cols_{cols}, row_stride_{row_stride} {}

    [[nodiscard]] T* data() const noexcept { return data_; }
    [[nodiscard]] T* row(Index t) const noexcept { return data_ + t * row_stride_; }
    [[nodiscard]] Index rows() const noexcept { return rows_; }
    [[nodiscard]] Index cols() const noexcept { return cols_; }
    [[nodiscard]] Index row_stride() const noexcept { return row_stride_; }

private:
    template <class M>
    static Index row_stride(const M& matrix) noexcept {
        if constexpr (!is_in_memory<M>) {
            return 0;
        } else if constexpr (M::IsRowMajor && M::ColsAtCompileTime != 1) {
            return matrix.outerStride();
        } else {
            return matrix.innerStride();
        }
    }

    T* data_;
    Index rows_, cols_, row_stride_;
};

/// Where the numbers of one time step [channels] lie, contiguous: sequence.row(t), a vector, or a span.
template <class T>
class FrameRef {
public:
    template <class Derived>
    requires ReadOnly<T> FrameRef(const Eigen::DenseBase<Derived>& frame)
    noexcept : data_{frame_data<T>(frame.derived())}, size_{frame.size()} {}
    template <class Derived>
    requires Writable<T> FrameRef(Eigen::DenseBase<Derived>& frame)
    noexcept : data_{frame_data<T>(frame.derived())}, size_{frame.size()} {}
    template <class Derived>
    requires Writable<T> FrameRef(Eigen::DenseBase<Derived>&& row)
    noexcept : FrameRef{row} {
        static_assert(is_view<Derived>, "s4: the output is a temporary: what is written would be lost");
    }
    template <class Derived>
    requires Writable<T> FrameRef(const Eigen::DenseBase<Derived>&) {
        static_assert(always_false<Derived>, "s4: the output is const: it cannot be written to");
    }
    /// What can be written can be read.
    template <class Other>
    requires ReadOnly<T> && std::same_as<Other, std::remove_const_t<T>> FrameRef(const FrameRef<Other>& out)
    noexcept : data_{out.data()}, size_{out.size()} {}
    FrameRef(std::span<T> frame) noexcept : data_{frame.data()}, size_{std::ssize(frame)} {}
    /// From a std::vector or std::array.
    template <class Container>
    requires std::convertible_to<Container&, std::span<T>> FrameRef(Container& frame)
    noexcept : FrameRef{std::span<T>{frame}} {}

    [[nodiscard]] T* data() const noexcept { return data_; }
    [[nodiscard]] Index size() const noexcept { return size_; }

private:
    T* data_;
    Index size_;
};

}  // namespace detail

/// How functions take a sequence: a view of an s4::Sequence, of a block of its rows or columns, or of a pointer.
template <RealScalar Scalar>
using SequenceView = detail::SequenceRef<const Scalar>;
/// How functions give a sequence: the same, to be written.
template <RealScalar Scalar>
using SequenceOut = detail::SequenceRef<Scalar>;

/// How functions take one time step: a view of sequence.row(t), of a vector or of a span.
template <RealScalar Scalar>
using FrameView = detail::FrameRef<const Scalar>;
/// How functions give one time step: the same, to be written.
template <RealScalar Scalar>
using FrameOut = detail::FrameRef<Scalar>;

}  // namespace s4::inline S4_ABI
