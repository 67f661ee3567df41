// Streams of random numbers by address, and the orders drawn from them.
#include <s4/core/random_stream.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <set>
#include <tests/support/expect_error.hpp>
#include <vector>

namespace {

using s4::Index;
using s4::random_stream;
using s4::RandomEngine;

TEST(RandomStream, IsTheSameForTheSameAddress) {
    RandomEngine a = random_stream(3, 7);
    RandomEngine b = random_stream(3, 7);
    for (int i = 0; i < 1000; ++i) ASSERT_EQ(a(), b());
}

TEST(RandomStream, IsTheSameOnEveryMachine) {
    // SplitMix64 with state 0 gives this number first (its authors' test value).
    EXPECT_EQ(s4::detail::scatter_bits(0), 0xe220a8397b1dcdafULL);
    EXPECT_EQ(random_stream(1, 2)(), RandomEngine{s4::detail::scatter_bits(s4::detail::scatter_bits(1) + 2)}());
}

TEST(RandomStream, DiffersForNeighbours) {
    std::set<std::uint64_t> first;
    for (std::uint64_t seed = 0; seed < 100; ++seed)
        for (std::uint64_t index = 0; index < 100; ++index) first.insert(random_stream(seed, index)());
    EXPECT_EQ(first.size(), 10'000U);
}

TEST(RandomStream, NeighboursAreUncorrelated) {
    // 20 000 pairs (first number of stream i and of stream i + 1): the correlation of independent ones has a standard
    // error of 1/√20000 = 0.0071.
    constexpr int count = 20'000;
    double product = 0;
    RandomEngine start = random_stream(5, 0);
    double before = s4::normal(start);
    for (std::uint64_t i = 1; i <= count; ++i) {
        RandomEngine engine = random_stream(5, i);
        const double now = s4::normal(engine);
        product += before * now;
        before = now;
    }
    EXPECT_LT(std::abs(product / count), 5 / std::sqrt(double{count}));
}

TEST(UniformBelow, IsEvenAndStaysBelow) {
    RandomEngine engine = random_stream(1, 0);
    std::array<int, 7> counts{};
    constexpr int draws = 70'000;
    for (int i = 0; i < draws; ++i) {
        const Index value = s4::uniform_below(engine, 7);
        ASSERT_GE(value, 0);
        ASSERT_LT(value, 7);
        ++counts[static_cast<std::size_t>(value)];
    }
    // Binomial: standard deviation √(70000 · 1/7 · 6/7) = 93.
    for (const int count : counts) EXPECT_NEAR(count, draws / 7, 5 * 93);
    for (int i = 0; i < 10; ++i) EXPECT_EQ(s4::uniform_below(engine, 1), 0);
}

TEST(Shuffle, MakesEveryOrderEquallyOften) {
    RandomEngine engine = random_stream(2, 0);
    std::array<int, 24> counts{};
    constexpr int draws = 48'000;
    for (int i = 0; i < draws; ++i) {
        std::array<Index, 4> order{0, 1, 2, 3};
        s4::shuffle(order, engine);
        std::size_t rank = 0;  // of the permutation, in lexicographic order
        for (std::size_t k = 0; k < 4; ++k) {
            std::size_t smaller = 0;
            for (std::size_t j = k + 1; j < 4; ++j) smaller += order[j] < order[k] ? 1U : 0U;
            rank = rank * (4 - k) + smaller;
        }
        ++counts[rank];
    }
    // Standard deviation √(48000 · 1/24 · 23/24) = 44.
    for (const int count : counts) EXPECT_NEAR(count, draws / 24, 5 * 44);
}

TEST(RandomPermutation, HoldsEachNumberOnce) {
    for (const Index size : {0, 1, 2, 784}) {
        std::vector<Index> order = s4::random_permutation(size, 11);
        EXPECT_EQ(order, s4::random_permutation(size, 11));
        std::vector<Index> sorted = order;
        std::sort(sorted.begin(), sorted.end());
        for (Index i = 0; i < size; ++i) EXPECT_EQ(sorted[static_cast<std::size_t>(i)], i);
    }
    EXPECT_NE(s4::random_permutation(784, 11), s4::random_permutation(784, 12));
    EXPECT_S4_ERROR(static_cast<void>(s4::random_permutation(-1, 0)), "size must not be negative, found -1");
}

}  // namespace
