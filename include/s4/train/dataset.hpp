// Labelled images as sequences, one pixel a step (sequential and permuted MNIST and their relatives); which of them to
// train on, and in which order.
#pragma once

#include <s4/core/error.hpp>
#include <s4/core/random_stream.hpp>
#include <s4/core/sequence.hpp>
#include <s4/io/dtype.hpp>
#include <s4/io/idx.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <span>
#include <utility>
#include <vector>

namespace s4::inline S4_ABI {

/// Images with a label each, kept as the bytes they came as; a batch is made of numbers in [0, 1] when it is filled. An
/// image of height × width pixels is a sequence of L = height · width steps and one channel, row by row or in a fixed
/// order (Le, Jaitly and Hinton, "A simple way to initialize recurrent networks of rectified linear units", 2015).
class ImageSequences {
public:
    /// From images [count × height × width] and labels [count]. Errors, which name the file: another number of
    /// dimensions, no images, images without pixels, counts that differ, a label that is not in [0, classes).
    ImageSequences(Idx images, const Idx& labels, Index classes = 10);

    /// Number of images.
    [[nodiscard]] Index size() const noexcept { return std::ssize(labels_); }
    /// Steps of each sequence L, pixels of each image.
    [[nodiscard]] Index length() const noexcept { return height_ * width_; }
    /// Rows of each image.
    [[nodiscard]] Index height() const noexcept { return height_; }
    /// Columns of each image.
    [[nodiscard]] Index width() const noexcept { return width_; }
    /// Labels lie in [0, classes).
    [[nodiscard]] Index classes() const noexcept { return classes_; }
    /// The label of one image.
    [[nodiscard]] Index label(Index example) const noexcept { return labels_[checked(example)]; }
    /// The pixels of one image [L], row by row whatever the order of steps.
    [[nodiscard]] std::span<const std::uint8_t> image(Index example) const noexcept {
        const auto length = static_cast<std::size_t>(this->length());
        return std::span{pixels_}.subspan(checked(example) * length, length);
    }

    /// Step t is pixel order[t] from now on: `random_permutation(length(), seed)` makes the permuted task. The same
    /// order belongs to the images of training and test. Error unless each pixel occurs once.
    void set_order(std::vector<Index> order);
    /// The pixel of each step [L]; empty where it is row by row.
    [[nodiscard]] std::span<const Index> order() const noexcept { return order_; }

    /// Fills `u` [B·L × 1] and `labels` [B] with the images of these numbers, pixels divided by 255. O(B L). Does not
    /// allocate.
    template <RealScalar Scalar>
    void fill(std::span<const Index> examples, SequenceOut<Scalar> u, std::span<Index> labels) const noexcept {
        S4_ASSERT(u.rows() == std::ssize(examples) * length() && u.cols() == 1, "u is [B L x 1]");
        S4_ASSERT(labels.size() == examples.size(), "one label for each example");
        for (std::size_t b = 0; b < examples.size(); ++b) {
            const std::span<const std::uint8_t> pixels = image(examples[b]);
            const Index begin = static_cast<Index>(b) * length();
            for (Index t = 0; t < length(); ++t) {
                const auto step = static_cast<std::size_t>(t);
                const std::uint8_t pixel = pixels[order_.empty() ? step : static_cast<std::size_t>(order_[step])];
                *u.row(begin + t) = static_cast<Scalar>(pixel) / Scalar{255};
            }
            labels[b] = label(examples[b]);
        }
    }

private:
    [[nodiscard]] std::size_t checked(Index example) const noexcept {
        S4_ASSERT(example >= 0 && example < size(), "the number of an example lies in [0, size)");
        return static_cast<std::size_t>(example);
    }

