// Checkpoints: everything that a run needs to go on with the same bits, in one safetensors file that is whole or
// absent.
#pragma once

#include <s4/core/error.hpp>
#include <s4/core/random.hpp>
#include <s4/io/elements.hpp>
#include <s4/io/safetensors.hpp>
#include <s4/io/safetensors_writer.hpp>
#include <s4/parameters/tensors.hpp>

#include <algorithm>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <limits>
#include <locale>
#include <set>
#include <span>
#include <sstream>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace s4::inline S4_ABI {

namespace detail {

/// What every checkpoint says under the metadata key "format".
inline constexpr std::string_view checkpoint_format = "s4 checkpoint 1";

template <class T, class Archive>
concept HasItems = requires(T& object, Archive& archive) {
    std::remove_const_t<T>::for_each_item(archive, object);
};

/// The state of an engine as the standard writes it: exact, and the same on every machine.
[[nodiscard]] inline std::string engine_text(const RandomEngine& engine) {
    std::ostringstream text;
    text.imbue(std::locale::classic());
    text << engine;
    return text.str();
}
/// Reads it back; false when it is not such a text.
[[nodiscard]] inline bool read_engine(const std::string& text, RandomEngine& engine) {
    std::istringstream stream{text};
    stream.imbue(std::locale::classic());
    return static_cast<bool>(stream >> engine) && (stream >> std::ws).eof();
}

/// The names of the items that an archive is at: those of the objects around it and its own, "adamw.m".
class ItemScope {
public:
    [[nodiscard]] std::string full(std::string_view name) const {
        if (prefix_.empty() || name.empty()) return prefix_.empty() ? std::string{name} : prefix_;
        return prefix_ + '.' + std::string{name};
    }
    /// Runs `inside()` where the items belong to `name`.
    template <class Inside>
    void within(std::string_view name, const Inside& inside) {
        std::string outer = std::exchange(prefix_, full(name));
        inside();
        prefix_ = std::move(outer);
    }

private:
    std::string prefix_;
};

}  // namespace detail

/// The archive that collects a checkpoint (copies are made) and writes it. Numbers become I64 and F64 scalars, tensors
/// the dtype of their scalar, row-major, complex ones with a last axis of 2; texts and engines become metadata.
class CheckpointWriter {
public:
    /// Adds one item, or all items of an object. Error when the name is taken.
    template <class T>
    void operator()(std::string_view name, const T& value) {
        if constexpr (detail::HasItems<const T, CheckpointWriter>) {
            scope_.within(name, [&] { T::for_each_item(*this, value); });
        } else if constexpr (std::integral<T>) {
            file_.add_scalar(scope_.full(name), static_cast<std::int64_t>(value));
        } else if constexpr (std::same_as<T, float> || std::same_as<T, double>) {
            file_.add_scalar(scope_.full(name), static_cast<double>(value));
        } else if constexpr (std::same_as<T, RandomEngine>) {
            file_.set_metadata(scope_.full(name), detail::engine_text(value));
        } else {
            static_assert(std::same_as<T, std::string>,
                          "s4: an item is a number, a std::string, a RandomEngine or an object with for_each_item");
            file_.set_metadata(scope_.full(name), value);
        }
    }
    /// Adds one item that a run which resumes must have, too.
    template <class T>
    void fixed(std::string_view name, const T& value) {
        (*this)(name, value);
    }
    /// Adds the tensors of `Layer`, frozen ones too, called name.(full name).
    template <class Layer, class P>
    void tensors(std::string_view name, const P& p) {
        scope_.within(name, [&] {
            Layer::for_each_tensor([&](const TensorInfo& info,
                                       const auto& tensor) { file_.add_matrix(scope_.full(full_name(info)), tensor); },
                                   p);
        });
    }

    /// Writes the file, on top of an old one if there is one. Error when the disk or folder cannot take it; the old
    /// file is then as it was.
    void write(const std::filesystem::path& path) {
        file_.set_metadata("format", detail::checkpoint_format);
        file_.write(path);
    }

private:
    detail::ItemScope scope_;
    SafetensorsWriter file_;
};

/// The archive that reads a checkpoint into what exists already: every tensor must be in the file with its shape and
/// its dtype. Objects may be half read after an error: load_checkpoint reads into a copy.
class CheckpointReader {
public:
    /// From a file in memory.
    explicit CheckpointReader(Safetensors file) : file_{std::move(file)} {}

    /// Reads one item, or all items of an object. Errors that name it: another dtype or shape, not a value of this
    /// type. What is not there is left alone until `finish`.
    template <class T>
    void operator()(std::string_view name, T& value) {
        if constexpr (detail::HasItems<T, CheckpointReader>) {
            scope_.within(name, [&] { T::for_each_item(*this, value); });
        } else if constexpr (std::integral<T>) {
            if (const std::string full = scope_.full(name); find(full)) value = integer<T>(full);
        } else if constexpr (std::same_as<T, float> || std::same_as<T, double>) {
            if (const std::string full = scope_.full(name); find(full)) value = real<T>(full);
        } else {
            const std::string full = scope_.full(name);
            if (!file_.contains_metadata(full)) return missing_.push_back(full);
            if constexpr (std::same_as<T, RandomEngine>) {
                if (!detail::read_engine(file_.metadata(full), value))
                    fail(full, "expected the state of a random engine, found another text");
            } else {
                static_assert(std::same_as<T, std::string>,
                              "s4: an item is a number, a std::string, a RandomEngine or an object with for_each_item");
                value = file_.metadata(full);
            }
        }
    }
    /// Error unless the file has this value under `name`.
    template <class T>
    void fixed(std::string_view name, const T& value) {
        T found = value;
        (*this)(name, found);
        if (found != value) fail(scope_.full(name), "expected ", value, " as in this run, found ", found);
    }
    /// Reads the tensors of `Layer`. Error that names the first one of another shape or dtype, found and expected.
    template <class Layer, class P>
    void tensors(std::string_view name, P& p) {
        scope_.within(name, [&] {
            Layer::for_each_tensor(
                [&](const TensorInfo& info, auto& tensor) { read(scope_.full(full_name(info)), tensor); }, p);
        });
    }

