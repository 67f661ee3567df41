// Elementary functions of a register of numbers, and the loops that apply them to sequences.
#pragma once

#include <s4/core/lanes.hpp>
#include <s4/core/sequence.hpp>
#include <s4/core/storage.hpp>

#include <algorithm>
#include <bit>
#include <cmath>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <numbers>

namespace s4::inline S4_ABI::detail {

/// `function` of every lane, one after the other.
template <RealScalar Scalar, class Function>
[[nodiscard]] Lanes<Scalar> each_lane(const Function& function, Lanes<Scalar> x) noexcept {
    alignas(storage_alignment) Scalar lanes[static_cast<std::size_t>(Lanes<Scalar>::count)];
    x.store(lanes);
    for (Scalar& lane : lanes) lane = function(lane);
    return Lanes<Scalar>::load(lanes);
}

/// The larger, the smaller of each pair; NaN where `a` is NaN.
template <RealScalar Scalar>
[[nodiscard]] Lanes<Scalar> max(Lanes<Scalar> a, Lanes<Scalar> b) noexcept {
    return {Eigen::internal::pmax(a.value, b.value)};
}
template <RealScalar Scalar>
[[nodiscard]] Lanes<Scalar> min(Lanes<Scalar> a, Lanes<Scalar> b) noexcept {
    return {Eigen::internal::pmin(a.value, b.value)};
}
template <RealScalar Scalar>
[[nodiscard]] Lanes<Scalar> abs(Lanes<Scalar> x) noexcept {
    return {Eigen::internal::pabs(x.value)};
}
/// `positive` in the lanes where x > 0, `other` elsewhere.
template <RealScalar Scalar>
[[nodiscard]] Lanes<Scalar> where_positive(Lanes<Scalar> x, Lanes<Scalar> positive, Lanes<Scalar> other) noexcept {
    const auto mask = Eigen::internal::pcmp_lt(Lanes<Scalar>::zero().value, x.value);
    return {Eigen::internal::pselect(mask, positive.value, other.value)};
}

/// e^x for x in [−87.3, 88.3], the exponents of float; beyond, the value at the nearer end. NaN stays NaN. With
/// x = m log 2 + r, a polynomial in r (relative error 3e-9, by Remez' exchange) times 2^m made of its bits; within 2
/// roundings where the target fuses multiplication and addition.
template <class Packet = Lanes<float>::Packet>
[[nodiscard]] Lanes<float> float_exp(Lanes<float> x) noexcept {
    using L = Lanes<float>;
    using Integers = typename Eigen::internal::unpacket_traits<Packet>::integer_packet;
    constexpr float shift = 12582912;  // 1.5 · 2^23: adding it rounds to an integer, which the low bits then hold
    const L near = max(min(x, L::broadcast(88.3F)), L::broadcast(-87.3F));
    const L shifted = fma(near, L::broadcast(std::numbers::log2e_v<float>), L::broadcast(shift));
    const Integers m = Eigen::internal::psub(Eigen::internal::preinterpret<Integers, Packet>(shifted.value),
                                             Eigen::internal::pset1<Integers>(std::bit_cast<std::int32_t>(shift)));
    const L turns{Eigen::internal::pcast<Integers, Packet>(m)};
    // log 2 in two parts, the first with so few digits that its multiples are exact.
    const L r = fnma(turns, L::broadcast(-2.12194440e-4F), fnma(turns, L::broadcast(0.693359375F), near));
    L sum = L::broadcast(0.00138145420446F);
    sum = fma(sum, r, L::broadcast(0.00836874513335F));
    sum = fma(sum, r, L::broadcast(0.0416683907435F));
    sum = fma(sum, r, L::broadcast(0.166665203988F));
    sum = fma(sum, r, L::broadcast(0.499999934323F));
    sum = fma(sum, r * r, r) + L::broadcast(1);
    const Integers exponent = Eigen::internal::padd(m, Eigen::internal::pset1<Integers>(127));
    return sum * L{Eigen::internal::preinterpret<Packet, Integers>(Eigen::internal::plogical_shift_left<23>(exponent))};
}

/// e^x; in float as far as `float_exp` goes, in double by Eigen's vectors.
template <RealScalar Scalar>
[[nodiscard]] Lanes<Scalar> exp(Lanes<Scalar> x) noexcept {
    if constexpr (Lanes<Scalar>::count == 1 || !Eigen::internal::packet_traits<Scalar>::HasExp) {
        return each_lane([](Scalar lane) { return std::exp(lane); }, x);
    } else if constexpr (std::same_as<Scalar, float>) {
        return float_exp(x);
    } else {
        return {Eigen::internal::pexp(x.value)};
    }
}

/// 1/(1 + e^−x).
template <RealScalar Scalar>
[[nodiscard]] Lanes<Scalar> sigmoid(Lanes<Scalar> x) noexcept {
    const Lanes<Scalar> one = Lanes<Scalar>::broadcast(1);
    return one / (one + exp(-x));
}

/// tanh x; in float by Eigen's vectors, within a few roundings.
template <RealScalar Scalar>
[[nodiscard]] Lanes<Scalar> tanh(Lanes<Scalar> x) noexcept {
    if constexpr (std::same_as<Scalar, float> && Lanes<Scalar>::count > 1 &&
                  Eigen::internal::packet_traits<Scalar>::HasTanh) {
        return {Eigen::internal::ptanh(x.value)};
    } else {
        return each_lane([](Scalar lane) { return std::tanh(lane); }, x);
    }
}

/// The standard normal distribution at one register of numbers, each in [−15, 15].
template <RealScalar Scalar>
struct NormalTail {
    Lanes<Scalar> density;  ///< φ(x) = e^{−x²/2}/√(2π)
    Lanes<Scalar> tail;     ///< Φ(−|x|)
};

/// In float without a branch or a table: Φ(−a) = e^{−a²/2} R(1/(1 + a/4)) with a polynomial R, minimax in relative
/// error (6e-8) on a in [0, 14], where Φ(−a) underflows; by Remez' exchange. Other scalars take the standard's erfc.
template <RealScalar Scalar>
[[nodiscard]] NormalTail<Scalar> normal_tail(Lanes<Scalar> x) noexcept {
    using L = Lanes<Scalar>;
    const L bell = exp(L::broadcast(Scalar{-0.5}) * x * x);
    const L density = L::broadcast(static_cast<Scalar>(0.398942280401432677939946059934381868L)) * bell;
    if constexpr (std::same_as<Scalar, float>) {
        const L t = L::broadcast(1) / fma(L::broadcast(0.25F), abs(x), L::broadcast(1));
        L sum = L::broadcast(0.0257235416902F);
        sum = fma(sum, t, L::broadcast(-0.152809448477F));
        sum = fma(sum, t, L::broadcast(0.296121798414F));
        sum = fma(sum, t, L::broadcast(-0.20578287456F));
        sum = fma(sum, t, L::broadcast(0.201757854257F));
        sum = fma(sum, t, L::broadcast(0.0329281549618F));
        sum = fma(sum, t, L::broadcast(0.103746607584F));
        sum = fma(sum, t, L::broadcast(0.0985168573548F));
        sum = fma(sum, t, L::broadcast(0.0997974803204F));
        return {density, bell * (t * sum)};
    } else {
        const auto half_erfc = [](Scalar lane) {
            return std::erfc(std::abs(lane) * (std::numbers::sqrt2_v<Scalar> / 2)) / 2;
        };
        return {density, each_lane(half_erfc, x)};
    }
}

/// y = function(x) for every register of two sequences of one shape; y may be x. Sequences without gaps between their
/// rows are one long row.
template <RealScalar Scalar, class Function>
void map_lanes(const SequenceView<Scalar>& x, const SequenceOut<Scalar>& y, const Function& function) noexcept {
    using L = Lanes<Scalar>;
    const bool one_row = x.row_stride() == x.cols() && y.row_stride() == y.cols();
    const Index rows = one_row ? std::min(x.rows(), Index{1}) : x.rows();
    const Index cols = one_row ? x.rows() * x.cols() : x.cols();
    for (Index t = 0; t < rows; ++t) {
        const Scalar* in = x.row(t);
        Scalar* out = y.row(t);
        Index n = 0;
        for (; n + L::count <= cols; n += L::count) function(L::load_unaligned(in + n)).store_unaligned(out + n);
        if (n < cols) function(L::load_first(in + n, cols - n)).store_first(out + n, cols - n);
    }
}

/// z = function(x, y) in the same way; z may be x or y.
template <RealScalar Scalar, class Function>
void map_lanes(const SequenceView<Scalar>& x, const SequenceView<Scalar>& y, const SequenceOut<Scalar>& z,
               const Function& function) noexcept {
    using L = Lanes<Scalar>;
    const bool one_row = x.row_stride() == x.cols() && y.row_stride() == y.cols() && z.row_stride() == z.cols();
    const Index rows = one_row ? std::min(x.rows(), Index{1}) : x.rows();
    const Index cols = one_row ? x.rows() * x.cols() : x.cols();
    for (Index t = 0; t < rows; ++t) {
        const Scalar* in = x.row(t);
        const Scalar* other = y.row(t);
        Scalar* out = z.row(t);
        Index n = 0;
        for (; n + L::count <= cols; n += L::count)
            function(L::load_unaligned(in + n), L::load_unaligned(other + n)).store_unaligned(out + n);
        if (n < cols)
            function(L::load_first(in + n, cols - n), L::load_first(other + n, cols - n))
                .store_first(out + n, cols - n);
    }
}

}  // namespace s4::inline S4_ABI::detail
