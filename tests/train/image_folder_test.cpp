// Folders of images: made by hand, and the real Fashion-MNIST and MNIST where they are.
#include "tests/io/idx_files.hpp"
#include "tests/io/safetensors_bytes.hpp"
#include <s4/train/image_folder.hpp>

#include <array>
#include <cmath>
#include <cstddef>
#include <filesystem>
#include <string>
#include <tests/support/expect_error.hpp>
#include <vector>

namespace {

using s4::ImageDataset;
using s4::ImageSequences;
using s4::Index;
using s4::test::counting_bytes;
using s4::test::gzip;
using s4::test::idx_header;
using s4::test::TemporaryFolder;
using s4::test::write_text;

void read(const std::filesystem::path& folder) { static_cast<void>(s4::read_image_folder(folder)); }

/// Three images to train on, two to test, of 2 × 2 pixels; labels are compressed.
void write_small_dataset(const TemporaryFolder& folder) {
    write_text(folder / "train-images-idx3-ubyte", idx_header({3, 2, 2}) + counting_bytes(12));
    write_text(folder / "train-labels-idx1-ubyte.gz", gzip(idx_header({3}) + counting_bytes(3)));
    write_text(folder / "t10k-images-idx3-ubyte.gz", gzip(idx_header({2, 2, 2}) + counting_bytes(8)));
    write_text(folder / "t10k-labels-idx1-ubyte", idx_header({2}) + counting_bytes(2));
}

TEST(ImageFolder, ReadsPlainAndCompressedFiles) {
    const TemporaryFolder folder;
    write_small_dataset(folder);
    const ImageDataset dataset = s4::read_image_folder(folder / "");
    EXPECT_EQ(dataset.training.size(), 3);
    EXPECT_EQ(dataset.training.label(2), 2);
    EXPECT_EQ(dataset.test.size(), 2);
    EXPECT_EQ(dataset.test.image(1)[3], 7);
    EXPECT_EQ(dataset.test.length(), 4);
}

TEST(ImageFolder, PrefersPlainFiles) {
    const TemporaryFolder folder;
    write_small_dataset(folder);
    write_text(folder / "train-images-idx3-ubyte.gz", "damaged");
    EXPECT_EQ(s4::read_image_folder(folder / "").training.size(), 3);
}

TEST(ImageFolder, SaysWhatIsMissingAndWhereToFindIt) {
    const TemporaryFolder folder;
    EXPECT_S4_ERROR(read(folder / "none"), "none\": expected a folder, found none",
                    "Debian's package dataset-fashion-mnist");
    write_small_dataset(folder);
    EXPECT_S4_ERROR(read(folder / "train-images-idx3-ubyte"), "expected a folder, found a file");
    for (const std::string& name : folder.files()) {
        write_small_dataset(folder);
        std::filesystem::remove(folder / name);
        const std::string plain = name.substr(0, name.find(".gz"));
        EXPECT_S4_ERROR(read(folder / ""),
                        ("expected the file " + plain + " or " + plain + ".gz, found neither").c_str(),
                        "Debian's package dataset-fashion-mnist has such files in /usr/share/datasets/fashion-mnist");
    }
}

TEST(ImageFolder, RefusesFilesThatDoNotFit) {
    const TemporaryFolder folder;
    write_small_dataset(folder);
    write_text(folder / "t10k-images-idx3-ubyte.gz", gzip(idx_header({2, 2, 3}) + counting_bytes(12)));
    EXPECT_S4_ERROR(read(folder / ""), "expected test images of 2 x 2 pixels, as in training, found 2 x 3");
    write_small_dataset(folder);
    write_text(folder / "train-labels-idx1-ubyte.gz", gzip(idx_header({3}) + "\1\2\12"));
    EXPECT_S4_ERROR(read(folder / ""), "train-labels-idx1-ubyte.gz\": expected labels in [0, 9], found 10 for image 2");
    write_text(folder / "train-labels-idx1-ubyte.gz", gzip(idx_header({4}) + "\1\2\3\4"));
    EXPECT_S4_ERROR(read(folder / ""), "expected 3 labels, one for each image of", "found 4");
    write_text(folder / "train-labels-idx1-ubyte.gz", "no gzip");
    EXPECT_S4_ERROR(read(folder / ""), "train-labels-idx1-ubyte.gz\": expected data compressed by gzip");
}

/// Mean and standard deviation of all pixels, as numbers in [0, 1].
std::array<double, 2> pixel_moments(const ImageSequences& images) {
    double sum = 0;
    double squares = 0;
    for (Index i = 0; i < images.size(); ++i) {
        for (const std::uint8_t pixel : images.image(i)) {
            const double value = pixel / 255.0;
            sum += value;
            squares += value * value;
        }
    }
    const auto count = static_cast<double>(images.size() * images.length());
    return {sum / count, std::sqrt(squares / count - sum / count * sum / count)};
}

std::vector<Index> images_of_each_class(const ImageSequences& images) {
    std::vector<Index> counts(static_cast<std::size_t>(images.classes()));
    for (Index i = 0; i < images.size(); ++i) ++counts[static_cast<std::size_t>(images.label(i))];
    return counts;
}

TEST(FashionMnist, IsTheDataSetThatEveryoneUses) {
    if (!std::filesystem::exists(s4::fashion_mnist_folder))
        GTEST_SKIP() << "NOT TESTED: no folder " << s4::fashion_mnist_folder
                     << "; apt-get install dataset-fashion-mnist";
    const ImageDataset dataset = s4::read_image_folder(s4::fashion_mnist_folder);
    EXPECT_EQ(dataset.training.length(), 784);
    EXPECT_EQ(images_of_each_class(dataset.training), std::vector<Index>(10, 6000));
    EXPECT_EQ(images_of_each_class(dataset.test), std::vector<Index>(10, 1000));
    const auto [mean, deviation] = pixel_moments(dataset.training);
    EXPECT_NEAR(mean, 0.2860, 5e-5);  // the constants that programs normalise it by
    EXPECT_NEAR(deviation, 0.3530, 5e-5);
}

TEST(Mnist, IsTheDataSetThatEveryoneUses) {
    const std::filesystem::path folder = std::filesystem::path{S4_DATA_DIR} / "mnist";
    if (std::string{S4_DATA_DIR}.empty())
        GTEST_SKIP() << "NOT TESTED: configure with S4_DATA_DIR set to a folder that holds mnist/";
    const ImageDataset dataset = s4::read_image_folder(folder);
    EXPECT_EQ(images_of_each_class(dataset.training),
              (std::vector<Index>{5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949}));
    EXPECT_EQ(dataset.test.size(), 10'000);
    EXPECT_EQ(dataset.test.label(0), 7);
    const auto [mean, deviation] = pixel_moments(dataset.training);
    EXPECT_NEAR(mean, 0.1307, 5e-5);
    EXPECT_NEAR(deviation, 0.3081, 5e-5);
}

}  // namespace
