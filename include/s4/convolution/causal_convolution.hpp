// Causal convolution y = K * u of whole sequences by FFT, without zero padding to twice the length.
#pragma once

#include <s4/core/error.hpp>
#include <s4/core/lanes.hpp>
#include <s4/core/sequence.hpp>
#include <s4/core/storage.hpp>
#include <s4/fft/backend.hpp>
#include <s4/fft/good_size.hpp>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <utility>
#include <vector>

namespace s4::inline S4_ABI {

/// What the rows of a table of kernels are: row c·H + h makes output c·H + h from channel h. With `bidirectional` as
/// many rows again follow, whose kernels run backwards in time.
struct KernelRows {
    Index heads = 1;             ///< outputs for each channel
    bool bidirectional = false;  ///< as many kernels that run backwards
};

/// y[t] = Σ_{j ≤ t} K[j] u[t − j] for H channels, with the transforms of the kernels kept; with bidirectional kernels
/// + Σ_{j ≥ 0} K'[j] u[t + 1 + j].
///
/// Right-angle convolution: u[l] and K[l] are turned by e^{iπl/(2M)}, so that a complex transform of length M ≥ L
/// multiplies polynomials modulo x^M = i. What wraps around, on either side, lands in the imaginary part; the real part
/// is the linear convolution. The transform is half as long as the textbook's real one of length 2L, and kernels that
/// run backwards cost nothing: K'[j] x^{−1−j} is −i K'[j] x^{M−1−j}. (Nussbaumer; PERFORMANCE 1)
///
/// Const when it runs and shared by threads; each thread has a Workspace. Error bound: a few roundings times log L of
/// max|K|·max|u|·L; a NaN or infinity in a channel's input spreads over that channel's whole output.
template <FftBackend Fft>
class CausalConvolution {
public:
    using Scalar = typename Fft::Scalar;

    /// For kernels [rows × L] and sequences of up to L samples. O(rows · L log L); allocates. Error when a size is out
    /// of range or the rows are not a whole number of channels.
    explicit CausalConvolution(const SequenceView<Scalar>& kernels, const KernelRows& rows = {},
                               Planning planning = Planning::estimate)
        : heads_{rows.heads},
          bidirectional_{rows.bidirectional},
          channels_{checked_channels(kernels.rows(), rows)},
          length_{checked_length(kernels.cols())},
          plan_{good_fft_size(length_), planning},
          cosine_{turns()},
          sine_{turns()} {
        for (Index l = 0; l < turns(); ++l) {
            const double angle = std::numbers::pi / 2 * static_cast<double>(l) / static_cast<double>(plan_.length());
            cosine_.data()[l] = static_cast<Scalar>(std::cos(angle));
            sine_.data()[l] = static_cast<Scalar>(std::sin(angle));
        }
        for (Index first = 0; first < channels_; first += width)
            for (Index head = 0; head < heads_; ++head)
                spectra_.push_back(plan_.make_spectrum(std::min(width, channels_ - first)));
        typename Fft::Buffer buffer{plan_};
        transform_kernels(kernels, buffer);
    }

    /// One head, causal.
    CausalConvolution(const SequenceView<Scalar>& kernels, Planning planning)
        : CausalConvolution{kernels, KernelRows{}, planning} {}

    [[nodiscard]] Index channels() const noexcept { return channels_; }
    [[nodiscard]] Index outputs() const noexcept { return heads_ * channels_; }
    [[nodiscard]] Index length() const noexcept { return length_; }

    /// Scratch, one for each thread. It belongs to convolutions of the same transform length and number of heads.
    class Workspace {
    public:
        explicit Workspace(const CausalConvolution& convolution)
            : buffer_{convolution.plan_}, transform_length_{convolution.plan_.length()}, heads_{convolution.heads_} {
            if (heads_ > 1) input_.push_back(convolution.plan_.make_spectrum(width));
        }

    private:
        friend class CausalConvolution;
        typename Fft::Buffer buffer_;
        std::vector<typename Fft::Spectrum> input_;  // one, where several heads share it
        Index transform_length_;
        Index heads_;
    };

