// What Diagonal and Dplr share: the tensors of systems that are given by their eigenvalues (poles).
#pragma once

#include <s4/parameters/ssm_options.hpp>
#include <s4/parameters/tensors.hpp>

#include <algorithm>
#include <cmath>
#include <complex>
#include <numbers>
#include <span>

namespace s4::inline S4_ABI {

/// Re λ is never nearer to zero than this: HiPPO systems whose diagonal part does not decay (LegT, Fourier) get a
/// decay of 1e-4, as the published models do.
inline constexpr double min_decay = 1e-4;

/// |Im λ| is never below this where its transform has no zero (exp, relu, sigmoid, softplus).
inline constexpr double min_frequency = 1e-4;

/// Step sizes a system may have; outside, the mathematics still holds but float coefficients do not.
inline constexpr double min_step_size = 1e-10;
inline constexpr double max_step_size = 1e4;

/// Trained tensors of H channels with N states each, half of every conjugate pair stored, raw: dt = T(inv_dt),
/// Re λ = −T(A_real), Im λ = −T(A_imag). Of the states there are S ≤ H sets: channel h has set h mod S, its own dt and
/// its own outputs. With several heads c the same states are read by several C: output c·H + h.
template <RealScalar Scalar, class Shape>
struct PoleParameters : SsmOptions {
    static constexpr int H = Shape::channels;
    static constexpr int pairs = Shape::pairs;
    /// Up to H·heads rows, kept in place when the sizes are static.
    static constexpr int max_outputs = H == Dynamic || Shape::heads == Dynamic ? Dynamic : H * Shape::heads;

    /// [H × 1] or [H × N/2]: what dt = T(inv_dt) is made from; neither dt nor 1/dt. (The names are those of
    /// checkpoints.)
    detail::RowMajorMatrix<Scalar, H, Dynamic, H, pairs> inv_dt;
    /// [S × N/2]: what −Re λ = T(A_real) is made from.
    detail::RowMajorMatrix<Scalar, Dynamic, pairs, H, pairs> A_real;
    /// [S × N/2]: what −Im λ = T(A_imag) is made from.
    detail::RowMajorMatrix<Scalar, Dynamic, pairs, H, pairs> A_imag;
    /// [S × N/2]
    detail::RowMajorMatrix<std::complex<Scalar>, Dynamic, pairs, H, pairs> B;
    /// [heads·H × N/2], row c·H + h.
    detail::RowMajorMatrix<std::complex<Scalar>, Dynamic, pairs, max_outputs, pairs> C;
    /// [heads·H]
    Eigen::Matrix<Scalar, Dynamic, 1, Eigen::ColMajor, max_outputs, 1> D;

