# The target `docs`: the API reference, in html/ of the build folder. A warning is an error: what is public is documented.
# doxygen.awk says what Doxygen is shown instead of the headers as they are, doxygen.dox describes namespace and folders.
find_package(Doxygen 1.9.4)
if(NOT DOXYGEN_FOUND)
  message(FATAL_ERROR "The API reference needs Doxygen 1.9.4 or later (Debian: doxygen)")
endif()
find_program(S4_AWK awk REQUIRED)
mark_as_advanced(S4_AWK)

configure_file("${CMAKE_CURRENT_LIST_DIR}/Doxyfile.in" "${PROJECT_BINARY_DIR}/Doxyfile" @ONLY)
add_custom_target(docs
  COMMAND "${CMAKE_COMMAND}" -E rm -rf html
  COMMAND Doxygen::doxygen "${PROJECT_BINARY_DIR}/Doxyfile"
  COMMAND "${CMAKE_COMMAND}" -E echo "API reference: ${PROJECT_BINARY_DIR}/html/index.html"
  WORKING_DIRECTORY "${PROJECT_BINARY_DIR}" COMMENT "API reference" VERBATIM)
