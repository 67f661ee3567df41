// Step and scan of a diagonal-plus-low-rank system: O(rank · N) a sample, SIMD lanes over channels.
#pragma once

#include <s4/parameters/dplr.hpp>
#include <s4/recurrence/dplr_coefficients.hpp>
#include <s4/recurrence/past_inputs.hpp>
#include <s4/recurrence/recurrence.hpp>

#include <algorithm>
#include <complex>
#include <type_traits>

namespace s4::inline S4_ABI {

/// x ← x + (Ā_diag − 1) x + F σ + B̄ u, σ_r = 2 Re(G_r x), y = 2 Re(C x) + D u (see DiscreteDplr). The sums σ of the
/// next step are taken while the new state is in registers, so every sample is one pass over the state.
template <RealScalar S, class Shape>
class Recurrence<Dplr<S, Shape>> {
    using L = Lanes<S>;
    static constexpr Index width = L::count;
    using Coefficients = detail::DplrCoefficients<S, Shape>;

public:
    using Ssm = Dplr<S, Shape>;
    using Scalar = S;
    using Parameters = typename Ssm::Parameters;
    /// x [H × N/2] in the coordinates of the parameters.
    using StateMatrix = detail::RowMajorMatrix<std::complex<Scalar>, Shape::channels, Shape::pairs>;

    /// x and σ of every channel; zero at first.
    class State {
    public:
        void reset() noexcept {
            x_.set_zero();
            sigma_.set_zero();
            past_.reset();
        }

    private:
        friend class Recurrence;
        explicit State(const Recurrence& of)
            : x_{lane_blocks<Scalar>(of.c_.channels) * width * of.c_.pairs * 2},
              sigma_{lane_blocks<Scalar>(of.c_.channels) * width * max_rank},
              past_{of.c_.channels, of.c_.kernel_limit},
              sums_{of.c_.heads > 1 ? of.c_.heads * static_cast<Index>(detail::scan_block) * width : 0} {}
        Storage<Scalar, Coefficients::state_table> x_;      // [lane block][n][re, im][lane]
        Storage<Scalar, Coefficients::sigma_table> sigma_;  // [lane block][r][lane]
        PastInputs<Scalar> past_;
        Storage<Scalar, detail::head_sums_size<Scalar>(Shape::heads)> sums_;  // [head][lane], scratch
    };

    /// O(heads·H rank² N), and O(heads·H N³ log n) where the parameters hold C~ or the kernel ends after n samples; on
    /// all threads with the component s4::openmp. Error on bad parameters.
    explicit Recurrence(const Parameters& parameters) : c_{parameters} {}

    [[nodiscard]] Index channels() const noexcept { return c_.channels; }
    [[nodiscard]] Index outputs() const noexcept { return c_.heads * c_.channels; }
    [[nodiscard]] Index state_columns() const noexcept { return c_.pairs; }
    [[nodiscard]] State make_state() const { return State{*this}; }
    /// Whether the state has the sizes of this system's.
    [[nodiscard]] bool fits(const State& state) const noexcept {
        const Index lanes = lane_blocks<Scalar>(c_.channels) * width;
        return state.x_.size() == lanes * c_.pairs * 2 && state.past_.size() == lanes * c_.kernel_limit &&
               state.sums_.size() == (c_.heads > 1 ? c_.heads * static_cast<Index>(detail::scan_block) * width : 0);
    }

    void step(State& state, const Scalar* u, Scalar* y) const noexcept { scan(state, 1, u, 0, y, 0); }

    void scan(State& state, Index length, const Scalar* u, Index u_stride, Scalar* y, Index y_stride) const noexcept {
        run<detail::Flow::full>(state, length, u, u_stride, y, y_stride);
    }
    void advance(State& state, Index length, const Scalar* u, Index u_stride) const noexcept {
        run<detail::Flow::state_only>(state, length, u, u_stride, nullptr, 0);
    }
    void add_free_response(State& state, Index length, Scalar* y, Index y_stride) const noexcept {
        run<detail::Flow::free>(state, length, nullptr, 0, y, y_stride);
    }

