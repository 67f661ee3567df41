// Vandermonde products and the diagonal kernels made of them.
#include "tests/reference/reference.hpp"
#include "tests/support/expect_error.hpp"
#include "tests/support/tolerances.hpp"
#include <s4/discretize/bilinear.hpp>
#include <s4/fft/fftw.hpp>
#include <s4/kernel/diagonal_kernel.hpp>

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace s4::test {
namespace {

template <class Scalar>
class Vandermonde : public ::testing::Test {
protected:
    static double bound(double single, double wide) { return std::is_same_v<Scalar, float> ? single : wide; }
};
using Scalars = ::testing::Types<float, double>;
TYPED_TEST_SUITE(Vandermonde, Scalars);

struct Modes {
    std::vector<std::complex<double>> v, x;
};

Modes random_modes(std::size_t pairs, double decay, std::uint64_t seed) {
    RandomEngine engine{seed};
    Modes modes;
    for (std::size_t n = 0; n < pairs; ++n) {
        modes.v.push_back(complex_normal(engine));
        modes.x.emplace_back(-decay * (0.1 + uniform(engine)), 3 * uniform(engine));
    }
    return modes;
}

std::vector<Wide> definition(const Modes& modes, Index length) {
    std::vector<Wide> y(static_cast<std::size_t>(length));
    for (std::size_t n = 0; n < modes.v.size(); ++n)
        for (Index l = 0; l < length; ++l)
            y[static_cast<std::size_t>(l)] +=
                2 * (WideComplex(modes.v[n]) * std::exp(WideComplex(modes.x[n]) * static_cast<Wide>(l))).real();
    return y;
}

TYPED_TEST(Vandermonde, MatchesTheDefinitionForAnyLength) {
    for (const double decay : {1e-7, 1e-3, 1.0, 50.0})
        for (const Index length : {1, 2, 3, 7, 63, 64, 65, 128, 1000, 4099}) {
            const Modes modes = random_modes(9, decay, 3);
            Eigen::Matrix<TypeParam, Dynamic, 1> kernel(length);
            vandermonde<TypeParam>(modes.v, modes.x, {kernel.data(), static_cast<std::size_t>(length)});
            // Double: e^{x l} itself is only known to |x| l roundings of x.
            EXPECT_LE(error_against(kernel, definition(modes, length)), this->bound(1e-6, 1e-12))
                << "decay " << decay << ", L " << length;
        }
}

TYPED_TEST(Vandermonde, KeepsSlowModesRightOverAQuarterMillionSamples) {
    constexpr Index length = 262'144;
    for (const double decay : {1e-10, 1e-7, 1e-5}) {
        const Modes modes = random_modes(4, decay, 4);
        Eigen::Matrix<TypeParam, Dynamic, 1> kernel(length);
        vandermonde<TypeParam>(modes.v, modes.x, {kernel.data(), static_cast<std::size_t>(length)});
        EXPECT_LE(error_against(kernel, definition(modes, length)), this->bound(2e-6, 1e-9));
    }
}

TYPED_TEST(Vandermonde, TransposeMatchesTheDefinition) {
    for (const Index length : {0, 1, 5, 64, 200}) {
        const Modes modes = random_modes(6, 0.01, 5);
        const Sequence<TypeParam> u = white_noise<TypeParam>(length, 1, 6);
        Eigen::Matrix<std::complex<TypeParam>, Dynamic, 1> found(6);
        vandermonde_transpose<TypeParam>(modes.v, modes.x, {u.data(), static_cast<std::size_t>(length)},
                                         {found.data(), 6});
        WideVector expected = WideVector::Zero(6);
        for (std::size_t n = 0; n < 6; ++n)
            for (Index l = 0; l < length; ++l)
                expected[static_cast<Index>(n)] += WideComplex(modes.v[n]) * static_cast<Wide>(u(l, 0)) *
                                                   std::exp(WideComplex(modes.x[n]) * static_cast<Wide>(l));
        EXPECT_LE(relative_error(found, expected), Tolerance<TypeParam>::rounding) << length;
    }
}

TYPED_TEST(Vandermonde, AModeThatDiesAtOnceIsAnImpulse) {
    const std::vector<std::complex<double>> v{0.5};
    const std::vector<std::complex<double>> x{{-std::numeric_limits<double>::infinity(), 0.3}};
    std::vector<TypeParam> kernel(130, TypeParam{7});
    vandermonde<TypeParam>(v, x, kernel);
    EXPECT_EQ(kernel[0], TypeParam{1});
    for (std::size_t l = 1; l < kernel.size(); ++l) EXPECT_EQ(kernel[l], TypeParam{0}) << l;
}

DiagonalSystem random_diagonal(double dt, std::uint64_t seed) {
    RandomEngine engine{seed};
    const DiagonalInit init = s4d_init(S4dInit::lin, 32);
    DiagonalSystem system{init.lambda, init.B, Eigen::VectorXcd(16), Eigen::VectorXd::Constant(16, dt), 0};
    for (auto& c : system.C) c = complex_normal(engine);
    return system;
}

TYPED_TEST(Vandermonde, ZeroOrderHoldKernelMatchesItsDefinition) {
    for (const double dt : {1e-6, 1e-3, 0.1, 2.0}) {
        const DiagonalSystem system = random_diagonal(dt, 7);
        Eigen::Matrix<TypeParam, Dynamic, 1> kernel(777);
        diagonal_kernel<TypeParam>(ZeroOrderHold{}, system, {kernel.data(), 777});
        EXPECT_LE(error_against(kernel, zoh_kernel_reference(system, 777)), this->bound(1e-6, 1e-12)) << dt;
    }
}

TYPED_TEST(Vandermonde, BilinearKernelIsThatOfADplrSystemWithoutLowRank) {
    const DiagonalSystem system = random_diagonal(0.05, 8);
    const DplrSystem dplr{system.lambda, Eigen::MatrixXcd(0, 16), system.B, system.C, system.dt, 0, 0};
    Eigen::Matrix<TypeParam, Dynamic, 1> kernel(500);
    diagonal_kernel<TypeParam>(Bilinear{}, system, {kernel.data(), 500});
    EXPECT_LE(error_against(kernel, dplr_kernel_reference(dplr, 500)), this->bound(1e-6, 1e-12));
}

TYPED_TEST(Vandermonde, BilinearAtTheEdgeOfItsCircleIsAnImpulse) {  // Ā = 0 for dt λ = −2
    DiagonalSystem system = random_diagonal(1, 8);
    system.lambda.setConstant(-2.0);
    Eigen::Matrix<TypeParam, Dynamic, 1> kernel(70);
    diagonal_kernel<TypeParam>(Bilinear{}, system, {kernel.data(), 70});
    EXPECT_TRUE(detail::all_finite(kernel));
    EXPECT_NE(kernel[0], TypeParam{0});
    EXPECT_EQ(kernel.tail(69).norm(), TypeParam{0});
}

TYPED_TEST(Vandermonde, DssKernelIsNormalisedOverItsLength) {
    const DiagonalSystem system = random_diagonal(0.05, 9);
    constexpr Index length = 40;
    Eigen::Matrix<TypeParam, Dynamic, 1> kernel(length);
    dss_kernel<TypeParam>(system, {kernel.data(), length});
    std::vector<Wide> expected(length);
    for (Index n = 0; n < 16; ++n) {
        const WideComplex lambda(system.lambda[n]);
        const WideComplex z = static_cast<Wide>(system.dt[n]) * lambda;
        const WideComplex q = lambda * (std::exp(z * Wide{length}) - Wide{1});
        const WideComplex coefficient = WideComplex(system.B[n]) * WideComplex(system.C[n]) * (std::exp(z) - Wide{1}) *
                                        std::conj(q) / (std::norm(q) + Wide{1e-7L});
        for (Index l = 0; l < length; ++l)
            expected[static_cast<std::size_t>(l)] += (coefficient * std::exp(z * static_cast<Wide>(l))).real();
    }
    EXPECT_LE(error_against(kernel, expected), Tolerance<TypeParam>::rounding);
}

}  // namespace
}  // namespace s4::test