    /// Other kernels [rows × L] in place of those it was made for, as after a step of an optimiser. O(rows · L log L);
    /// does not allocate.
    void replace_kernels(Workspace& workspace, const SequenceView<Scalar>& kernels) noexcept {
        S4_ASSERT(kernels.rows() == (bidirectional_ ? 2 : 1) * outputs() && kernels.cols() == length_,
                  "CausalConvolution::replace_kernels: the kernels must have the shape of those before");
        transform_kernels(kernels, workspace.buffer_);
    }

    /// What a forward pass may keep for its reverse pass: the transforms of the inputs, 2·B·H·M numbers. It saves one
    /// of three transforms there.
    class InputSpectra {
    public:
        /// For batches of up to `batch` sequences.
        InputSpectra(const CausalConvolution& convolution, Index batch) : batch_{batch} {
            detail::require(batch >= 1, "CausalConvolution: a batch has at least one sequence, found ", batch);
            for (Index first = 0; first < convolution.channels_; first += width)
                for (Index sequence = 0; sequence < batch; ++sequence)
                    spectra_.push_back(convolution.plan_.make_spectrum(std::min(width, convolution.channels_ - first)));
        }

    private:
        friend class CausalConvolution;
        [[nodiscard]] typename Fft::Spectrum& at(Index first, Index sequence) noexcept {
            return spectra_[static_cast<std::size_t>(first / width * batch_ + sequence)];
        }
        [[nodiscard]] const typename Fft::Spectrum& at(Index first, Index sequence) const noexcept {
            return spectra_[static_cast<std::size_t>(first / width * batch_ + sequence)];
        }
        Index batch_;
        std::vector<typename Fft::Spectrum> spectra_;  // [lane block][sequence]
    };

    /// y [B·l × heads·H] from u [B·l × H], a batch of B sequences of l ≤ L samples one after the other; with one head y
    /// may be u. O(B H L log L) for one head, half as much for each further one, whatever l. Does not allocate.
    void operator()(Workspace& workspace, const SequenceView<Scalar>& u, const SequenceOut<Scalar>& y,
                    Index batch = 1) const noexcept {
        const Index length = checked_lengths(workspace, u, y, batch);
        for_each_block([&](Index first, Index active) {
            for (Index sequence = 0; sequence < batch; ++sequence) {
                const Index start = sequence * length;
                fill(workspace.buffer_, u, start, length, first, active);
                if (heads_ == 1) {
                    plan_.convolve(workspace.buffer_, active, spectrum(first, 0));
                    drain(workspace.buffer_, y, start, length, first, active);
                } else {
                    plan_.forward(workspace.buffer_, active, workspace.input_.front());
                    from_spectrum(workspace.buffer_, workspace.input_.front(), y, start, length, first, active);
                }
            }
        });
    }
    /// The same, of inputs that will be differentiated by: also keeps their transforms in `kept`.
    void operator()(Workspace& workspace, const SequenceView<Scalar>& u, const SequenceOut<Scalar>& y,
                    InputSpectra& kept, Index batch = 1) const noexcept {
        S4_ASSERT(batch <= kept.batch_, "CausalConvolution: the spectra were made for a smaller batch");
        const Index length = checked_lengths(workspace, u, y, batch);
        for_each_block([&](Index first, Index active) {
            for (Index sequence = 0; sequence < batch; ++sequence) {
                const Index start = sequence * length;
                fill(workspace.buffer_, u, start, length, first, active);
                plan_.forward(workspace.buffer_, active, kept.at(first, sequence));
                from_spectrum(workspace.buffer_, kept.at(first, sequence), y, start, length, first, active);
            }
        });
    }

    /// What a loss gains by the kernels, as transforms: sums over any number of batches, which become a table of
    /// kernels once. As large as the transforms of the kernels.
    class KernelGradient {
    public:
        /// Zero.
        explicit KernelGradient(const CausalConvolution& convolution) {
            for (const auto& kernel : convolution.spectra_) {
                static_cast<void>(kernel);
                spectra_.push_back(convolution.plan_.make_spectrum(width));
            }
            set_zero();
        }
        void set_zero() noexcept {
            for (auto& spectrum : spectra_) spectrum.set_zero();
        }
        /// Adds that of other batches.
        void add(const KernelGradient& other) noexcept {
            for (std::size_t i = 0; i < spectra_.size(); ++i) spectra_[i].add(other.spectra_[i]);
        }

