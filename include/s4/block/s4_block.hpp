// The S4 block: an SSM, a nonlinearity, and a linear map that mixes the channels.
#pragma once

#include <s4/core/random.hpp>
#include <s4/layer/activation.hpp>
#include <s4/layer/dropout.hpp>
#include <s4/layer/lengths.hpp>
#include <s4/layer/linear.hpp>
#include <s4/parameters/bidirectional.hpp>
#include <s4/parameters/tensors.hpp>

#include <algorithm>
#include <cstdint>
#include <span>

namespace s4::inline S4_ABI {

/// What happens behind the SSM of a block.
struct S4BlockOptions {
    Activation activation = Activation::gelu;    ///< of the SSM's outputs; glu halves them
    Activation mult_act = Activation::identity;  ///< a second one behind it; not glu
    Dropout dropout = {};                        ///< of what the linear map gets
    Activation final_act = Activation::glu;      ///< behind the linear map; glu halves its outputs
    /// Features of several heads in the order h·heads + c; otherwise c·H + h.
    bool swap_channels = false;
};

/// H channels through an SSM with one or several heads, activation, mult_act, dropout, y = W x + b and final_act. The
/// linear map mixes the channels, which the SSM keeps apart. (S4 paper, section 3.4; S4D paper, section 4.3)
///
/// `Ssm` is Dplr, Diagonal, or Bidirectional of one of them.
template <class Ssm_>
struct S4Block {
    using Ssm = Ssm_;
    using Scalar = typename Ssm::Scalar;
    static constexpr const char* name = "S4Block";

    /// The trained tensors and options; also the type of their gradient.
    struct Parameters : S4BlockOptions {
        /// The system.
        typename Ssm::Parameters ssm;
        /// [out × F], with F the features behind the activations; an empty weight: no linear map, and no final_act.
        typename Linear<Scalar>::Parameters output;

        /// Whether there is a linear map.
        [[nodiscard]] bool mixes() const noexcept { return output.weight.size() > 0; }
        /// H: inputs.
        [[nodiscard]] Index channels() const noexcept { return ssm.channels(); }
        /// heads·H: outputs of the SSM.
        [[nodiscard]] Index ssm_outputs() const noexcept { return ssm.D.rows(); }
        /// F: inputs of the linear map.
        [[nodiscard]] Index features() const noexcept {
            return activation == Activation::glu ? ssm_outputs() / 2 : ssm_outputs();
        }
        [[nodiscard]] Index outputs() const noexcept {
            if (!mixes()) return features();
            return final_act == Activation::glu ? output.outputs() / 2 : output.outputs();
        }
    };

    /// visit(TensorInfo, tensor of p, tensor of each of `more`): those of "ssm", then those of "output".
    template <class Visitor, class P, class... More>
    static void for_each_tensor(Visitor&& visit, P&& p, More&&... more) {
        for_each_tensor_of<Ssm>("ssm", -1, visit, p.ssm, more.ssm...);
        if (p.mixes()) for_each_tensor_of<Linear<Scalar>>("output", -1, visit, p.output, more.output...);
    }

    /// Error unless SSM and linear map are valid and their sizes agree, and the options are in range.
    static void validate(const Parameters& p) {
        Ssm::validate(p.ssm);
        static_cast<void>(features_after(p.activation, p.ssm_outputs()));
        detail::require(p.mult_act != Activation::glu, name, ": option mult_act cannot be glu: it keeps the features");
        s4::validate(p.dropout);
        if (!p.mixes()) return;
        Linear<Scalar>::validate(p.output);
        detail::require(p.output.inputs() == p.features(), name, ": output.weight must have ", p.features(),
                        " columns, the features behind the activation, found ", p.output.inputs());
        static_cast<void>(features_after(p.final_act, p.output.outputs()));
    }

    /// What `random` makes.
    struct Options {
        typename Ssm::Options ssm = {};  ///< its channels are H; for activation glu give it twice the heads
        Index outputs = 0;               ///< 0: H
        bool linear = true;              ///< false: no linear map
        S4BlockOptions block = {};       ///< what happens behind the SSM
    };

    /// A random SSM and linear map: the start of training. Errors as theirs.
    [[nodiscard]] static Parameters random(const Options& options, std::uint64_t seed) {
        RandomEngine engine{seed};
        Parameters p;
        static_cast<S4BlockOptions&>(p) = options.block;
        p.ssm = Ssm::random(options.ssm, engine());
        if (options.linear) {
            const Index outputs = options.outputs > 0 ? options.outputs : p.channels();
            p.output = Linear<Scalar>::random({.inputs = features_after(p.activation, p.ssm_outputs()),
                                               .outputs = p.final_act == Activation::glu ? 2 * outputs : outputs},
                                              engine);
        }
        validate(p);
        return p;
    }
};

namespace detail {

/// The part of a block behind its SSM, for up to `rows` rows: forward, and back from what forward left here.
template <class Block>
class BlockMixing {
public:
    using Scalar = typename Block::Scalar;
    using Parameters = typename Block::Parameters;

