// Small random systems of every kind for the law tests, from a printed seed.
#pragma once

#include "tests/support/instances.hpp"
#include <s4/layer/dense_layer.hpp>
#include <s4/layer/s4_layer.hpp>

#include <cstdint>

namespace s4::test {

/// Parameters of `Ssm` with H channels and N states, dt in [1e-3, 1e-1].
template <class Ssm>
[[nodiscard]] typename Ssm::Parameters random_parameters(Index channels, Index state_size, std::uint64_t seed) {
    if constexpr (requires { Ssm::random({}, seed); }) {
        return Ssm::random({.channels = channels, .state_size = state_size}, seed);
    } else {  // Dense: a LegS matrix, and random outputs
        using Scalar = typename Ssm::Scalar;
        RandomEngine engine{seed};
        const HippoSystem legs = LegS{}.transition(state_size);
        typename Ssm::Parameters p;
        p.A = legs.A.template cast<Scalar>();
        p.B = legs.B.template cast<Scalar>();
        p.inv_dt.resize(channels);
        p.C.resize(channels, state_size);
        p.D.resize(channels);
        for (Index h = 0; h < channels; ++h) {
            p.inv_dt[h] = static_cast<Scalar>(std::log(log_uniform({1e-3, 1e-1}, engine)));
            p.D[h] = static_cast<Scalar>(normal(engine));
            for (Index n = 0; n < state_size; ++n) p.C(h, n) = static_cast<Scalar>(normal(engine));
        }
        return p;
    }
}

/// A state of the right shape with normal entries.
template <class Layer>
[[nodiscard]] typename Layer::StateMatrix random_state(const Layer& layer, std::uint64_t seed) {
    RandomEngine engine{seed};
    typename Layer::StateMatrix x = layer.read_state(layer.make_state());
    using Entry = typename Layer::StateMatrix::Scalar;
    for (Index h = 0; h < x.rows(); ++h)
        for (Index n = 0; n < x.cols(); ++n) {
            if constexpr (Eigen::NumTraits<Entry>::IsComplex) {
                x(h, n) = Entry(complex_normal(engine));
            } else {
                x(h, n) = static_cast<Entry>(normal(engine));
            }
        }
    return x;
}

}  // namespace s4::test
