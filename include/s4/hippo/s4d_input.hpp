// The input vector that a diagonal system starts from.
#pragma once

#include <s4/core/random.hpp>
#include <s4/hippo/s4d_init.hpp>

#include <array>
#include <cmath>
#include <complex>
#include <numbers>
#include <string_view>

namespace s4::inline S4_ABI {

/// Which B a diagonal system starts from: that of its S4dInit; 1; (−1)^n; e^(−2πin/N), which goes round the unit circle
/// clockwise; its conjugate; complex normal.
enum class S4dInput { of_init, constant, alternating, unit_cw, unit_ccw, random };

namespace detail {

inline constexpr std::array<std::string_view, 6> s4d_input_names{"of_init", "constant", "alternating",
                                                                 "unit-cw", "unit-ccw", "random"};

}  // namespace detail

/// The name that `s4d_input_from_name` takes.
[[nodiscard]] inline std::string_view name_of(S4dInput input) {
    return detail::s4d_input_names[static_cast<std::size_t>(input)];
}

/// The input of that name ("of_init", "constant", "alternating", "unit-cw", "unit-ccw", "random"). Error that lists
/// them otherwise.
[[nodiscard]] inline S4dInput s4d_input_from_name(std::string_view name) {
    for (std::size_t i = 0; i < detail::s4d_input_names.size(); ++i)
        if (detail::s4d_input_names[i] == name) return static_cast<S4dInput>(i);
    detail::raise("s4d_input: no input is called '", name,
                  "'; known are of_init, constant, alternating, unit-cw, unit-ccw, random");
}

/// Replaces B [N/2]. O(N). Draws from `engine` for `random` only.
inline void set_input(S4dInput input, DiagonalInit& system, RandomEngine& engine) {
    const Index pairs = system.B.size();
    for (Index n = 0; n < pairs; ++n) {
        const double angle = std::numbers::pi * static_cast<double>(n) / static_cast<double>(pairs);  // 2πn/N
        switch (input) {
            case S4dInput::of_init:
                break;
            case S4dInput::constant:
                system.B[n] = 1.0;
                break;
            case S4dInput::alternating:
                system.B[n] = n % 2 == 0 ? 1.0 : -1.0;
                break;
            case S4dInput::unit_cw:
                system.B[n] = {std::cos(angle), -std::sin(angle)};
                break;
            case S4dInput::unit_ccw:
                system.B[n] = {std::cos(angle), std::sin(angle)};
                break;
            case S4dInput::random:
                system.B[n] = complex_normal(engine);
                break;
        }
    }
}

/// Scales B so that a system with standard normal C answers a constant input with variance 1: by 1/√(2 Σ_n |B_n/λ_n|²),
/// from ∫ C e^{λt} B dt = −C B/λ. O(N). Error where that sum is not finite and positive.
inline void normalise_input(DiagonalInit& system) {
    double variance = 0;
    for (Index n = 0; n < system.B.size(); ++n) variance += 2 * std::norm(system.B[n] / system.lambda[n]);
    detail::require(detail::is_finite(variance) && variance > 0,
                    "normalise_input: the answer to a constant input has no finite variance above 0, found ", variance);
    for (std::complex<double>& b : system.B) b /= std::sqrt(variance);
}

}  // namespace s4::inline S4_ABI