    private:
        friend class CausalConvolution;
        std::vector<typename Fft::Spectrum> spectra_;  // [lane block][head]
    };

    /// Scratch of `vjp`, one for each thread.
    class VjpWorkspace {
    public:
        explicit VjpWorkspace(const CausalConvolution& convolution)
            : buffer_{convolution.plan_},
              input_{convolution.plan_.make_spectrum(width)},
              output_{convolution.plan_.make_spectrum(width)},
              input_gradient_{convolution.plan_.make_spectrum(width)},
              kernel_gradient_{convolution} {}

    private:
        friend class CausalConvolution;
        typename Fft::Buffer buffer_;
        typename Fft::Spectrum input_, output_, input_gradient_;
        KernelGradient kernel_gradient_;
    };

    /// The reverse pass of y = K * u: from the gradient dy [B·l × heads·H] of a loss with respect to y, that with
    /// respect to u, du [B·l × H], and to the kernels, dkernels [rows × L], summed over the batch; du may be u or (with
    /// one head) dy. Both are correlations, products with a conjugate spectrum: three transforms for each sequence and
    /// one more for each kernel. The spectrum of u is computed again, not kept. Does not allocate.
    void vjp(VjpWorkspace& workspace, const SequenceView<Scalar>& u, const SequenceView<Scalar>& dy,
             const SequenceOut<Scalar>& du, const SequenceOut<Scalar>& dkernels, Index batch = 1) const noexcept {
        workspace.kernel_gradient_.set_zero();
        vjp(workspace, u, dy, du, workspace.kernel_gradient_, batch);
        read(workspace, workspace.kernel_gradient_, dkernels);
    }
    /// The same, where the gradient of the kernels is added to `sum`.
    void vjp(VjpWorkspace& workspace, const SequenceView<Scalar>& u, const SequenceView<Scalar>& dy,
             const SequenceOut<Scalar>& du, KernelGradient& sum, Index batch = 1) const noexcept {
        S4_ASSERT(u.rows() == dy.rows() && u.cols() == channels_, "CausalConvolution::vjp: u must be [B·l × H]");
        reverse(
            workspace, dy, du, sum, batch, [&](Index first, Index active, Index sequence, Index length) -> auto& {
                fill(workspace.buffer_, u, sequence * length, length, first, active);
                plan_.forward(workspace.buffer_, active, workspace.input_);
                return std::as_const(workspace.input_);
            });
    }
    /// The same from the transforms that a forward pass of the same batch kept: two transforms for each sequence.
    void vjp(VjpWorkspace& workspace, const InputSpectra& kept, const SequenceView<Scalar>& dy,
             const SequenceOut<Scalar>& du, KernelGradient& sum, Index batch = 1) const noexcept {
        S4_ASSERT(batch <= kept.batch_, "CausalConvolution::vjp: the spectra are those of a smaller batch");
        reverse(
            workspace, dy, du, sum,
            batch, [&](Index first, Index, Index sequence, Index) -> auto& { return kept.at(first, sequence); });
    }
    /// The gradient of the kernels [rows × L] that `sum` stands for: one transform for each kernel.
    void read(VjpWorkspace& workspace, const KernelGradient& sum, const SequenceOut<Scalar>& dkernels) const noexcept {
        S4_ASSERT(dkernels.rows() == (bidirectional_ ? 2 : 1) * outputs() && dkernels.cols() == length_,
                  "CausalConvolution::vjp: dkernels must have the shape of the kernels");
        for_each_block([&](Index first, Index active) {
            for (Index head = 0; head < heads_; ++head) {
                plan_.inverse(sum.spectra_[slot(first, head)], active, workspace.buffer_);
                drain_kernels(workspace.buffer_, dkernels, head, first, active);
            }
        });
    }

private:
    using L = Lanes<Scalar>;
    static constexpr Index width = L::count;

