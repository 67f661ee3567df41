// Vandermonde products and the diagonal kernels made of them.
#include "tests/reference/reference.hpp"
#include "tests/support/expect_error.hpp"
#include "tests/support/finite_difference.hpp"
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

std::vector<Wide> dss_definition(const DiagonalSystem& system, Index length) {
    std::vector<Wide> kernel(static_cast<std::size_t>(length));
    for (Index n = 0; n < system.lambda.size(); ++n) {
        const WideComplex lambda(system.lambda[n]);
        const WideComplex z = static_cast<Wide>(system.dt[n]) * lambda;
        const WideComplex q = lambda * (std::exp(z * static_cast<Wide>(length)) - Wide{1});
        const WideComplex coefficient = WideComplex(system.B[n]) * WideComplex(system.C[n]) * (std::exp(z) - Wide{1}) *
                                        std::conj(q) / (std::norm(q) + static_cast<Wide>(1e-7));
        for (Index l = 0; l < length; ++l)
            kernel[static_cast<std::size_t>(l)] += (coefficient * std::exp(z * static_cast<Wide>(l))).real();
    }
    return kernel;
}

TYPED_TEST(Vandermonde, DssKernelIsNormalisedOverItsLength) {
    const DiagonalSystem system = random_diagonal(0.05, 9);
    constexpr Index length = 40;
    Eigen::Matrix<TypeParam, Dynamic, 1> kernel(length);
    dss_kernel<TypeParam>(system, {kernel.data(), length});
    EXPECT_LE(error_against(kernel, dss_definition(system, length)), Tolerance<TypeParam>::rounding);
}

using Gradient = std::vector<std::complex<double>>;

Wide inner_product(const std::vector<Wide>& a, const std::vector<double>& b) {
    Wide sum = 0;
    for (std::size_t l = 0; l < b.size(); ++l) sum += a[l] * static_cast<Wide>(b[l]);
    return sum;
}

std::vector<double> random_values(Index length, std::uint64_t seed) {
    const Sequence<double> values = white_noise<double>(length, 1, seed);
    return {values.data(), values.data() + length};
}

TEST(VandermondeVjp, IsTheDifferenceOfTheDefinition) {
    for (const std::size_t pairs : {1U, 3U})
        for (const Index length : {1, 2, 3, 7, 31, 65}) {
            Modes modes = random_modes(pairs, 0.3, 11);
            const std::vector<double> cotangent = random_values(length, 12);
            Gradient by_v(pairs), by_x(pairs);
            vandermonde_vjp<double>(modes.v, modes.x, cotangent, by_v, by_x);
            const auto loss = [&] { return inner_product(definition(modes, length), cotangent); };
            EXPECT_LE(relative_error(as_column(by_v), central_differences_of(loss, modes.v)), reverse_pass) << length;
            EXPECT_LE(relative_error(as_column(by_x), central_differences_of(loss, modes.x)), reverse_pass) << length;
        }
}

TEST(VandermondeVjp, OfTheTransposeIsTheDifferenceOfItsDefinition) {
    for (const Index length : {1, 2, 7, 65}) {
        Modes modes = random_modes(3, 0.3, 13);
        std::vector<double> u = random_values(length, 14);
        const Gradient cotangent{{0.3, -1.0}, {-0.5, 0.25}, {2.0, 0.5}};
        Gradient by_v(3), by_x(3);
        std::vector<double> by_u(u.size());
        vandermonde_transpose_vjp<double>(modes.v, modes.x, u, cotangent, by_v, by_x, by_u);
        const auto loss = [&] {
            Wide sum = 0;
            for (std::size_t n = 0; n < 3; ++n)
                for (std::size_t l = 0; l < u.size(); ++l)
                    sum += static_cast<Wide>(u[l]) * (std::conj(WideComplex(cotangent[n])) * WideComplex(modes.v[n]) *
                                                      std::exp(WideComplex(modes.x[n]) * static_cast<Wide>(l)))
                                                         .real();
            return sum;
        };
        EXPECT_LE(relative_error(as_column(by_v), central_differences_of(loss, modes.v)), reverse_pass) << length;
        EXPECT_LE(relative_error(as_column(by_x), central_differences_of(loss, modes.x)), reverse_pass) << length;
        EXPECT_LE(relative_error(as_column(by_u), central_differences_of(loss, u)), reverse_pass) << length;
    }
}

