// Folders with the four files of MNIST, or of a data set that goes by the same names, such as Fashion-MNIST.
#pragma once

#include <s4/core/error.hpp>
#include <s4/io/dtype.hpp>
#include <s4/io/gzip.hpp>
#include <s4/io/idx.hpp>
#include <s4/train/dataset.hpp>

#include <filesystem>
#include <string>
#include <system_error>
#include <utility>

namespace s4::inline S4_ABI {

/// Where Debian's package dataset-fashion-mnist puts its files.
inline constexpr const char* fashion_mnist_folder = "/usr/share/datasets/fashion-mnist";

/// A data set that comes with a test.
struct ImageDataset {
    ImageSequences training;  ///< of the files train-…
    ImageSequences test;      ///< of the files t10k-…
};

namespace detail {

inline constexpr const char* image_folder_hint =
    " (Debian's package dataset-fashion-mnist has such files in /usr/share/datasets/fashion-mnist; those of MNIST have "
    "the same names)";

/// The file of that name or, where there is none, of that name with .gz.
[[nodiscard]] inline Idx read_idx_of_folder(const std::filesystem::path& folder, const std::string& name) {
    std::error_code ignored;
    const std::filesystem::path plain = folder / name;
    const std::filesystem::path packed = folder / (name + ".gz");
    if (std::filesystem::exists(plain, ignored)) return read_idx(plain);
    require(std::filesystem::exists(packed, ignored), printable(folder.string()), ": expected the file ", name, " or ",
            name, ".gz, found neither", image_folder_hint);
    return read_idx<GzipFile>(packed);
}

}  // namespace detail

/// Reads {train,t10k}-images-idx3-ubyte and {train,t10k}-labels-idx1-ubyte from `folder`, each plain or with .gz (plain
/// goes first). Errors: no such folder, a missing file (says what to install), whatever is wrong with a file or with
/// labels, a test whose images have another size.
[[nodiscard]] inline ImageDataset read_image_folder(const std::filesystem::path& folder, Index classes = 10) {
    std::error_code ignored;
    detail::require(std::filesystem::is_directory(folder, ignored), detail::printable(folder.string()),
                    ": expected a folder, found ", std::filesystem::exists(folder, ignored) ? "a file" : "none",
                    detail::image_folder_hint);
    const auto part = [&](const std::string& name) {
        Idx images = detail::read_idx_of_folder(folder, name + "-images-idx3-ubyte");
        return ImageSequences{std::move(images), detail::read_idx_of_folder(folder, name + "-labels-idx1-ubyte"),
                              classes};
    };
    ImageDataset dataset{.training = part("train"), .test = part("t10k")};
    detail::require(
        dataset.test.height() == dataset.training.height() && dataset.test.width() == dataset.training.width(),
        detail::printable(folder.string()), ": expected test images of ", dataset.training.height(), " x ",
        dataset.training.width(), " pixels, as in training, found ", dataset.test.height(), " x ",
        dataset.test.width());
    return dataset;
}

}  // namespace s4::inline S4_ABI
