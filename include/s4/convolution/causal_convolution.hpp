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
#include <vector>

namespace s4::inline S4_ABI {

/// y[t] = Σ_{j ≤ t} K[j] u[t − j] for H channels, with the transforms of the kernels kept.
///
/// Right-angle convolution: u[l] and K[l] are turned by e^{iπl/(2M)}, so that a complex transform of length M ≥ L
/// multiplies polynomials modulo x^M = i. What wraps around lands in the imaginary part; the real part is the linear
/// convolution. The transform is half as long as the textbook's real one of length 2L. (Nussbaumer; PERFORMANCE 1)
///
/// Const when it runs and shared by threads; each thread has a Workspace. Error bound: a few roundings times log L of
/// max|K|·max|u|·L; a NaN or infinity in a channel's input spreads over that channel's whole output.
template <FftBackend Fft>
class CausalConvolution {
public:
    using Scalar = typename Fft::Scalar;

    /// For kernels [H × L] and sequences of up to L samples. O(H L log L); allocates. Error when a size is out of
    /// range.
    explicit CausalConvolution(const SequenceView<Scalar>& kernels, Planning planning = Planning::estimate)
        : CausalConvolution{kernels.rows(), kernels.cols(), planning} {
        typename Fft::Buffer buffer{plan_};
        for (Index h = 0; h < channels_; h += width) {
            const Index active = std::min(width, channels_ - h);
            const Scalar scale = Scalar{1} / static_cast<Scalar>(plan_.length());
            buffer.fill(active, length_, [&](Index l) {
                alignas(storage_alignment) Scalar lanes[static_cast<std::size_t>(width)] = {};
                for (Index lane = 0; lane < active; ++lane) lanes[lane] = scale * kernels(h + lane, l);
                return turn(l, L::load(lanes));
            });
            spectra_.push_back(plan_.make_spectrum(active));
            plan_.forward(buffer, active, spectra_.back());
        }
    }

    [[nodiscard]] Index channels() const noexcept { return channels_; }
    [[nodiscard]] Index length() const noexcept { return length_; }

    /// Scratch, one for each thread. It belongs to convolutions of the same transform length.
    class Workspace {
    public:
        explicit Workspace(const CausalConvolution& convolution)
            : buffer_{convolution.plan_}, transform_length_{convolution.plan_.length()} {}

    private:
        friend class CausalConvolution;
        typename Fft::Buffer buffer_;
        Index transform_length_;
    };

    /// y [B·l × H] from u [B·l × H], a batch of B sequences of l ≤ L samples one after the other; y may be u.
    /// O(B H L log L) whatever l. Does not allocate.
    void operator()(Workspace& workspace, const SequenceView<Scalar>& u, SequenceOut<Scalar> y,
                    Index batch = 1) const noexcept {
        S4_ASSERT(u.rows() == y.rows() && u.cols() == channels_ && y.cols() == channels_,
                  "CausalConvolution: u and y must be [B·l × H]");
        S4_ASSERT(workspace.transform_length_ == plan_.length(),
                  "CausalConvolution: the workspace was made for another length; make it after the last prepare");
        S4_ASSERT(batch > 0 && u.rows() % batch == 0, "CausalConvolution: the batch must divide the rows");
        const Index length = u.rows() / batch;
        S4_ASSERT(length <= length_, "CausalConvolution: the sequence is longer than the prepared length");
        for (std::size_t block = 0; block < spectra_.size(); ++block) {
            const Index first = static_cast<Index>(block) * width;
            const Index active = std::min(width, channels_ - first);
            for (Index sequence = 0; sequence < batch; ++sequence) {
                const Scalar* in = u.data() + sequence * length * u.outerStride() + first;
                Scalar* out = y.data() + sequence * length * y.outerStride() + first;
                workspace.buffer_.fill(
                    active, length, [&](Index l) { return turn(l, L::load_first(in + l * u.outerStride(), active)); });
                plan_.convolve(workspace.buffer_, active, spectra_[block]);
                workspace.buffer_.drain(active, length, [&](Index l, const ComplexLanes<Scalar>& value) {
                    const L cosine = L::broadcast(cosine_.data()[l]);
                    const L sine = L::broadcast(sine_.data()[l]);
                    fma(cosine, value.re, sine * value.im).store_first(out + l * y.outerStride(), active);
                });
            }
        }
    }

private:
    using L = Lanes<Scalar>;
    static constexpr Index width = L::count;

    CausalConvolution(Index channels, Index length, Planning planning)
        : channels_{channels},
          length_{checked(channels, length)},
          plan_{good_fft_size(length), planning},
          cosine_{length},
          sine_{length} {
        for (Index l = 0; l < length; ++l) {
            const double angle = std::numbers::pi / 2 * static_cast<double>(l) / static_cast<double>(plan_.length());
            cosine_.data()[l] = static_cast<Scalar>(std::cos(angle));
            sine_.data()[l] = static_cast<Scalar>(std::sin(angle));
        }
        spectra_.reserve(static_cast<std::size_t>(lane_blocks<Scalar>(channels)));
    }

    static Index checked(Index channels, Index length) {
        detail::require(channels > 0, "CausalConvolution: at least one channel is needed, found H = ", channels);
        detail::require(length > 0 && length <= max_fft_size, "CausalConvolution: the length must lie in [1, ",
                        max_fft_size, "], found L = ", length);
        return length;
    }

    [[nodiscard]] ComplexLanes<Scalar> turn(Index l, L value) const noexcept {
        return {L::broadcast(cosine_.data()[l]) * value, L::broadcast(sine_.data()[l]) * value};
    }

    Index channels_;
    Index length_;
    typename Fft::Plan plan_;
    Storage<Scalar> cosine_;  // of πl/(2M)
    Storage<Scalar> sine_;
    std::vector<typename Fft::Spectrum> spectra_;  // of the kernels / M, one for each lane block
};

}  // namespace s4::inline S4_ABI
