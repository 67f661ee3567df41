// Checks png.hpp: draws a grid, reads the file back with libpng, and compares every pixel.
#include "png.hpp"

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iostream>
#include <string>
#include <string_view>
#include <vector>

namespace {

using example::GreyPicture;
using example::GridOptions;

int failures = 0;

void expect(bool condition, const std::string& claim) {
    std::cout << (condition ? "ok      " : "FAILED  ") << claim << '\n';
    failures += condition ? 0 : 1;
}

template <class Work>
void expect_error(const Work& work, std::string_view message) {
    std::string found = "nothing";
    try {
        work();
    } catch (const example::Error& error) {
        found = error.what();
    }
    expect(found.find(message) != std::string::npos, "an error says `" + std::string{message} + "`, found: " + found);
}

GreyPicture read_png(const std::string& path) {
    png_image image{};
    image.version = PNG_IMAGE_VERSION;
    if (png_image_begin_read_from_file(&image, path.c_str()) == 0) throw example::Error(image.message);
    GreyPicture picture{image.width, image.height, {}};
    expect(image.format == PNG_FORMAT_GRAY, "the file is 8-bit greyscale");
    image.format = PNG_FORMAT_GRAY;
    picture.pixels.resize(PNG_IMAGE_SIZE(image));
    if (png_image_finish_read(&image, nullptr, picture.pixels.data(), 0, nullptr) == 0)
        throw example::Error(image.message);
    return picture;
}

void check_grid(const std::string& path) {
    // Five images of 2 × 3 pixels with the values 0, 7, 14, …, two rows of three places, one of them free.
    std::vector<std::uint8_t> images(30);
    for (std::size_t i = 0; i < images.size(); ++i) images[i] = static_cast<std::uint8_t>(7 * i);
    const GridOptions options{.columns = 3, .zoom = 2, .gap = 1, .background = 255};
    example::write_png(example::draw_grid(images, 2, 3, options), path);
    const GreyPicture found = read_png(path);
    expect(found.width == 22 && found.height == 11, "the picture has 22 x 11 pixels");

    bool equal = true;
    for (std::size_t y = 0; y < found.height; ++y) {
        for (std::size_t x = 0; x < found.width; ++x) {
            std::size_t expected = 255;
            const std::size_t image = y / 5 * 3 + x / 7;
            if (x % 7 > 0 && y % 5 > 0 && x < 22 && y < 11 && image < 5)
                expected = 7 * (6 * image + (y % 5 - 1) / 2 * 3 + (x % 7 - 1) / 2);
            equal = equal && found.pixels[y * found.width + x] == expected;
        }
    }
    expect(equal, "every pixel of the grid is where it belongs");
}

}  // namespace

int main(int argc, char** argv) {
    const std::string folder = argc > 1 ? argv[1] : ".";
    const std::string path = folder + "/grid.png";
    check_grid(path);

    const std::vector<std::uint8_t> images(30);
    expect_error([&] { example::draw_grid(images, 4, 7); }, "whole images of 4 x 7 pixels, found 30 bytes");
    expect_error([&] { example::draw_grid({}, 2, 3); }, "found 0 bytes");
    expect_error([&] { example::draw_grid(images, 2, 3, {.columns = 0}); }, "at least 1, found 0");
    expect_error([&] { example::write_png({.width = 2, .height = 2, .pixels = images}, path); },
                 "no picture of 2 x 2 pixels");
    expect_error([&] { example::write_png(example::draw_grid(images, 2, 3), folder + "/none/grid.png"); },
                 "none/grid.png: No such file or directory");
    expect_error([&] { example::write_png(example::draw_grid(images, 2, 3), folder); }, "cannot write " + folder);
    expect(!example::fs::exists(folder + ".part"), "nothing is left of a file that cannot be moved");
    check_grid(path);  // on top of the old one
    return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
