# Configures, builds and runs the project SOURCE in BUILD. With FAILS, configuring must fail with a matching message.
file(REMOVE_RECURSE "${BUILD}")
execute_process(COMMAND "${CMAKE_COMMAND}" -G "${GENERATOR}" -S "${SOURCE}" -B "${BUILD}"
                        "-DCMAKE_CXX_COMPILER=${COMPILER}" -DCMAKE_BUILD_TYPE=Debug ${OPTIONS}
                RESULT_VARIABLE result OUTPUT_VARIABLE output ERROR_VARIABLE output)
if(FAILS)
  string(REGEX REPLACE "[ \n]+" " " output "${output}")  # CMake breaks lines
  if(result EQUAL 0 OR NOT output MATCHES "${FAILS}")
    message(FATAL_ERROR "configuring must fail with `${FAILS}`; it ended with ${result}:\n${output}")
  endif()
  return()
endif()
if(NOT result EQUAL 0)
  message(FATAL_ERROR "configuring ended with ${result}:\n${output}")
endif()
execute_process(COMMAND "${CMAKE_COMMAND}" --build "${BUILD}" COMMAND_ERROR_IS_FATAL ANY)
execute_process(COMMAND "${BUILD}/consumer" COMMAND_ERROR_IS_FATAL ANY)