    static Index checked_channels(Index rows, const KernelRows& layout) {
        detail::require(layout.heads > 0, "CausalConvolution: at least one head is needed, found ", layout.heads);
        detail::require(rows > 0, "CausalConvolution: at least one channel is needed, found H = ", rows);
        detail::require(layout.heads <= rows, "CausalConvolution: ", layout.heads,
                        " heads need as many kernels, found ", rows);
        const Index of_a_channel = layout.heads * (layout.bidirectional ? 2 : 1);
        detail::require(rows % of_a_channel == 0, "CausalConvolution: ", of_a_channel,
                        " kernels are needed for every channel, found ", rows);
        return rows / of_a_channel;
    }
    static Index checked_length(Index length) {
        detail::require(length > 0 && length <= max_fft_size, "CausalConvolution: the length must lie in [1, ",
                        max_fft_size, "], found L = ", length);
        return length;
    }
    [[nodiscard]] Index sequence_length(Index rows, Index batch) const noexcept {
        S4_ASSERT(batch > 0 && rows % batch == 0, "CausalConvolution: the batch must divide the rows");
        S4_ASSERT(rows / batch <= length_, "CausalConvolution: the sequence is longer than the prepared length");
        return rows / batch;
    }

    /// How many samples the turns are kept for: kernels that run backwards fill the end of the transform.
    [[nodiscard]] Index turns() const noexcept { return bidirectional_ ? plan_.length() : length_; }
    [[nodiscard]] std::size_t slot(Index first, Index head) const noexcept {
        return static_cast<std::size_t>(first / width * heads_ + head);
    }
    [[nodiscard]] const typename Fft::Spectrum& spectrum(Index first, Index head) const noexcept {
        return spectra_[slot(first, head)];
    }
    [[nodiscard]] Index checked_lengths([[maybe_unused]] const Workspace& workspace, const SequenceView<Scalar>& u,
                                        [[maybe_unused]] const SequenceOut<Scalar>& y, Index batch) const noexcept {
        S4_ASSERT(u.rows() == y.rows() && u.cols() == channels_ && y.cols() == outputs(),
                  "CausalConvolution: u must be [B·l × H] and y [B·l × heads·H]");
        S4_ASSERT(workspace.transform_length_ == plan_.length() && workspace.heads_ == heads_,
                  "CausalConvolution: the workspace was made for another length; make it after the last prepare");
        return sequence_length(u.rows(), batch);
    }
    template <class Body>
    void for_each_block(const Body& body) const noexcept {
        for (Index first = 0; first < channels_; first += width) body(first, std::min(width, channels_ - first));
    }

    [[nodiscard]] ComplexLanes<Scalar> turn(Index l, L value) const noexcept {
        return {L::broadcast(cosine_.data()[l]) * value, L::broadcast(sine_.data()[l]) * value};
    }

    /// The samples [start, start + length) of the channels from `first` on, turned.
    void fill(typename Fft::Buffer& buffer, const SequenceView<Scalar>& u, Index start, Index length, Index first,
              Index active) const noexcept {
        const Scalar* in = u.row(start) + first;
        const Index stride = u.row_stride();
        buffer.fill(active, length, [&](Index l) { return turn(l, L::load_first(in + l * stride, active)); });
    }
    /// Turned back, real part.
    void drain(const typename Fft::Buffer& buffer, const SequenceOut<Scalar>& y, Index start, Index length, Index first,
               Index active) const noexcept {
        Scalar* out = y.row(start) + first;
        const Index stride = y.row_stride();
        buffer.drain(active, length, [&](Index l, const ComplexLanes<Scalar>& value) {
            const L cosine = L::broadcast(cosine_.data()[l]);
            const L sine = L::broadcast(sine_.data()[l]);
            fma(cosine, value.re, sine * value.im).store_first(out + l * stride, active);
        });
    }

    /// The outputs of all heads from the transform of one sequence's input.
    void from_spectrum(typename Fft::Buffer& buffer, const typename Fft::Spectrum& input, const SequenceOut<Scalar>& y,
                       Index start, Index length, Index first, Index active) const noexcept {
        for (Index head = 0; head < heads_; ++head) {
            plan_.inverse_product(input, spectrum(first, head), active, buffer);
            drain(buffer, y, start, length, head * channels_ + first, active);
        }
    }

