// Cauchy sums Σ_n v_n / (z_l − w_n) over conjugate pairs, for any nodes, and their reverse pass (S4 paper, section 3
// and app. C.3). Kernels use the special case of cauchy_sums.hpp.
#pragma once

#include <s4/core/lanes.hpp>
#include <s4/core/storage.hpp>

#include <algorithm>
#include <cmath>
#include <complex>
#include <span>
#include <type_traits>

namespace s4::inline S4_ABI {

namespace detail {

/// A number as the sum of two of the working precision, the second below the rounding of the first. Subtracting both
/// parts keeps the digits of node − pole near a pole, where rounding either would be fatal.
template <RealScalar Scalar>
struct TwoFloat {
    Scalar high, low;
    explicit TwoFloat(double value) noexcept
        : high{static_cast<Scalar>(value)}, low{static_cast<Scalar>(value - static_cast<double>(high))} {}
};

}  // namespace detail

/// The product of the S4 paper for any nodes; S4 kernels have theirs on the imaginary axis and use CauchySums, which
/// shares one division among all their sums.
///
/// result[l] = Σ_n v_n / (z_l − w_n) + conj(v_n) / (z_l − conj w_n), with v, w [N] and z, result [L]. Nodes and poles
/// come in double and are subtracted as pairs of numbers, so a float result is right to a few roundings near a pole
/// as long as double tells node from pole. O(N L); does not allocate. Infinite where a node meets a pole.
template <RealScalar Scalar>
void cauchy(std::span<const std::complex<double>> v, std::span<const std::complex<double>> z,
            std::span<const std::complex<double>> w, std::span<std::complex<Scalar>> result) noexcept {
    using L = Lanes<Scalar>;
    S4_ASSERT(v.size() == w.size() && z.size() == result.size(), "cauchy: sizes must agree");
    alignas(storage_alignment) Scalar node[4][static_cast<std::size_t>(L::count)] = {};
    const Index length = std::ssize(z);
    for (Index start = 0; start < length; start += L::count) {
        const Index active = std::min(L::count, length - start);
        for (Index lane = 0; lane < L::count; ++lane) {
            const std::complex<double> value = z[static_cast<std::size_t>(start + std::min(lane, active - 1))];
            const detail::TwoFloat<Scalar> re{value.real()};
            const detail::TwoFloat<Scalar> im{value.imag()};
            node[0][lane] = re.high;
            node[1][lane] = re.low;
            node[2][lane] = im.high;
            node[3][lane] = im.low;
        }
        const L re_high = L::load(node[0]);
        const L re_low = L::load(node[1]);
        const L im_high = L::load(node[2]);
        const L im_low = L::load(node[3]);
        L sum_re = L::zero();
        L sum_im = L::zero();
        for (std::size_t n = 0; n < v.size(); ++n) {
            const detail::TwoFloat<Scalar> pole_re{w[n].real()};
            const detail::TwoFloat<Scalar> pole_im{w[n].imag()};
            const L v_re = L::broadcast(static_cast<Scalar>(v[n].real()));
            L v_im = L::broadcast(static_cast<Scalar>(v[n].imag()));
            const L d_re = (re_high - L::broadcast(pole_re.high)) + (re_low - L::broadcast(pole_re.low));
            L pole_high = L::broadcast(pole_im.high);
            L pole_low = L::broadcast(pole_im.low);
            for (int half = 0; half < 2; ++half) {
                const L d_im = (im_high - pole_high) + (im_low - pole_low);
                const L reciprocal = L::broadcast(1) / fma(d_re, d_re, d_im * d_im);
                sum_re += fma(v_re, d_re, v_im * d_im) * reciprocal;
                sum_im += fnma(v_re, d_im, v_im * d_re) * reciprocal;
                v_im = -v_im;
                pole_high = -pole_high;
                pole_low = -pole_low;
            }
        }
        alignas(storage_alignment) Scalar out_re[static_cast<std::size_t>(L::count)];
        alignas(storage_alignment) Scalar out_im[static_cast<std::size_t>(L::count)];
        sum_re.store(out_re);
        sum_im.store(out_im);
        for (Index lane = 0; lane < active; ++lane)
            result[static_cast<std::size_t>(start + lane)] = {out_re[lane], out_im[lane]};
    }
}

namespace detail {

/// Some lane blocks of nodes and cotangents in planes, as the reverse pass of `cauchy` reads them once a pole.
template <RealScalar Scalar>
class CauchyTile {
public:
    using L = Lanes<Scalar>;
    static constexpr Index capacity = 16 * L::count;
    static constexpr auto plane = static_cast<std::size_t>(capacity);

