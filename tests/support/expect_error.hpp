// EXPECT_S4_ERROR(statement, "part of the message", ...): the statement raises s4::Error and the message has every
// part. Without exceptions the same is checked of the process that the error ends.
#pragma once

#include <s4/core/error.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <initializer_list>
#include <string>

namespace s4::test {

inline ::testing::AssertionResult contains_all(const std::string& message, std::initializer_list<const char*> parts) {
    for (const char* part : parts)
        if (message.find(part) == std::string::npos)
            return ::testing::AssertionFailure() << "the message \"" << message << "\" does not say \"" << part << '"';
    return ::testing::AssertionSuccess();
}

}  // namespace s4::test

#if defined(__cpp_exceptions)
#define EXPECT_S4_ERROR(statement, ...)                                       \
    do {                                                                      \
        std::string s4_message;                                               \
        try {                                                                 \
            statement;                                                        \
            ADD_FAILURE() << "no error from: " #statement;                    \
        } catch (const ::s4::Error& s4_error) {                               \
            s4_message = s4_error.what();                                     \
            EXPECT_TRUE(::s4::test::contains_all(s4_message, {__VA_ARGS__})); \
        }                                                                     \
    } while (false)
#else
#define EXPECT_S4_ERROR(statement, ...) EXPECT_DEATH({ statement; }, "s4: ")
#endif
