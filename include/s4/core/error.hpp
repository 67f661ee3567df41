// One way to report what is wrong with data from outside: files, command lines, hyper-parameters.
#pragma once

#include <s4/core/config.hpp>

#include <atomic>
#include <concepts>
#include <cstdio>
#include <cstdlib>
#include <initializer_list>
#include <new>
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

/// One piece of a message: a text that outlives the call, or a number. Erased, so that the many different calls of
/// `require` compile to one function and keep only a comparison in the code around them.
class Part {
public:
    Part(std::string_view text) noexcept : text_{text} {}
    Part(const char* text) noexcept : text_{text} {}
    Part(const std::string& text) noexcept : text_{text} {}
    Part(bool value) noexcept : text_{value ? "true" : "false"} {}
    template <std::signed_integral Integer>
    Part(Integer value) noexcept : kind_{Kind::integer}, integer_{value} {}
    template <std::unsigned_integral Integer>
    Part(Integer value) noexcept : kind_{Kind::natural}, natural_{value} {}
    template <std::floating_point Real>
    Part(Real value) noexcept : kind_{Kind::real}, real_{value} {}

    void append_to(std::string& message) const {
        switch (kind_) {
            case Kind::text:
                message.append(text_);
                break;
            case Kind::integer:
                message.append(to_text(integer_));
                break;
            case Kind::natural:
                message.append(to_text(natural_));
                break;
            case Kind::real:
                message.append(to_text(real_));
                break;
        }
    }

private:
    enum class Kind { text, integer, natural, real };
    Kind kind_ = Kind::text;
    std::string_view text_{};
    union {
        long long integer_;
        unsigned long long natural_;
        long double real_ = 0;
    };
};

[[noreturn]] inline void raise_parts(std::initializer_list<Part> parts) {
    std::string message;
    for (const Part& part : parts) part.append_to(message);
    raise_message(message);
}

template <class... Parts>
[[noreturn]] void raise(const Parts&... parts) {
    raise_parts({parts...});
}

/// Raises the message made of `parts` unless `condition` holds.
template <class... Parts>
void require(bool condition, const Parts&... parts) {
    if (!condition) [[unlikely]]
        raise_parts({parts...});
}

/// The result of `work()`, where a failed allocation becomes an Error that says for what.
template <class Work>
decltype(auto) or_out_of_memory(const char* what, const Work& work) {
#if defined(__cpp_exceptions)
    try {
        return work();
    } catch (const std::bad_alloc&) {
        raise("out of memory: ", what);
    } catch (const std::length_error&) {
        raise("out of memory: ", what);
    }
#else
    static_cast<void>(what);
    return work();
#endif
}

}  // namespace detail

/// Installs `handler` for every later error (nullptr: back to throwing) and returns the one before it. Thread-safe.
inline ErrorHandler set_error_handler(ErrorHandler handler) noexcept {
    return detail::error_handler().exchange(handler);
}

}  // namespace s4::inline S4_ABI
