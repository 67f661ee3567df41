# What the tests of the examples share. PROGRAM is the binary, FOLDER is ours: emptied here.
cmake_minimum_required(VERSION 3.23)
file(REMOVE_RECURSE "${FOLDER}")
file(MAKE_DIRECTORY "${FOLDER}")

get_filename_component(NAME "${PROGRAM}" NAME_WE)
set(PNG 89504e470d0a1a0a)

# run(<expected exit code> <arguments>...) sets `output` and `errors`.
macro(run code)
  execute_process(COMMAND "${PROGRAM}" ${ARGN} WORKING_DIRECTORY "${FOLDER}" RESULT_VARIABLE result
                  OUTPUT_VARIABLE output ERROR_VARIABLE errors)
  message("${output}${errors}")
  if(NOT result EQUAL ${code})
    message(FATAL_ERROR "expected exit code ${code}, found ${result}")
  endif()
endmacro()

function(expect text regex)
  if(NOT text MATCHES "${regex}")
    message(FATAL_ERROR "expected `${regex}` in:\n${text}")
  endif()
endfunction()

function(expect_one_line text)
  if(NOT text MATCHES "^${NAME}: [^\n]+\n$")
    message(FATAL_ERROR "expected one line of error, found:\n${text}")
  endif()
endfunction()

# The first bytes of a file, in hexadecimal.
function(expect_file path magic)
  if(NOT EXISTS "${path}")
    message(FATAL_ERROR "${path} was not written")
  endif()
  file(READ "${path}" bytes LIMIT 8 HEX)
  if(NOT bytes MATCHES "^${magic}")
    message(FATAL_ERROR "${path} begins with ${bytes}, expected ${magic}")
  endif()
  file(SIZE "${path}" size)
  if(size LESS 1000)
    message(FATAL_ERROR "${path} has ${size} bytes only")
  endif()
endfunction()
