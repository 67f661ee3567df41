// The scan as a differentiable function with a state in and out: exact training over long sequences in chunks.
#pragma once

#include <s4/core/sequence.hpp>
#include <s4/parameters/bidirectional.hpp>
#include <s4/recurrence/scan_coefficients.hpp>
#include <s4/recurrence/scan_reverse.hpp>

#include <algorithm>
#include <complex>
#include <span>
#include <vector>

namespace s4::inline S4_ABI {

/// y, x_L = scan(x_0, u) of a Diagonal (any DifferentiableRule) or Dplr system, and its reverse pass: what the
/// Recurrence of `Ssm` computes, for training. A chunk hands its x_L to the next as x_0, and on the way back takes that
/// chunk's dx_0 as its dx_L: the gradients of all chunks then add up to that of the whole sequence.
///   ScanVjp<Ssm> scan{parameters}                 coefficients, computed in double and rounded once
///   auto workspace = scan.make_workspace()        scratch, one for each thread
///   auto tape = scan.make_tape(length)            what a chunk's forward pass leaves for its reverse pass
///   auto gradients = scan.zero_gradients()        of the systems; add_channel_gradient makes them those of parameters
///   scan.forward(workspace, tape, x0, u, y, xL)
///   scan.vjp(workspace, tape, u, dy, dxL, du, dx0, gradients)
/// A const object is shared by threads; each sequence of a batch has a tape of its own. (BPTT; the adjoint of x is
/// g_t = Ā* g_{t+1} + 2 conj(C) dy_t.)
template <class Ssm_>
class ScanVjp {
    static_assert(is_causal<Ssm_>,
                  "s4::ScanVjp: a bidirectional system looks ahead of every sample, so it has no recurrence to "
                  "differentiate: train it through the kernels of whole sequences");
    using Coefficients = detail::ScanCoefficients<Ssm_>;
    using Pass = detail::ScanPass<Coefficients>;

public:
    using Ssm = Ssm_;
    using Scalar = typename Ssm::Scalar;
    using Parameters = typename Ssm::Parameters;
    using System = typename Coefficients::System;  ///< DiagonalSystem or DplrSystem: holds gradients
    /// x [H × N/2] in the coordinates of the parameters, as Recurrence reads and writes it; its cotangents.
    using StateMatrix = detail::RowMajorMatrix<std::complex<Scalar>, Ssm::Shape::channels, Ssm::Shape::pairs>;

    /// O(heads·H rank² N). Error on bad parameters, where the rule makes a mode grow, with a kernel_limit (a state then
    /// is not all of the past), and for a Dplr with C~ (convert it with to_plain first).
    explicit ScanVjp(const Parameters& parameters) : c_{parameters} {}

    /// H: inputs.
    [[nodiscard]] Index channels() const noexcept { return c_.channels; }
    /// heads·H: outputs.
    [[nodiscard]] Index outputs() const noexcept { return c_.heads * c_.channels; }
    /// N/2.
    [[nodiscard]] Index state_columns() const noexcept { return c_.pairs; }

    /// Scratch of both passes, one for each thread: about 100 N numbers a lane, fewer for a Diagonal.
    class Workspace {
    public:
        explicit Workspace(const ScanVjp& scan) : lanes_{scan.c_}, scratch_{scan.c_} {}

    private:
        friend class ScanVjp;
        detail::ScanScratch<Scalar> lanes_;
        typename Coefficients::Scratch scratch_;
    };
    /// A Workspace. Allocates.
    [[nodiscard]] Workspace make_workspace() const {
        return detail::or_out_of_memory("ScanVjp::make_workspace", [this] { return Workspace{*this}; });
    }

    /// The states x before every 64th sample: H·N·(length/64) numbers. What is between them is computed again.
    class Tape {
    public:
        /// For up to `length` ≥ 0 samples. Error when it is negative.
        Tape(const ScanVjp& scan, Index length)
            : states_{lane_blocks<Scalar>(scan.c_.channels) * checked(length) * scan.state_size()}, capacity_{length} {}
        /// The longest chunk it holds.
        [[nodiscard]] Index capacity() const noexcept { return capacity_; }

