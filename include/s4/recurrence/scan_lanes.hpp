// One lane block of a differentiable scan: its scratch, its coefficients and the arithmetic of one mode.
#pragma once

#include <s4/core/lanes.hpp>
#include <s4/core/storage.hpp>
#include <s4/recurrence/recurrence.hpp>

#include <type_traits>

namespace s4::inline S4_ABI::detail {

/// Samples from one state that a tape keeps to the next: those between are computed again.
inline constexpr Index tape_block = 64;
/// Samples whose cotangents of the state are held at once where the modes depend on each other (rank > 0).
inline constexpr Index cotangent_tile = 16;
/// Modes that run side by side where they do not: a sample of one waits for the sample before.
inline constexpr Index modes_at_once = 2;

/// Scratch of the passes below, of one lane block.
template <RealScalar Scalar>
struct ScanScratch {
    static constexpr Index width = Lanes<Scalar>::count;

    template <class Coefficients>
    explicit ScanScratch(const Coefficients& c)
        : row{2 * width * (c.rank > 0 ? c.pairs + 1 : 1)},
          state{c.pairs * 2 * width},
          adjoint{c.pairs * 2 * width},
          states{(tape_block + 1) * (c.rank > 0 ? row : modes_at_once * row)},
          cotangents{c.rank > 0 ? cotangent_tile * row : tape_block * modes_at_once * row},
          sigma{tape_block * c.rank * width},
          by_sigma{(cotangent_tile + 1) * c.rank * width},
          u{tape_block * width},
          du{tape_block * width},
          dy{c.heads * tape_block * width},
          outputs{c.heads * static_cast<Index>(scan_block) * width},
          sums{c.pairs * c.fields() * width},
          totals{c.pairs * c.fields() * width},
          feed_through{c.heads * width} {}

    Index row;                     ///< from one sample to the next in `states` and `cotangents`: [pair][re, im][lane];
                                   ///< one pair more than there are, since a power of two would use few cache lines
    Storage<Scalar> state;         ///< x: [pair][re, im][lane]
    Storage<Scalar> adjoint;       ///< what a loss gains by x after the samples gone through, without σ: as `state`
    Storage<Scalar> states;        ///< x before each sample and after the last; rank 0: [mode at once][sample]
    Storage<Scalar> cotangents;    ///< of x after each sample
    Storage<Scalar> sigma;         ///< [sample][rank][lane]
    Storage<Scalar> by_sigma;      ///< cotangents of σ: [sample][rank][lane], that of the next sample behind the last
    Storage<Scalar> u, du;         ///< [sample][lane]
    Storage<Scalar> dy;            ///< [head][sample][lane]
    Storage<Scalar> outputs;       ///< [head][step][lane]
    Storage<Scalar> sums;          ///< gradients of the fields over one block of samples: [pair][field][lane]
    Storage<double> totals;        ///< the same over all: a long sum in float would lose digits
    Storage<double> feed_through;  ///< of D: [head][lane]
};

/// What the passes of one lane block share: x ← x + (Ā − 1) x + F σ + B̄ u, σ = 2 Re(G x), y = 2 Re(C x) + D u.
template <class Coefficients>
class ScanLanes {
protected:
    static constexpr Index width = Coefficients::width;
    using Scalar = typename Coefficients::Ssm::Scalar;
    using L = Lanes<Scalar>;
    struct Complex {
        L re, im;
    };

public:
    ScanLanes(const Coefficients& c, ScanScratch<Scalar>& scratch, Index block, Index active) noexcept
        : c_{c},
          s_{scratch},
          coefficients_{c.coefficients.data() + block * c.pairs * c.fields() * width},
          feed_through_{c.feed_through.data() + block * width},
          residues_{nullptr},
          active_{active} {
        if constexpr (Coefficients::corrects)
            if (c.corrected) residues_ = c.residues.data() + block * c.pairs * 2 * width;
    }

protected:
    /// Ā − 1 of one mode, with what its rounding took.
    template <bool corrected>
    struct Factor {
        L re, im, rest_re, rest_im;

        /// Ā x + change; the rest first, while the sum is small: added last it would be rounded away each time.
        [[nodiscard]] Complex advance(Complex x, Complex change) const noexcept {
            if constexpr (corrected) {
                change.re = fma(rest_re, x.re, fnma(rest_im, x.im, change.re));
                change.im = fma(rest_re, x.im, fma(rest_im, x.re, change.im));
            }
            change.re = fnma(im, x.im, change.re);
            change.im = fma(im, x.re, change.im);
            return {x.re + fma(re, x.re, change.re), x.im + fma(re, x.im, change.im)};
        }
        /// conj(Ā) g.
        [[nodiscard]] Complex adjoint(Complex g) const noexcept {
            Complex change{im * g.im, -(im * g.re)};
            if constexpr (corrected) {
                change.re = fma(im, g.im, fma(rest_im, g.im, rest_re * g.re));
                change.im = fnma(im, g.re, fnma(rest_im, g.re, rest_re * g.im));
            }
            return {g.re + fma(re, g.re, change.re), g.im + fma(re, g.im, change.im)};
        }
    };

