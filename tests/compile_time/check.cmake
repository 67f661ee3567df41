# Compiles a file with only <s4/s4.hpp> and one with only <Eigen/Dense> in turns and compares the least user times: a
# busy machine can only add to a time. Fails above LIMIT percent (130).
cmake_minimum_required(VERSION 3.20)
if(NOT DEFINED LIMIT)
  set(LIMIT 130)
endif()
if(NOT DEFINED REPETITIONS)
  set(REPETITIONS 7)
endif()

file(WRITE "${WORK}/s4.cpp" "#include <s4/s4.hpp>\n")
file(WRITE "${WORK}/eigen.cpp" "#include <Eigen/Dense>\n")
set(flags -std=c++20 -O2 "-I${INCLUDE}")
foreach(directory IN LISTS EIGEN_INCLUDE)
  list(APPEND flags -isystem "${directory}")
endforeach()

# User time of one compilation in milliseconds. LC_ALL: a decimal point, and no complaint about a missing locale.
set(time_command [[TIMEFORMAT=%3U; time "$@" -c]])
function(measure source result)
  execute_process(COMMAND "${CMAKE_COMMAND}" -E env LC_ALL=C "${BASH}" -c "${time_command}" measure "${CXX}" ${flags} "${WORK}/${source}.cpp" -o
                          "${WORK}/${source}.o"
                  RESULT_VARIABLE failed ERROR_VARIABLE output)
  string(STRIP "${output}" output)
  if(failed OR NOT output MATCHES "^([0-9]+)[.]([0-9][0-9][0-9])$")
    message(FATAL_ERROR "${source}.cpp: ${output}")
  endif()
  math(EXPR milliseconds "${CMAKE_MATCH_1} * 1000 + 1${CMAKE_MATCH_2} - 1000")
  if(NOT DEFINED ${result} OR milliseconds LESS ${result})
    set(${result} ${milliseconds} PARENT_SCOPE)
  endif()
endfunction()

foreach(repetition RANGE 1 ${REPETITIONS})
  measure(eigen eigen_time)
  measure(s4 s4_time)
endforeach()

math(EXPR percent "(100 * ${s4_time} + ${eigen_time} / 2) / ${eigen_time}")
message("<s4/s4.hpp> ${s4_time} ms, <Eigen/Dense> ${eigen_time} ms: ${percent} %, allowed are ${LIMIT} %")
if(percent GREATER LIMIT)
  message(FATAL_ERROR "<s4/s4.hpp> compiles too slowly. clang++ -ftime-trace shows what it instantiates: it should be "
                      "nothing, see <s4/hippo/system.hpp>")
endif()
