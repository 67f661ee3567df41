// The version of the library. CMake reads the three numbers below; nothing else states them.
#pragma once

#define S4_VERSION_MAJOR 0
#define S4_VERSION_MINOR 1
#define S4_VERSION_PATCH 0