    template <class Derived>
    void read(const State& state, Eigen::MatrixBase<Derived>& x) const noexcept {
        for (Index h = 0; h < c_.channels; ++h)
            for (Index n = 0; n < c_.pairs; ++n) {
                const Scalar* from = state.x_.data() + ((h / width * c_.pairs + n) * 2) * width + h % width;
                x(h, n) = std::complex<Scalar>{from[0], from[width]};
            }
    }
    template <class Derived>
    void write(State& state, const Eigen::MatrixBase<Derived>& x) const noexcept {
        state.past_.reset();
        for (Index h = 0; h < c_.channels; ++h) {
            double sums[max_rank] = {};
            const Index block = h / width;
            const Index lane = h % width;
            for (Index n = 0; n < c_.pairs; ++n) {
                Scalar* to = state.x_.data() + ((block * c_.pairs + n) * 2) * width + lane;
                to[0] = x(h, n).real();
                to[width] = x(h, n).imag();
                const Scalar* c = c_.coefficients.data() + (block * c_.pairs + n) * c_.fields() * width + lane;
                for (Index r = 0; r < c_.rank; ++r)
                    sums[r] += static_cast<double>(c[(6 + 4 * r) * width]) * static_cast<double>(to[0]) +
                               static_cast<double>(c[(7 + 4 * r) * width]) * static_cast<double>(to[width]);
            }
            for (Index r = 0; r < c_.rank; ++r)
                state.sigma_.data()[(block * max_rank + r) * width + lane] = static_cast<Scalar>(sums[r]);
        }
    }

private:
    template <detail::Flow flow>
    void run(State& state, Index length, const Scalar* u, Index u_stride, Scalar* y, Index y_stride) const noexcept {
        if (c_.heads > 1 || c_.kernel_limit > 0) return run_general<flow>(state, length, u, u_stride, y, y_stride);
        switch (c_.rank) {
            case 0:
                return run_rank<0, flow>(state, length, u, u_stride, y, y_stride);
            case 1:
                return run_rank<1, flow>(state, length, u, u_stride, y, y_stride);
            case 2:
                return run_rank<2, flow>(state, length, u, u_stride, y, y_stride);
            case 3:
                return run_rank<3, flow>(state, length, u, u_stride, y, y_stride);
            default:
                return run_rank<4, flow>(state, length, u, u_stride, y, y_stride);
        }
    }

    // Field `part` of rank r of the pair whose numbers begin at c: Re F, Im F, 2 Re G, −2 Im G.
    [[nodiscard]] static const Scalar* rank_field(const Scalar* c, std::size_t r, Index part) noexcept {
        return c + (4 + 4 * static_cast<Index>(r) + part) * width;
    }

    // One complex number for each lane.
    struct Pair {
        L re, im;
    };
    // B̄ u of the pair whose coefficients begin at c.
    [[nodiscard]] static Pair driven_by(const Scalar* c, L input) noexcept {
        return {L::load(c + 2 * width) * input, L::load(c + 3 * width) * input};
    }
    // One sample of the pair at x, which B̄ u changes by `change`; returns its new state and adds G x to next_sigma.
    template <class Ranks>
    [[nodiscard]] static Pair advance_pair(Ranks ranks, const Scalar* c, Scalar* x, Pair change, const L* sigma,
                                           L* next_sigma) noexcept {
        const L a_re = L::load(c);
        const L a_im = L::load(c + width);
        L re = L::load(x);
        L im = L::load(x + width);
        for (std::size_t r = 0; r < ranks; ++r) {
            change.re = fma(L::load(rank_field(c, r, 0)), sigma[r], change.re);
            change.im = fma(L::load(rank_field(c, r, 1)), sigma[r], change.im);
        }
        change.re = fma(a_re, re, fnma(a_im, im, change.re));
        change.im = fma(a_re, im, fma(a_im, re, change.im));
        re += change.re;
        im += change.im;
        re.store(x);
        im.store(x + width);
        for (std::size_t r = 0; r < ranks; ++r)
            next_sigma[r] = fma(L::load(rank_field(c, r, 3)), im, fma(L::load(rank_field(c, r, 2)), re, next_sigma[r]));
        return {re, im};
    }

    template <std::size_t Rank, detail::Flow flow>
    void run_rank(State& state, Index length, const Scalar* u, Index u_stride, Scalar* y,
                  Index y_stride) const noexcept {
        static_assert(Rank <= static_cast<std::size_t>(max_rank));
        constexpr Index fields = 6 + 4 * static_cast<Index>(Rank);
        constexpr Index output_field = fields - 2;
        constexpr std::size_t slots = std::max<std::size_t>(Rank, 1);
        S4_ASSERT(fits(state), "Recurrence: the state belongs to another system");
        detail::for_each_lane_block<Scalar>(c_.channels, [&](Index block, Index first, Index active) {
            const L D = L::load(c_.feed_through.data() + first);
            L sigma[slots];
            for (std::size_t r = 0; r < Rank; ++r)
                sigma[r] = L::load(state.sigma_.data() + (block * max_rank + static_cast<Index>(r)) * width);
            for (Index t = 0; t < length; ++t) {
                const L input =
                    flow == detail::Flow::free ? L::zero() : L::load_first(u + first + t * u_stride, active);
                L next_sigma[slots];
                for (std::size_t r = 0; r < Rank; ++r) next_sigma[r] = L::zero();
                L output = flow == detail::Flow::free ? L::load_first(y + first + t * y_stride, active) : D * input;
                Scalar* x = state.x_.data() + block * c_.pairs * 2 * width;
                const Scalar* c = c_.coefficients.data() + block * c_.pairs * fields * width;
                for (Index n = 0; n < c_.pairs; ++n, x += 2 * width, c += fields * width) {
                    const Pair state_n = advance_pair(std::integral_constant<std::size_t, Rank>{}, c, x,
                                                      driven_by(c, input), sigma, next_sigma);
                    if constexpr (flow != detail::Flow::state_only)
                        output = fma(L::load(c + (output_field + 1) * width), state_n.im,
                                     fma(L::load(c + output_field * width), state_n.re, output));
                }
                for (std::size_t r = 0; r < Rank; ++r) sigma[r] = next_sigma[r];
                if constexpr (flow != detail::Flow::state_only) output.store_first(y + first + t * y_stride, active);
            }
            for (std::size_t r = 0; r < Rank; ++r)
                sigma[r].store(state.sigma_.data() + (block * max_rank + static_cast<Index>(r)) * width);
        });
    }

