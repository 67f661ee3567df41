// The header of a safetensors file, from its JSON text: everything is checked, nothing is trusted before it is.
#pragma once

#include <s4/core/error.hpp>
#include <s4/io/long_tokens.hpp>
#include <s4/io/safetensors_header.hpp>

#include <nlohmann/json.hpp>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace s4::inline S4_ABI {

namespace detail {

/// Receives the events of nlohmann's parser and accepts exactly
/// {"__metadata__": {text: text, ...}, name: {"dtype": text, "shape": [sizes], "data_offsets": [begin, end]}, ...}.
/// Events instead of a document: a document hides duplicate keys and needs thirty times the memory of its text.
class SafetensorsHeaderBuilder {
public:
    using Json = nlohmann::json;

    SafetensorsHeaderBuilder(std::string_view file, std::size_t json_size) : file_{file} {
        header_.text_.reserve(json_size);  // decoded text is never longer than its JSON
    }

    /// Checks what only the whole header shows: duplicates, and that the tensors fill `data_size` bytes exactly.
    [[nodiscard]] SafetensorsHeader finish(std::uint64_t data_size) {
        check_layout(data_size);
        auto& order = header_.by_name_;
        order.resize(header_.tensors_.size());
        std::iota(order.begin(), order.end(), 0U);
        const auto by_name = [this](std::uint32_t a, std::uint32_t b) { return header_.name(a) < header_.name(b); };
        std::sort(order.begin(), order.end(), by_name);
        for (std::size_t i = 1; i < order.size(); ++i)
            if (header_.name(order[i - 1]) == header_.name(order[i]))
                fail("expected unique tensor names, found ", printable(header_.name(order[i])), " twice");

        auto& metadata = header_.metadata_;
        const auto key = [this](const SafetensorsHeader::Metadata& entry) { return header_.view(entry.key); };
        std::sort(metadata.begin(), metadata.end(), [&](const auto& a, const auto& b) { return key(a) < key(b); });
        for (std::size_t i = 1; i < metadata.size(); ++i)
            if (key(metadata[i - 1]) == key(metadata[i]))
                fail("__metadata__: expected unique keys, found ", printable(key(metadata[i])), " twice");
        return std::move(header_);
    }

