// An S4 block in training: forward passes that can be differentiated, for parameters that change.
#pragma once

#include <s4/block/s4_block.hpp>
#include <s4/convolution/causal_convolution.hpp>
#include <s4/kernel/trainable_kernels.hpp>

#include <span>

namespace s4::inline S4_ABI {

/// Kernels, transforms and reverse pass of one block for sequences of up to `length` samples. In a step of training:
/// `prepare` once, then for every part of the batch `forward` and `vjp` (const, on any thread, each with its own Tape
/// and Workspace), and `finish` once with the sum of what the parts left.
template <class Block_, class Fft = Fftw<typename Block_::Scalar>>
class TrainableBlock {
public:
    using Block = Block_;
    using Ssm = typename Block::Ssm;
    using Scalar = typename Block::Scalar;
    using Parameters = typename Block::Parameters;
    /// What applies the kernels.
    using Convolution = CausalConvolution<Fft>;
    /// Of the kernels, as transforms.
    using KernelGradient = typename Convolution::KernelGradient;

    /// Error on bad parameters or a length out of range.
    TrainableBlock(const Parameters& p, Index length, Planning planning = Planning::estimate)
        : kernels_{(Block::validate(p), p.ssm), length, planning},
          table_{Sequence<Scalar>::Zero(p.ssm.C.rows(), length)},
          convolution_{table_, {.heads = p.ssm.heads(), .bidirectional = !is_causal<Ssm>}, planning},
          workspace_{convolution_},
          vjp_workspace_{convolution_} {}

    /// L.
    [[nodiscard]] Index length() const noexcept { return kernels_.length(); }

    /// Scratch, one for each thread.
    class Workspace {
    public:
        explicit Workspace(const TrainableBlock& block) : convolution_{block.convolution_}, vjp_{block.convolution_} {}

    private:
        friend class TrainableBlock;
        typename Convolution::Workspace convolution_;
        typename Convolution::VjpWorkspace vjp_;
    };

    /// What a forward pass leaves for its reverse pass.
    class Tape {
    public:
        /// For up to `batch` sequences.
        Tape(const TrainableBlock& block, const Parameters& p, Index batch)
            : input_{block.convolution_, batch}, mixing_{p, batch * block.length()} {}

    private:
        friend class TrainableBlock;
        typename Convolution::InputSpectra input_;
        detail::BlockMixing<Block> mixing_;
    };

    /// Zero.
    [[nodiscard]] KernelGradient make_kernel_gradient() const { return KernelGradient{convolution_}; }

    /// Makes the kernels of the parameters as they are now. On all threads with the component s4::openmp; allocates.
    void prepare(const Parameters& p) {
        kernels_.forward(p.ssm, table_);
        convolution_.replace_kernels(workspace_, table_);
    }

    /// y [B·l × out] from x [B·l × H]; x is overwritten where it is padding, by zeros. `drop(x, y)` is the dropout.
    template <class Drop>
    void forward(Workspace& workspace, Tape& tape, const Parameters& p, const SequenceOut<Scalar>& x,
                 const SequenceOut<Scalar>& y, Index batch, std::span<const Index> lengths,
                 const Drop& drop) const noexcept {
        if (!lengths.empty()) detail::mask_padding<Scalar>(x, x, batch, lengths);
        convolution_(workspace.convolution_, x, tape.mixing_.ssm_output(x.rows()), tape.input_, batch);
        tape.mixing_.forward(p, y, drop);
    }

    /// The reverse pass: dx [B·l × H] from dy [B·l × out], which it may be if the sizes are equal. Adds to the
    /// gradients of the linear map and of the kernels.
    template <class Drop>
    void vjp(Workspace& workspace, Tape& tape, const Parameters& p, const SequenceView<Scalar>& dy,
             const SequenceOut<Scalar>& dx, Index batch, std::span<const Index> lengths, Parameters& gradient,
             KernelGradient& by_kernels, const Drop& drop) const noexcept {
        const SequenceOut<Scalar> dv = tape.mixing_.vjp(p, dy, gradient.output, drop);
        convolution_.vjp(workspace.vjp_, tape.input_, dv, dx, by_kernels, batch);
        if (!lengths.empty()) detail::mask_padding<Scalar>(dx, dx, batch, lengths);
    }

    /// From the gradient of the kernels to that of the SSM's tensors, which it is added to. On all threads; allocates.
    void finish(const Parameters& p, const KernelGradient& by_kernels, Parameters& gradient) {
        convolution_.read(vjp_workspace_, by_kernels, table_);
        kernels_.vjp(p.ssm, table_, gradient.ssm);
    }

private:
    TrainableKernels<Ssm, Fft> kernels_;
    Sequence<Scalar> table_;  // the kernels, then their gradient
    Convolution convolution_;
    typename Convolution::Workspace workspace_;
    typename Convolution::VjpWorkspace vjp_workspace_;
};

}  // namespace s4::inline S4_ABI
