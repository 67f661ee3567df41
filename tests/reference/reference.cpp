#include "tests/reference/reference.hpp"

#include <Eigen/LU>

#include <cmath>

namespace s4::test {

namespace {

WideVector doubled(const Eigen::VectorXcd& half) {
    WideVector both(2 * half.size());
    for (Index n = 0; n < half.size(); ++n) {
        both[n] = WideComplex(half[n]);
        both[half.size() + n] = std::conj(WideComplex(half[n]));
    }
    return both;
}

}  // namespace

DenseSystem dense_bilinear(const DplrSystem& system) {
    const Index states = 2 * system.lambda.size();
    WideMatrix A = WideMatrix::Zero(states, states);
    A.diagonal() = doubled(system.lambda);
    for (Index r = 0; r < system.P.rows(); ++r) {
        const WideVector p = doubled(system.P.row(r).transpose());
        A -= p * p.adjoint();
    }
    const WideVector dt = doubled(system.dt.cast<std::complex<double>>());
    const WideMatrix E = dt.asDiagonal() * A;
    const WideMatrix identity = WideMatrix::Identity(states, states);
    const Eigen::PartialPivLU<WideMatrix> left(identity - E / Wide{2});
    const WideMatrix A_bar = left.solve(identity + E / Wide{2});
    const WideVector scaled_b = dt.asDiagonal() * doubled(system.B);
    return {A_bar, left.solve(scaled_b), doubled(system.C), static_cast<Wide>(system.D)};
}

std::vector<Wide> dense_run(const DenseSystem& system, WideVector& x, const std::vector<Wide>& u) {
    std::vector<Wide> y;
    y.reserve(u.size());
    for (const Wide sample : u) {
        x = (system.A * x + system.B * sample).eval();
        y.push_back((system.C.transpose() * x).value().real() + system.D * sample);
    }
    return y;
}

std::vector<Wide> dplr_kernel_reference(const DplrSystem& system, Index length) {
    const Index pairs = system.lambda.size();
    const Index rank = system.P.rows();
    // Solves with I − E/2 = diag(1 − dt λ/2) + ½ (dt P) P*: sums over both halves are twice the real part.
    struct Pair {
        WideComplex forward, inverse, dt_b, C;  // 1 + dt λ/2, 1/(1 − dt λ/2), dt B
        Wide half_dt;
        WideComplex p[max_rank];
        WideComplex x, right;
    };
    std::vector<Pair> states(static_cast<std::size_t>(pairs));
    WideMatrix capacitance = WideMatrix::Identity(rank, rank);
    for (Index n = 0; n < pairs; ++n) {
        Pair& pair = states[static_cast<std::size_t>(n)];
        pair.half_dt = static_cast<Wide>(system.dt[n]) / 2;
        pair.forward = Wide{1} + pair.half_dt * WideComplex(system.lambda[n]);
        pair.inverse = Wide{1} / (Wide{1} - pair.half_dt * WideComplex(system.lambda[n]));
        pair.dt_b = Wide{2} * pair.half_dt * WideComplex(system.B[n]);
        pair.C = WideComplex(system.C[n]);
        for (Index r = 0; r < rank; ++r) pair.p[r] = WideComplex(system.P(r, n));
        for (Index r = 0; r < rank; ++r)
            for (Index s = 0; s < rank; ++s)
                capacitance(r, s) += (std::conj(pair.p[r]) * pair.inverse * Wide{2} * pair.half_dt * pair.p[s]).real();
    }
    const WideMatrix inverse_capacitance = capacitance.inverse();
    const auto product = [](const WideComplex& a, const WideComplex& b) { return detail::multiply(a, b); };
    std::vector<Wide> kernel;
    kernel.reserve(static_cast<std::size_t>(length));
    for (Index l = 0; l < length; ++l) {
        Wide low[max_rank] = {};
        for (const Pair& pair : states)
            for (Index r = 0; r < rank; ++r) low[r] += 2 * product(std::conj(pair.p[r]), pair.x).real();
        Wide projected[max_rank] = {};
        for (Pair& pair : states) {  // (I + E/2) x + dt B u
            pair.right = product(pair.forward, pair.x);
            for (Index r = 0; r < rank; ++r) pair.right -= pair.half_dt * low[r] * pair.p[r];
            if (l == 0) pair.right += pair.dt_b;
            const WideComplex solved = product(pair.inverse, pair.right);
            for (Index r = 0; r < rank; ++r) projected[r] += 2 * product(std::conj(pair.p[r]), solved).real();
        }
        Wide correction[max_rank] = {};
        for (Index r = 0; r < rank; ++r)
            for (Index s = 0; s < rank; ++s) correction[r] += inverse_capacitance(r, s).real() * projected[s];
        Wide y = 0;
        for (Pair& pair : states) {
            WideComplex right = pair.right;
            for (Index r = 0; r < rank; ++r) right -= pair.half_dt * correction[r] * pair.p[r];
            pair.x = product(pair.inverse, right);
            if (std::norm(pair.x) < Wide{1e-400L}) pair.x = 0;  // far below any rounding; subnormals take forever
            y += 2 * product(pair.C, pair.x).real();
        }
        kernel.push_back(y);
    }
    return kernel;
}

namespace {

// I − A^exponent, by repeated products.
WideMatrix one_minus_power(const WideMatrix& A, Index exponent) {
    WideMatrix power = WideMatrix::Identity(A.rows(), A.cols());
    for (Index j = 0; j < exponent; ++j) power = (power * A).eval();
    return WideMatrix::Identity(A.rows(), A.cols()) - power;
}

}  // namespace

std::vector<Wide> dense_kernel_reference(const DplrSystem& system, Index length) {
    const DenseSystem dense = dense_bilinear(system);
    WideVector C = dense.C;
    if (system.kernel_length > 0) {  // C (I − Ā^n) = C~
        const WideMatrix transposed = one_minus_power(dense.A, system.kernel_length).transpose();
        C = Eigen::PartialPivLU<WideMatrix>(transposed).solve(dense.C);
    }
    DplrSystem at_rate = system;  // Ā of C~ is that of rate 1
    at_rate.dt *= system.rate;
    const DenseSystem run = dense_bilinear(at_rate);
    std::vector<Wide> kernel;
    WideVector x = run.B;
    for (Index l = 0; l < length; ++l) {
        kernel.push_back((C.transpose() * x).value().real());
        x = (run.A * x).eval();
    }
    return kernel;
}

WideVector dense_c_of_length(const DplrSystem& system, Index length) {
    const DenseSystem dense = dense_bilinear(system);
    return (one_minus_power(dense.A, length).transpose() * dense.C).head(system.C.size());
}

std::vector<Wide> zoh_kernel_reference(const DiagonalSystem& system, Index length) {
    std::vector<Wide> kernel(static_cast<std::size_t>(length));
    for (Index n = 0; n < system.lambda.size(); ++n) {
        const WideComplex lambda(system.lambda[n]);
        const WideComplex z = static_cast<Wide>(system.dt[n]) * lambda;
        WideComplex expm1;  // the plain difference loses digits for small z: its Taylor series then
        if (std::abs(z) < Wide{0.1}) {
            WideComplex term = 1;
            for (int k = 1; k < 30; ++k) {
                term *= z / static_cast<Wide>(k);
                expm1 += term;
            }
        } else {
            expm1 = std::exp(z) - Wide{1};
        }
        const WideComplex factor = WideComplex(system.C[n]) * WideComplex(system.B[n]) * expm1 / lambda;
        for (Index l = 0; l < length; ++l)
            kernel[static_cast<std::size_t>(l)] += 2 * (factor * std::exp(z * static_cast<Wide>(l))).real();
    }
    return kernel;
}

std::vector<Wide> direct_convolution(const std::vector<Wide>& kernel, const std::vector<Wide>& u) {
    std::vector<Wide> y(u.size());
    for (std::size_t t = 0; t < u.size(); ++t)
        for (std::size_t j = 0; j <= t && j < kernel.size(); ++j) y[t] += kernel[j] * u[t - j];
    return y;
}

}  // namespace s4::test