    private:
        friend class ScanVjp;
        static Index checked(Index length) {
            detail::require(length >= 0 && length <= max_length, "ScanVjp::Tape: the length must lie in [0, ",
                            max_length, "], found ", length);
            return blocks_in(length);
        }
        static constexpr Index max_length = Index{1} << 40;
        Storage<Scalar> states_;  // [lane block][block of samples][pair][re, im][lane]
        Index capacity_;
        Index length_ = 0;
    };
    /// A Tape for chunks of up to `length` samples. Allocates; error when the length is negative.
    [[nodiscard]] Tape make_tape(Index length) const {
        return detail::or_out_of_memory("ScanVjp::make_tape", [&] { return Tape{*this, length}; });
    }

    /// A state of zeros [H × N/2].
    [[nodiscard]] StateMatrix zero_state() const {
        return detail::or_out_of_memory("ScanVjp::zero_state", [this] {
            StateMatrix x;
            x.setZero(c_.channels, c_.pairs);
            return x;
        });
    }
    /// A gradient of zeros for every system, [heads·H] in rows c·H + h.
    [[nodiscard]] std::vector<System> zero_gradients() const {
        return detail::or_out_of_memory("ScanVjp::zero_gradients", [this] {
            std::vector<System> gradients;
            for (Index row = 0; row < outputs(); ++row) gradients.push_back(c_.zero_gradient(row % c_.channels));
            return gradients;
        });
    }

    /// y [L × heads·H] and x_L [H × N/2] from u [L × H] and x_0 [H × N/2]; x_L may be x_0. O(heads·H N L).
    void forward(Workspace& workspace, Tape& tape, const StateMatrix& x_0, const SequenceView<Scalar>& u,
                 const SequenceOut<Scalar>& y, StateMatrix& x_L) const noexcept {
        S4_ASSERT(u.rows() == y.rows() && u.rows() <= tape.capacity_ && u.cols() == channels() && y.cols() == outputs(),
                  "ScanVjp::forward: u must be [L × H] and y [L × heads·H], with L up to the length of the tape");
        S4_ASSERT(is_state(x_0) && is_state(x_L), "ScanVjp::forward: a state must be [H × N/2]");
        S4_ASSERT(fits(workspace, tape), "ScanVjp::forward: the workspace or the tape belongs to another system");
        tape.length_ = u.rows();
        Scalar* state = workspace.lanes_.state.data();
        detail::for_each_lane_block<Scalar>(c_.channels, [&](Index block, Index first, Index active) {
            const Pass pass{c_, workspace.lanes_, block, active};
            load_lanes(x_0, first, active, state);
            Scalar* kept = tape.states_.data() + block * blocks_in(tape.capacity_) * state_size();
            for (Index t = 0; t < u.rows(); t += detail::tape_block, kept += state_size()) {
                std::copy_n(state, state_size(), kept);
                pass.advance(std::min(detail::tape_block, u.rows() - t), u.row(t) + first, u.row_stride(),
                             y.row(t) + first, y.row_stride());
            }
            store_lanes(state, first, active, x_L);
        });
    }

