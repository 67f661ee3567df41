// Both object files in one program: each must keep its own code, and compute the same.
#include "run_layer.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <iostream>
#include <string_view>

namespace {

float largest_difference(const std::vector<float>& a, const std::vector<float>& b) {
    float largest = a.size() == b.size() ? 0.0F : INFINITY;
    for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) largest = std::fmax(largest, std::abs(a[i] - b[i]));
    return largest;
}

}  // namespace

int main() {
    constexpr float tolerance = 1e-4F;  // outputs are of order one
    const LayerRun basic = run_x86_64();
    bool passed = largest_difference(basic.convolution, basic.recurrence) < tolerance;
    std::cout << basic.abi << ": " << basic.lanes << " lanes\n";
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        const LayerRun wide = run_x86_64_v3();
        std::cout << wide.abi << ": " << wide.lanes << " lanes\n";
        passed = passed && std::string_view{basic.abi} != wide.abi && basic.lanes == 4 && wide.lanes == 8 &&
                 largest_difference(basic.recurrence, wide.recurrence) < tolerance &&
                 largest_difference(basic.convolution, wide.convolution) < tolerance;
    } else {
        std::cout << "this processor has no AVX2: linked, not run\n";
    }
    return passed ? 0 : 1;
}
