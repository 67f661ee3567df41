// Embedding: every token is a row of a table.
#pragma once

#include <s4/core/error.hpp>
#include <s4/core/random.hpp>
#include <s4/core/sequence.hpp>
#include <s4/layer/row_product.hpp>
#include <s4/parameters/tensors.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>

namespace s4::inline S4_ABI {

/// y[t] = weight[token t].
template <RealScalar S>
struct Embedding {
    using Scalar = S;
    static constexpr const char* name = "Embedding";

    /// The trained table; also the type of its gradient.
    struct Parameters {
        Eigen::Matrix<Scalar, Dynamic, Dynamic, Eigen::RowMajor> weight;  ///< [V × F], a row for each token 0 … V−1

        /// V
        [[nodiscard]] Index tokens() const noexcept { return weight.rows(); }
        [[nodiscard]] Index features() const noexcept { return weight.cols(); }
    };

    /// visit(TensorInfo, tensor of p, tensor of each of `more`): weight.
    template <class Visitor, class P, class... More>
    static void for_each_tensor(Visitor&& visit, P&& p, More&&... more) {
        visit(TensorInfo{"weight", TensorRole::ordinary}, p.weight, more.weight...);
    }

    /// Error unless there are tokens and features, and every entry is finite.
    static void validate(const Parameters& p) {
        detail::require(p.tokens() > 0 && p.features() > 0, name,
                        ": weight must be [tokens x features], both positive, found [", p.tokens(), " x ", p.features(),
                        "]");
        detail::check_tensor(name, "weight", p.weight, p.tokens(), p.features());
    }

    /// What `random` makes.
    struct Options {
        Index tokens = 1;    ///< V
        Index features = 1;  ///< F
    };

    /// Standard normal entries, PyTorch's start. Error when a size is not positive, too large, or memory runs out.
    [[nodiscard]] static Parameters random(const Options& options, RandomEngine& engine) {
        constexpr Index most = Index{1} << 24;
        detail::require(options.tokens > 0 && options.tokens <= most, name,
                        ": option tokens must be positive, and at most ", most, ", found ", options.tokens);
        detail::require(options.features > 0 && options.features <= most, name,
                        ": option features must be positive, and at most ", most, ", found ", options.features);
        return detail::or_out_of_memory(name, [&] {
            Parameters p;
            p.weight.resize(options.tokens, options.features);
            for (Index n = 0; n < p.weight.size(); ++n) p.weight.data()[n] = static_cast<Scalar>(normal(engine));
            return p;
        });
    }

    /// The same from a seed.
    [[nodiscard]] static Parameters random(const Options& options, std::uint64_t seed) {
        RandomEngine engine{seed};
        return random(options, engine);
    }
};

/// Error unless every token lies in [0, count), `count` the tokens of the embedding: what `embed` takes for granted.
inline void validate_tokens(std::span<const Index> tokens, Index count) {
    for (std::size_t t = 0; t < tokens.size(); ++t)
        detail::require(tokens[t] >= 0 && tokens[t] < count, "Embedding: tokens must lie in [0, ", count, "), found ",
                        tokens[t], " at position ", t);
}

/// y [rows × F] from one token for each row. O(rows · F); does not allocate.
template <RealScalar Scalar>
void embed(const typename Embedding<Scalar>::Parameters& p, std::span<const Index> tokens,
           const SequenceOut<Scalar>& y) noexcept {
    S4_ASSERT(std::ssize(tokens) == y.rows() && y.cols() == p.features(),
              "embed: y must be [rows × F], with one token for each row");
    for (Index t = 0; t < y.rows(); ++t) {
        const Index token = tokens[static_cast<std::size_t>(t)];
        S4_ASSERT(token >= 0 && token < p.tokens(), "embed: check what comes from outside by validate_tokens");
        std::copy_n(p.weight.data() + token * p.features(), p.features(), y.row(t));
    }
}

/// The reverse pass of `embed`: adds every row of dy [rows × F] to the row of its token in `gradient`, in order.
/// O(rows · F); does not allocate.
template <RealScalar Scalar>
void embed_vjp(std::span<const Index> tokens, const SequenceView<Scalar>& dy,
               typename Embedding<Scalar>::Parameters& gradient) noexcept {
    S4_ASSERT(std::ssize(tokens) == dy.rows() && dy.cols() == gradient.features(),
              "embed_vjp: dy must be [rows × F], with one token for each row");
    for (Index t = 0; t < dy.rows(); ++t) {
        const Index token = tokens[static_cast<std::size_t>(t)];
        S4_ASSERT(token >= 0 && token < gradient.tokens(), "embed_vjp: a token is out of range");
        detail::RowMap<Scalar>(gradient.weight.data() + token * gradient.features(), gradient.features()) +=
            detail::ConstRowMap<Scalar>(dy.row(t), dy.cols());
    }
}

}  // namespace s4::inline S4_ABI
