# What our own tests, benchmarks and examples share. Nothing here reaches a user of the library; compiler flags
# (warnings, sanitizers, -march) come from CMakePresets.json.
add_library(s4_development INTERFACE)
target_link_libraries(s4_development INTERFACE s4)
if(S4_OPENMP)
  if(NOT TARGET s4_openmp)
    message(FATAL_ERROR "S4_OPENMP is on, but this compiler's OpenMP was not found")
  endif()
  target_link_libraries(s4_development INTERFACE s4_openmp)
endif()
