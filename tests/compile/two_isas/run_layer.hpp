#pragma once

#include <vector>

/// What run_layer.cpp computes when it is compiled for one processor.
struct LayerRun {
    const char* abi = "";  // name of the inline namespace
    int lanes = 0;
    std::vector<float> convolution, recurrence;  // outputs
};

LayerRun run_x86_64();
LayerRun run_x86_64_v3();
