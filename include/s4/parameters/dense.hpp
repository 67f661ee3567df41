// The dense system of LSSL: any real A and B, shared by the channels, each with its own step size.
#pragma once

#include <s4/parameters/pole_parameters.hpp>

#include <cmath>

namespace s4::inline S4_ABI {

struct Bilinear;  // <s4/discretize/bilinear.hpp>

/// x' = A x + B u, y = C x + D u with real matrices, discretised by `Rule`. O(N²) a step: for studies, small N and as
/// the textbook the structured systems are compared with. Here N need not be even: Shape::state_size must be Dynamic.
template <RealScalar S, class Rule_ = Bilinear, class Shape_ = Shape<>>
struct Dense {
    using Scalar = S;
    using Rule = Rule_;
    using Shape = Shape_;
    static constexpr const char* name = "Dense";
    static_assert(Shape::state_size == Dynamic && Shape::channels == Dynamic, "s4::Dense has run-time sizes");

    /// The trained tensors, options (those that speak of eigenvalues have no meaning here) and the rule.
    struct Parameters : SsmOptions {
        static_assert(
            requires { sizeof(Rule); },
            "s4::Dense needs the definition of its rule: "
            "#include <s4/discretize/dense.hpp>");
        Eigen::Matrix<Scalar, Dynamic, 1> inv_dt;            ///< [H]; dt = T(inv_dt)
        Eigen::Matrix<Scalar, Dynamic, Dynamic> A;           ///< [N × N]
        Eigen::Matrix<Scalar, Dynamic, 1> B;                 ///< [N]
        detail::RowMajorMatrix<Scalar, Dynamic, Dynamic> C;  ///< [heads·H × N], row c·H + h
        Eigen::Matrix<Scalar, Dynamic, 1> D;                 ///< [heads·H]
        [[no_unique_address]] Rule rule = {};

        [[nodiscard]] Index channels() const noexcept { return inv_dt.rows(); }
        [[nodiscard]] Index heads() const noexcept { return channels() > 0 ? D.rows() / channels() : 0; }
        [[nodiscard]] Index state_size() const noexcept { return A.rows(); }
    };

    /// visit(TensorInfo, tensor of p, tensor of each of `more`) for every trained tensor, in a fixed order.
    template <class Visitor, class P, class... More>
    static void for_each_tensor(Visitor&& visit, P&& p, More&&... more) {
        visit(detail::tensor_info("inv_dt", TensorRole::ssm, p.frozen.dt), p.inv_dt, more.inv_dt...);
        visit(detail::tensor_info("A", TensorRole::ssm, p.frozen.A), p.A, more.A...);
        visit(detail::tensor_info("B", TensorRole::ssm, p.frozen.B), p.B, more.B...);
        visit(detail::tensor_info("C", TensorRole::ssm_output, p.frozen.C), p.C, more.C...);
        visit(detail::tensor_info("D", TensorRole::ordinary, p.frozen.D), p.D, more.D...);
    }

    /// Error unless the shapes agree, options are in range, every entry is finite and dt is in range.
    static void validate(const Parameters& p) {
        const Index N = p.state_size();
        detail::check_options(name, p);
        detail::require(!p.real && p.band_limit == 0, name,
                        ": the options real and band_limit speak of eigenvalues: they are for Diagonal and Dplr");
        const SsmOptions defaults;
        detail::require(p.real_transform == defaults.real_transform && p.imag_transform == defaults.imag_transform,
                        name,
                        ": the options real_transform and imag_transform speak of eigenvalues, and A is stored as it "
                        "is: leave them out");
        detail::require(p.channels() > 0, name, ": at least one channel is needed, found H = 0");
        detail::require(N > 0, name, ": at least one state is needed, found N = 0");
        detail::check_tensor(name, "A", p.A, N, N);
        detail::check_tensor(name, "B", p.B, N, 1);
        detail::require(p.heads() > 0 && p.D.rows() % p.channels() == 0, name,
                        ": D must be [heads x H], a multiple of ", p.channels(), " rows, found ", p.D.rows());
        detail::check_tensor(name, "D", p.D, p.D.rows(), 1);
        detail::check_tensor(name, "C", p.C, p.D.rows(), N);
        detail::check_tensor(name, "inv_dt", p.inv_dt, p.channels(), 1);
        for (Index h = 0; h < p.channels(); ++h) {
            const double dt = step_size(p, h);
            detail::require(dt >= min_step_size && dt <= max_step_size, name, ": dt must lie in [", min_step_size, ", ",
                            max_step_size, "], found ", dt, " in channel ", h, ", at rate ", p.rate);
        }
    }

    /// dt of channel `h`, at the rate of the parameters.
    [[nodiscard]] static double step_size(const Parameters& p, Index h) {
        const auto raw = static_cast<double>(p.inv_dt[h]);
        return p.rate * apply(p.dt_transform, p.dt_fast ? std::sinh(raw) : raw);
    }
};

}  // namespace s4::inline S4_ABI
