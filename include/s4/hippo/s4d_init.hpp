// Starting points of diagonal systems (S4D).
#pragma once

#include <s4/hippo/nplr.hpp>

#include <array>
#include <numbers>

namespace s4::inline S4_ABI {

/// Which eigenvalues a diagonal system starts from.
enum class S4dInit { legs, lin, inv, inv2, quad, real };

/// A diagonal system x' = diag(lambda) x + B u, one half of its conjugate pairs.
struct DiagonalInit {
    Eigen::VectorXcd lambda;  ///< [N/2]
    Eigen::VectorXcd B;       ///< [N/2]
};

namespace detail {

inline constexpr std::array<std::string_view, 6> s4d_init_names{"legs", "lin", "inv", "inv2", "quad", "real"};

}  // namespace detail

/// The name that `s4d_init_from_name` takes.
[[nodiscard]] inline std::string_view name_of(S4dInit init) {
    return detail::s4d_init_names[static_cast<std::size_t>(init)];
}

/// The initialisation of that name ("legs", "lin", "inv", "inv2", "quad", "real"). Error that lists them otherwise.
[[nodiscard]] inline S4dInit s4d_init_from_name(std::string_view name) {
    for (std::size_t i = 0; i < detail::s4d_init_names.size(); ++i)
        if (detail::s4d_init_names[i] == name) return static_cast<S4dInit>(i);
    detail::raise("s4d_init: no initialisation is called '", name, "'; known are legs, lin, inv, inv2, quad, real");
}

/// Eigenvalues and input vector of a diagonal system with N states (N/2 stored), in closed form; Re λ = −1/2 except
/// for `real`, and B = 1 except for `legs`. With k = 0 … N/2−1:
///   lin −1/2 − iπk;  inv −1/2 − i (N/π)(N/(2k+1) − 1);  inv2 −1/2 − i (N/π)(N/(k+1) − 1);  quad −1/2 − (i/π)(1+2k)²;
///   real −(k+1);  legs the eigenvalues of LegS' normal part, and Vᴴ B with Im clamped to [−2, 2].
/// That clamp keeps the largest inputs in bounds, but it is not a law: it depends on the phases of the eigenvectors
/// (first row of V real, see Nplr) and changes the system. Use nplr(LegSD{}, N) for the exact one.
/// O(N), legs O(N³). Error unless N is even and positive. (S4D, section 4)
///
/// A template only for the reason given at `nplr`.
template <std::same_as<double> Real = double>
[[nodiscard]] DiagonalInit s4d_init(S4dInit init, Index N) {
    using std::numbers::pi;
    detail::require(N >= 2 && N % 2 == 0, "s4d_init ", name_of(init),
                    ": the state size N must be even and positive, found ", N);
    if (init == S4dInit::legs) {
        auto legs = nplr<Real>(LegS{}, N);
        for (std::complex<double>& b : legs.B) b.imag(std::fmin(std::fmax(b.imag(), -2.0), 2.0));
        return {std::move(legs.lambda), std::move(legs.B)};
    }
    DiagonalInit result;
    result.lambda.resize(N / 2);
    result.B.resize(N / 2);
    const auto states = static_cast<double>(N);
    for (Index n = 0; n < N / 2; ++n) {
        const auto k = static_cast<double>(n);
        std::complex<double> lambda{-0.5, 0.0};
        switch (init) {
            case S4dInit::lin:
                lambda.imag(-pi * k);
                break;
            case S4dInit::inv:
                lambda.imag(-states / pi * (states / (2 * k + 1) - 1));
                break;
            case S4dInit::inv2:
                lambda.imag(-states / pi * (states / (k + 1) - 1));
                break;
            case S4dInit::quad:
                lambda.imag(-(1 + 2 * k) * (1 + 2 * k) / pi);
                break;
            case S4dInit::real:
                lambda = -(k + 1);
                break;
            case S4dInit::legs:
                break;
        }
        result.lambda[n] = lambda;
        result.B[n] = 1.0;
    }
    return result;
}

}  // namespace s4::inline S4_ABI