    /// Error that names what was asked for and is not in the file, and the tensors and numbers of the file below
    /// `prefix` (empty: all) that were not asked for.
    void finish(std::string_view prefix = "") const {
        std::vector<std::string> unexpected;
        for (const std::string& name : file_.names())
            if (name.starts_with(prefix) && !seen_.contains(name)) unexpected.push_back(name);
        if (missing_.empty() && unexpected.empty()) return;
        std::string message = detail::printable(file_.file()) + ": not a checkpoint of this model and run:";
        if (!missing_.empty()) message += " missing " + list(missing_);
        if (!unexpected.empty()) message += (missing_.empty() ? " unexpected " : "; unexpected ") + list(unexpected);
        detail::raise(message);
    }
    /// Error unless the file says that it is a checkpoint.
    void require_checkpoint() const {
        const std::string format = file_.metadata_or("format", "");
        detail::require(format == detail::checkpoint_format, detail::printable(file_.file()),
                        ": expected a checkpoint (metadata format ", detail::printable(detail::checkpoint_format),
                        "), found ", format.empty() ? "none" : detail::printable(format));
    }

private:
    /// Whether there is a tensor of this name; it counts as missing if there is none.
    bool find(const std::string& name) {
        if (!file_.contains(name)) {
            missing_.push_back(name);
            return false;
        }
        seen_.insert(name);
        return true;
    }
    void require_dtype(const std::string& name, DType expected) const {
        const DType found = file_.info(name).dtype;
        if (found != expected) fail(name, "expected ", name_of(expected), ", found ", name_of(found));
    }

    template <class T>
    [[nodiscard]] T integer(const std::string& name) const {
        require_dtype(name, DType::I64);
        const std::int64_t value = file_.integer(name);
        if constexpr (sizeof(T) < sizeof value || std::same_as<T, bool>) {
            constexpr auto lowest = static_cast<std::int64_t>(std::numeric_limits<T>::min());
            constexpr auto highest = static_cast<std::int64_t>(std::numeric_limits<T>::max());
            if (value < lowest || value > highest)
                fail(name, "expected a number in [", lowest, ", ", highest, "], found ", value);
        }
        return static_cast<T>(value);
    }
    template <class T>
    [[nodiscard]] T real(const std::string& name) const {
        require_dtype(name, DType::F64);
        file_.require_shape(name, std::span<const Index>{});
        return static_cast<T>(detail::load<double>(file_.bytes(name).data()));
    }

    template <class Tensor>
    void read(const std::string& name, Tensor& tensor) {
        if (!find(name)) return;
        using Part = detail::StoredPart<typename Tensor::Scalar>;
        // A matrix of one row or column is the same numbers as a vector: whether its type says so depends on which
        // sizes are fixed at compile time.
        std::vector<Index> expected{tensor.rows(), tensor.cols()};
        std::vector<Index> as_vector{tensor.size()};
        for (auto* shape : {&expected, &as_vector})
            if (Part::is_complex) shape->push_back(2);
        const bool is_vector = tensor.rows() == 1 || tensor.cols() == 1;
        if (!is_vector || file_.shape(name) != as_vector)
            file_.require_shape(name,
                                Tensor::IsVectorAtCompileTime && file_.shape(name) != expected ? as_vector : expected);
        require_dtype(name, detail::dtype_of<typename Part::Type>);
        const std::byte* from = file_.bytes(name).data();
        for (Index row = 0; row < tensor.rows(); ++row)
            for (Index column = 0; column < tensor.cols(); ++column, from += sizeof(typename Tensor::Scalar))
                tensor.coeffRef(row, column) = detail::load<typename Tensor::Scalar>(from);
    }

    /// "3: "a", "b", "c"", of the first few.
    [[nodiscard]] static std::string list(const std::vector<std::string>& names) {
        constexpr std::size_t listed = 6;
        std::string text = std::to_string(names.size()) + ": ";
        for (std::size_t i = 0; i < std::min(names.size(), listed); ++i)
            text += (i > 0 ? ", " : "") + detail::printable(names[i]);
        return names.size() > listed ? text + ", ..." : text;
    }
    template <class... Parts>
    [[noreturn]] void fail(const std::string& name, const Parts&... parts) const {
        detail::raise(detail::printable(file_.file()), ": ", detail::printable(name), ": ", parts...);
    }

    detail::ItemScope scope_;
    Safetensors file_;
    std::set<std::string> seen_;
    std::vector<std::string> missing_;
};

}  // namespace s4::inline S4_ABI