    /// Nodes and cotangents first … first + count − 1, count ≤ capacity; the rest of the last block repeats a node,
    /// with no cotangent.
    void load(std::span<const std::complex<double>> z, std::span<const std::complex<Scalar>> cotangent, Index first,
              Index count) noexcept {
        count_ = count;
        for (Index k = 0; k < lane_blocks<Scalar>(count) * L::count; ++k) {
            const auto from = static_cast<std::size_t>(first + std::min(k, count - 1));
            const TwoFloat<Scalar> re{z[from].real()};
            const TwoFloat<Scalar> im{z[from].imag()};
            re_high_[k] = re.high;
            re_low_[k] = re.low;
            im_high_[k] = im.high;
            im_low_[k] = im.low;
            g_re_[k] = k < count ? cotangent[from].real() : Scalar{0};
            g_im_[k] = k < count ? cotangent[from].imag() : Scalar{0};
            z_re_[k] = z_im_[k] = 0;
        }
    }

    /// Adds Σ_l conj(1/(z_l − w)) g_l + conj(g_l)/(z_l − conj w) to `first`, the same of the squared reciprocals to
    /// `second`, and, if wanted, v/(z_l − w)² + conj(v)/(z_l − conj w)² to the sums of the nodes.
    template <bool WithNodes>
    void add_pole(std::complex<double> v, std::complex<double> w, std::complex<double>& first,
                  std::complex<double>& second) noexcept {
        const TwoFloat<Scalar> pole_re{w.real()};
        const TwoFloat<Scalar> pole_im{w.imag()};
        const L v_re = L::broadcast(static_cast<Scalar>(v.real()));
        const L v_im = L::broadcast(static_cast<Scalar>(v.imag()));
        L first_re = L::zero();
        L first_im = L::zero();
        L second_re = L::zero();
        L second_im = L::zero();
        for (Index k = 0; k < count_; k += L::count) {
            const L g_re = L::load(g_re_ + k);
            const L g_im = L::load(g_im_ + k);
            const L d_re = (L::load(re_high_ + k) - L::broadcast(pole_re.high)) +
                           (L::load(re_low_ + k) - L::broadcast(pole_re.low));
            const L im_high = L::load(im_high_ + k);
            const L im_low = L::load(im_low_ + k);
            // Reciprocals p of both halves of the pair, and their squares.
            const L d_im = (im_high - L::broadcast(pole_im.high)) + (im_low - L::broadcast(pole_im.low));
            const L e_im = (im_high + L::broadcast(pole_im.high)) + (im_low + L::broadcast(pole_im.low));
            const L d_scale = L::broadcast(1) / fma(d_re, d_re, d_im * d_im);
            const L e_scale = L::broadcast(1) / fma(d_re, d_re, e_im * e_im);
            const L p_re = d_re * d_scale;
            const L p_im = -(d_im * d_scale);
            const L q_re = d_re * e_scale;
            const L q_im = -(e_im * e_scale);
            const L pp_re = fnma(p_im, p_im, p_re * p_re);
            const L pp_im = (p_re + p_re) * p_im;
            const L qq_re = fnma(q_im, q_im, q_re * q_re);
            const L qq_im = (q_re + q_re) * q_im;
            // conj(p) g + conj(conj(q) g): sum and difference of the two reciprocals.
            first_re = fma(p_re + q_re, g_re, fma(p_im + q_im, g_im, first_re));
            first_im = fma(p_re - q_re, g_im, fnma(p_im - q_im, g_re, first_im));
            second_re = fma(pp_re + qq_re, g_re, fma(pp_im + qq_im, g_im, second_re));
            second_im = fma(pp_re - qq_re, g_im, fnma(pp_im - qq_im, g_re, second_im));
            if constexpr (WithNodes) {  // v pp + conj(v) qq
                fma(v_re, pp_re + qq_re, fnma(v_im, pp_im - qq_im, L::load(z_re_ + k))).store(z_re_ + k);
                fma(v_re, pp_im + qq_im, fma(v_im, pp_re - qq_re, L::load(z_im_ + k))).store(z_im_ + k);
            }
        }
        first += std::complex<double>{static_cast<double>(first_re.sum()), static_cast<double>(first_im.sum())};
        second += std::complex<double>{static_cast<double>(second_re.sum()), static_cast<double>(second_im.sum())};
    }

