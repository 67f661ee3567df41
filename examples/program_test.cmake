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

# write_wav(<path> <format, channels, bits: octal> <data size: two octal bytes> <data: octal escapes>): a small sound at
# 48 kHz. Formats: 001 integers, 003 floats.
function(write_wav path format channels bits size data)
  set(header "RIFF\\377\\377\\000\\000WAVEfmt \\020\\000\\000\\000\\${format}\\000\\${channels}\\000")
  string(APPEND header "\\200\\273\\000\\000\\000\\000\\001\\000\\010\\000\\${bits}\\000data${size}\\000\\000")
  execute_process(COMMAND printf "${header}${data}" OUTPUT_FILE "${path}" COMMAND_ERROR_IS_FATAL ANY)
endfunction()

# The program does its work without gnuplot, says so, and writes no picture. Sets `output`.
macro(run_without_gnuplot folder_option)
  file(MAKE_DIRECTORY "${FOLDER}/empty")
  set(ENV{PATH} "${FOLDER}/empty")
  run(0 ${folder_option} "${FOLDER}/result")
  expect("${output}" "gnuplot was not found \\(apt-get install gnuplot-nox\\)")
  file(GLOB pictures "${FOLDER}/result/*.png")
  if(pictures)
    message(FATAL_ERROR "pictures without gnuplot: ${pictures}")
  endif()
endmacro()
