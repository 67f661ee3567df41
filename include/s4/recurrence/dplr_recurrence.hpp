// Step and scan of a diagonal-plus-low-rank system: O(rank · N) a sample, SIMD lanes over channels.
#pragma once

#include <s4/core/parallel.hpp>
#include <s4/discretize/dplr.hpp>
#include <s4/parameters/dplr.hpp>
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
    static constexpr int state_table =
        detail::lane_table_size<S>(Shape::channels, Shape::pairs == Dynamic ? Dynamic : 2 * Shape::pairs);
    static constexpr int sigma_table = detail::lane_table_size<S>(Shape::channels, max_rank);
    // Room for the highest rank when the sizes are static: no heap.
    static constexpr int coefficient_table = state_table == Dynamic || Shape::heads == Dynamic
                                                 ? Dynamic
                                                 : state_table / 2 * (4 + 4 * max_rank + 2 * Shape::heads);

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
            : x_{lane_blocks<Scalar>(of.channels_) * width * of.pairs_ * 2},
              sigma_{lane_blocks<Scalar>(of.channels_) * width * max_rank},
              past_{of.channels_, of.kernel_limit_},
              sums_{of.heads_ > 1 ? of.heads_ * static_cast<Index>(detail::scan_block) * width : 0} {}
        Storage<Scalar, state_table> x_;      // [lane block][n][re, im][lane]
        Storage<Scalar, sigma_table> sigma_;  // [lane block][r][lane]
        PastInputs<Scalar> past_;
        Storage<Scalar, detail::head_sums_size<Scalar>(Shape::heads)> sums_;  // [head][lane], scratch
    };

    /// O(heads·H rank² N), and O(heads·H N³ log n) where the parameters hold C~ or the kernel ends after n samples; on
    /// all threads with the component s4::openmp. Error on bad parameters.
    explicit Recurrence(const Parameters& parameters)
        : channels_{checked(parameters).channels()},
          heads_{parameters.heads()},
          pairs_{parameters.A_real.cols()},
          rank_{parameters.rank()},
          kernel_limit_{parameters.kernel_limit},
          coefficients_{table_size(parameters)},
          forgotten_{kernel_limit_ > 0 ? lane_blocks<Scalar>(channels_) * width * pairs_ * 2 : 0},
          feed_through_{heads_ * lane_blocks<Scalar>(channels_) * width} {
        parallel_for(channels_, [&](Index h) { set_channel(parameters, h); });
        detail::require_finite(Ssm::name, coefficients_);
    }

    [[nodiscard]] Index channels() const noexcept { return channels_; }
    [[nodiscard]] Index outputs() const noexcept { return heads_ * channels_; }
    [[nodiscard]] Index state_columns() const noexcept { return pairs_; }
    [[nodiscard]] State make_state() const { return State{*this}; }

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
        for (Index h = 0; h < channels_; ++h)
            for (Index n = 0; n < pairs_; ++n) {
                const Scalar* from = state.x_.data() + ((h / width * pairs_ + n) * 2) * width + h % width;
                x(h, n) = std::complex<Scalar>{from[0], from[width]};
            }
    }
    template <class Derived>
    void write(State& state, const Eigen::MatrixBase<Derived>& x) const noexcept {
        state.past_.reset();
        for (Index h = 0; h < channels_; ++h) {
            double sums[max_rank] = {};
            const Index block = h / width;
            const Index lane = h % width;
            for (Index n = 0; n < pairs_; ++n) {
                Scalar* to = state.x_.data() + ((block * pairs_ + n) * 2) * width + lane;
                to[0] = x(h, n).real();
                to[width] = x(h, n).imag();
                const Scalar* c = coefficients_.data() + (block * pairs_ + n) * fields() * width + lane;
                for (Index r = 0; r < rank_; ++r)
                    sums[r] += static_cast<double>(c[(6 + 4 * r) * width]) * static_cast<double>(to[0]) +
                               static_cast<double>(c[(7 + 4 * r) * width]) * static_cast<double>(to[width]);
            }
            for (Index r = 0; r < rank_; ++r)
                state.sigma_.data()[(block * max_rank + r) * width + lane] = static_cast<Scalar>(sums[r]);
        }
    }