    BlockMixing(const Parameters& p, Index rows)
        : ssm_output_(rows, p.ssm_outputs()),
          swapped_(p.swap_channels && p.ssm_outputs() > p.channels() ? rows : 0, p.ssm_outputs()),
          activated_(p.mult_act != Activation::identity ? rows : 0, p.features()),
          features_(rows, p.features()),
          mixed_(p.mixes() ? rows : 0, p.mixes() ? p.output.outputs() : 0) {}

    /// Where the SSM writes its outputs [rows × heads·H].
    [[nodiscard]] SequenceOut<Scalar> ssm_output(Index rows) noexcept { return first(ssm_output_, rows); }

    /// `drop(x, y)` is the dropout.
    template <class Drop>
    void forward(const Parameters& p, const SequenceOut<Scalar>& y, const Drop& drop) noexcept {
        const Index rows = y.rows();
        if (swapped_.rows() > 0) swap(p, ssm_output_, swapped_, rows, true);
        const SequenceOut<Scalar> features = first(features_, rows);
        if (activated_.rows() > 0) {
            activate<Scalar>(p.activation, view(before_activation(), rows), first(activated_, rows));
            activate<Scalar>(p.mult_act, view(activated_, rows), features);
        } else {
            activate<Scalar>(p.activation, view(before_activation(), rows), features);
        }
        drop(view(features_, rows), features);
        if (p.mixes()) {
            linear<Scalar>(p.output, view(features_, rows), first(mixed_, rows));
            activate<Scalar>(p.final_act, view(mixed_, rows), y);
        } else {
            activate<Scalar>(Activation::identity, view(features_, rows), y);
        }
    }

    /// From dy [rows × out] to the gradient of the SSM's outputs, which takes their place here; adds to that of the
    /// linear map. `drop` as in the forward pass.
    template <class Drop>
    SequenceOut<Scalar> vjp(const Parameters& p, const SequenceView<Scalar>& dy,
                            typename Linear<Scalar>::Parameters& by_output, const Drop& drop) noexcept {
        const Index rows = dy.rows();
        const SequenceOut<Scalar> dfeatures = first(features_, rows);
        if (p.mixes()) {
            const SequenceOut<Scalar> dmixed = first(mixed_, rows);
            activate_vjp<Scalar>(p.final_act, view(mixed_, rows), dy, dmixed);
            linear_vjp<Scalar>(p.output, view(features_, rows), view(mixed_, rows), dfeatures, by_output);
        } else {
            activate<Scalar>(Activation::identity, dy, dfeatures);
        }
        drop(view(features_, rows), dfeatures);
        if (activated_.rows() > 0)
            activate_vjp<Scalar>(p.mult_act, view(activated_, rows), view(features_, rows), dfeatures);
        const SequenceOut<Scalar> dv = first(before_activation(), rows);
        activate_vjp<Scalar>(p.activation, view(before_activation(), rows), view(features_, rows), dv);
        if (swapped_.rows() > 0) swap(p, swapped_, ssm_output_, rows, false);
        return first(ssm_output_, rows);
    }

private:
    static SequenceOut<Scalar> first(Sequence<Scalar>& x, Index rows) noexcept {
        return {x.data(), rows, x.cols(), x.cols()};
    }
    static SequenceView<Scalar> view(const Sequence<Scalar>& x, Index rows) noexcept {
        return {x.data(), rows, x.cols(), x.cols()};
    }
    Sequence<Scalar>& before_activation() noexcept { return swapped_.rows() > 0 ? swapped_ : ssm_output_; }

    /// Columns c·H + h of `from` to h·heads + c of `to`, or back.
    static void swap(const Parameters& p, const Sequence<Scalar>& from, Sequence<Scalar>& to, Index rows,
                     bool there) noexcept {
        const Index channels = p.channels();
        const Index heads = p.ssm_outputs() / channels;
        for (Index t = 0; t < rows; ++t)
            for (Index head = 0; head < heads; ++head)
                for (Index h = 0; h < channels; ++h) {
                    const Index by_head = head * channels + h;
                    const Index by_channel = h * heads + head;
                    to(t, there ? by_channel : by_head) = from(t, there ? by_head : by_channel);
                }
    }

    Sequence<Scalar> ssm_output_, swapped_, activated_, features_, mixed_;
};

/// y = x with zeros at the padding of each sequence; y may be x.
template <RealScalar Scalar>
void mask_padding(const SequenceView<Scalar>& x, const SequenceOut<Scalar>& y, Index batch,
                  std::span<const Index> lengths) noexcept {
    const Index length = positions_of(x.rows(), batch, lengths);
    for (Index b = 0; b < batch; ++b) {
        const Index count = length_of(lengths, b, length);
        for (Index t = 0; t < length; ++t) {
            const Index row = b * length + t;
            if (t >= count) {
                std::fill_n(y.row(row), y.cols(), Scalar{0});
            } else if (x.data() != y.data()) {
                std::copy_n(x.row(row), x.cols(), y.row(row));
            }
        }
    }
}

}  // namespace detail
}  // namespace s4::inline S4_ABI
