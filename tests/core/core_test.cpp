// The ground everything stands on: lanes, storage, errors, random numbers.
#include "tests/support/expect_error.hpp"
#include <s4/core/lanes.hpp>
#include <s4/core/parallel.hpp>
#include <s4/core/random.hpp>
#include <s4/core/storage.hpp>
#include <s4/version.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <limits>
#include <vector>

namespace s4::test {
namespace {

template <class Scalar>
class LanesOf : public ::testing::Test {};
using Scalars = ::testing::Types<float, double, long double>;
TYPED_TEST_SUITE(LanesOf, Scalars);

TYPED_TEST(LanesOf, ComputeEachLaneOnItsOwn) {
    using L = Lanes<TypeParam>;
    alignas(storage_alignment) TypeParam a[16];
    alignas(storage_alignment) TypeParam b[16];
    alignas(storage_alignment) TypeParam out[16];
    ASSERT_LE(L::count, 16);
    for (int lane = 0; lane < 16; ++lane) {
        a[lane] = static_cast<TypeParam>(lane + 1);
        b[lane] = static_cast<TypeParam>(2 * lane - 3);
    }
    const L x = L::load(a);
    const L y = L::load(b);
    const auto expect = [&](L found, const auto& function) {
        found.store(out);
        for (Index lane = 0; lane < L::count; ++lane) EXPECT_EQ(out[lane], function(a[lane], b[lane]));
    };
    expect(x + y, [](TypeParam p, TypeParam q) { return p + q; });
    expect(x - y, [](TypeParam p, TypeParam q) { return p - q; });
    expect(x * y, [](TypeParam p, TypeParam q) { return p * q; });
    expect(y / x, [](TypeParam p, TypeParam q) { return q / p; });
    expect(-y, [](TypeParam, TypeParam q) { return -q; });
    expect(fma(x, y, x), [](TypeParam p, TypeParam q) { return p * q + p; });
    expect(fnma(x, y, x), [](TypeParam p, TypeParam q) { return p - p * q; });
}

TYPED_TEST(LanesOf, PartialLoadsAndStoresTouchNothingElse) {
    using L = Lanes<TypeParam>;
    for (Index active = 1; active <= L::count; ++active) {
        std::vector<TypeParam> from(static_cast<std::size_t>(active), TypeParam{5});
        std::vector<TypeParam> to(17, TypeParam{-1});
        const L loaded = L::load_first(from.data(), active);
        alignas(storage_alignment) TypeParam all[16];
        loaded.store(all);
        for (Index lane = 0; lane < L::count; ++lane) EXPECT_EQ(all[lane], lane < active ? TypeParam{5} : TypeParam{0});
        loaded.store_first(to.data(), active);
        for (Index lane = 0; lane < 17; ++lane)
            EXPECT_EQ(to[static_cast<std::size_t>(lane)], lane < active ? TypeParam{5} : TypeParam{-1});
    }
}

TEST(StorageOf, IsAlignedZeroAndDeeplyCopied) {
    Storage<float> a(100);
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(a.data()) % storage_alignment, 0U);
    for (Index i = 0; i < 100; ++i) EXPECT_EQ(a.data()[i], 0.0F);
    a.data()[3] = 2;
    Storage<float> b = a;
    b.data()[3] = 4;
    EXPECT_EQ(a.data()[3], 2.0F);
    const float* before = b.data();
    b = a;
    EXPECT_EQ(b.data(), before) << "assignment of equal sizes reuses the memory";
    EXPECT_EQ(b.data()[3], 2.0F);
    Storage<float> c = std::move(b);
    EXPECT_EQ(c.data(), before);
    EXPECT_EQ(c.size(), 100);
    Storage<float, 6> fixed;
    EXPECT_EQ(reinterpret_cast<std::uintptr_t>(fixed.data()) % storage_alignment, 0U);
    EXPECT_EQ(fixed.data()[5], 0.0F);
}

TEST(StorageOf, RefusesWhatMemoryCannotHold) {
    EXPECT_S4_ERROR(Storage<double>{-1}, "cannot allocate -1");
    EXPECT_S4_ERROR(Storage<double>{std::numeric_limits<Index>::max()}, "cannot allocate");
    EXPECT_S4_ERROR(Storage<double>{std::numeric_limits<Index>::max() / 16}, "out of memory");
}

TEST(Finite, IsReadFromTheBits) {
    EXPECT_TRUE(detail::is_finite(0.0F));
    EXPECT_TRUE(detail::is_finite(std::numeric_limits<double>::max()));
    EXPECT_TRUE(detail::is_finite(std::numeric_limits<float>::denorm_min()));
    EXPECT_FALSE(detail::is_finite(std::numeric_limits<float>::infinity()));
    EXPECT_FALSE(detail::is_finite(-std::numeric_limits<double>::infinity()));
    EXPECT_FALSE(detail::is_finite(std::numeric_limits<double>::quiet_NaN()));
    EXPECT_FALSE(detail::is_finite(std::numeric_limits<long double>::quiet_NaN()));
    EXPECT_FALSE(detail::is_finite(std::complex<float>{1, std::numeric_limits<float>::quiet_NaN()}));
}

TEST(Random, IsTheSameOnEveryMachine) {  // the standard fixes the engine; the first draws of seed 1 are these
    RandomEngine engine{1};
    EXPECT_DOUBLE_EQ(uniform(engine), 0.13387664401253274);
    engine.seed(1);
    const Sequence<double> noise = white_noise<double>(20'000, 1, 7);
    EXPECT_NEAR(noise.mean(), 0, 0.03);
    EXPECT_NEAR(noise.squaredNorm() / 20'000, 1, 0.05);
    EXPECT_EQ((white_noise<float>(5, 3, 7) - white_noise<float>(5, 3, 7)).norm(), 0.0F);
    EXPECT_NE((white_noise<float>(5, 3, 7) - white_noise<float>(5, 3, 8)).norm(), 0.0F);
    EXPECT_S4_ERROR(static_cast<void>(white_noise<float>(-1, 3, 7)), "found -1 x 3");
}

TEST(ErrorHandling, JoinsTextsAndNumbers) {
    EXPECT_S4_ERROR(detail::raise("option ", 3, ": ", 0.25, " ", true, " ", std::string_view{"end"}),
                    "option 3: 0.25 true end");
}

#if defined(__cpp_exceptions)
TEST(ErrorHandling, AHandlerReplacesTheThrow) {
    struct Seen {
        std::string message;
    };
    const ErrorHandler before = set_error_handler([](const char* message) { throw Seen{message}; });
    std::string message;
    try {
        detail::raise("told");
    } catch (const Seen& seen) {
        message = seen.message;
    }
    EXPECT_EQ(message, "told");
    EXPECT_NE(set_error_handler(before), nullptr);
    EXPECT_THROW(detail::raise("again"), Error);
}
#endif

TEST(ParallelFor, RunsEveryIndexOnce) {
    for (const Index count : {0, 1, 2, 100}) {
        std::vector<std::atomic<int>> runs(static_cast<std::size_t>(count));
        parallel_for(count, [&](Index index) { ++runs[static_cast<std::size_t>(index)]; });
        for (const auto& run : runs) EXPECT_EQ(run.load(), 1);
    }
}

}  // namespace
}  // namespace s4::test
