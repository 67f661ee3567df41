// Planning, destroying and running in many threads at once: what crashes FFTW without its lock.
#include "tests/support/tolerances.hpp"
#include <s4/core/random.hpp>
#include <s4/fft/fftw.hpp>
#include <s4/fft/kiss_fft.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace s4::test {
namespace {

template <class Fft>
double round_trip_error(Index length, std::uint64_t seed) {
    using Scalar = typename Fft::Scalar;
    const typename Fft::Plan plan(length);
    typename Fft::Buffer buffer(plan);
    const Sequence<Scalar> signal = white_noise<Scalar>(length, 1, seed);
    buffer.fill(1, length, [&](Index l) {
        return ComplexLanes<Scalar>{Lanes<Scalar>::broadcast(signal(l, 0)), Lanes<Scalar>::zero()};
    });
    auto spectrum = plan.make_spectrum(1);
    plan.forward(buffer, 1, spectrum);
    plan.inverse(spectrum, 1, buffer);
    Sequence<Scalar> back(length, 1);
    buffer.drain(1, length, [&](Index l, const ComplexLanes<Scalar>& value) { value.re.store_first(&back(l, 0), 1); });
    back /= static_cast<Scalar>(length);
    return relative_error(back, signal);
}

TEST(FftwPlanner, EightThreadsPlanAtOnce) {
    constexpr int threads = 8;
    constexpr int rounds = 40;
    std::atomic<int> wrong{0};
    std::vector<std::thread> workers;
    for (int worker = 0; worker < threads; ++worker)
        workers.emplace_back([worker, &wrong] {
            for (int round = 0; round < rounds; ++round) {
                const Index length = 2 + 2 * ((worker * rounds + round) % 97);
                const auto seed = static_cast<std::uint64_t>(round);
                if (round_trip_error<Fftw<float>>(length, seed) > Tolerance<float>::rounding) ++wrong;
                if (round_trip_error<Fftw<double>>(length, seed) > Tolerance<double>::rounding) ++wrong;
                if (round_trip_error<KissFft<float>>(length, seed) > Tolerance<float>::rounding) ++wrong;
            }
        });
    for (std::thread& worker : workers) worker.join();
    EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace s4::test
