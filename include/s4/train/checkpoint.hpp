// Checkpoints: all that a run needs to go on with the same bits, in one safetensors file that is whole or absent.
#pragma once

#include <s4/core/error.hpp>
#include <s4/io/safetensors.hpp>
#include <s4/train/checkpoint_archive.hpp>

#include <filesystem>
#include <string>
#include <string_view>
#include <utility>

namespace s4::inline S4_ABI {

// What is saved is said once, for both directions, by a static function of the type to be saved:
//
//     template <class Archive, class Self>
//     static void for_each_item(Archive& archive, Self& self) {
//         archive("epoch", self.epoch);                          // a number, a text or a random engine
//         archive("adamw", self.optimiser);                      // an object with such a function
//         archive.template tensors<Model>("model", self.model);  // "model.encoder.weight", …
//         archive.fixed("hidden", self.hidden);                  // has to be the same in the file and in the run
//     }

/// Writes all items of `object` to `path`, on top of an old file if there is one: written beside it, flushed to the
/// disk and moved, so that a loss of power leaves the old file or the new one. Error when the disk or the folder cannot
/// take it; the old file is then as it was.
template <class T>
void save_checkpoint(const std::filesystem::path& path, const T& object) {
    detail::or_out_of_memory("a checkpoint", [&] {
        CheckpointWriter archive;
        T::for_each_item(archive, object);
        archive.write(path);
    });
}

/// Reads all items of `object`, bit for bit. After an error nothing of it has changed. Errors: no such file, not a
/// checkpoint; the first tensor of another shape or dtype (named, with what was found and expected); items that are
/// missing or unexpected (named).
template <class T>
void load_checkpoint(const std::filesystem::path& path, T& object) {
    detail::or_out_of_memory("a checkpoint", [&] {
        CheckpointReader archive{Safetensors::read(path)};
        archive.require_checkpoint();
        T loaded = object;
        T::for_each_item(archive, loaded);
        archive.finish();
        object = std::move(loaded);
    });
}

/// Reads the tensors of `Layer` called name.(full name) alone, from a checkpoint or any other safetensors file; an
/// empty name: the whole file. After an error nothing of `p` has changed. Errors as in load_checkpoint.
template <class Layer>
void load_tensors(const std::filesystem::path& path, std::string_view name, typename Layer::Parameters& p) {
    detail::or_out_of_memory("the parameters of a checkpoint", [&] {
        CheckpointReader archive{Safetensors::read(path)};
        typename Layer::Parameters loaded = p;
        archive.template tensors<Layer>(name, loaded);
        archive.finish(name.empty() ? std::string{} : std::string{name} + '.');
        p = std::move(loaded);
    });
}

}  // namespace s4::inline S4_ABI