    /// The reverse pass of the `forward` that wrote `tape`, with the same u: from the cotangents dy [L × heads·H] and
    /// dx_L [H × N/2] (d/d Re + i d/d Im) to those of u and x_0, du [L × H] and dx_0 [H × N/2] (overwritten; du may be
    /// u or, with one head, dy; dx_0 may be dx_L), and to the gradients of the systems, in natural values, which are
    /// added to `gradients` [heads·H]: C and D of output c·H + h in row c·H + h; λ, B, dt and P, which heads share, in
    /// that of head 0. O(heads·H N L), three to four times the forward pass.
    void vjp(Workspace& workspace, const Tape& tape, const SequenceView<Scalar>& u, const SequenceView<Scalar>& dy,
             const StateMatrix& dx_L, const SequenceOut<Scalar>& du, StateMatrix& dx_0,
             std::span<System> gradients) const noexcept {
        S4_ASSERT(u.rows() == dy.rows() && u.rows() == du.rows() && u.cols() == channels() && du.cols() == channels() &&
                      dy.cols() == outputs(),
                  "ScanVjp::vjp: u and du must be [L × H], dy [L × heads·H]");
        S4_ASSERT(u.rows() == tape.length_, "ScanVjp::vjp: the tape was written by a chunk of another length");
        S4_ASSERT(is_state(dx_L) && is_state(dx_0), "ScanVjp::vjp: the cotangent of a state must be [H × N/2]");
        S4_ASSERT(std::ssize(gradients) == outputs(), "ScanVjp::vjp: one gradient for each output, [heads·H]");
        S4_ASSERT(fits(workspace, tape), "ScanVjp::vjp: the workspace or the tape belongs to another system");
        detail::ScanScratch<Scalar>& lanes = workspace.lanes_;
        detail::for_each_lane_block<Scalar>(c_.channels, [&](Index block, Index first, Index active) {
            const Pass pass{c_, lanes, block, active};
            load_lanes(dx_L, first, active, lanes.adjoint.data());
            pass.begin_reverse();
            const Scalar* kept = tape.states_.data() + block * blocks_in(tape.capacity_) * state_size();
            for (Index number = blocks_in(u.rows()) - 1; number >= 0; --number) {
                const Index start = number * detail::tape_block;
                const Index length = std::min(detail::tape_block, u.rows() - start);
                std::copy_n(kept + number * state_size(), state_size(), lanes.state.data());
                load_rows(u, start, length, first, active, lanes.u.data());
                for (Index head = 0; head < c_.heads; ++head)
                    load_rows(dy, start, length, head * c_.channels + first, active,
                              lanes.dy.data() + head * detail::tape_block * width);
                pass.reverse(length);
                for (Index t = 0; t < length; ++t)
                    Lanes<Scalar>::load(lanes.du.data() + t * width).store_first(du.row(start + t) + first, active);
            }
            pass.end_reverse();
            store_lanes(lanes.adjoint.data(), first, active, dx_0);
            for (Index lane = 0; lane < active; ++lane)
                c_.add_gradient(workspace.scratch_, first + lane, lanes.totals.data() + lane,
                                lanes.feed_through.data() + lane, gradients);
        });
    }

private:
    static constexpr Index width = Lanes<Scalar>::count;

    [[nodiscard]] static Index blocks_in(Index length) noexcept {
        return (length + detail::tape_block - 1) / detail::tape_block;
    }
    // Numbers of the state of one lane block.
    [[nodiscard]] Index state_size() const noexcept { return c_.pairs * 2 * width; }
    [[nodiscard]] bool is_state(const StateMatrix& x) const noexcept {
        return x.rows() == c_.channels && x.cols() == c_.pairs;
    }
    [[nodiscard]] bool fits(const Workspace& workspace, const Tape& tape) const noexcept {
        return workspace.lanes_.sums.size() == c_.pairs * c_.fields() * width &&
               workspace.lanes_.dy.size() == c_.heads * detail::tape_block * width &&
               tape.states_.size() == lane_blocks<Scalar>(c_.channels) * blocks_in(tape.capacity_) * state_size();
    }

    void load_lanes(const StateMatrix& x, Index first, Index active, Scalar* to) const noexcept {
        for (Index n = 0; n < c_.pairs; ++n, to += 2 * width)
            for (Index lane = 0; lane < width; ++lane) {
                const std::complex<Scalar> value = lane < active ? x(first + lane, n) : std::complex<Scalar>{};
                to[lane] = value.real();
                to[width + lane] = value.imag();
            }
    }
    void store_lanes(const Scalar* from, Index first, Index active, StateMatrix& x) const noexcept {
        for (Index n = 0; n < c_.pairs; ++n, from += 2 * width)
            for (Index lane = 0; lane < active; ++lane) x(first + lane, n) = {from[lane], from[width + lane]};
    }
    static void load_rows(const SequenceView<Scalar>& from, Index start, Index length, Index first, Index active,
                          Scalar* to) noexcept {
        for (Index t = 0; t < length; ++t)
            Lanes<Scalar>::load_first(from.row(start + t) + first, active).store(to + t * width);
    }

    Coefficients c_;
};

}  // namespace s4::inline S4_ABI