private:
    static const Parameters& checked(const Parameters& parameters) {
        Ssm::validate(parameters);
        return parameters;
    }
    // Numbers a pair: Ā − 1, B̄, for each rank F and G, for each head C, all complex.
    [[nodiscard]] Index fields() const noexcept { return 4 + 4 * rank_ + 2 * heads_; }
    static Index table_size(const Parameters& p) {
        if constexpr (coefficient_table != Dynamic) return coefficient_table;
        return lane_blocks<Scalar>(p.channels()) * width * p.A_real.cols() * (4 + 4 * p.rank() + 2 * p.heads());
    }

    void set_channel(const Parameters& parameters, Index h) {
        for (Index head = 0; head < heads_; ++head) {
            const DplrSystem system = to_plain(Ssm::system(parameters, h, head));
            if (head == 0) set_states(h, system);
            for (Index n = 0; n < pairs_; ++n) {
                Scalar* to = coefficients_.data() + (h / width * pairs_ + n) * fields() * width + h % width +
                             (4 + 4 * rank_ + 2 * head) * width;
                to[0] = static_cast<Scalar>(2 * system.C[n].real());
                to[width] = static_cast<Scalar>(-2 * system.C[n].imag());
            }
            feed_through_.data()[head * lane_blocks<Scalar>(channels_) * width + h] = static_cast<Scalar>(system.D);
        }
    }
    void set_states(Index h, const DplrSystem& system) {
        const DiscreteDplr discrete = discretize(Bilinear{}, system);
        for (Index n = 0; n < pairs_; ++n) {
            Scalar* to = coefficients_.data() + (h / width * pairs_ + n) * fields() * width + h % width;
            const auto put = [&to](double value) {
                *to = static_cast<Scalar>(value);
                to += width;
            };
            put(discrete.a_minus_one[n].real());
            put(discrete.a_minus_one[n].imag());
            put(discrete.B_bar[n].real());
            put(discrete.B_bar[n].imag());
            for (Index r = 0; r < rank_; ++r) {
                put(discrete.F(n, r).real());
                put(discrete.F(n, r).imag());
                put(2 * discrete.G(r, n).real());
                put(-2 * discrete.G(r, n).imag());
            }
        }
        if (kernel_limit_ == 0) return;
        const Eigen::VectorXcd forgotten = detail::delayed_input(system, kernel_limit_);
        for (Index n = 0; n < pairs_; ++n) {
            Scalar* to = forgotten_.data() + (h / width * pairs_ + n) * 2 * width + h % width;
            to[0] = static_cast<Scalar>(forgotten[n].real());
            to[width] = static_cast<Scalar>(forgotten[n].imag());
        }
    }

    template <detail::Flow flow>
    void run(State& state, Index length, const Scalar* u, Index u_stride, Scalar* y, Index y_stride) const noexcept {
        if (heads_ > 1 || kernel_limit_ > 0) return run_general<flow>(state, length, u, u_stride, y, y_stride);
        switch (rank_) {
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

    template <std::size_t Rank, detail::Flow flow>
    void run_rank(State& state, Index length, const Scalar* u, Index u_stride, Scalar* y,
                  Index y_stride) const noexcept {
        static_assert(Rank <= static_cast<std::size_t>(max_rank));
        constexpr Index fields = 6 + 4 * static_cast<Index>(Rank);
        constexpr Index output_field = fields - 2;
        constexpr std::size_t slots = std::max<std::size_t>(Rank, 1);
        S4_ASSERT(state.x_.size() == lane_blocks<Scalar>(channels_) * width * pairs_ * 2,
                  "Recurrence: the state belongs to another system");
        detail::for_each_lane_block<Scalar>(channels_, [&](Index block, Index first, Index active) {
            const L D = L::load(feed_through_.data() + first);
            L sigma[slots];
            for (std::size_t r = 0; r < Rank; ++r)
                sigma[r] = L::load(state.sigma_.data() + (block * max_rank + static_cast<Index>(r)) * width);
            for (Index t = 0; t < length; ++t) {
                const L input =
                    flow == detail::Flow::free ? L::zero() : L::load_first(u + first + t * u_stride, active);
                L next_sigma[slots];
                for (std::size_t r = 0; r < Rank; ++r) next_sigma[r] = L::zero();
                L output = flow == detail::Flow::free ? L::load_first(y + first + t * y_stride, active) : D * input;
                Scalar* x = state.x_.data() + block * pairs_ * 2 * width;
                const Scalar* c = coefficients_.data() + block * pairs_ * fields * width;
                for (Index n = 0; n < pairs_; ++n, x += 2 * width, c += fields * width) {
                    const L a_re = L::load(c);
                    const L a_im = L::load(c + width);
                    L re = L::load(x);
                    L im = L::load(x + width);
                    L change_re = L::load(c + 2 * width) * input;
                    L change_im = L::load(c + 3 * width) * input;
                    for (std::size_t r = 0; r < Rank; ++r) {
                        change_re = fma(L::load(rank_field(c, r, 0)), sigma[r], change_re);
                        change_im = fma(L::load(rank_field(c, r, 1)), sigma[r], change_im);
                    }
                    change_re = fma(a_re, re, fnma(a_im, im, change_re));
                    change_im = fma(a_re, im, fma(a_im, re, change_im));
                    re += change_re;
                    im += change_im;
                    re.store(x);
                    im.store(x + width);
                    if constexpr (flow != detail::Flow::state_only)
                        output = fma(L::load(c + (output_field + 1) * width), im,
                                     fma(L::load(c + output_field * width), re, output));
                    for (std::size_t r = 0; r < Rank; ++r)
                        next_sigma[r] =
                            fma(L::load(rank_field(c, r, 3)), im, fma(L::load(rank_field(c, r, 2)), re, next_sigma[r]));
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
        S4_ASSERT(state.x_.size() == lane_blocks<Scalar>(channels_) * width * pairs_ * 2,
                  "Recurrence: the state belongs to another system");
        alignas(storage_alignment) Scalar one_head[static_cast<std::size_t>(width)];
        Scalar* const sums = heads_ > 1 ? state.sums_.data() : one_head;
        const auto ranks = static_cast<std::size_t>(rank_);
        detail::for_each_lane_block<Scalar>(channels_, [&](Index block, Index first, Index active) {
            L sigma[max_rank];
            for (std::size_t r = 0; r < ranks; ++r)
                sigma[r] = L::load(state.sigma_.data() + (block * max_rank + static_cast<Index>(r)) * width);
            for (Index t = 0; t < length; ++t) {
                const L input =
                    flow == detail::Flow::free ? L::zero() : L::load_first(u + first + t * u_stride, active);
                const L delayed = kernel_limit_ > 0 ? state.past_.exchange(block, t, input) : L::zero();
                Scalar* const out = flow == detail::Flow::state_only ? nullptr : y + first + t * y_stride;
                if constexpr (flow != detail::Flow::state_only)
                    for (Index head = 0; head < heads_; ++head) {
                        const Scalar* D = feed_through_.data() + head * lane_blocks<Scalar>(channels_) * width + first;
                        const L start = flow == detail::Flow::free ? L::load_first(out + head * channels_, active)
                                                                   : L::load(D) * input;
                        start.store(sums + head * width);
                    }
                L next_sigma[max_rank];
                for (std::size_t r = 0; r < ranks; ++r) next_sigma[r] = L::zero();
                Scalar* x = state.x_.data() + block * pairs_ * 2 * width;
                const Scalar* c = coefficients_.data() + block * pairs_ * fields() * width;
                const Scalar* gone = kernel_limit_ > 0 ? forgotten_.data() + block * pairs_ * 2 * width : nullptr;
                for (Index n = 0; n < pairs_; ++n, x += 2 * width, c += fields() * width) {
                    const L a_re = L::load(c);
                    const L a_im = L::load(c + width);
                    L re = L::load(x);
                    L im = L::load(x + width);
                    L change_re = L::load(c + 2 * width) * input;
                    L change_im = L::load(c + 3 * width) * input;
                    if (gone != nullptr) {
                        change_re = fnma(L::load(gone + n * 2 * width), delayed, change_re);
                        change_im = fnma(L::load(gone + n * 2 * width + width), delayed, change_im);
                    }
                    for (std::size_t r = 0; r < ranks; ++r) {
                        change_re = fma(L::load(rank_field(c, r, 0)), sigma[r], change_re);
                        change_im = fma(L::load(rank_field(c, r, 1)), sigma[r], change_im);
                    }
                    change_re = fma(a_re, re, fnma(a_im, im, change_re));
                    change_im = fma(a_re, im, fma(a_im, re, change_im));
                    re += change_re;
                    im += change_im;
                    re.store(x);
                    im.store(x + width);
                    for (std::size_t r = 0; r < ranks; ++r)
                        next_sigma[r] =
                            fma(L::load(rank_field(c, r, 3)), im, fma(L::load(rank_field(c, r, 2)), re, next_sigma[r]));
                    if constexpr (flow != detail::Flow::state_only) {
                        const Scalar* outputs = c + (4 + 4 * rank_) * width;
                        for (Index head = 0; head < heads_; ++head, outputs += 2 * width)
                            fma(L::load(outputs + width), im, fma(L::load(outputs), re, L::load(sums + head * width)))
                                .store(sums + head * width);
                    }
                }
                for (std::size_t r = 0; r < ranks; ++r) sigma[r] = next_sigma[r];
                if constexpr (flow != detail::Flow::state_only)
                    for (Index head = 0; head < heads_; ++head)
                        L::load(sums + head * width).store_first(out + head * channels_, active);
            }
            for (std::size_t r = 0; r < ranks; ++r)
                sigma[r].store(state.sigma_.data() + (block * max_rank + static_cast<Index>(r)) * width);
        });
        state.past_.advance(length);
    }

    Index channels_;
    Index heads_;
    Index pairs_;
    Index rank_;
    Index kernel_limit_;
    Storage<Scalar, coefficient_table> coefficients_;  // [lane block][n][field][lane]
    Storage<Scalar> forgotten_;                        // Ā^m B̄, with which an input leaves again: [n][re, im][lane]
    Storage<Scalar, detail::lane_table_size<Scalar>(Shape::channels, Shape::heads)>
        feed_through_;  // D: [head][channel]
};

}  // namespace s4::inline S4_ABI
