# Compiles SOURCE without writing anything. MODE pass: it must compile. MODE fail: with S4_MUST_FAIL defined it must
# not, and the compiler must say what the first line of the file expects: `// expected: <regex>`.
set(ENV{LC_ALL} C)  # plain quotes, English
set(definition "")
if(MODE STREQUAL "fail")
  set(definition -DS4_MUST_FAIL)
endif()
execute_process(COMMAND ${COMPILER} ${FLAGS} ${definition} -fsyntax-only ${SOURCE}
                RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)

if(MODE STREQUAL "pass")
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "${SOURCE} must compile, but the compiler ended with ${result}:\n${output}")
  endif()
  return()
endif()

file(STRINGS ${SOURCE} first_line LIMIT_COUNT 1)
if(NOT first_line MATCHES "^// expected: (.+)$")
  message(FATAL_ERROR "${SOURCE}: the first line must be `// expected: <regex>`")
endif()
set(expected "${CMAKE_MATCH_1}")
if(NOT result MATCHES "^[0-9]+$" OR result EQUAL 0)
  message(FATAL_ERROR "${SOURCE} must not compile with S4_MUST_FAIL, but the compiler ended with ${result}:\n${output}")
endif()
string(REPLACE "\\n" "\n" expected "${expected}")
if(NOT output MATCHES "${expected}")
  message(FATAL_ERROR "${SOURCE} does not compile, as it must, but no error matches\n  ${expected}\nThe compiler "
                      "said:\n${output}")
endif()
