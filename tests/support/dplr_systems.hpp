// Small random DPLR systems, for tests of one channel.
#pragma once

#include <s4/core/random.hpp>
#include <s4/parameters/dplr.hpp>

#include <cstdint>

namespace s4::test {

/// N/2 = `pairs` poles near the imaginary axis and plain C; each mode has dt, or its own in [dt, 2 dt) where untied.
[[nodiscard]] inline DplrSystem random_dplr_system(Index pairs, Index rank, double dt, std::uint64_t seed, bool tied) {
    RandomEngine engine{seed};
    DplrSystem system{Eigen::VectorXcd(pairs),
                      Eigen::MatrixXcd(rank, pairs),
                      Eigen::VectorXcd(pairs),
                      Eigen::VectorXcd(pairs),
                      Eigen::VectorXd(pairs),
                      0.25,
                      0};
    for (Index n = 0; n < pairs; ++n) {
        system.lambda[n] = {-0.1 - uniform(engine), -3.0 * static_cast<double>(n) - normal(engine)};
        system.B[n] = complex_normal(engine);
        system.C[n] = complex_normal(engine);
        system.dt[n] = tied ? dt : dt * (1 + uniform(engine));
        for (Index r = 0; r < rank; ++r) system.P(r, n) = complex_normal(engine);
    }
    return system;
}

}  // namespace s4::test
