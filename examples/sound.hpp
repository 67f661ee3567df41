// Reads a sound file, as one channel.
#pragma once

#include <Eigen/Core>
#include <sndfile.hh>

#include <cmath>
#include <cstddef>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <vector>

namespace examples {

namespace fs = std::filesystem;
using Signal = Eigen::VectorXf;
using Error = std::runtime_error;

struct Sound {
    Signal samples;  // the mean of the file's channels
    int rate = 0;    // Hz
};

/// The whole file. Error when it is missing, is no sound, or holds a number that is none.
inline Sound read_sound(const std::string& path) {
    if (!fs::exists(path))
        throw Error("no such file: " + path + " (the default sound comes with Debian's package alsa-utils)");
    if (fs::is_directory(path)) throw Error("expected a sound file, found a folder: " + path);
    SndfileHandle file{path};
    if (file.error() != SF_ERR_NO_ERROR) throw Error("cannot read " + path + ": " + file.strError());

    constexpr sf_count_t block = 4096, longest = sf_count_t{1} << 30;  // the result has to fit into a WAV file
    const auto width = static_cast<std::size_t>(file.channels());
    std::vector<float> frames(block * width), mono;
    for (sf_count_t count = 0; (count = file.readf(frames.data(), block)) > 0;) {
        for (std::size_t t = 0; t < static_cast<std::size_t>(count); ++t) {
            float sum = 0;
            for (std::size_t c = 0; c < width; ++c) {
                const float value = frames[t * width + c];
                if (!std::isfinite(value))
                    throw Error(path + ": sample " + std::to_string(mono.size()) + " of channel " + std::to_string(c) +
                                " is not a finite number");
                sum += value / static_cast<float>(width);
            }
            mono.push_back(sum);
        }
        if (std::ssize(mono) > longest) throw Error(path + ": more than " + std::to_string(longest) + " samples");
    }
    if (file.error() != SF_ERR_NO_ERROR) throw Error("cannot read " + path + ": " + file.strError());
    if (mono.empty()) throw Error(path + ": the file holds no samples");
    return {Eigen::Map<const Signal>(mono.data(), std::ssize(mono)), file.samplerate()};
}

}  // namespace examples
