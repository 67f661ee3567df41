// Sequences: L samples of H channels, channel last. One row is one time step.
#pragma once

#include <s4/core/scalar.hpp>

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

/// How functions take and give sequences: any outer stride, so a block of a wider buffer passes without a copy.
template <RealScalar Scalar>
using SequenceView = Eigen::Ref<const Sequence<Scalar>, 0, Eigen::OuterStride<>>;
/// The same, to be written.
template <RealScalar Scalar>
using SequenceOut = Eigen::Ref<Sequence<Scalar>, 0, Eigen::OuterStride<>>;

/// How functions take a frame: contiguous, so a row of a sequence passes without a copy, a column does not.
template <RealScalar Scalar>
using FrameView = Eigen::Ref<const Frame<Scalar>>;
/// The same, to be written.
template <RealScalar Scalar>
using FrameOut = Eigen::Ref<Frame<Scalar>>;

}  // namespace s4::inline S4_ABI
