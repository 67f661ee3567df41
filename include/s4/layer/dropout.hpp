// Dropout whose mask is a function of a counter: nothing is stored, and no order of evaluation or number of threads
// changes it.
#pragma once

#include <s4/core/error.hpp>
#include <s4/core/random_stream.hpp>
#include <s4/core/sequence.hpp>
#include <s4/core/storage.hpp>
#include <s4/layer/row_product.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace s4::inline S4_ABI {

/// Options of dropout.
struct Dropout {
    double probability = 0;  ///< that a number becomes 0; the others are divided by 1 − probability
    bool tied = false;       ///< one mask for all positions of a sequence
};

/// Error unless the probability lies in [0, 1).
inline void validate(const Dropout& options) {
    detail::require(options.probability >= 0 && options.probability < 1,
                    "dropout: option probability must lie in [0, 1), found ", options.probability);
}

/// Which mask: the same key is the same mask.
struct DropoutKey {
    std::uint64_t seed = 0;   ///< of the training run
    std::uint64_t step = 0;   ///< of the optimiser
    std::uint64_t layer = 0;  ///< each place of a model that drops has its own number
};

namespace detail {

/// Scatters 32 bits one to one, as a vector of integers can. (lowbias32 of C. Wellons' hash prospector, public domain)
[[nodiscard]] constexpr std::uint32_t scatter32(std::uint32_t x) noexcept {
    x ^= x >> 16;
    x *= 0x7feb352dU;
    x ^= x >> 15;
    x *= 0x846ca68bU;
    return x ^ (x >> 16);
}

/// The key of one of many children of `key`; different children of one key have different keys.
[[nodiscard]] constexpr std::uint64_t child_key(std::uint64_t key, std::uint64_t number) noexcept {
    return scatter_bits(key + number * 0x9e3779b97f4a7c15ULL);
}

/// y = x ∘ mask · scale for one row: feature n stays when its 32 random bits reach `threshold`. In strips of which the
/// factors are made first, in a loop that compilers turn into vectors.
template <RealScalar Scalar>
void drop_row(std::uint64_t key, std::uint32_t threshold, Scalar scale, Index features, const Scalar* x,
              Scalar* y) noexcept {
    constexpr std::uint32_t strip = 64;
    const auto low = static_cast<std::uint32_t>(key);
    const auto high = static_cast<std::uint32_t>(key >> 32);
    for (Index first = 0; first < features; first += strip) {
        alignas(storage_alignment) Scalar factors[strip];
        const auto start = static_cast<std::uint32_t>(first);
        for (std::uint32_t n = 0; n < strip; ++n) {
            const std::uint32_t bits = scatter32(scatter32((start + n) * 0x9e3779b9U + low) ^ high);
            factors[n] = bits >= threshold ? scale : Scalar{0};
        }
        const Index active = std::min(static_cast<Index>(strip), features - first);
        RowMap<Scalar>(y + first, active) =
            ConstRowMap<Scalar>(x + first, active) * ConstRowMap<Scalar>(factors, active);
    }
}

}  // namespace detail

/// y [B·L × F] from x [B·L × F], B = `batch` sequences of which the first is number `first_sequence` of the training
/// step: in a step that several threads share, each gives its own first one. The mask is a function of the key, the
/// sequence, the position (unless tied) and the feature; y may be x. Its own reverse pass: dx = dropout of dy with the
/// same key. O(B L F); does not allocate.
template <RealScalar Scalar>
void dropout(const Dropout& options, const DropoutKey& key, Index first_sequence, Index batch,
             const SequenceView<Scalar>& x, const SequenceOut<Scalar>& y) noexcept {
    S4_ASSERT(x.rows() == y.rows() && x.cols() == y.cols(), "dropout: x and y must have one shape");
    S4_ASSERT(batch > 0 && x.rows() % batch == 0, "dropout: the batch must divide the rows");
    S4_ASSERT(options.probability >= 0 && options.probability < 1, "dropout: the probability must lie in [0, 1)");
    if (options.probability == 0) {
        if (x.data() == y.data()) return;
        for (Index t = 0; t < x.rows(); ++t) std::copy_n(x.row(t), x.cols(), y.row(t));
        return;
    }
    const auto threshold = static_cast<std::uint32_t>(std::min(std::round(options.probability * 0x1p32), 0x1p32 - 1));
    const auto scale = static_cast<Scalar>(1 / (1 - options.probability));
    std::uint64_t of_mask = detail::scatter_bits(key.seed);
    for (const std::uint64_t number : {key.step, key.layer}) of_mask = detail::child_key(of_mask, number);
    const Index length = x.rows() / batch;
    for (Index b = 0; b < batch; ++b) {
        const auto number = static_cast<std::uint64_t>(first_sequence + b);
        const std::uint64_t of_sequence = detail::child_key(of_mask, number);
        for (Index t = 0; t < length; ++t) {
            const auto position = static_cast<std::uint64_t>(options.tied ? 0 : t);
            const std::uint64_t of_row = detail::child_key(of_sequence, position);
            const Index row = b * length + t;
            detail::drop_row(of_row, threshold, scale, x.cols(), x.row(row), y.row(row));
        }
    }
}

/// The reverse pass of `dropout`: the same product. dx may be dy.
template <RealScalar Scalar>
void dropout_vjp(const Dropout& options, const DropoutKey& key, Index first_sequence, Index batch,
                 const SequenceView<Scalar>& dy, const SequenceOut<Scalar>& dx) noexcept {
    dropout<Scalar>(options, key, first_sequence, batch, dy, dx);
}

}  // namespace s4::inline S4_ABI