    // The events. Each says whether to go on; a mistake does not return.
    bool start_object(std::size_t) {
        switch (place_) {
            case Place::start:
                return go(Place::file);
            case Place::metadata_object:
                return go(Place::metadata);
            case Place::tensor_object:
                tensor_ = {};
                tensor_.name = name_;
                shape_size_ = 0;
                has_dtype_ = has_shape_ = has_offsets_ = false;
                return go(Place::tensor);
            default:
                unexpected("an object");
        }
    }
    bool end_object() {
        if (place_ == Place::file) return go(Place::end);
        if (place_ == Place::tensor) finish_tensor();
        return go(Place::file);
    }
    bool key(std::string& key) {
        if (place_ == Place::file) {
            if (key == "__metadata__") {
                if (has_metadata_) fail("expected one __metadata__, found two");
                has_metadata_ = true;
                return go(Place::metadata_object);
            }
            name_ = store(key);
            return go(Place::tensor_object);
        }
        if (place_ == Place::metadata) {
            name_ = store(key);
            return go(Place::metadata_value);
        }
        if (key == "dtype") return first(has_dtype_, "dtype"), go(Place::dtype);
        if (key == "shape") return first(has_shape_, "shape"), go(Place::shape_array);
        if (key == "data_offsets") return first(has_offsets_, "data_offsets"), go(Place::offsets_array);
        fail(where(), "expected the keys dtype, shape and data_offsets, found ", printable(key));
    }
    bool string(std::string& value) {
        if (place_ == Place::metadata_value) {
            header_.metadata_.push_back({name_, store(value)});
            return go(Place::metadata);
        }
        if (place_ != Place::dtype) unexpected("text");
        const std::optional<DType> dtype = dtype_from_name(value);
        if (!dtype) fail(where(), "expected a known dtype (F32, F64, I64, ...), found ", printable(value));
        tensor_.dtype = *dtype;
        return go(Place::tensor);
    }
    bool start_array(std::size_t) {
        if (place_ == Place::shape_array) return go(Place::shape);
        if (place_ != Place::offsets_array) unexpected("an array");
        offsets_size_ = 0;
        return go(Place::offsets);
    }
    bool end_array() {
        if (place_ == Place::offsets && offsets_size_ != 2)
            fail(where(), "data_offsets: expected 2 numbers, found ", offsets_size_);
        return go(Place::tensor);
    }
    bool number_unsigned(std::uint64_t value) {
        if (place_ == Place::shape) {
            if (shape_size_ == shape_.size()) fail(where(), "shape: expected at most ", shape_.size(), " sizes");
            if (value > static_cast<std::uint64_t>(std::numeric_limits<Index>::max()))
                fail(where(), "shape: expected sizes below 2^63, found ", value);
            shape_[shape_size_++] = static_cast<Index>(value);
        } else if (place_ == Place::offsets) {
            if (offsets_size_ == 2) fail(where(), "data_offsets: expected 2 numbers, found more");
            (offsets_size_++ == 0 ? tensor_.begin : tensor_.end) = value;
        } else {
            unexpected("a number");
        }
        return true;
    }
    bool number_integer(std::int64_t value) { unexpected(value == 0 ? "-0" : std::to_string(value)); }
    bool number_float(double, const std::string& text) { unexpected(text); }
    bool null() { unexpected("null"); }
    bool boolean(bool value) { unexpected(value ? "true" : "false"); }
    bool binary(Json::binary_t&) { unexpected("binary data"); }
    bool parse_error(std::size_t position, const std::string&, const Json::exception& error) {
        fail("expected JSON, found an error at byte ", position,
             " of the header: ", std::string_view{error.what()}.substr(0, 200));
    }

    template <class... Parts>
    [[noreturn]] void fail(const Parts&... parts) const {
        raise(printable(file_), ": ", parts...);
    }

private:
    /// What the next event belongs to.
    enum class Place {
        start,
        file,
        metadata_object,
        metadata,
        metadata_value,
        tensor_object,
        tensor,
        dtype,
        shape_array,
        shape,
        offsets_array,
        offsets,
        end
    };

    bool go(Place place) noexcept {
        place_ = place;
        return true;
    }

    SafetensorsHeader::Text store(std::string_view text) {
        const auto begin = static_cast<std::uint32_t>(header_.text_.size());
        header_.text_ += text;
        return {begin, static_cast<std::uint32_t>(text.size())};
    }

    /// "tensor "name": " inside a tensor's entry or a metadata value's, otherwise nothing.
    [[nodiscard]] std::string where() const {
        if (place_ == Place::metadata_object || place_ == Place::metadata) return "__metadata__: ";
        if (place_ == Place::metadata_value) return "__metadata__: key " + printable(header_.view(name_)) + ": ";
        if (place_ == Place::start || place_ == Place::file || place_ == Place::end) return {};
        return "tensor " + printable(header_.view(name_)) + ": ";
    }

    [[noreturn]] void unexpected(std::string_view found) const {
        const char* expected = "an object";
        if (place_ == Place::metadata_value) expected = "text";
        if (place_ == Place::dtype) expected = "dtype as text";
        if (place_ == Place::shape_array || place_ == Place::shape) expected = "shape as an array of integers from 0";
        if (place_ == Place::offsets_array || place_ == Place::offsets)
            expected = "data_offsets as an array of 2 integers from 0";
        fail(where(), "expected ", expected, ", found ", found.substr(0, 80));
    }

    void first(bool& seen, const char* key) const {
        if (seen) fail(where(), "expected one ", key, ", found two");
        seen = true;
    }

