// Sounds for the examples, read and written by libsndfile.
#pragma once

#include "program.hpp"

#include <Eigen/Core>
#include <sndfile.hh>

#include <cmath>
#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

namespace example {

/// A spoken word, 1.4 s at 48 kHz, from Debian's package alsa-utils.
inline constexpr const char* default_sound = "/usr/share/sounds/alsa/Front_Center.wav";

struct Sound {
    Eigen::VectorXf samples;  ///< the mean of the file's channels
    int rate = 0;             ///< Hz
};

/// WAV, FLAC and whatever else libsndfile knows. Error when there is no such sound, or a sample is not finite.
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
    return {Eigen::Map<const Eigen::VectorXf>(mono.data(), std::ssize(mono)), file.samplerate()};
}

/// 16-bit WAV, complete or not there at all.
inline void write_sound(const Sound& sound, const fs::path& path) {
    const fs::path part = path.string() + ".part";
    SndfileHandle file{part.string(), SFM_WRITE, SF_FORMAT_WAV | SF_FORMAT_PCM_16, 1, sound.rate};
    bool written = file.error() == SF_ERR_NO_ERROR &&
                   file.write(sound.samples.data(), sound.samples.size()) == sound.samples.size();
    const std::string problem = file.strError();
    file = {};  // closes
    std::error_code failure;
    if (written) fs::rename(part, path, failure);
    if (!written || failure) {
        std::error_code ignored;
        fs::remove(part, ignored);
        throw Error("cannot write " + path.string() + ": " + (written ? failure.message() : problem));
    }
}

}  // namespace example
