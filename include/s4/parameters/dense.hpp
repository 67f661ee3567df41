// The dense system of LSSL: any real A and B, shared by the channels, each with its own step size.
#pragma once

#include <s4/parameters/tensors.hpp>

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

    /// The trained tensors; dt = T(inv_dt).
    struct Parameters {
        Eigen::Matrix<Scalar, Dynamic, 1> inv_dt;            ///< [H]
        Eigen::Matrix<Scalar, Dynamic, Dynamic> A;           ///< [N × N]
        Eigen::Matrix<Scalar, Dynamic, 1> B;                 ///< [N]
        detail::RowMajorMatrix<Scalar, Dynamic, Dynamic> C;  ///< [H × N]
        Eigen::Matrix<Scalar, Dynamic, 1> D;                 ///< [H]
        Transform dt_transform = Transform::exp;

        [[nodiscard]] Index channels() const noexcept { return C.rows(); }
        [[nodiscard]] Index state_size() const noexcept { return A.rows(); }
    };

    /// visit(TensorInfo, tensor of p, tensor of each of `more`) for every trained tensor, in a fixed order.
    template <class Visitor, class P, class... More>
    static void for_each_tensor(Visitor&& visit, P&& p, More&&... more) {
        visit(TensorInfo{"inv_dt", TensorRole::ssm}, p.inv_dt, more.inv_dt...);
        visit(TensorInfo{"A", TensorRole::ssm}, p.A, more.A...);
        visit(TensorInfo{"B", TensorRole::ssm}, p.B, more.B...);
        visit(TensorInfo{"C", TensorRole::ssm_output}, p.C, more.C...);
        visit(TensorInfo{"D", TensorRole::ordinary}, p.D, more.D...);
    }

    /// Error unless the shapes agree, every entry is finite and dt is in range.
    static void validate(const Parameters& p) {
        const Index N = p.state_size();
        detail::require(p.channels() > 0, name, ": at least one channel is needed, found H = 0");
        detail::require(N > 0, name, ": at least one state is needed, found N = 0");
        detail::check_tensor(name, "A", p.A, N, N);
        detail::check_tensor(name, "B", p.B, N, 1);
        detail::check_tensor(name, "C", p.C, p.channels(), N);
        detail::check_tensor(name, "D", p.D, p.channels(), 1);
        detail::check_tensor(name, "inv_dt", p.inv_dt, p.channels(), 1);
        for (Index h = 0; h < p.channels(); ++h) {
            const double dt = step_size(p, h);
            detail::require(dt >= min_step_size && dt <= max_step_size, name, ": dt must lie in [", min_step_size, ", ",
                            max_step_size, "], found ", dt, " in channel ", h);
        }
    }

    /// dt of channel `h`.
    [[nodiscard]] static double step_size(const Parameters& p, Index h) {
        return apply(p.dt_transform, static_cast<double>(p.inv_dt[h]));
    }
};

}  // namespace s4::inline S4_ABI