    /// `input_spectrum(first, active, sequence, length)`: of the channels from `first` on.
    template <class InputSpectrum>
    void reverse(VjpWorkspace& workspace, const SequenceView<Scalar>& dy, const SequenceOut<Scalar>& du,
                 KernelGradient& sum, Index batch, const InputSpectrum& input_spectrum) const noexcept {
        S4_ASSERT(dy.rows() == du.rows() && du.cols() == channels_ && dy.cols() == outputs(),
                  "CausalConvolution::vjp: du must be [B·l × H], dy [B·l × heads·H]");
        S4_ASSERT(sum.spectra_.size() == spectra_.size(),
                  "CausalConvolution::vjp: the workspace or the sum belongs to another convolution");
        const Index length = sequence_length(dy.rows(), batch);
        typename Fft::Buffer& buffer = workspace.buffer_;
        for_each_block([&](Index first, Index active) {
            for (Index sequence = 0; sequence < batch; ++sequence) {
                const Index start = sequence * length;
                const typename Fft::Spectrum& input = input_spectrum(first, active, sequence, length);
                workspace.input_gradient_.set_zero();
                for (Index head = 0; head < heads_; ++head) {
                    fill(buffer, dy, start, length, head * channels_ + first, active);
                    plan_.forward(buffer, active, workspace.output_);
                    plan_.add_conjugate_product(spectrum(first, head), workspace.output_, active,
                                                workspace.input_gradient_);
                    plan_.add_conjugate_product(input, workspace.output_, active, sum.spectra_[slot(first, head)]);
                }
                plan_.inverse(workspace.input_gradient_, active, buffer);
                drain(buffer, du, start, length, first, active);
            }
        });
    }

    void transform_kernels(const SequenceView<Scalar>& kernels, typename Fft::Buffer& buffer) noexcept {
        for (Index first = 0; first < channels_; first += width)
            for (Index head = 0; head < heads_; ++head) transform_kernel(kernels, head, first, buffer);
    }
    void transform_kernel(const SequenceView<Scalar>& kernels, Index head, Index first,
                          typename Fft::Buffer& buffer) noexcept {
        const Index active = std::min(width, channels_ - first);
        const Index row = head * channels_ + first;
        const Scalar scale = Scalar{1} / static_cast<Scalar>(plan_.length());
        const auto at = [&](Index from, Index l) {
            alignas(storage_alignment) Scalar lanes[static_cast<std::size_t>(width)] = {};
            for (Index lane = 0; lane < active; ++lane) lanes[lane] = scale * kernels.row(from + lane)[l];
            return L::load(lanes);
        };
        buffer.fill(active, turns(), [&](Index l) {
            ComplexLanes<Scalar> value = l < length_ ? turn(l, at(row, l)) : ComplexLanes<Scalar>{L::zero(), L::zero()};
            const Index j = plan_.length() - 1 - l;
            if (bidirectional_ && j < length_) {  // −i K'[j], turned
                const ComplexLanes<Scalar> ahead = turn(l, at(outputs() + row, j));
                value = {value.re + ahead.im, value.im - ahead.re};
            }
            return value;
        });
        plan_.forward(buffer, active, spectra_[slot(first, head)]);
    }

    /// The transposition of `transform_kernel`.
    void drain_kernels(const typename Fft::Buffer& buffer, const SequenceOut<Scalar>& dkernels, Index head, Index first,
                       Index active) const noexcept {
        const Index row = head * channels_ + first;
        const L scale = L::broadcast(Scalar{1} / static_cast<Scalar>(plan_.length()));
        const auto put = [&](Index to, Index l, L value) {
            alignas(storage_alignment) Scalar lanes[static_cast<std::size_t>(width)];
            value.store(lanes);
            for (Index lane = 0; lane < active; ++lane) dkernels.row(to + lane)[l] = lanes[lane];
        };
        buffer.drain(active, turns(), [&](Index l, const ComplexLanes<Scalar>& value) {
            const L cosine = scale * L::broadcast(cosine_.data()[l]);
            const L sine = scale * L::broadcast(sine_.data()[l]);
            if (l < length_) put(row, l, fma(cosine, value.re, sine * value.im));
            const Index j = plan_.length() - 1 - l;
            if (bidirectional_ && j < length_) put(outputs() + row, j, fnma(cosine, value.im, sine * value.re));
        });
    }

    Index heads_;
    bool bidirectional_;
    Index channels_;
    Index length_;
    typename Fft::Plan plan_;
    Storage<Scalar> cosine_;  // of πl/(2M)
    Storage<Scalar> sine_;
    std::vector<typename Fft::Spectrum> spectra_;  // of the kernels / M: [lane block][head]
};

}  // namespace s4::inline S4_ABI
