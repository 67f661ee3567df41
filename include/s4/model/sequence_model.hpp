// A deep S4 model: encoder, S4 blocks with residual connections and norms, pooling over time, decoder.
#pragma once

#include <s4/block/s4_block.hpp>
#include <s4/layer/layer_norm.hpp>
#include <s4/layer/linear.hpp>
#include <s4/layer/pooling.hpp>

#include <cstdint>
#include <utility>
#include <vector>

namespace s4::inline S4_ABI {

/// What keeps the features of every step in scale. A norm forgets how large they were, which classifiers need not know
/// and regression of real numbers must.
enum class Normalisation { layer, none };

/// How the parts of a model are put together.
struct SequenceModelOptions {
    Normalisation norm = Normalisation::layer;  ///< none: x + block(x), and the model has no norms
    bool prenorm = false;                       ///< x + block(norm(x)); otherwise norm(x + block(x))
    Dropout dropout = {};                       ///< of what a block adds to x
    Pooling pooling = Pooling::mean;            ///< over time, between the last block and the decoder
};

/// Inputs of d_input numbers a step → Linear to H features → n blocks with residual connections and layer norms (or
/// none) → pooling over time → Linear to d_output numbers. (S4 paper, appendix D.2)
template <class Block_>
struct SequenceModel {
    using Block = Block_;
    using Ssm = typename Block::Ssm;
    using Scalar = typename Block::Scalar;
    static constexpr const char* name = "SequenceModel";

    /// The trained tensors and options; also the type of their gradient.
    struct Parameters : SequenceModelOptions {
        typename Linear<Scalar>::Parameters encoder;                ///< [H × d_input]
        std::vector<typename Block::Parameters> blocks;             ///< each from H to H features
        std::vector<typename LayerNorm<Scalar>::Parameters> norms;  ///< one for each block, or none
        typename Linear<Scalar>::Parameters decoder;                ///< [d_output × H]

        [[nodiscard]] Index inputs() const noexcept { return encoder.inputs(); }
        /// H
        [[nodiscard]] Index features() const noexcept { return encoder.outputs(); }
        [[nodiscard]] Index outputs() const noexcept { return decoder.outputs(); }
        [[nodiscard]] Index layers() const noexcept { return std::ssize(blocks); }
    };

    /// visit(TensorInfo, tensor of p, tensor of each of `more`): "encoder", "blocks.0", "norms.0", …, "decoder".
    template <class Visitor, class P, class... More>
    static void for_each_tensor(Visitor&& visit, P&& p, More&&... more) {
        for_each_tensor_of<Linear<Scalar>>("encoder", -1, visit, p.encoder, more.encoder...);
        for (std::size_t i = 0; i < p.blocks.size(); ++i) {
            const auto number = static_cast<Index>(i);
            for_each_tensor_of<Block>("blocks", number, visit, p.blocks[i], more.blocks[i]...);
            if (p.norm == Normalisation::layer)
                for_each_tensor_of<LayerNorm<Scalar>>("norms", number, visit, p.norms[i], more.norms[i]...);
        }
        for_each_tensor_of<Linear<Scalar>>("decoder", -1, visit, p.decoder, more.decoder...);
    }

    /// Error unless every part is valid and their sizes agree.
    static void validate(const Parameters& p) {
        Linear<Scalar>::validate(p.encoder);
        Linear<Scalar>::validate(p.decoder);
        s4::validate(p.dropout);
        detail::require(!p.blocks.empty(), name, ": at least one block is needed, found 0");
        detail::require(p.norm == Normalisation::layer || p.norm == Normalisation::none, name,
                        ": option norm must be layer or none, found the value ", static_cast<int>(p.norm));
        if (p.norm == Normalisation::layer)
            detail::require(p.norms.size() == p.blocks.size(), name, ": one norm is needed for each of ",
                            p.blocks.size(), " blocks, found ", p.norms.size());
        else
            detail::require(p.norms.empty(), name, ": option norm is none, found ", p.norms.size(), " norms");
        for (std::size_t i = 0; i < p.blocks.size(); ++i) {
            Block::validate(p.blocks[i]);
            detail::require(p.blocks[i].channels() == p.features() && p.blocks[i].outputs() == p.features(), name,
                            ": block ", i, " must go from ", p.features(), " to ", p.features(), " features, found ",
                            p.blocks[i].channels(), " to ", p.blocks[i].outputs());
        }
        for (std::size_t i = 0; i < p.norms.size(); ++i) {
            LayerNorm<Scalar>::validate(p.norms[i]);
            detail::require(p.norms[i].features() == p.features(), name, ": norm ", i, " must have ", p.features(),
                            " features, found ", p.norms[i].features());
        }
        detail::require(p.decoder.inputs() == p.features(), name, ": decoder.weight must have ", p.features(),
                        " columns, found ", p.decoder.inputs());
    }

    /// What `random` makes.
    struct Options {
        Index inputs = 1;                    ///< d_input
        Index features = 64;                 ///< H
        Index outputs = 1;                   ///< d_output
        Index layers = 4;                    ///< blocks
        typename Block::Options block = {};  ///< its ssm.channels and outputs are set to H
        SequenceModelOptions model = {};     ///< how the parts are put together
    };

    /// The start of training: the random starts of the parts. Error that names an option out of range.
    [[nodiscard]] static Parameters random(const Options& options, std::uint64_t seed) {
        constexpr Index most_layers = 1024;
        detail::require(options.layers >= 1 && options.layers <= most_layers, name, ": option layers must lie in [1, ",
                        most_layers, "], found ", options.layers);
        RandomEngine engine{seed};
        Parameters p;
        static_cast<SequenceModelOptions&>(p) = options.model;
        p.encoder = Linear<Scalar>::random({.inputs = options.inputs, .outputs = options.features}, engine);
        for (Index i = 0; i < options.layers; ++i) {
            typename Block::Options block = options.block;
            block.ssm.channels = options.features;
            block.outputs = options.features;
            p.blocks.push_back(Block::random(block, engine()));
            if (p.norm == Normalisation::layer) p.norms.push_back(LayerNorm<Scalar>::identity(options.features));
        }
        p.decoder = Linear<Scalar>::random({.inputs = options.features, .outputs = options.outputs}, engine);
        validate(p);
        return p;
    }
};

/// How many numbers are trained: those of all tensors that are not frozen, complex ones twice.
template <class Layer>
[[nodiscard]] Index trained_numbers(const typename Layer::Parameters& p) {
    Index count = 0;
    Layer::for_each_tensor(
        [&count]<class Tensor>(const TensorInfo& info, const Tensor& tensor) {
            if (info.role == TensorRole::frozen) return;
            count += tensor.size() * (Eigen::NumTraits<typename Tensor::Scalar>::IsComplex ? 2 : 1);
        },
        p);
    return count;
}

}  // namespace s4::inline S4_ABI
