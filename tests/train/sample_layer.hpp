// A small object of parts for the tests of training: a matrix beside two systems with complex tensors.
#pragma once

#include <s4/core/random.hpp>
#include <s4/discretize/zero_order_hold.hpp>
#include <s4/parameters/diagonal.hpp>
#include <s4/parameters/tensors.hpp>
#include <s4/train/reals.hpp>

#include <cstdint>
#include <vector>

namespace s4::test {

template <RealScalar Scalar>
struct SampleLayer {
    using Ssm = Diagonal<Scalar>;
    struct Parameters {
        Eigen::Matrix<Scalar, Dynamic, Dynamic, Eigen::RowMajor> weight;  ///< [3 × 2]
        std::vector<typename Ssm::Parameters> blocks;
        Eigen::Matrix<Scalar, Dynamic, Dynamic> statistics;  ///< [2 × 5], frozen, column-major
    };

    template <class Visitor, class P, class... More>
    static void for_each_tensor(Visitor&& visit, P&& p, More&&... more) {
        visit(TensorInfo{"weight", TensorRole::ordinary}, p.weight, more.weight...);
        for (std::size_t i = 0; i < p.blocks.size(); ++i)
            for_each_tensor_of<Ssm>("blocks", static_cast<Index>(i), visit, p.blocks[i], more.blocks[i]...);
        visit(TensorInfo{"statistics", TensorRole::frozen}, p.statistics, more.statistics...);
    }

    [[nodiscard]] static Parameters random(std::uint64_t seed, Index blocks = 2, Index channels = 2) {
        Parameters p;
        p.weight = white_noise<Scalar>(3, 2, seed);
        for (Index i = 0; i < blocks; ++i)
            p.blocks.push_back(
                Ssm::random({.channels = channels, .state_size = 6}, seed + static_cast<std::uint64_t>(i)));
        p.statistics = white_noise<Scalar>(2, 5, seed + 100);
        return p;
    }

    /// The same shapes, every number normal: a gradient.
    [[nodiscard]] static Parameters noise_like(const Parameters& p, std::uint64_t seed) {
        Parameters noise = p;
        RandomEngine engine{seed};
        for_each_tensor(
            [&](const TensorInfo&, auto& tensor) {
                for (Scalar& value : detail::reals(tensor)) value = static_cast<Scalar>(normal(engine));
            },
            noise);
        return noise;
    }
};

/// Whether all numbers of all tensors are equal.
template <class Layer>
[[nodiscard]] bool are_equal(const typename Layer::Parameters& a, const typename Layer::Parameters& b) {
    bool equal = true;
    Layer::for_each_tensor([&](const TensorInfo&, const auto& x, const auto& y) { equal = equal && x == y; }, a, b);
    return equal;
}

}  // namespace s4::test
