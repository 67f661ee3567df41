// Matrix products over the rows of sequences: Eigen's kernels, with their packing buffers on the stack.
#pragma once

#include <s4/core/sequence.hpp>
#include <s4/core/storage.hpp>

#include <algorithm>
#include <cstddef>

namespace s4::inline S4_ABI::detail {

/// Rows that are taken at a time where a layer does more than one thing with them, so that they stay in the cache
/// between the two.
inline constexpr Index row_block = 256;

/// One row of a sequence, or part of one, as an Eigen array.
template <RealScalar Scalar>
using RowMap = Eigen::Map<Eigen::Array<Scalar, 1, Dynamic, Eigen::RowMajor>>;
template <RealScalar Scalar>
using ConstRowMap = Eigen::Map<const Eigen::Array<Scalar, 1, Dynamic, Eigen::RowMajor>>;

/// Sizes of the cache blocks of a product [rows × depth]·[depth × columns], and the room that Eigen packs them into.
/// Eigen takes its own from the heap as soon as one exceeds 128 KiB, and spreads large products over threads when
/// compiled with OpenMP; products with this object do neither. 160 KiB on the stack.
template <RealScalar Scalar>
class StackBlocking : public Eigen::internal::level3_blocking<Scalar, Scalar> {
public:
    StackBlocking(Index rows, Index columns, Index depth) noexcept {
        using Traits = Eigen::internal::gebp_traits<Scalar, Scalar>;
        // Whole panels of the kernel: mr rows, nr columns, except where everything fits.
        constexpr Index mr = Traits::mr;
        constexpr Index nr = Traits::nr;
        this->m_kc = std::min(depth, max_depth);
        const Index most_rows = left_size / std::max(this->m_kc, Index{1});
        const Index most_columns = right_size / std::max(this->m_kc, Index{1});
        this->m_mc = std::min(rows, most_rows / mr * mr);
        this->m_nc = std::min(columns, most_columns / nr * nr);
        this->m_blockA = left_;
        this->m_blockB = right_;
    }
    StackBlocking(const StackBlocking&) = delete;
    StackBlocking& operator=(const StackBlocking&) = delete;

private:
    static constexpr Index left_size = Index{96 * 1024} / static_cast<Index>(sizeof(Scalar));
    static constexpr Index right_size = Index{64 * 1024} / static_cast<Index>(sizeof(Scalar));
    static constexpr Index max_depth = Index{1024} / static_cast<Index>(sizeof(Scalar));

    alignas(storage_alignment) Scalar left_[static_cast<std::size_t>(left_size)];
    alignas(storage_alignment) Scalar right_[static_cast<std::size_t>(right_size)];
};

/// result [rows × columns] += left [rows × depth] · right [depth × columns], each at a pointer with the distance of its
/// rows (RowMajor) or columns (ColMajor); the result is ColMajor. O(rows · columns · depth); does not allocate.
template <int LeftOrder, int RightOrder, RealScalar Scalar>
void add_product(Index rows, Index columns, Index depth, const Scalar* left, Index left_stride, const Scalar* right,
                 Index right_stride, Scalar* result, Index result_stride) noexcept {
    if (rows == 0 || columns == 0 || depth == 0) return;
    StackBlocking<Scalar> blocking{rows, columns, depth};
    Eigen::internal::general_matrix_matrix_product<Index, Scalar, LeftOrder, false, Scalar, RightOrder, false,
                                                   Eigen::ColMajor, 1>::run(rows, columns, depth, left, left_stride,
                                                                            right, right_stride, result, 1,
                                                                            result_stride, Scalar{1}, blocking);
}

/// sums [cols] += the sum of every column of x. A sum of each 64 rows comes first, so that its rounding errors do not
/// grow with the rows (n/64 + 64 roundings at most). O(rows · cols); does not allocate.
template <RealScalar Scalar>
void add_column_sums(const SequenceView<Scalar>& x, Scalar* sums) noexcept {
    constexpr Index strip = 64;
    for (Index first_row = 0; first_row < x.rows(); first_row += 64) {
        const Index last_row = std::min(first_row + 64, x.rows());
        for (Index first = 0; first < x.cols(); first += strip) {
            const Index active = std::min(strip, x.cols() - first);
            alignas(storage_alignment) Scalar partial[static_cast<std::size_t>(strip)] = {};
            RowMap<Scalar> partial_sums(partial, active);
            for (Index t = first_row; t < last_row; ++t) partial_sums += ConstRowMap<Scalar>(x.row(t) + first, active);
            RowMap<Scalar>(sums + first, active) += partial_sums;
        }
    }
}

/// Rows [first, first + count) of a sequence.
template <class T>
[[nodiscard]] SequenceRef<T> rows_of(const SequenceRef<T>& x, Index first, Index count) noexcept {
    return {x.row(first), count, x.cols(), x.row_stride()};
}

}  // namespace s4::inline S4_ABI::detail
