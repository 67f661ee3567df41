// The reverse pass of the S4 kernel, entry by entry, for plain C and for C~.
#include "tests/reference/reference.hpp"
#include "tests/support/dplr_systems.hpp"
#include "tests/support/finite_difference.hpp"
#include "tests/support/tolerances.hpp"
#include <s4/fft/fftw.hpp>
#include <s4/fft/kiss_fft.hpp>
#include <s4/kernel/dplr_kernel.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

namespace s4::test {
namespace {

std::vector<double> random_values(Index length, std::uint64_t seed) {
    const Sequence<double> values = white_noise<double>(length, 1, seed);
    return {values.data(), values.data() + length};
}

template <class Fft>
DplrSystem gradient_of(const DplrKernel<Fft>& kernel, const DplrSystem& system, const std::vector<double>& cotangent) {
    using Scalar = typename Fft::Scalar;
    typename DplrKernel<Fft>::Workspace workspace(kernel);
    const std::vector<Scalar> narrow(cotangent.begin(), cotangent.end());
    DplrSystem gradient = zero_gradient(system);
    kernel.vjp(workspace, system, narrow, gradient);
    return gradient;
}

double largest_error(const DplrSystem& found, const DplrSystem& truth) {
    double error = std::max({relative_error(found.lambda, truth.lambda), relative_error(found.B, truth.B),
                             relative_error(found.C, truth.C), relative_error(found.dt, truth.dt)});
    if (truth.P.rows() > 0) error = std::max(error, relative_error(found.P, truth.P));
    return error;
}

/// The differences of the textbook kernel by every entry of every tensor.
DplrSystem differences(DplrSystem system, Index length, const std::vector<double>& cotangent) {
    const auto loss = [&] {
        const std::vector<Wide> kernel = dense_kernel_reference(system, length);
        Wide sum = 0;
        for (std::size_t l = 0; l < kernel.size(); ++l) sum += kernel[l] * static_cast<Wide>(cotangent[l]);
        return sum;
    };
    DplrSystem gradient = zero_gradient(system);
    gradient.lambda = central_differences_of(loss, system.lambda).cast<std::complex<double>>();
    gradient.B = central_differences_of(loss, system.B).cast<std::complex<double>>();
    gradient.C = central_differences_of(loss, system.C).cast<std::complex<double>>();
    gradient.dt = central_differences_of(loss, system.dt).cast<double>();
    gradient.P =
        central_differences_of(loss, system.P).cast<std::complex<double>>().reshaped(system.P.rows(), system.P.cols());
    return gradient;
}

template <class Fft>
class DplrKernelVjp : public ::testing::Test {};
using Ffts = ::testing::Types<Fftw<double>, KissFft<double>>;
TYPED_TEST_SUITE(DplrKernelVjp, Ffts);

TYPED_TEST(DplrKernelVjp, IsTheDifferenceOfTheTextbookForFixedCTilde) {
    for (const Index pairs : {1, 3})
        for (const Index rank : {0, 1, 2})
            for (const Index length : {1, 2, 3, 7, 12}) {
                SCOPED_TRACE(::testing::Message() << pairs << " pairs, rank " << rank << ", L " << length);
                const DplrKernel<TypeParam> kernel(length);
                DplrSystem system = random_dplr_system(pairs, rank, 0.2, 3, false);
                system.kernel_length = kernel.grid_size();
                const std::vector<double> cotangent = random_values(length, 4);
                EXPECT_LE(largest_error(gradient_of(kernel, system, cotangent), differences(system, length, cotangent)),
                          reverse_pass);
            }
}

TYPED_TEST(DplrKernelVjp, IsTheDifferenceOfTheTextbookForPlainCAndForTheCTildeOfAnotherLength) {
    for (const Index rank : {0, 1, 2})
        for (const Index kernel_length : {0, 5, 40})
            for (const Index length : {1, 7, 12}) {
                SCOPED_TRACE(::testing::Message() << "rank " << rank << ", C of " << kernel_length << ", L " << length);
                const DplrKernel<TypeParam> kernel(length);
                DplrSystem system = random_dplr_system(2, rank, 0.2, 5, false);
                system.kernel_length = kernel_length;
                const std::vector<double> cotangent = random_values(length, 6);
                EXPECT_LE(largest_error(gradient_of(kernel, system, cotangent), differences(system, length, cotangent)),
                          reverse_pass);
            }
}

TYPED_TEST(DplrKernelVjp, IsTheDifferenceOfTheTextbookAtAnotherRate) {
    for (const double rate : {0.5, 2.0})
        for (const Index kernel_length : {0, 8, 40}) {
            SCOPED_TRACE(::testing::Message() << "rate " << rate << ", C of " << kernel_length);
            const DplrKernel<TypeParam> kernel(7);
            DplrSystem system = random_dplr_system(2, 1, 0.2, 13, false);
            system.kernel_length = kernel_length;
            system.rate = rate;
            const std::vector<double> cotangent = random_values(7, 14);
            EXPECT_LE(largest_error(gradient_of(kernel, system, cotangent), differences(system, 7, cotangent)),
                      reverse_pass);
        }
}

TYPED_TEST(DplrKernelVjp, IsTheSameFromATapeAndAdds) {
    const DplrKernel<TypeParam> kernel(20);
    typename DplrKernel<TypeParam>::Workspace workspace(kernel);
    const DplrSystem system = random_dplr_system(3, 2, 0.1, 7, false);
    const std::vector<double> cotangent = random_values(20, 8);
    std::vector<double> plain(20), taped(20);
    kernel(workspace, system, plain);
    typename DplrKernel<TypeParam>::Tape tape(kernel, 2);
    kernel(workspace, system, taped, tape);
    EXPECT_EQ(plain, taped);
    DplrSystem twice = zero_gradient(system);
    for (int repeat = 0; repeat < 2; ++repeat) kernel.vjp(workspace, system, cotangent, tape, twice);
    DplrSystem once = gradient_of(kernel, system, cotangent);
    for (Index n = 0; n < 3; ++n) {
        twice.lambda[n] *= 0.5;
        twice.B[n] *= 0.5;
        twice.C[n] *= 0.5;
        twice.dt[n] *= 0.5;
        for (Index r = 0; r < 2; ++r) twice.P(r, n) *= 0.5;
    }
    EXPECT_LE(largest_error(twice, once), Tolerance<double>::rounding);
    EXPECT_EQ(once.D, 0.0);
}

DplrSystem hippo_system(const Hippo& hippo, double dt, std::uint64_t seed) {
    const Nplr basis = nplr(hippo, 64);
    RandomEngine engine{seed};
    DplrSystem system{basis.lambda, basis.P, basis.B, Eigen::VectorXcd(32), Eigen::VectorXd::Constant(32, dt), 0, 0};
    for (auto& c : system.C) c = complex_normal(engine);
    return system;
}

TEST(DplrKernelVjpOfHippo, InFloatIsCloseToDouble) {
    constexpr Index length = 1024;
    const std::vector<double> cotangent = random_values(length, 9);
    std::printf("%-6s %6s %8s %12s %12s %12s\n", "", "dt", "C", "float", "float kiss", "accurate");
    for (const Hippo& hippo : {Hippo{LegS{}}, Hippo{LegT{}}})
        for (const double dt : {1e-3, 1e-2, 1e-1}) {
            DplrSystem system = hippo_system(hippo, dt, 10);
            for (const bool plain : {false, true}) {
                const DplrKernel<Fftw<double>> wide(length);
                system.kernel_length = plain ? 0 : wide.grid_size();
                const DplrSystem truth = gradient_of(wide, system, cotangent);
                const auto error = [&](const auto& kernel) {
                    return largest_error(gradient_of(kernel, system, cotangent), truth);
                };
                const double single = error(DplrKernel<Fftw<float>>(length));
                const double kiss = error(DplrKernel<KissFft<float>>(length));
                const double accurate = error(DplrKernel<Fftw<float>>(length, 0, KernelPrecision::accurate));
                std::printf("%-6s %6g %8s %12.1e %12.1e %12.1e\n", std::string{name_of(hippo)}.c_str(), dt,
                            plain ? "plain" : "C~", single, kiss, accurate);
                EXPECT_LE(single, Tolerance<float>::golden_hard);
                EXPECT_LE(kiss, Tolerance<float>::golden_hard);
                EXPECT_LE(accurate, Tolerance<float>::golden);
            }
        }
}

// A Fourier system has a pole that hardly decays, beside the node of the mean.
TEST(DplrKernelVjpOfHippo, InFloatIsCloseToDoubleNextToANode) {
    for (const Index length : {1, 2, 7, 100, 1024})
        for (const double dt : {1e-3, 1e-1, 1.0}) {
            DplrSystem system = hippo_system(Fourier{}, dt, 10);
            for (auto& pole : system.lambda) pole.real(std::min(pole.real(), -min_decay));
            const std::vector<double> cotangent = random_values(length, 9);
            for (const bool plain : {false, true}) {
                const DplrKernel<Fftw<double>> wide(length);
                system.kernel_length = plain ? 0 : wide.grid_size();
                const DplrSystem truth = gradient_of(wide, system, cotangent);
                const DplrSystem found = gradient_of(DplrKernel<Fftw<float>>(length), system, cotangent);
                const DplrSystem kiss = gradient_of(DplrKernel<KissFft<float>>(length), system, cotangent);
                EXPECT_LE(largest_error(found, truth), Tolerance<float>::golden_hard) << length << ' ' << dt;
                EXPECT_LE(largest_error(kiss, truth), Tolerance<float>::golden_hard) << length << ' ' << dt;
            }
        }
}

TEST(DplrKernelVjpOfHippo, IsTheDifferenceOfTheTextbookAlongARandomDirection) {
    constexpr Index length = 100;
    for (const Hippo& hippo : {Hippo{LegS{}}, Hippo{LegT{}}, Hippo{Fourier{}}}) {
        const Nplr basis = nplr(hippo, 16);
        RandomEngine engine{11};
        DplrSystem system{basis.lambda.array() - 0.1, basis.P, basis.B, Eigen::VectorXcd(8), Eigen::VectorXd(8), 0, 0};
        for (auto& c : system.C) c = complex_normal(engine);
        for (auto& dt : system.dt) dt = 0.02 * (1 + uniform(engine));
        const std::vector<double> cotangent = random_values(length, 12);
        const DplrSystem start = system;
        const DplrSystem gradient = gradient_of(DplrKernel<Fftw<double>>(length), system, cotangent);
        DplrSystem direction = zero_gradient(system);
        for (auto& value : direction.lambda) value = complex_normal(engine);
        for (auto& value : direction.P.reshaped()) value = complex_normal(engine);
        for (auto& value : direction.B) value = complex_normal(engine);
        for (auto& value : direction.C) value = complex_normal(engine);
        for (auto& value : direction.dt) value = 0.02 * normal(engine);
        const double expected =
            (gradient.lambda.dot(direction.lambda) + gradient.B.dot(direction.B) + gradient.C.dot(direction.C)).real() +
            (gradient.P.conjugate().cwiseProduct(direction.P)).sum().real() + gradient.dt.dot(direction.dt);
        const auto loss = [&](double step) {
            system.lambda = start.lambda + step * direction.lambda;
            system.P = start.P + step * direction.P;
            system.B = start.B + step * direction.B;
            system.C = start.C + step * direction.C;
            system.dt = start.dt + step * direction.dt;
            const std::vector<Wide> kernel = dplr_kernel_reference(system, length);
            Wide sum = 0;
            for (std::size_t l = 0; l < kernel.size(); ++l) sum += kernel[l] * static_cast<Wide>(cotangent[l]);
            return sum;
        };
        constexpr double step = 0x1p-16;  // the inputs are rounded to double: their error over the step
        const Wide narrow = (loss(step) - loss(-step)) / (2 * Wide{step});
        const Wide wide = (loss(2 * step) - loss(-2 * step)) / (4 * Wide{step});
        EXPECT_NEAR(expected / static_cast<double>((4 * narrow - wide) / 3), 1.0, central_difference) << name_of(hippo);
    }
}

}  // namespace
}  // namespace s4::test
