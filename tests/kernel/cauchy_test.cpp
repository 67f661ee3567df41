// Cauchy sums near and far from their poles, and the nodes they are taken at.
#include "tests/reference/reference.hpp"
#include "tests/support/tolerances.hpp"
#include <s4/kernel/cauchy.hpp>
#include <s4/kernel/krylov.hpp>

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace s4::test {
namespace {

template <class Scalar>
class Cauchy : public ::testing::Test {};
using Scalars = ::testing::Types<float, double>;
TYPED_TEST_SUITE(Cauchy, Scalars);

using Complexes = std::vector<std::complex<double>>;

WideVector definition(const Complexes& v, const Complexes& z, const Complexes& w) {
    WideVector sums = WideVector::Zero(std::ssize(z));
    for (std::size_t l = 0; l < z.size(); ++l)
        for (std::size_t n = 0; n < v.size(); ++n)
            sums[static_cast<Index>(l)] +=
                WideComplex(v[n]) / (WideComplex(z[l]) - WideComplex(w[n])) +
                std::conj(WideComplex(v[n])) / (WideComplex(z[l]) - std::conj(WideComplex(w[n])));
    return sums;
}

TYPED_TEST(Cauchy, MatchesTheDefinition) {
    RandomEngine engine{3};
    for (const std::size_t length : {1U, 2U, 7U, 16U, 33U}) {
        Complexes v(5), w(5), z(length);
        for (auto& value : v) value = complex_normal(engine);
        for (auto& value : w) value = {-0.1 - uniform(engine), normal(engine)};
        for (auto& value : z) value = {0, 3 * normal(engine)};
        Eigen::Matrix<std::complex<TypeParam>, Dynamic, 1> found(static_cast<Index>(length));
        cauchy<TypeParam>(v, z, w, {found.data(), length});
        EXPECT_LE(relative_error(found, definition(v, z, w)), Tolerance<TypeParam>::rounding);
    }
}

TYPED_TEST(Cauchy, KeepsItsDigitsNearAPole) {
    for (const double distance : {1e-2, 1e-4, 1e-6}) {
        const Complexes v{{0.3, -0.4}, {1.0, 2.0}};
        const Complexes w{{-0.123456789, 1.0 / 3}, {-0.5, 12.3456789}};
        const Complexes z{w[0] + std::complex<double>{distance, 0.3 * distance}};
        Eigen::Matrix<std::complex<TypeParam>, 1, 1> found;
        cauchy<TypeParam>(v, z, w, {found.data(), 1});
        EXPECT_LE(relative_error(found, definition(v, z, w)),
                  std::max<double>(Tolerance<TypeParam>::rounding, 1e-15 / distance))
            << distance;
    }
}

TYPED_TEST(Cauchy, SumsOnTheImaginaryAxisMatchTheDefinitionForAnyNumberOfSums) {
    RandomEngine engine{5};
    for (const Index n : {2, 4, 6, 64, 1000}) {
        const ImaginaryNodes<TypeParam> nodes(n);
        EXPECT_EQ(nodes.count(), n / 2);
        for (const Index sums : {1, 2, 3, 4, 5, 9}) {
            constexpr std::size_t pairs = 6;
            Complexes mu(pairs);
            for (auto& value : mu) value = {-0.01 * (0.1 + uniform(engine)), uniform(engine)};
            CauchySums<TypeParam> engine_sums(pairs, sums);
            std::vector<Complexes> numerators(static_cast<std::size_t>(sums), Complexes(pairs));
            for (Index p = 0; p < static_cast<Index>(pairs); ++p) {
                engine_sums.set_pole(p, mu[static_cast<std::size_t>(p)]);
                for (Index s = 0; s < sums; ++s) {
                    auto& v = numerators[static_cast<std::size_t>(s)][static_cast<std::size_t>(p)];
                    v = complex_normal(engine);
                    engine_sums.set_numerator(s, p, v, mu[static_cast<std::size_t>(p)]);
                }
            }
            Storage<TypeParam> aligned(2 * sums * nodes.padded());
            engine_sums.evaluate(nodes, aligned.data());
            Complexes z;
            for (Index k = 0; k < nodes.count(); ++k)
                z.emplace_back(0.0, std::tan(std::numbers::pi * static_cast<double>(k) / static_cast<double>(n)));
            for (Index s = 0; s < sums; ++s) {
                const WideVector expected = definition(numerators[static_cast<std::size_t>(s)], z, mu);
                Eigen::Matrix<std::complex<TypeParam>, Dynamic, 1> found(nodes.count());
                for (Index k = 0; k < nodes.count(); ++k)
                    found[k] = {aligned.data()[2 * s * nodes.padded() + k],
                                aligned.data()[(2 * s + 1) * nodes.padded() + k]};
                // The nodes of the definition are rounded to double; a pole 1e-3 away amplifies that.
                EXPECT_LE(relative_error(found, expected), std::max<double>(2 * Tolerance<TypeParam>::rounding, 1e-12))
                    << "n " << n << ", sum " << s << " of " << sums;
            }
        }
    }
}

TYPED_TEST(Cauchy, NodesAreTangentsToTheLastDigitUpToTheLargestTransform) {
    for (const Index n : {2, 8, 1000, 262'144, 268'435'456})
        for (const Index k : {Index{0}, n / 8, n / 4, n / 3, n / 2 - 1}) {
            // Near its pole the tangent of a rounded angle is worthless; that of the complement is not.
            const Wide step = std::numbers::pi_v<Wide> / static_cast<Wide>(2 * n);
            const Wide expected = 4 * k <= n ? std::tan(step * static_cast<Wide>(2 * k))
                                             : std::cos(step * static_cast<Wide>(n - 2 * k)) /
                                                   std::sin(step * static_cast<Wide>(n - 2 * k));
            EXPECT_NEAR(ImaginaryNodes<TypeParam>::tangent(k, n) / static_cast<double>(expected + (k == 0)),
                        k == 0 ? 0.0 : 1.0, 1e-15)
                << k << " of " << n;
        }
}

TYPED_TEST(Cauchy, KrylovKernelIsThePowersOfTheMatrix) {
    RandomEngine engine{7};
    Eigen::MatrixXd A(5, 5);
    for (auto& value : A.reshaped()) value = 0.3 * normal(engine);
    Eigen::VectorXd B(5);
    Eigen::RowVectorXd C(5);
    for (Index n = 0; n < 5; ++n) {
        B[n] = normal(engine);
        C[n] = normal(engine);
    }
    for (const Index length : {0, 1, 2, 63, 64, 65, 200}) {
        std::vector<Wide> expected;
        Eigen::Matrix<Wide, Dynamic, 1> x = B.cast<Wide>();
        for (Index l = 0; l < length; ++l) {
            expected.push_back(C.cast<Wide>().dot(x));
            x = (A.cast<Wide>() * x).eval();
        }
        Eigen::Matrix<TypeParam, Dynamic, 1> kernel(length);
        krylov<TypeParam>(A, B, C, {kernel.data(), static_cast<std::size_t>(length)});
        EXPECT_LE(error_against(kernel, expected), Tolerance<TypeParam>::rounding) << length;
    }
}

}  // namespace
}  // namespace s4::test
