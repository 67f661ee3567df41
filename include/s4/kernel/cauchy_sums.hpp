// The Cauchy sums of a kernel: nodes on the imaginary axis, several sums over the same poles, and their reverse pass
// (S4 paper, section 3 and app. C.3).
#pragma once

#include <s4/core/lanes.hpp>
#include <s4/core/storage.hpp>
#include <s4/kernel/cauchy.hpp>

#include <algorithm>
#include <cmath>
#include <complex>
#include <numbers>

namespace s4::inline S4_ABI {

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

    /// What a loss gains by the folded constants, in double: α and β of every sum, m² and ρ of every pole.
    class Gradient {
    public:
        explicit Gradient(const CauchySums& sums) : sums_{sums.sums_}, values_{sums.pairs_ * (2 + 2 * sums.sums_)} {}
        void set_zero() noexcept { values_.set_zero(); }

    private:
        friend class CauchySums;
        [[nodiscard]] double* pole(Index n) noexcept { return values_.data() + n * (2 + 2 * sums_); }
        [[nodiscard]] const double* pole(Index n) const noexcept { return values_.data() + n * (2 + 2 * sums_); }
        Index sums_;
        Storage<double> values_;  // for each pole: m², ρ, then α and β of each sum
    };

    /// The reverse pass of `evaluate`: adds to `gradient` for a cotangent laid out like `out` (d/d Re and d/d Im of
    /// every value), which must be zero in the padding of the nodes. The reciprocals are made again: about twice the
    /// flops of the forward pass. Sums over tile_nodes nodes are taken in Scalar, the rest in double. Does not
    /// allocate.
    void evaluate_vjp(const ImaginaryNodes<Scalar>& nodes, const Scalar* cotangent, Gradient& gradient) const noexcept {
        for (Index first = 0; first < nodes.padded(); first += tile_nodes) {
            const Index last = std::min(first + tile_nodes, nodes.padded());
            Index sum = 0;
            for (; sum + 4 <= sums_; sum += 4) evaluate_group_vjp<4>(nodes, first, last, sum, cotangent, gradient);
            if (sums_ - sum == 1) evaluate_group_vjp<1>(nodes, first, last, sum, cotangent, gradient);
            if (sums_ - sum == 2) evaluate_group_vjp<2>(nodes, first, last, sum, cotangent, gradient);
            if (sums_ - sum == 3) evaluate_group_vjp<3>(nodes, first, last, sum, cotangent, gradient);
        }
    }

    /// The reverse pass of `set_pole`: adds to the gradient of μ (d/d Re + i d/d Im).
    static void set_pole_vjp(const Gradient& gradient, Index n, std::complex<double> mu,
                             std::complex<double>& mu_gradient) noexcept {
        const double* pole = gradient.pole(n);
        mu_gradient += 2 * pole[0] * mu + pole[1];
    }
    /// The reverse pass of `set_numerator`: adds to the gradients of v and μ.
    static void set_numerator_vjp(const Gradient& gradient, Index sum, Index n, std::complex<double> v,
                                  std::complex<double> mu, std::complex<double>& v_gradient,
                                  std::complex<double>& mu_gradient) noexcept {
        const double* numerator = gradient.pole(n) + 2 + 2 * sum;
        v_gradient += 2 * numerator[1] - 2 * numerator[0] * mu;
        mu_gradient -= 2 * numerator[0] * v;
    }

private:
    /// How many nodes the reverse pass takes at a time: their cotangents fit in the first cache.
    static constexpr Index tile_nodes = 32 * Lanes<Scalar>::count;

    struct Reciprocal {
        Lanes<Scalar> re, im;
    };
    /// 1/((m − t)(m + t) − 2iρt).
    static Reciprocal reciprocal(const Scalar* pole, Lanes<Scalar> t, Lanes<Scalar> t_low) noexcept {
        using L = Lanes<Scalar>;
        const L modulus = L::broadcast(pole[0]);
        const L distance = (modulus - t) + (L::broadcast(pole[1]) - t_low);
        const L d_re = distance * (modulus + t);
        const L d_im = L::broadcast(pole[2]) * t;
        const L scale = L::broadcast(1) / fma(d_re, d_re, d_im * d_im);
        return {d_re * scale, -(d_im * scale)};
    }

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
                const auto [p, q] = reciprocal(pole, t, t_low);
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

    // With N_s = α_s + iβ_s t and the cotangent g_s: α_s gains Re(conj(g_s)/D), β_s gains Re(i t conj(g_s)/D), and D
    // gains E = −Σ_s conj(g_s) N_s / D², which is Re E for m² and 2 t Im E for ρ.
    template <std::size_t Group>
    void evaluate_group_vjp(const ImaginaryNodes<Scalar>& nodes, Index first, Index last, Index sum,
                            const Scalar* cotangent, Gradient& gradient) const noexcept {
        using L = Lanes<Scalar>;
        const Index padded = nodes.padded();
        for (Index n = 0; n < pairs_; ++n) {
            const Scalar* pole = poles_.data() + 3 * n;
            const Scalar* numerator = numerators_.data() + 2 * (n * sums_ + sum);
            L by_alpha[Group];
            L by_beta[Group];
            for (std::size_t s = 0; s < Group; ++s) by_alpha[s] = by_beta[s] = L::zero();
            L by_square = L::zero();
            L by_rho = L::zero();
            for (Index k = first; k < last; k += L::count) {
                const L t = L::load(nodes.high() + k);
                const auto [p, q] = reciprocal(pole, t, L::load(nodes.low() + k));
                const L tp = t * p;
                const L tq = t * q;
                // Σ_s conj(g_s) N_s = (w_re + t x_re) + i (t x_im − w_im)
                L w_re = L::zero();
                L w_im = L::zero();
                L x_re = L::zero();
                L x_im = L::zero();
                for (std::size_t s = 0; s < Group; ++s) {
                    const Scalar* from = cotangent + 2 * (sum + static_cast<Index>(s)) * padded + k;
                    const L g_re = L::load(from);
                    const L g_im = L::load(from + padded);
                    const L alpha = L::broadcast(numerator[2 * s]);
                    const L beta = L::broadcast(numerator[2 * s + 1]);
                    by_alpha[s] = fma(p, g_re, fma(q, g_im, by_alpha[s]));
                    by_beta[s] = fma(tp, g_im, fnma(tq, g_re, by_beta[s]));
                    w_re = fma(alpha, g_re, w_re);
                    w_im = fma(alpha, g_im, w_im);
                    x_re = fma(beta, g_im, x_re);
                    x_im = fma(beta, g_re, x_im);
                }
                w_re = fma(t, x_re, w_re);
                w_im = fma(t, x_im, -w_im);
                const L f_re = fnma(w_im, q, w_re * p);
                const L f_im = fma(w_im, p, w_re * q);
                by_square = fnma(f_re, p, fma(f_im, q, by_square));
                by_rho = fnma(f_im, tp, fnma(f_re, tq, by_rho));
            }
            double* to = gradient.pole(n);
            to[0] += static_cast<double>(by_square.sum());
            to[1] += 2 * static_cast<double>(by_rho.sum());
            to += 2 + 2 * sum;
            for (std::size_t s = 0; s < Group; ++s) {
                to[2 * s] += static_cast<double>(by_alpha[s].sum());
                to[2 * s + 1] += static_cast<double>(by_beta[s].sum());
            }
        }
    }

    Index pairs_;
    Index sums_;
    Storage<Scalar> poles_;
    Storage<Scalar> numerators_;
};

}  // namespace s4::inline S4_ABI