    [[nodiscard]] Index channels() const noexcept { return inv_dt.rows(); }
    [[nodiscard]] Index sets() const noexcept { return A_real.rows(); }
    [[nodiscard]] Index heads() const noexcept { return channels() > 0 ? D.rows() / channels() : 0; }
    /// N: complex states, of which half are stored; all of them are stored where they are real.
    [[nodiscard]] Index state_size() const noexcept { return real ? A_real.cols() : 2 * A_real.cols(); }
};

namespace detail {

/// dt [N/2] of channel `h`, at rate 1.
template <RealScalar Scalar, class Shape>
[[nodiscard]] Eigen::VectorXd step_sizes(const PoleParameters<Scalar, Shape>& p, Index h) {
    Eigen::VectorXd dt(p.A_real.cols());
    for (Index n = 0; n < dt.size(); ++n) {
        const auto raw = static_cast<double>(p.inv_dt(h, p.inv_dt.cols() == 1 ? 0 : n));
        dt[n] = apply(p.dt_transform, p.dt_fast ? std::sinh(raw) : raw);
    }
    return dt;
}

/// λ [N/2] of channel `h`.
template <RealScalar Scalar, class Shape>
[[nodiscard]] Eigen::VectorXcd eigenvalues(const PoleParameters<Scalar, Shape>& p, Index h) {
    const Index set = h % p.sets();
    Eigen::VectorXcd lambda(p.A_real.cols());
    for (Index n = 0; n < lambda.size(); ++n)
        lambda[n] = {-apply(p.real_transform, static_cast<double>(p.A_real(set, n))),
                     p.real ? 0.0 : -apply(p.imag_transform, static_cast<double>(p.A_imag(set, n)))};
    return lambda;
}

/// Whether the band limit silences a mode: at least band_limit/2 cycles in a sample of the trained spacing.
[[nodiscard]] inline bool is_above_band(const SsmOptions& options, std::complex<double> lambda, double dt) noexcept {
    return options.band_limit > 0 && dt * std::abs(lambda.imag()) >= options.band_limit * std::numbers::pi;
}

/// Fills λ, dt (at rate 1), B, C and D of channel `h` and head `head`; heads beyond those of D have none.
template <class System, RealScalar Scalar, class Shape>
void read_channel(const PoleParameters<Scalar, Shape>& p, Index h, Index head, System& system) {
    const Index pairs = p.A_real.cols();
    const Index row = head * p.channels() + h;
    system.lambda = eigenvalues(p, h);
    system.dt = step_sizes(p, h);
    system.B.resize(pairs);
    system.C.resize(pairs);
    for (Index n = 0; n < pairs; ++n) {
        system.B[n] = static_cast<std::complex<double>>(p.B(h % p.sets(), n));
        system.C[n] = static_cast<std::complex<double>>(p.C(row, n));
        if (p.real) {
            system.B[n].imag(0);
            system.C[n].imag(0);
        }
        if (is_above_band(p, system.lambda[n], system.dt[n])) system.C[n] = 0;
    }
    system.D = row < p.D.rows() ? static_cast<double>(p.D[row]) : 0.0;
}

/// How the rows of C and the states of a system are shared out.
struct PoleLayout {
    Index heads = 1;
    Index directions = 1;  ///< 2: as many anticausal rows of C again
    Index sets = 0;        ///< S; 0: one set for every channel
};

/// Sizes the tensors for [directions · heads · H] rows of C. Error when a size was fixed at compile time otherwise.
template <RealScalar Scalar, class Shape>
void resize(const char* name, PoleParameters<Scalar, Shape>& p, Index channels, Index pairs, Index step_columns,
            const PoleLayout& layout) {
    require((Shape::channels == Dynamic || channels == Shape::channels) &&
                (Shape::pairs == Dynamic || pairs == Shape::pairs),
            name, ": the sizes are fixed at compile time to H = ", Shape::channels, ", N = ", Shape::state_size,
            ", found H = ", channels, ", N = ", 2 * pairs);
    require(Shape::heads == Dynamic || layout.heads * layout.directions <= Shape::heads, name, ": there is room for ",
            Shape::heads, " heads, fixed at compile time, found ", layout.heads * layout.directions);
    const Index sets = layout.sets == 0 ? channels : layout.sets;
    p.inv_dt.resize(channels, step_columns);
    p.A_real.resize(sets, pairs);
    p.A_imag.resize(sets, pairs);
    p.B.resize(sets, pairs);
    p.C.resize(layout.directions * layout.heads * channels, pairs);
    p.D.resize(layout.heads * channels);
}

/// Whether all modes of every system have one dt.
template <class System>
[[nodiscard]] bool steps_are_tied(std::span<const System> systems) noexcept {
    for (const System& system : systems)
        for (Index n = 1; n < system.dt.size(); ++n)
            if (system.dt[n] != system.dt[0]) return false;
    return true;
}

/// What the transform makes `value` of. Error that names the option where it makes it of nothing.
[[nodiscard]] inline double raw_value(const char* name, const char* option, Transform transform, double value,
                                      Index h) {
    require(has_inverse(transform, value), name, ": option ", option, " = ", name_of(transform),
            " never gives the value ", value, " that channel ", h, " starts from");
    return inverse(transform, value);
}

/// Sets the raw tensors of row c·H + h from `system`, so that read_channel gives it back; Re λ in [−min_decay, 0]
/// becomes −min_decay. λ, B and dt are taken from the rows of head 0.
template <class System, RealScalar Scalar, class Shape>
void write_channel(const char* name, PoleParameters<Scalar, Shape>& p, Index row, const System& system) {
    const Index h = row % p.channels();
    for (Index n = 0; n < system.lambda.size(); ++n) p.C(row, n) = static_cast<std::complex<Scalar>>(system.C[n]);
    if (row < p.D.rows()) p.D[row] = static_cast<Scalar>(system.D);
    if (row >= p.channels()) return;
    for (Index column = 0; column < p.inv_dt.cols(); ++column) {
        require(
            is_finite(system.dt[column]) && system.dt[column] >= min_step_size && system.dt[column] <= max_step_size,
            name, ": dt must lie in [", min_step_size, ", ", max_step_size, "], found ", system.dt[column],
            " in channel ", h);
        const double raw = raw_value(name, "dt_transform", p.dt_transform, system.dt[column], h);
        p.inv_dt(h, column) = static_cast<Scalar>(p.dt_fast ? std::asinh(raw) : raw);
    }
    if (row >= p.sets()) return;
    for (Index n = 0; n < system.lambda.size(); ++n) {
        const std::complex<double> lambda = system.lambda[n];
        require(is_finite(lambda) && lambda.real() <= 0, name, ": Re lambda must be finite and not positive, found ",
                lambda.real(), " in channel ", h, ", state ", n);
        p.A_real(row, n) = static_cast<Scalar>(
            raw_value(name, "real_transform", p.real_transform, std::max(-lambda.real(), min_decay), h));
        const double frequency =
            p.imag_transform == Transform::none ? -lambda.imag() : std::max(-lambda.imag(), min_frequency);
        p.A_imag(row, n) =
            p.real ? Scalar{0} : static_cast<Scalar>(raw_value(name, "imag_transform", p.imag_transform, frequency, h));
        p.B(row, n) = static_cast<std::complex<Scalar>>(system.B[n]);
    }
}

/// What holds for every system with eigenvalues: shapes that agree, options in range, Re λ < 0, dt in range.
template <RealScalar Scalar, class Shape>
void check_poles(const char* system, const PoleParameters<Scalar, Shape>& p, Index directions) {
    const Index channels = p.channels();
    const Index pairs = p.A_real.cols();
    require(channels > 0, system, ": at least one channel is needed, found H = ", channels);
    require(pairs > 0, system, ": at least one pair of states is needed, found N = ", 2 * pairs);
    check_options(system, p);
    const Index sets = p.sets();
    require(sets > 0 && sets <= channels && channels % sets == 0, system, ": A_real has ", sets,
            " rows (sets of states), which must divide the number of channels, H = ", channels);
    check_tensor(system, "A_real", p.A_real, sets, pairs);
    check_tensor(system, "A_imag", p.A_imag, sets, pairs);
    check_tensor(system, "B", p.B, sets, pairs);
    require(p.inv_dt.cols() == 1 || p.inv_dt.cols() == pairs, system, ": inv_dt must have 1 or N/2 = ", pairs,
            " columns, found ", p.inv_dt.cols());
    check_tensor(system, "inv_dt", p.inv_dt, channels, p.inv_dt.cols());
    require(p.heads() > 0 && p.D.rows() % channels == 0, system, ": D must be [heads x H], a multiple of ", channels,
            " rows, found ", p.D.rows());
    check_tensor(system, "D", p.D, p.D.rows(), 1);
    require(Shape::heads == Dynamic || p.heads() == Shape::heads, system,
            ": the number of heads is fixed at compile time to ", Shape::heads, ", found ", p.heads());
    require(directions == 2 || p.C.rows() != 2 * p.D.rows() || p.D.rows() == 0, system,
            ": C has two rows for every one of D, as a bidirectional layer has: name the system s4::Bidirectional<",
            system, ">");
    require(directions == 1 || p.C.rows() != p.D.rows(), system,
            ": C has one row for every one of D, that of a causal layer: s4::Bidirectional<", system,
            "> needs two, the anticausal ones behind the causal ones");
    check_tensor(system, "C", p.C, directions * p.D.rows(), pairs);
    for (Index h = 0; h < channels; ++h) {
        const Eigen::VectorXcd lambda = eigenvalues(p, h);
        const Eigen::VectorXd dt = step_sizes(p, h);
        for (Index n = 0; n < pairs; ++n) {
            require(is_finite(lambda[n]) && lambda[n].real() < 0, system, ": Re lambda must be finite and negative, ",
                    "found ", lambda[n].real(), " in channel ", h, ", state ", n);
            const double step = p.rate * dt[n];
            require(step >= min_step_size && step <= max_step_size, system, ": dt must lie in [", min_step_size, ", ",
                    max_step_size, "], found ", step, " in channel ", h, ", at rate ", p.rate);
        }
    }
}

}  // namespace detail
}  // namespace s4::inline S4_ABI
