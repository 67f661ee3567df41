# Headers, the CMake package with its components, the FFTW finder and a pkg-config file.
include(CMakePackageConfigHelpers)

get_property(component_targets GLOBAL PROPERTY S4_COMPONENT_TARGETS)
set(s4_package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/s4")

# One export per component, so that find_package(s4) loads, and looks for, no more than it was asked for.
set(s4_installed_components "")
foreach(target IN LISTS component_targets)
  get_target_property(component ${target} EXPORT_NAME)
  list(APPEND s4_installed_components ${component})
  install(TARGETS ${target} EXPORT s4-${component} FILE_SET HEADERS DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
  install(EXPORT s4-${component} NAMESPACE s4:: FILE s4-${component}-targets.cmake DESTINATION "${s4_package_dir}")
endforeach()

configure_package_config_file("${CMAKE_CURRENT_LIST_DIR}/s4Config.cmake.in" "${PROJECT_BINARY_DIR}/s4Config.cmake"
                              INSTALL_DESTINATION "${s4_package_dir}")
# 0.x: a minor release may break.
write_basic_package_version_file("${PROJECT_BINARY_DIR}/s4ConfigVersion.cmake" COMPATIBILITY SameMinorVersion
                                 ARCH_INDEPENDENT)
install(FILES "${PROJECT_BINARY_DIR}/s4Config.cmake" "${PROJECT_BINARY_DIR}/s4ConfigVersion.cmake"
              "${CMAKE_CURRENT_LIST_DIR}/FindFFTW3.cmake"
        DESTINATION "${s4_package_dir}")

file(RELATIVE_PATH s4_include_from_pkgconfig "${CMAKE_INSTALL_FULL_DATAROOTDIR}/pkgconfig"
     "${CMAKE_INSTALL_FULL_INCLUDEDIR}")
configure_file("${CMAKE_CURRENT_LIST_DIR}/s4.pc.in" "${PROJECT_BINARY_DIR}/s4.pc" @ONLY)
install(FILES "${PROJECT_BINARY_DIR}/s4.pc" DESTINATION "${CMAKE_INSTALL_DATAROOTDIR}/pkgconfig")
install(FILES "${PROJECT_SOURCE_DIR}/LICENSE" "${PROJECT_SOURCE_DIR}/README.md" "${PROJECT_SOURCE_DIR}/CHANGELOG.md"
        DESTINATION "${CMAKE_INSTALL_DOCDIR}")