    /// What the loss gains by node `k` of the tile.
    [[nodiscard]] std::complex<double> node_gradient(Index k) const noexcept {
        return -multiply(std::complex<double>{static_cast<double>(z_re_[k]), -static_cast<double>(z_im_[k])},
                         std::complex<double>{static_cast<double>(g_re_[k]), static_cast<double>(g_im_[k])});
    }

private:
    Index count_ = 0;
    alignas(storage_alignment) Scalar re_high_[plane];
    alignas(storage_alignment) Scalar re_low_[plane];
    alignas(storage_alignment) Scalar im_high_[plane];
    alignas(storage_alignment) Scalar im_low_[plane];
    alignas(storage_alignment) Scalar g_re_[plane];
    alignas(storage_alignment) Scalar g_im_[plane];
    alignas(storage_alignment) Scalar z_re_[plane];
    alignas(storage_alignment) Scalar z_im_[plane];
};

}  // namespace detail

/// The reverse pass of `cauchy`: adds to v_gradient, w_gradient [N] and z_gradient [L] (or nothing there, when that
/// span is empty) what a loss with the cotangent [L] of the result gains, all as d/d Re + i d/d Im. The reciprocals are
/// made again, not stored; sums over 16 lane blocks of nodes are taken in Scalar, the rest in double. O(N L); does not
/// allocate.
template <RealScalar Scalar>
void cauchy_vjp(std::span<const std::complex<double>> v, std::span<const std::complex<double>> z,
                std::span<const std::complex<double>> w, std::span<const std::complex<Scalar>> cotangent,
                std::span<std::complex<double>> v_gradient, std::span<std::complex<double>> z_gradient,
                std::span<std::complex<double>> w_gradient) noexcept {
    S4_ASSERT(v.size() == w.size() && v_gradient.size() == v.size() && w_gradient.size() == v.size() &&
                  z.size() == cotangent.size() && (z_gradient.empty() || z_gradient.size() == z.size()),
              "cauchy_vjp: sizes must agree");
    using Tile = detail::CauchyTile<Scalar>;
    Tile tile;
    const Index length = std::ssize(z);
    for (Index first = 0; first < length; first += Tile::capacity) {
        const Index count = std::min(Tile::capacity, length - first);
        tile.load(z, cotangent, first, count);
        for (std::size_t n = 0; n < v.size(); ++n) {
            std::complex<double> by_pole = 0;
            if (z_gradient.empty()) {
                tile.template add_pole<false>(v[n], w[n], v_gradient[n], by_pole);
            } else {
                tile.template add_pole<true>(v[n], w[n], v_gradient[n], by_pole);
            }
            w_gradient[n] += detail::multiply(std::conj(v[n]), by_pole);
        }
        if (z_gradient.empty()) continue;
        for (Index k = 0; k < count; ++k) z_gradient[static_cast<std::size_t>(first + k)] += tile.node_gradient(k);
    }
}

}  // namespace s4::inline S4_ABI