    void finish_tensor() {
        if (!has_dtype_) fail(where(), "expected dtype, found none");
        if (!has_shape_) fail(where(), "expected shape, found none");
        if (!has_offsets_) fail(where(), "expected data_offsets, found none");
        const std::span<const Index> shape{shape_.data(), shape_size_};
        const std::optional<std::uint64_t> bytes = checked_bytes(shape, size_of(tensor_.dtype));
        if (!bytes) fail(where(), "expected a size below 2^63 bytes, found shape ", shape_text(shape));
        if (tensor_.end < tensor_.begin)
            fail(where(), "expected data_offsets [begin, end] with begin <= end, found [", tensor_.begin, ", ",
                 tensor_.end, "]");
        if (tensor_.end - tensor_.begin != *bytes)
            fail(where(), "expected ", *bytes, " bytes for ", name_of(tensor_.dtype), " ", shape_text(shape),
                 ", found data_offsets [", tensor_.begin, ", ", tensor_.end, "]");
        tensor_.shape_begin = static_cast<std::uint32_t>(header_.shapes_.size());
        tensor_.rank = static_cast<std::uint8_t>(shape_size_);
        header_.shapes_.insert(header_.shapes_.end(), shape.begin(), shape.end());
        header_.tensors_.push_back(tensor_);
    }

    void check_layout(std::uint64_t data_size) {
        auto& tensors = header_.tensors_;
        std::sort(tensors.begin(), tensors.end(),
                  [](const auto& a, const auto& b) { return a.begin != b.begin ? a.begin < b.begin : a.end < b.end; });
        std::uint64_t filled = 0;
        for (const auto& tensor : tensors) {
            if (tensor.begin != filled)
                fail("tensor ", printable(header_.view(tensor.name)), ": expected data from byte ", filled,
                     ", found from byte ", tensor.begin, tensor.begin < filled ? " (an overlap)" : " (a hole)");
            filled = tensor.end;
        }
        if (filled != data_size)
            fail("expected ", filled, " bytes of data after the header, found ", data_size,
                 tensors.empty() ? std::string{}
                                 : " (last tensor: " + printable(header_.view(tensors.back().name)) + ")");
    }

    std::string_view file_;
    SafetensorsHeader header_;
    Place place_ = Place::start;
    SafetensorsHeader::Text name_{};
    SafetensorsHeader::Tensor tensor_{};
    std::array<Index, SafetensorsHeader::max_rank> shape_{};
    std::size_t shape_size_ = 0;
    std::size_t offsets_size_ = 0;
    bool has_metadata_ = false;
    bool has_dtype_ = false;
    bool has_shape_ = false;
    bool has_offsets_ = false;
};

}  // namespace detail

/// Reads the JSON text of a header whose data is `data_size` bytes long; `file` names the file in errors. O(n log n).
/// Errors: whatever breaks the format, duplicate names and unknown keys included.
[[nodiscard]] inline SafetensorsHeader parse_safetensors_header(std::string_view json, std::uint64_t data_size,
                                                                std::string_view file) {
    detail::SafetensorsHeaderBuilder builder{file, std::min(json.size(), SafetensorsHeader::max_size)};
    if (json.size() > SafetensorsHeader::max_size)
        builder.fail("expected a header of at most ", SafetensorsHeader::max_size, " bytes, found ", json.size());
    json = json.substr(0, json.find_last_not_of(' ') + 1);  // the format pads with spaces, and with nothing else
    if (json.empty() || json.front() != '{' || json.back() != '}')
        builder.fail("expected a header of one JSON object, padded at its end by spaces only");
    // nlohmann's reader takes a zero byte for the end of the text and would not see what follows it.
    if (const std::size_t zero = json.find('\0'); zero != json.npos)
        builder.fail("expected JSON, found a zero byte at byte ", zero, " of the header");
    if (const std::optional<std::size_t> mistake = detail::mistake_in_long_token(json))
        builder.fail(
            "expected JSON, found an error at byte ", *mistake,
            " of the header: a long text that is not UTF-8, not escaped as JSON asks, not ended or out of place");
    nlohmann::json::sax_parse(json.data(), json.data() + json.size(), &builder);
    return builder.finish(data_size);
}

}  // namespace s4::inline S4_ABI