TYPED_TEST(Vandermonde, VjpMatchesItsSumsAcrossBlocks) {
    for (const double decay : {1e-7, 1e-3, 1.0})
        for (const Index length : {63, 64, 65, 4095, 4096, 4097, 8192, 10'000}) {
            const Modes modes = random_modes(5, decay, 15);
            const Sequence<TypeParam> cotangent = white_noise<TypeParam>(length, 1, 16);
            Gradient by_v(5), by_x(5);
            vandermonde_vjp<TypeParam>(modes.v, modes.x, {cotangent.data(), static_cast<std::size_t>(length)}, by_v,
                                       by_x);
            WideVector expected_v = WideVector::Zero(5);
            WideVector expected_x = WideVector::Zero(5);
            for (Index n = 0; n < 5; ++n) {
                const auto at = static_cast<std::size_t>(n);
                for (Index l = 0; l < length; ++l) {
                    const WideComplex term = Wide{2} * static_cast<Wide>(cotangent(l, 0)) *
                                             std::exp(WideComplex(modes.x[at]) * static_cast<Wide>(l));
                    expected_v[n] += std::conj(term);
                    expected_x[n] += std::conj(static_cast<Wide>(l) * WideComplex(modes.v[at]) * term);
                }
            }
            EXPECT_LE(relative_error(as_column(by_v), expected_v), this->bound(2e-6, 1e-12)) << decay << " " << length;
            EXPECT_LE(relative_error(as_column(by_x), expected_x), this->bound(2e-6, 1e-12)) << decay << " " << length;
        }
}

TYPED_TEST(Vandermonde, VjpAddsAndTakesAnEmptyCotangent) {
    const Modes modes = random_modes(2, 0.1, 17);
    Gradient by_v(2, {1, 2}), by_x(2, {3, 4});
    vandermonde_vjp<TypeParam>(modes.v, modes.x, std::span<const TypeParam>{}, by_v, by_x);
    EXPECT_EQ(by_v[1], std::complex<double>(1, 2));
    EXPECT_EQ(by_x[1], std::complex<double>(3, 4));
    const std::vector<TypeParam> cotangent{TypeParam{1}};
    vandermonde_vjp<TypeParam>(modes.v, modes.x, cotangent, by_v, by_x);
    EXPECT_EQ(by_v[1], std::complex<double>(3, 2));
    EXPECT_EQ(by_x[1], std::complex<double>(3, 4));
}

// Every tensor of a system by the differences of `kernel()`, a long-double textbook of the same system.
template <class Kernel>
void expect_gradient(DiagonalSystem& system, const DiagonalSystem& gradient, const std::vector<double>& cotangent,
                     const Kernel& kernel) {
    const auto loss = [&] { return inner_product(kernel(), cotangent); };
    EXPECT_LE(relative_error(gradient.lambda, central_differences_of(loss, system.lambda)), reverse_pass);
    EXPECT_LE(relative_error(gradient.B, central_differences_of(loss, system.B)), reverse_pass);
    EXPECT_LE(relative_error(gradient.C, central_differences_of(loss, system.C)), reverse_pass);
    EXPECT_LE(relative_error(gradient.dt, central_differences_of(loss, system.dt)), reverse_pass);
    EXPECT_EQ(gradient.D, 0.0);
}

DiagonalSystem tiny_diagonal(Index pairs, double dt, std::uint64_t seed) {
    RandomEngine engine{seed};
    DiagonalSystem system{Eigen::VectorXcd(pairs), Eigen::VectorXcd(pairs), Eigen::VectorXcd(pairs),
                          Eigen::VectorXd(pairs), 0};
    for (Index n = 0; n < pairs; ++n) {
        system.lambda[n] = {-0.1 - uniform(engine), 3 * normal(engine)};
        system.B[n] = complex_normal(engine);
        system.C[n] = complex_normal(engine);
        system.dt[n] = dt * (1 + uniform(engine));  // untied
    }
    return system;
}

DplrSystem without_low_rank(const DiagonalSystem& system) {
    return {system.lambda, Eigen::MatrixXcd(0, system.lambda.size()), system.B, system.C, system.dt, 0, 0};
}

TEST(DiagonalKernelVjp, IsTheDifferenceOfTheTextbook) {
    for (const Index pairs : {1, 3})
        for (const Index length : {1, 2, 3, 7, 13})
            for (const double dt : {0.02, 0.2}) {
                SCOPED_TRACE(::testing::Message() << pairs << " pairs, L " << length << ", dt " << dt);
                const std::vector<double> cotangent = random_values(length, 21);
                DiagonalSystem system = tiny_diagonal(pairs, dt, 22);
                DiagonalSystem held = zero_gradient(system);
                diagonal_kernel_vjp<double>(ZeroOrderHold{}, system, cotangent, held);
                expect_gradient(system, held, cotangent, [&] { return zoh_kernel_reference(system, length); });
                DiagonalSystem bilinear = zero_gradient(system);
                diagonal_kernel_vjp<double>(Bilinear{}, system, cotangent, bilinear);
                expect_gradient(system, bilinear, cotangent,
                                [&] { return dplr_kernel_reference(without_low_rank(system), length); });
            }
}

TEST(DiagonalKernelVjp, OfDssIsTheDifferenceOfItsDefinition) {
    for (const Index length : {2, 3, 7, 13})
        for (const double slow : {1.0, 1e-4}) {  // slow: |q|² is as small as what softens it
            SCOPED_TRACE(::testing::Message() << "L " << length << ", times " << slow);
            const std::vector<double> cotangent = random_values(length, 27);
            DiagonalSystem system = tiny_diagonal(2, 0.2, 28);
            system.lambda[0] *= slow;
            DiagonalSystem gradient = zero_gradient(system);
            dss_kernel_vjp<double>(system, cotangent, gradient);
            expect_gradient(system, gradient, cotangent, [&] { return dss_definition(system, length); });
        }
}

TEST(DiagonalKernelVjp, GoesThroughAStateThatDiesAtOnce) {  // Ā = 0, where its logarithm is infinite
    for (const Index length : {1, 5, 70}) {
        DiagonalSystem system = tiny_diagonal(2, 1, 23);
        for (Index n = 0; n < 2; ++n) system.lambda[n] = -2.0 / system.dt[n];
        const std::vector<double> cotangent = random_values(length, 24);
        DiagonalSystem gradient = zero_gradient(system);
        diagonal_kernel_vjp<double>(Bilinear{}, system, cotangent, gradient);
        expect_gradient(system, gradient, cotangent,
                        [&] { return dplr_kernel_reference(without_low_rank(system), length); });
    }
}

TEST(DiagonalKernelVjp, InFloatIsCloseToDouble) {
    constexpr Index length = 1024;
    const std::vector<double> cotangent = random_values(length, 25);
    const std::vector<float> narrow(cotangent.begin(), cotangent.end());
    for (const double dt : {1e-4, 1e-3, 1e-2, 1e-1}) {
        const DiagonalInit init = s4d_init(S4dInit::lin, 64);
        RandomEngine engine{26};
        DiagonalSystem system{init.lambda, init.B, Eigen::VectorXcd(32), Eigen::VectorXd::Constant(32, dt), 0};
        for (auto& c : system.C) c = complex_normal(engine);
        DiagonalSystem in_float = zero_gradient(system);
        DiagonalSystem in_double = zero_gradient(system);
        diagonal_kernel_vjp<float>(ZeroOrderHold{}, system, narrow, in_float);
        diagonal_kernel_vjp<double>(ZeroOrderHold{}, system, cotangent, in_double);
        EXPECT_LE(relative_error(in_float.lambda, in_double.lambda), Tolerance<float>::rounding) << dt;
        EXPECT_LE(relative_error(in_float.B, in_double.B), Tolerance<float>::rounding) << dt;
        EXPECT_LE(relative_error(in_float.C, in_double.C), Tolerance<float>::rounding) << dt;
        EXPECT_LE(relative_error(in_float.dt, in_double.dt), Tolerance<float>::rounding) << dt;
    }
}

}  // namespace
}  // namespace s4::test
