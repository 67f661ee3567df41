// Greyscale pictures for the examples, written by libpng: images of a data set, or drawn by a model, as a grid.
#pragma once

#include "program.hpp"

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <png.h>
#include <span>
#include <string>
#include <system_error>
#include <vector>

namespace example {

/// Rows of bytes, from black (0) to white (255).
struct GreyPicture {
    std::size_t width = 0, height = 0;
    std::vector<std::uint8_t> pixels;  ///< [height × width]
};

/// How images are laid out beside and below each other.
struct GridOptions {
    std::size_t columns = 10;      ///< images in each row of the grid
    std::size_t zoom = 1;          ///< width and height of a pixel
    std::size_t gap = 2;           ///< pixels (not zoomed) between images and around them
    std::uint8_t background = 96;  ///< of the gaps, and where the last row has no image
};

/// `images` [count × height × width] as a grid. Error when the bytes are no whole number of images, or an option is 0.
inline GreyPicture draw_grid(std::span<const std::uint8_t> images, std::size_t height, std::size_t width,
                             const GridOptions& options = {}) {
    const std::size_t size = height * width;
    if (size == 0 || images.empty() || images.size() % size != 0)
        throw Error("a grid needs whole images of " + std::to_string(height) + " x " + std::to_string(width) +
                    " pixels, found " + std::to_string(images.size()) + " bytes");
    if (options.columns == 0 || options.zoom == 0) throw Error("a grid needs columns and zoom of at least 1, found 0");
    const std::size_t count = images.size() / size;
    const std::size_t rows = (count + options.columns - 1) / options.columns;
    const auto place = [&](std::size_t i, std::size_t length) {
        return options.gap + i * (length * options.zoom + options.gap);
    };

    GreyPicture picture{place(options.columns, width), place(rows, height), {}};
    picture.pixels.assign(picture.width * picture.height, options.background);
    for (std::size_t i = 0; i < count; ++i) {
        const std::size_t top = place(i / options.columns, height);
        const std::size_t left = place(i % options.columns, width);
        for (std::size_t y = 0; y < height * options.zoom; ++y)
            for (std::size_t x = 0; x < width * options.zoom; ++x)
                picture.pixels[(top + y) * picture.width + left + x] =
                    images[i * size + y / options.zoom * width + x / options.zoom];
    }
    return picture;
}

/// An 8-bit PNG file, complete or not there at all. Error when it cannot be written.
inline void write_png(const GreyPicture& picture, const fs::path& path) {
    constexpr std::size_t largest = 1'000'000;  // libpng's own limit
    if (picture.width == 0 || picture.height == 0 || picture.width > largest || picture.height > largest ||
        picture.pixels.size() != picture.width * picture.height)
        throw Error("cannot write " + path.string() + ": no picture of " + std::to_string(picture.width) + " x " +
                    std::to_string(picture.height) + " pixels");
    png_image image{};
    image.version = PNG_IMAGE_VERSION;
    image.format = PNG_FORMAT_GRAY;
    image.width = static_cast<png_uint_32>(picture.width);
    image.height = static_cast<png_uint_32>(picture.height);
    const fs::path part = path.string() + ".part";
    const bool written =
        png_image_write_to_file(&image, part.string().c_str(), 0, picture.pixels.data(), 0, nullptr) != 0;
    std::error_code failure;
    if (written) fs::rename(part, path, failure);
    if (!written || failure) {
        std::error_code ignored;
        fs::remove(part, ignored);
        throw Error("cannot write " + path.string() + ": " + (written ? failure.message() : image.message));
    }
}

}  // namespace example