    // The same for any number of heads and a kernel that may end.
    template <detail::Flow flow>
    void run_general(State& state, Index length, const Scalar* u, Index u_stride, Scalar* y,
                     Index y_stride) const noexcept {
        S4_ASSERT(fits(state), "Recurrence: the state belongs to another system");
        alignas(storage_alignment) Scalar one_head[static_cast<std::size_t>(width)];
        Scalar* const sums = c_.heads > 1 ? state.sums_.data() : one_head;
        const auto ranks = static_cast<std::size_t>(c_.rank);
        detail::for_each_lane_block<Scalar>(c_.channels, [&](Index block, Index first, Index active) {
            L sigma[max_rank];
            for (std::size_t r = 0; r < ranks; ++r)
                sigma[r] = L::load(state.sigma_.data() + (block * max_rank + static_cast<Index>(r)) * width);
            for (Index t = 0; t < length; ++t) {
                const L input =
                    flow == detail::Flow::free ? L::zero() : L::load_first(u + first + t * u_stride, active);
                const L delayed = c_.kernel_limit > 0 ? state.past_.exchange(block, t, input) : L::zero();
                Scalar* const out = flow == detail::Flow::state_only ? nullptr : y + first + t * y_stride;
                if constexpr (flow != detail::Flow::state_only)
                    for (Index head = 0; head < c_.heads; ++head) {
                        const Scalar* D =
                            c_.feed_through.data() + head * lane_blocks<Scalar>(c_.channels) * width + first;
                        const L start = flow == detail::Flow::free ? L::load_first(out + head * c_.channels, active)
                                                                   : L::load(D) * input;
                        start.store(sums + head * width);
                    }
                L next_sigma[max_rank];
                for (std::size_t r = 0; r < ranks; ++r) next_sigma[r] = L::zero();
                Scalar* x = state.x_.data() + block * c_.pairs * 2 * width;
                const Scalar* c = c_.coefficients.data() + block * c_.pairs * c_.fields() * width;
                const Scalar* gone = c_.kernel_limit > 0 ? c_.forgotten.data() + block * c_.pairs * 2 * width : nullptr;
                for (Index n = 0; n < c_.pairs; ++n, x += 2 * width, c += c_.fields() * width) {
                    Pair change = driven_by(c, input);
                    if (gone != nullptr)
                        change = {fnma(L::load(gone + n * 2 * width), delayed, change.re),
                                  fnma(L::load(gone + n * 2 * width + width), delayed, change.im)};
                    const Pair state_n = advance_pair(ranks, c, x, change, sigma, next_sigma);
                    if constexpr (flow != detail::Flow::state_only) {
                        const Scalar* outputs = c + (4 + 4 * c_.rank) * width;
                        for (Index head = 0; head < c_.heads; ++head, outputs += 2 * width)
                            fma(L::load(outputs + width), state_n.im,
                                fma(L::load(outputs), state_n.re, L::load(sums + head * width)))
                                .store(sums + head * width);
                    }
                }
                for (std::size_t r = 0; r < ranks; ++r) sigma[r] = next_sigma[r];
                if constexpr (flow != detail::Flow::state_only)
                    for (Index head = 0; head < c_.heads; ++head)
                        L::load(sums + head * width).store_first(out + head * c_.channels, active);
            }
            for (std::size_t r = 0; r < ranks; ++r)
                sigma[r].store(state.sigma_.data() + (block * max_rank + static_cast<Index>(r)) * width);
        });
        state.past_.advance(length);
    }

    Coefficients c_;
};

}  // namespace s4::inline S4_ABI
