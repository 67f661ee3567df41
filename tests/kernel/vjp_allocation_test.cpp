// Reverse passes that promise not to allocate do not.
#include "tests/support/allocation_guard.hpp"
#include <s4/core/random.hpp>
#include <s4/discretize/zero_order_hold.hpp>
#include <s4/fft/fftw.hpp>
#include <s4/fft/forward_real.hpp>
#include <s4/fft/kiss_fft.hpp>
#include <s4/kernel/cauchy_sums.hpp>

#include <gtest/gtest.h>

#include <vector>

namespace s4::test {
namespace {

template <class Scalar>
void expect_no_allocation_in_cauchy_vjp() {
    std::vector<std::complex<double>> v(4, {1, 2}), w(4, {-1, 2}), z(100, {0, 1}), by_v(4), by_w(4), by_z(100);
    const std::vector<std::complex<Scalar>> cotangent(100, {1, 1});
    EXPECT_EQ(allocator_calls_in([&] { cauchy_vjp<Scalar>(v, z, w, cotangent, by_v, by_z, by_w); }), 0);

    const ImaginaryNodes<Scalar> nodes(1000);
    CauchySums<Scalar> sums(4, 9);
    for (Index n = 0; n < 4; ++n) {
        sums.set_pole(n, {-1, 2});
        for (Index s = 0; s < 9; ++s) sums.set_numerator(s, n, {1, 2}, {-1, 2});
    }
    const Storage<Scalar> planes(2 * 9 * nodes.padded());
    typename CauchySums<Scalar>::Gradient gradient(sums);
    EXPECT_EQ(allocator_calls_in([&] { sums.evaluate_vjp(nodes, planes.data(), gradient); }), 0);
}

TEST(CauchyVjp, DoesNotAllocate) {
    expect_no_allocation_in_cauchy_vjp<float>();
    expect_no_allocation_in_cauchy_vjp<double>();
}

template <class Fft>
void expect_no_allocation_in_forward_real() {
    const typename Fft::RealPlan plan(240);
    typename Fft::RealBuffer buffer(plan);
    EXPECT_EQ(allocator_calls_in([&] { forward_real<Fft>(plan, buffer); }), 0);
}

TEST(ForwardReal, DoesNotAllocate) {
    expect_no_allocation_in_forward_real<Fftw<float>>();
    expect_no_allocation_in_forward_real<KissFft<double>>();
}

TEST(DiscretizeVjp, DoesNotAllocate) {
    DiagonalGradient<double> gradient{};
    EXPECT_EQ(allocator_calls_in([&] {
                  gradient = discretize_vjp(ZeroOrderHold{}, std::complex<double>{-1, 2}, 0.1, {{1, 0}, {0, 1}});
              }),
              0);
    EXPECT_NE(gradient.dt, 0.0);
}

}  // namespace
}  // namespace s4::test