    [[nodiscard]] const Scalar* fields(Index n) const noexcept { return coefficients_ + n * c_.fields() * width; }
    // Re F, Im F, 2 Re G, −2 Im G.
    [[nodiscard]] const Scalar* rank_fields(Index n, Index r) const noexcept { return fields(n) + (4 + 4 * r) * width; }
    [[nodiscard]] const Scalar* output_fields(Index n, Index head) const noexcept {
        return fields(n) + (4 + 4 * c_.rank + 2 * head) * width;
    }
    [[nodiscard]] L feed_through(Index head) const noexcept {
        return L::load(feed_through_ + head * lane_blocks<Scalar>(c_.channels) * width);
    }
    template <bool corrected = false>
    [[nodiscard]] Factor<corrected> factor(Index n) const noexcept {
        const Scalar* a = fields(n);
        if constexpr (corrected) {
            const Scalar* rest = residues_ + n * 2 * width;
            return {L::load(a), L::load(a + width), L::load(rest), L::load(rest + width)};
        } else {
            return {L::load(a), L::load(a + width), L::zero(), L::zero()};
        }
    }
    // The cotangent of σ of the first sample behind those gone through.
    [[nodiscard]] Scalar* carried_sigma() const noexcept {
        return s_.by_sigma.data() + cotangent_tile * c_.rank * width;
    }
    [[nodiscard]] static Complex load(const Scalar* from) noexcept { return {L::load(from), L::load(from + width)}; }
    static void store(Complex value, Scalar* to) noexcept {
        value.re.store(to);
        value.im.store(to + width);
    }
    // sum += (two fields) · a real number.
    static void add_scaled(Complex& sum, const Scalar* two_fields, const Scalar* factor) noexcept {
        const L value = L::load(factor);
        sum.re = fma(L::load(two_fields), value, sum.re);
        sum.im = fma(L::load(two_fields + width), value, sum.im);
    }
    static L add_product(const Scalar* two_fields, Complex x, L sum) noexcept {
        return fma(L::load(two_fields + width), x.im, fma(L::load(two_fields), x.re, sum));
    }
    static void add(Scalar* to, L value) noexcept { (L::load(to) + value).store(to); }

    [[nodiscard]] const Scalar* dy(Index head, Index t) const noexcept {
        return s_.dy.data() + (head * tape_block + t) * width;
    }

    // 2 conj(C) dy of mode n, what x after a sample gains by its outputs: with one head C stays in registers.
    template <bool one_head>
    class ByOutputs {
    public:
        ByOutputs() = default;
        ByOutputs(const ScanLanes& pass, Index n) noexcept : pass_{&pass}, fields_{pass.output_fields(n, 0)} {
            if constexpr (one_head) {
                re_ = L::load(fields_);
                im_ = L::load(fields_ + width);
            }
        }
        // sum + what it gains after sample t.
        [[nodiscard]] Complex add_to(Complex sum, Index t) const noexcept {
            if constexpr (one_head) {
                const L dy = L::load(pass_->dy(0, t));
                return {fma(re_, dy, sum.re), fma(im_, dy, sum.im)};
            } else {
                for (Index head = 0; head < pass_->c_.heads; ++head)
                    add_scaled(sum, fields_ + 2 * head * width, pass_->dy(head, t));
                return sum;
            }
        }

    private:
        const ScanLanes* pass_;
        const Scalar* fields_;
        L re_, im_;
    };

    template <class Body>
    void with_heads(const Body& body) const noexcept {
        if (c_.heads == 1) return body(std::true_type{});
        body(std::false_type{});
    }
    template <class Body>
    void with_correction(const Body& body) const noexcept {
        if constexpr (Coefficients::corrects)
            if (residues_ != nullptr) return body(std::true_type{});
        body(std::false_type{});
    }
    template <class Body>
    void with_rank(const Body& body) const noexcept {
        if constexpr (Coefficients::highest_rank > 0) {
            static_assert(Coefficients::highest_rank == 4);
            switch (c_.rank) {
                case 1:
                    return body(std::integral_constant<Index, 1>{});
                case 2:
                    return body(std::integral_constant<Index, 2>{});
                case 3:
                    return body(std::integral_constant<Index, 3>{});
                default:
                    return body(std::integral_constant<Index, 4>{});
            }
        }
    }

    const Coefficients& c_;
    ScanScratch<Scalar>& s_;
    const Scalar* coefficients_;  // [pair][field][lane]
    const Scalar* feed_through_;
    const Scalar* residues_;  // or null
    Index active_;
};

}  // namespace s4::inline S4_ABI::detail