    std::vector<std::uint8_t> pixels_;
    std::vector<std::uint8_t> labels_;
    std::vector<Index> order_;
    Index height_ = 0, width_ = 0, classes_ = 0;
};

inline ImageSequences::ImageSequences(Idx images, const Idx& labels, Index classes) : classes_{classes} {
    detail::require(classes >= 1, "ImageSequences: option classes must be at least 1, found ", classes);
    detail::require(images.shape.size() == 3, images.file, ": expected images [count, height, width], found ",
                    detail::shape_text(images.shape));
    detail::require(labels.shape.size() == 1, labels.file, ": expected labels [count], found ",
                    detail::shape_text(labels.shape));
    for (const Index size : images.shape)
        detail::require(size > 0, images.file, ": expected at least one image of at least one pixel, found ",
                        detail::shape_text(images.shape));
    detail::require(labels.shape[0] == images.shape[0], labels.file, ": expected ", images.shape[0],
                    " labels, one for each image of ", images.file, ", found ", labels.shape[0]);
    for (std::size_t i = 0; i < labels.data.size(); ++i)
        detail::require(labels.data[i] < classes, labels.file, ": expected labels in [0, ", classes - 1, "], found ",
                        labels.data[i], " for image ", i);
    height_ = images.shape[1];
    width_ = images.shape[2];
    pixels_ = std::move(images.data);
    labels_ = labels.data;
}

inline void ImageSequences::set_order(std::vector<Index> order) {
    detail::require(std::ssize(order) == length(), "ImageSequences: the order of steps must name ", length(),
                    " pixels, found ", order.size());
    std::vector<bool> seen(order.size());
    for (const Index pixel : order) {
        detail::require(pixel >= 0 && pixel < length(), "ImageSequences: the order of steps must name pixels in [0, ",
                        length() - 1, "], found ", pixel);
        detail::require(!seen[static_cast<std::size_t>(pixel)],
                        "ImageSequences: the order of steps must name each pixel once, found ", pixel, " again");
        seen[static_cast<std::size_t>(pixel)] = true;
    }
    order_ = std::move(order);
}

/// Which examples are trained on and which are held back, each in rising order.
struct Split {
    std::vector<Index> training;    ///< what gradients are made of
    std::vector<Index> validation;  ///< what tells how well it goes
};

/// Holds `validation` of `size` examples back, drawn from `seed`. Error unless 0 ≤ validation < size.
[[nodiscard]] inline Split split_examples(Index size, Index validation, std::uint64_t seed) {
    detail::require(validation >= 0 && validation < size, "split_examples: option validation must lie in [0, ", size,
                    "), found ", validation);
    std::vector<Index> order = random_permutation(size, seed);
    const auto middle = order.begin() + validation;
    std::sort(order.begin(), middle);
    std::sort(middle, order.end());
    return {.training = {middle, order.end()}, .validation = {order.begin(), middle}};
}

/// Mini-batches in a shuffled order that follows from (seed, epoch) alone: whatever was visited before, batch i of an
/// epoch is the same, so that a run is taken up again by these two numbers and i.
class BatchOrder {
public:
    /// Batches of `batch_size` of these examples, of epoch 0. Errors: no examples, batch_size < 1.
    BatchOrder(std::vector<Index> examples, Index batch_size, std::uint64_t seed)
        : examples_{std::move(examples)}, order_{examples_}, batch_size_{batch_size}, seed_{seed} {
        detail::require(!examples_.empty(), "BatchOrder: expected at least one example, found none");
        detail::require(batch_size >= 1, "BatchOrder: option batch_size must be at least 1, found ", batch_size);
        start_epoch(0);
    }

    /// Batches of each epoch. The last one is smaller where the examples do not divide evenly.
    [[nodiscard]] Index batches() const noexcept {
        return std::ssize(order_) / batch_size_ + (std::ssize(order_) % batch_size_ != 0 ? 1 : 0);
    }
    /// The epoch that `batch` is of.
    [[nodiscard]] std::uint64_t epoch() const noexcept { return epoch_; }

    /// Shuffles anew. O(examples); does not allocate.
    void start_epoch(std::uint64_t epoch) noexcept {
        epoch_ = epoch;
        std::copy(examples_.begin(), examples_.end(), order_.begin());
        // Not stream 0, which a split of the same seed is drawn from.
        RandomEngine engine = random_stream(seed_, epoch + 1);
        shuffle(order_, engine);
    }
    /// The examples of batch i, in [0, batches()), of the present epoch; valid until another epoch starts.
    [[nodiscard]] std::span<const Index> batch(Index i) const noexcept {
        S4_ASSERT(i >= 0 && i < batches(), "the number of a batch lies in [0, batches)");
        const Index begin = i * batch_size_;
        return std::span{order_}.subspan(static_cast<std::size_t>(begin),
                                         static_cast<std::size_t>(std::min(batch_size_, std::ssize(order_) - begin)));
    }

private:
    std::vector<Index> examples_, order_;
    Index batch_size_;
    std::uint64_t seed_, epoch_ = 0;
};

}  // namespace s4::inline S4_ABI
