// Long JSON texts and numbers, checked before the JSON library reads them: where it finds a mistake in one, it copies
// the text up to ten times into its message.
#pragma once

#include <s4/core/config.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace s4::inline S4_ABI::detail {

/// Tokens up to this length are left to the JSON library.
inline constexpr std::size_t long_token = 4096;

/// Length of the UTF-8 sequence that `text` begins with, 0 if it is none. (RFC 3629: no overlong forms, no surrogates)
[[nodiscard]] inline std::size_t utf8_length(std::string_view text) noexcept {
    const auto byte = [text](std::size_t i) {
        return i < text.size() ? static_cast<unsigned>(static_cast<unsigned char>(text[i])) : 0U;
    };
    const auto follows = [&byte](std::size_t i) { return (byte(i) & 0xc0U) == 0x80U; };
    const unsigned first = byte(0);
    if (first < 0x80) return 1;
    if (first >= 0xc2 && first <= 0xdf) return follows(1) ? 2 : 0;
    if (first >= 0xe0 && first <= 0xef) {
        const unsigned least = first == 0xe0 ? 0xa0 : 0x80;
        const unsigned most = first == 0xed ? 0x9f : 0xbf;
        return byte(1) >= least && byte(1) <= most && follows(2) ? 3 : 0;
    }
    if (first >= 0xf0 && first <= 0xf4) {
        const unsigned least = first == 0xf0 ? 0x90 : 0x80;
        const unsigned most = first == 0xf4 ? 0x8f : 0xbf;
        return byte(1) >= least && byte(1) <= most && follows(2) && follows(3) ? 4 : 0;
    }
    return 0;
}

/// Where the text that begins at the quote json[begin] ends (behind its second quote), and where its first mistake is:
/// a control character, bytes that are not UTF-8, an escape that JSON does not have, or no end.
struct ScannedText {
    std::size_t end;
    std::optional<std::size_t> mistake;
};
[[nodiscard]] inline ScannedText scan_text(std::string_view json, std::size_t begin) noexcept {
    ScannedText text{begin + 1, {}};
    const auto mistake_at = [&text](std::size_t position) {
        if (!text.mistake) text.mistake = position;
    };
    while (text.end < json.size() && json[text.end] != '"') {
        const char c = json[text.end];
        if (c == '\\') {
            const std::string_view escapes = "\"\\/bfnrtu";
            if (text.end + 1 >= json.size() || escapes.find(json[text.end + 1]) == escapes.npos) mistake_at(text.end);
            text.end += 2;
        } else if (static_cast<unsigned char>(c) < 0x20) {
            mistake_at(text.end++);
        } else {
            const std::size_t length = utf8_length(json.substr(text.end));
            if (length == 0) mistake_at(text.end);
            text.end += length == 0 ? 1 : length;
        }
    }
    if (text.end >= json.size()) {
        mistake_at(json.size());
        text.end = json.size();
    } else {
        ++text.end;
    }
    return text;
}

/// The position of a mistake in a long token of `json`: inside of it, or because it stands where none may. No claim
/// about anything else in the text. O(n).
[[nodiscard]] inline std::optional<std::size_t> mistake_in_long_token(std::string_view json) noexcept {
    const auto is_space = [](char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; };
    const auto is_mark = [](char c) { return std::string_view{"{}[],:"}.find(c) != std::string_view::npos; };
    char before = ' ';  // the last thing that is no space
    for (std::size_t at = 0; at < json.size();) {
        const char c = json[at];
        if (is_space(c) || is_mark(c)) {
            if (is_mark(c)) before = c;
            ++at;
            continue;
        }
        const std::size_t begin = at;
        std::optional<std::size_t> mistake;
        if (c == '"') {
            const ScannedText text = scan_text(json, begin);
            at = text.end;
            mistake = text.mistake;
        } else {
            while (at < json.size() && !is_space(json[at]) && !is_mark(json[at]) && json[at] != '"') ++at;
            mistake = begin;  // no number and no word is that long
        }
        if (at - begin > long_token) {
            if (mistake) return mistake;
            std::size_t next = at;
            while (next < json.size() && is_space(json[next])) ++next;
            if (std::string_view{"{[,:"}.find(before) == std::string_view::npos) return begin;
            if (next == json.size() || std::string_view{":,}]"}.find(json[next]) == std::string_view::npos) return next;
        }
        before = 't';
    }
    return {};
}

}  // namespace s4::inline S4_ABI::detail
