// One way to report what is wrong with data from outside: files, command lines, hyper-parameters.
#pragma once

#include <s4/core/config.hpp>

#include <atomic>
#include <concepts>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <string_view>

namespace s4::inline S4_ABI {

/// What the library throws. The message names the option or tensor, what was expected and what was found.
class Error : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// Receives the message of every error when set; it must not return (throw, longjmp or end the process).
using ErrorHandler = void (*)(const char* message);

namespace detail {

inline std::atomic<ErrorHandler>& error_handler() noexcept {
    static std::atomic<ErrorHandler> handler{nullptr};
    return handler;
}

inline std::string to_text(std::string_view text) { return std::string{text}; }
inline std::string to_text(const char* text) { return text; }
inline std::string to_text(bool value) { return value ? "true" : "false"; }
template <std::integral Integer>
std::string to_text(Integer value) {
    return std::to_string(value);
}
template <std::floating_point Real>
std::string to_text(Real value) {
    char text[48];
    std::snprintf(text, sizeof text, "%.9Lg", static_cast<long double>(value));
    return text;
}

/// Reports one error: calls the handler if there is one, otherwise throws Error (or ends the process under
/// -fno-exceptions). Every error of the library passes through here.
[[noreturn]] inline void raise_message(const std::string& message) {
    if (const ErrorHandler handler = error_handler().load()) handler(message.c_str());
#if defined(__cpp_exceptions)
    throw Error(message);
#else
    std::fprintf(stderr, "s4: %s\n", message.c_str());
    std::abort();
#endif
}

template <class... Parts>
[[noreturn]] void raise(const Parts&... parts) {
    std::string message;
    (message.append(to_text(parts)), ...);
    raise_message(message);
}

/// Raises the message made of `parts` unless `condition` holds.
template <class... Parts>
void require(bool condition, const Parts&... parts) {
    if (!condition) [[unlikely]]
        raise(parts...);
}

}  // namespace detail

/// Installs `handler` for every later error (nullptr: back to throwing) and returns the one before it. Thread-safe.
inline ErrorHandler set_error_handler(ErrorHandler handler) noexcept {
    return detail::error_handler().exchange(handler);
}

}  // namespace s4::inline S4_ABI
