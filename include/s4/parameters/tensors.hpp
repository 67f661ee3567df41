// Parameters are values: plain aggregates of tensors that one visitor walks, alone or several of them in step.
#pragma once

#include <s4/core/error.hpp>
#include <s4/core/sequence.hpp>
#include <s4/parameters/transforms.hpp>

#include <algorithm>
#include <complex>
#include <string_view>

namespace s4::inline S4_ABI {

/// How an optimiser treats a tensor. The S4 papers train `ssm` tensors (dt, A, B, P) with a small learning rate and no
/// weight decay, `ssm_output` (C) with the small rate but with decay, everything else with the base rate.
enum class TensorRole { ordinary, ssm, ssm_output };

/// What a visitor is told of a tensor: its name in checkpoints and its role.
struct TensorInfo {
    std::string_view name;
    TensorRole role;
};

/// Re λ is never nearer to zero than this: HiPPO systems whose diagonal part does not decay (LegT, Fourier) get a
/// decay of 1e-4, as the published models do.
inline constexpr double min_decay = 1e-4;

/// Step sizes a system may have; outside, the mathematics still holds but float coefficients do not.
inline constexpr double min_step_size = 1e-10;
inline constexpr double max_step_size = 1e4;

namespace detail {

/// Raw tensors shared by the diagonal and the diagonal-plus-low-rank system, in their natural values.
/// dt [N/2] of channel `h`; inv_dt [H × 1], or [H × N/2] for one step size per state.
template <class Parameters>
[[nodiscard]] Eigen::VectorXd step_sizes(const Parameters& p, Index h) {
    Eigen::VectorXd dt(p.A_real.cols());
    for (Index n = 0; n < dt.size(); ++n)
        dt[n] = apply(p.dt_transform, static_cast<double>(p.inv_dt(h, p.inv_dt.cols() == 1 ? 0 : n)));
    return dt;
}

/// λ [N/2] of channel `h`: Re λ = −T(A_real), Im λ = −T'(A_imag).
template <class Parameters>
[[nodiscard]] Eigen::VectorXcd eigenvalues(const Parameters& p, Index h) {
    Eigen::VectorXcd lambda(p.A_real.cols());
    for (Index n = 0; n < lambda.size(); ++n)
        lambda[n] = {-apply(p.real_transform, static_cast<double>(p.A_real(h, n))),
                     -apply(p.imag_transform, static_cast<double>(p.A_imag(h, n)))};
    return lambda;
}

/// Sets the raw tensors of channel `h` so that the functions above give `lambda` and `dt` back.
template <class Parameters>
void set_poles(Parameters& p, Index h, const Eigen::VectorXcd& lambda, const Eigen::VectorXd& dt) {
    using Scalar = typename std::decay_t<decltype(p.A_real)>::Scalar;
    for (Index n = 0; n < lambda.size(); ++n) {
        require(is_finite(lambda[n]) && lambda[n].real() <= 0, "Re lambda must be finite and not positive, found ",
                lambda[n].real(), " in channel ", h, ", state ", n);
        const double decay = std::max(-lambda[n].real(), min_decay);
        p.A_real(h, n) = static_cast<Scalar>(inverse(p.real_transform, decay));
        p.A_imag(h, n) = static_cast<Scalar>(inverse(p.imag_transform, -lambda[n].imag()));
    }
    for (Index column = 0; column < p.inv_dt.cols(); ++column)
        p.inv_dt(h, column) = static_cast<Scalar>(inverse(p.dt_transform, dt[column]));
}

template <class Derived>
void check_tensor(const char* system, const char* name, const Eigen::DenseBase<Derived>& tensor, Index rows,
                  Index cols) {
    require(tensor.rows() == rows && tensor.cols() == cols, system, ": ", name, " must be [", rows, " x ", cols,
            "], found [", tensor.rows(), " x ", tensor.cols(), "]");
    require(all_finite(tensor), system, ": ", name, " has an entry that is infinite or not a number");
}

/// What holds for every system with eigenvalues: at least one channel and state, equal shapes, Re λ < 0, dt in range.
template <class Parameters>
void check_poles(const char* system, const Parameters& p) {
    const Index channels = p.A_real.rows();
    const Index pairs = p.A_real.cols();
    require(channels > 0, system, ": at least one channel is needed, found H = ", channels);
    require(pairs > 0, system, ": at least one pair of states is needed, found N = ", 2 * pairs);
    check_tensor(system, "A_real", p.A_real, channels, pairs);
    check_tensor(system, "A_imag", p.A_imag, channels, pairs);
    require(p.inv_dt.cols() == 1 || p.inv_dt.cols() == pairs, system, ": inv_dt must have 1 or N/2 = ", pairs,
            " columns, found ", p.inv_dt.cols());
    check_tensor(system, "inv_dt", p.inv_dt, channels, p.inv_dt.cols());
    for (Index h = 0; h < channels; ++h) {
        const Eigen::VectorXcd lambda = eigenvalues(p, h);
        const Eigen::VectorXd dt = step_sizes(p, h);
        for (Index n = 0; n < pairs; ++n) {
            require(is_finite(lambda[n]) && lambda[n].real() < 0, system, ": Re lambda must be finite and negative, ",
                    "found ", lambda[n].real(), " in channel ", h, ", state ", n);
            require(dt[n] >= min_step_size && dt[n] <= max_step_size, system, ": dt must lie in [", min_step_size, ", ",
                    max_step_size, "], found ", dt[n], " in channel ", h);
        }
    }
}

}  // namespace detail
}  // namespace s4::inline S4_ABI
