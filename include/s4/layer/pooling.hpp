// Pooling over time: one row for each sequence, at the end of it or sample by sample.
#pragma once

#include <s4/core/error.hpp>
#include <s4/core/sequence.hpp>
#include <s4/core/storage.hpp>
#include <s4/layer/lengths.hpp>
#include <s4/layer/row_product.hpp>

#include <algorithm>
#include <array>
#include <concepts>
#include <cstddef>
#include <span>
#include <string_view>
#include <type_traits>

namespace s4::inline S4_ABI {

/// What becomes of the positions of a sequence: their mean, the last one, their sum, or all of them as they are.
enum class Pooling { mean, last, sum, none };

namespace detail {

inline constexpr std::array<std::string_view, 4> pooling_names{"mean", "last", "sum", "none"};

}  // namespace detail

/// The name that `pooling_from_name` takes.
[[nodiscard]] inline std::string_view name_of(Pooling pooling) {
    return detail::pooling_names[static_cast<std::size_t>(pooling)];
}

/// The pooling of that name. Error that lists the names otherwise.
[[nodiscard]] inline Pooling pooling_from_name(std::string_view name) {
    for (std::size_t i = 0; i < detail::pooling_names.size(); ++i)
        if (detail::pooling_names[i] == name) return static_cast<Pooling>(i);
    detail::raise("pooling: none is called '", name, "'; known are mean, last, sum, none");
}

/// The rows that `pool` makes of `batch` sequences of `length` positions.
[[nodiscard]] inline Index rows_after(Pooling pooling, Index batch, Index length) noexcept {
    return pooling == Pooling::none ? batch * length : batch;
}

/// y [B × F] from x [B·L × F]; with Pooling::none y [B·L × F] is x, and may be. With `lengths` (one for each sequence,
/// or empty) only the first lengths[b] positions count, and `last` is the last of them; of no position all but `none`
/// make 0. Sums are made of the sums of 64 rows each. O(B L F); does not allocate.
template <RealScalar Scalar>
void pool(Pooling pooling, const SequenceView<Scalar>& x, const SequenceOut<Scalar>& y, Index batch,
          std::span<const Index> lengths = {}) noexcept {
    const Index length = detail::positions_of(x.rows(), batch, lengths);
    S4_ASSERT(x.cols() == y.cols() && y.rows() == rows_after(pooling, batch, length),
              "pool: x must be [B·L × F] and y [B × F], or [B·L × F] for none");
    if (pooling == Pooling::none) {
        if (x.data() == y.data()) return;
        for (Index t = 0; t < x.rows(); ++t) std::copy_n(x.row(t), x.cols(), y.row(t));
        return;
    }
    for (Index b = 0; b < batch; ++b) {
        const Index count = detail::length_of(lengths, b, length);
        Scalar* pooled = y.row(b);
        if (pooling == Pooling::last && count > 0) {
            std::copy_n(x.row(b * length + count - 1), x.cols(), pooled);
            continue;
        }
        std::fill_n(pooled, x.cols(), Scalar{0});
        detail::add_column_sums<Scalar>(detail::rows_of(x, b * length, count), pooled);
        if (pooling == Pooling::mean && count > 0)
            detail::RowMap<Scalar>(pooled, x.cols()) *= 1 / static_cast<Scalar>(count);
    }
}

/// The reverse pass of `pool`: dx [B·L × F] from dy [B × F] (or [B·L × F] for none, where dx may be dy); 0 at padding,
/// except for none. O(B L F); does not allocate.
template <RealScalar Scalar>
void pool_vjp(Pooling pooling, const SequenceView<Scalar>& dy, const SequenceOut<Scalar>& dx, Index batch,
              std::span<const Index> lengths = {}) noexcept {
    const Index length = detail::positions_of(dx.rows(), batch, lengths);
    S4_ASSERT(dx.cols() == dy.cols() && dy.rows() == rows_after(pooling, batch, length),
              "pool_vjp: dx must be [B·L × F] and dy [B × F], or [B·L × F] for none");
    if (pooling == Pooling::none) {
        if (dx.data() == dy.data()) return;
        for (Index t = 0; t < dx.rows(); ++t) std::copy_n(dy.row(t), dx.cols(), dx.row(t));
        return;
    }
    for (Index b = 0; b < batch; ++b) {
        const Index count = detail::length_of(lengths, b, length);
        const Scalar scale = pooling == Pooling::mean ? 1 / static_cast<Scalar>(std::max(count, Index{1})) : Scalar{1};
        for (Index t = 0; t < length; ++t) {
            detail::RowMap<Scalar> row(dx.row(b * length + t), dx.cols());
            if (t < count && (pooling != Pooling::last || t == count - 1)) {
                row = scale * detail::ConstRowMap<Scalar>(dy.row(b), dx.cols());
            } else {
                row.setZero();
            }
        }
    }
}

/// Pooling of a stream: after each sample what `pool` makes of all samples so far. One for each stream. Sums are kept
/// in double at least, so that their error does not show in a float after 2^29 samples.
template <RealScalar Scalar>
class RunningPool {
public:
    /// Error when `features` is not positive or memory runs out.
    RunningPool(Pooling pooling, Index features) : pooling_{pooling}, sum_{checked(features)} {}

    /// y [F] after the sample x [F]; y may be x. O(F); does not allocate.
    void step(const FrameView<Scalar>& x, const FrameOut<Scalar>& y) noexcept {
        S4_ASSERT(x.size() == sum_.size() && y.size() == sum_.size(), "RunningPool::step: x and y must be [F]");
        ++count_;
        const Wide scale = pooling_ == Pooling::mean ? 1 / static_cast<Wide>(count_) : Wide{1};
        const bool sums = pooling_ == Pooling::mean || pooling_ == Pooling::sum;
        for (Index n = 0; n < x.size(); ++n) {
            sum_.data()[n] += static_cast<Wide>(x.data()[n]);
            y.data()[n] = sums ? static_cast<Scalar>(scale * sum_.data()[n]) : x.data()[n];
        }
    }

    /// Begins a new sequence.
    void reset() noexcept {
        sum_.set_zero();
        count_ = 0;
    }

    /// Samples since the beginning.
    [[nodiscard]] Index count() const noexcept { return count_; }

private:
    using Wide = std::conditional_t<std::same_as<Scalar, float>, double, Scalar>;

    static Index checked(Index features) {
        detail::require(features > 0, "RunningPool: the number of features must be positive, found ", features);
        return features;
    }

    Pooling pooling_;
    Storage<Wide> sum_;
    Index count_ = 0;
};

}  // namespace s4::inline S4_ABI
