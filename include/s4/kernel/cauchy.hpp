// Cauchy sums Σ_n v_n / (z_l − w_n) over conjugate pairs: the heart of the S4 kernel (S4 paper, section 3 and app.
// C.3).
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

/// Nodes on the imaginary axis, i t_k with t_k = tan(πk/n) for k < n/2: the images of the n-th roots of unity
/// e^{-2πik/n} under the bilinear map (1 − w)/(1 + w). The root −1, whose image is infinite, is left out: kernels have
/// a closed form there. Kept as pairs of numbers, padded to whole lane blocks.
template <RealScalar Scalar>
class ImaginaryNodes {
public:
    /// The n/2 nodes of an even n (one node, 0, for n = 1). O(n).
    explicit ImaginaryNodes(Index n)
        : count_{std::max<Index>(n / 2, 1)},
          padded_{lane_blocks<Scalar>(count_) * Lanes<Scalar>::count},
          high_{padded_},
          low_{padded_} {
        for (Index k = 0; k < padded_; ++k) {
            const detail::TwoFloat<Scalar> t{tangent(std::min(k, count_ - 1), n)};
            high_.data()[k] = t.high;
            low_.data()[k] = t.low;
        }
    }

    /// tan(πk/n), near the pole of the tangent as 1/tan of the distance to it, which is exact in integers.
    [[nodiscard]] static double tangent(Index k, Index n) noexcept {
        const double step = std::numbers::pi / static_cast<double>(n);
        return 4 * k <= n ? std::tan(step * static_cast<double>(k))
                          : 1 / std::tan(0.5 * step * static_cast<double>(n - 2 * k));
    }

    /// Number of nodes.
    [[nodiscard]] Index count() const noexcept { return count_; }
    /// The same in whole lane blocks; the last node is repeated.
    [[nodiscard]] Index padded() const noexcept { return padded_; }
    /// t_k rounded to Scalar [padded].
    [[nodiscard]] const Scalar* high() const noexcept { return high_.data(); }
    /// What the rounding took [padded].
    [[nodiscard]] const Scalar* low() const noexcept { return low_.data(); }

private:
    Index count_;
    Index padded_;
    Storage<Scalar> high_;
    Storage<Scalar> low_;
};

/// Poles μ_n and the numerators of several Cauchy sums over them, folded into the constants that the sums read.
///
/// A conjugate pair at a node it on the axis is one real-coefficient fraction:
///   v/(it − μ) + conj(v)/(it − conj μ) = (α + iβt) / ((m − t)(m + t) − 2iρt),  α = −2 Re(v conj μ), β = 2 Re v,
/// with m = |μ|, ρ = Re μ: one division for the pair, shared by all sums; m − t is taken in pairs of numbers.
template <RealScalar Scalar>
class CauchySums {
public:
    /// Room for `sums` sums over `pairs` poles.
    CauchySums(Index pairs, Index sums)
        : pairs_{pairs}, sums_{sums}, poles_{3 * pairs}, numerators_{2 * pairs * sums} {}

    /// μ_n.
    void set_pole(Index n, std::complex<double> mu) noexcept {
        const detail::TwoFloat<Scalar> modulus{std::abs(mu)};
        Scalar* pole = poles_.data() + 3 * n;
        pole[0] = modulus.high;
        pole[1] = modulus.low;
        pole[2] = static_cast<Scalar>(-2 * mu.real());
    }
    /// The numerator v of pole n in sum `sum`; `mu` is that pole.
    void set_numerator(Index sum, Index n, std::complex<double> v, std::complex<double> mu) noexcept {
        Scalar* numerator = numerators_.data() + 2 * (n * sums_ + sum);
        numerator[0] = static_cast<Scalar>(-2 * (v.real() * mu.real() + v.imag() * mu.imag()));
        numerator[1] = static_cast<Scalar>(2 * v.real());
    }

    /// out[(2s + part) · nodes.padded() + k] for sum s, part 0 real, 1 imaginary. 32 flops per node and pair for four
    /// sums (rank 1), four sums at a time. O(sums · N · L); does not allocate.
    void evaluate(const ImaginaryNodes<Scalar>& nodes, Scalar* out) const noexcept {
        Index sum = 0;
        for (; sum + 4 <= sums_; sum += 4) evaluate_group<4>(nodes, sum, out);
        switch (sums_ - sum) {
            case 1:
                return evaluate_group<1>(nodes, sum, out);
            case 2:
                return evaluate_group<2>(nodes, sum, out);
            case 3:
                return evaluate_group<3>(nodes, sum, out);
            default:
                return;
        }
    }

private:
    template <std::size_t Group>
    void evaluate_group(const ImaginaryNodes<Scalar>& nodes, Index first, Scalar* out) const noexcept {
        using L = Lanes<Scalar>;
        for (Index k = 0; k < nodes.padded(); k += L::count) {
            const L t = L::load(nodes.high() + k);
            const L t_low = L::load(nodes.low() + k);
            L re[Group];
            L im[Group];
            for (std::size_t s = 0; s < Group; ++s) re[s] = im[s] = L::zero();
            const Scalar* pole = poles_.data();
            const Scalar* numerator = numerators_.data() + 2 * first;
            for (Index n = 0; n < pairs_; ++n, pole += 3, numerator += 2 * sums_) {
                const L modulus = L::broadcast(pole[0]);
                const L distance = (modulus - t) + (L::broadcast(pole[1]) - t_low);
                const L d_re = distance * (modulus + t);
                const L d_im = L::broadcast(pole[2]) * t;  // minus the imaginary part: 1/D = (d_re − i Im D)/|D|²
                const L reciprocal = L::broadcast(1) / fma(d_re, d_re, d_im * d_im);
                const L p = d_re * reciprocal;
                const L q = -(d_im * reciprocal);
                const L tp = t * p;
                const L tq = t * q;
                for (std::size_t s = 0; s < Group; ++s) {
                    const L alpha = L::broadcast(numerator[2 * s]);
                    const L beta = L::broadcast(numerator[2 * s + 1]);
                    re[s] = fnma(beta, tq, fma(alpha, p, re[s]));
                    im[s] = fma(beta, tp, fma(alpha, q, im[s]));
                }
            }
            for (std::size_t s = 0; s < Group; ++s) {
                Scalar* to = out + 2 * (first + static_cast<Index>(s)) * nodes.padded() + k;
                re[s].store(to);
                im[s].store(to + nodes.padded());
            }
        }
    }

    Index pairs_;
    Index sums_;
    Storage<Scalar> poles_;
    Storage<Scalar> numerators_;
};

}  // namespace s4::inline S4_ABI
