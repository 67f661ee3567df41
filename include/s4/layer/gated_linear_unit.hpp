// The gated linear unit: half of the features, each let through by a sigmoid of the other half.
#pragma once

#include <s4/layer/lane_functions.hpp>

namespace s4::inline S4_ABI {

namespace detail {

template <RealScalar T>
[[nodiscard]] SequenceView<T> features_of(const SequenceView<T>& x, Index first, Index count) noexcept {
    return {x.data() + first, x.rows(), count, x.row_stride()};
}

}  // namespace detail

/// y [rows × F] = a · sigmoid(b) for x = [a b] [rows × 2F]; y may be the first half of x. O(rows · F); does not
/// allocate. (Dauphin et al., 2017)
template <RealScalar Scalar>
void gated_linear_unit(const SequenceView<Scalar>& x, const SequenceOut<Scalar>& y) noexcept {
    using L = Lanes<Scalar>;
    S4_ASSERT(x.rows() == y.rows() && x.cols() == 2 * y.cols(),
              "gated_linear_unit: x must be [rows × 2F], y [rows × F]");
    detail::map_lanes<Scalar>(detail::features_of(x, 0, y.cols()), detail::features_of(x, y.cols(), y.cols()), y,
                              [](L a, L b) { return a * detail::sigmoid(b); });
}

/// The reverse pass of `gated_linear_unit`: dx [rows × 2F] from dy [rows × F]; dx may be x, and dy its first half.
/// O(rows · F); does not allocate.
template <RealScalar Scalar>
void gated_linear_unit_vjp(const SequenceView<Scalar>& x, const SequenceView<Scalar>& dy,
                           const SequenceOut<Scalar>& dx) noexcept {
    using L = Lanes<Scalar>;
    const Index features = dy.cols();
    S4_ASSERT(x.rows() == dy.rows() && x.cols() == 2 * features && dx.rows() == x.rows() && dx.cols() == x.cols(),
              "gated_linear_unit_vjp: x and dx must be [rows × 2F], dy [rows × F]");
    const auto vjp = [](L a, L b, L cotangent, L& da, L& db) {
        const L gate = detail::sigmoid(b);
        da = cotangent * gate;
        db = da * a * (L::broadcast(1) - gate);
    };
    for (Index t = 0; t < x.rows(); ++t) {
        const Scalar* a = x.row(t);
        const Scalar* b = a + features;
        const Scalar* cotangent = dy.row(t);
        Scalar* da = dx.row(t);
        Scalar* db = da + features;
        L by_a, by_b;
        Index n = 0;
        for (; n + L::count <= features; n += L::count) {
            vjp(L::load_unaligned(a + n), L::load_unaligned(b + n), L::load_unaligned(cotangent + n), by_a, by_b);
            by_a.store_unaligned(da + n);
            by_b.store_unaligned(db + n);
        }
        if (n < features) {
            const Index active = features - n;
            vjp(L::load_first(a + n, active), L::load_first(b + n, active), L::load_first(cotangent + n, active), by_a,
                by_b);
            by_a.store_first(da + n, active);
            by_b.store_first(db + n, active);
        }
    }
}

}  // namespace s4::inline S4_ABI
