// From the gradient of one channel's system to that of the trained tensors: the reverse of reading a channel.
#pragma once

#include <s4/parameters/diagonal.hpp>
#include <s4/parameters/dplr.hpp>

#include <cmath>
#include <complex>
#include <concepts>

namespace s4::inline S4_ABI {

namespace detail {

template <RealScalar Scalar>
void add(std::complex<Scalar>& sum, std::complex<double> value) noexcept {
    sum += static_cast<std::complex<Scalar>>(value);
}

/// The part that Diagonal and Dplr share; `scale` is what the system's dt is in units of T(inv_dt).
template <class System, RealScalar Scalar, class Shape>
void add_pole_gradient(const PoleParameters<Scalar, Shape>& p, Index h, Index head, double scale,
                       const System& by_system, PoleParameters<Scalar, Shape>& gradient) {
    const Index set = h % p.sets();
    const Index row = head * p.channels() + h;
    const Eigen::VectorXcd lambda = eigenvalues(p, h);
    const Eigen::VectorXd dt = step_sizes(p, h);
    for (Index n = 0; n < p.A_real.cols(); ++n) {
        const auto kept = [&p](std::complex<double> value) { return p.real ? value.real() : value; };
        add(gradient.B(set, n), kept(by_system.B[n]));
        if (!is_above_band(p, lambda[n], dt[n])) add(gradient.C(row, n), kept(by_system.C[n]));
        gradient.A_real(set, n) -= static_cast<Scalar>(
            derivative(p.real_transform, static_cast<double>(p.A_real(set, n))) * by_system.lambda[n].real());
        if (!p.real)
            gradient.A_imag(set, n) -= static_cast<Scalar>(
                derivative(p.imag_transform, static_cast<double>(p.A_imag(set, n))) * by_system.lambda[n].imag());
        const Index column = p.inv_dt.cols() == 1 ? 0 : n;
        const auto raw = static_cast<double>(p.inv_dt(h, column));
        const double slope =
            p.dt_fast ? derivative(p.dt_transform, std::sinh(raw)) * std::cosh(raw) : derivative(p.dt_transform, raw);
        gradient.inv_dt(h, column) += static_cast<Scalar>(scale * slope * by_system.dt[n]);
    }
    if (row < p.D.rows()) gradient.D[row] += static_cast<Scalar>(by_system.D);
}

}  // namespace detail

/// Adds to `gradient` (the shapes of `p`) what a loss gains by the raw tensors of channel `h` and head `head`, given
/// what it gains by the natural values of that channel's system, Ssm::system(p, h, head): through dt = rate T(inv_dt),
/// λ = −T(A_real) − i T(A_imag), the sharing of states between channels and heads, the band limit (which is taken as
/// given) and real systems. Of a Dplr system with C~, the independent number is C~ at its fixed length: gradients by
/// the others hold C~ fast, not C. O(rank · N).
template <class Ssm, class System>
void add_channel_gradient(const typename Ssm::Parameters& p, Index h, Index head, const System& by_system,
                          typename Ssm::Parameters& gradient) {
    if constexpr (std::same_as<System, DplrSystem>) {
        detail::add_pole_gradient(p, h, head, p.kernel_length == 0 ? p.rate : 1.0, by_system, gradient);
        for (Index r = 0; r < p.rank(); ++r)
            for (Index n = 0; n < p.P.cols(); ++n)
                detail::add(gradient.P(r * p.sets() + h % p.sets(), n), by_system.P(r, n));
    } else {
        detail::add_pole_gradient(p, h, head, p.rate, by_system, gradient);
    }
}

}  // namespace s4::inline S4_ABI
