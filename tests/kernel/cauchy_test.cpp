// Cauchy sums near and far from their poles, and the nodes they are taken at.
#include "tests/reference/reference.hpp"
#include "tests/support/finite_difference.hpp"
#include "tests/support/tolerances.hpp"
#include <s4/kernel/cauchy_sums.hpp>
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

Complexes random_complexes(std::size_t count, RandomEngine& engine) {
    Complexes values(count);
    for (auto& value : values) value = complex_normal(engine);
    return values;
}

/// Σ Re(conj(cotangent) sums): the loss whose gain by the sums is the cotangent.
Wide inner_product(const WideVector& sums, const Complexes& cotangent) {
    Wide sum = 0;
    for (std::size_t l = 0; l < cotangent.size(); ++l)
        sum += (std::conj(WideComplex(cotangent[l])) * sums[static_cast<Index>(l)]).real();
    return sum;
}

TEST(CauchyVjp, IsTheDifferenceOfTheDefinition) {
    RandomEngine engine{8};
    for (const std::size_t pairs : {1U, 3U})
        for (const std::size_t length : {1U, 2U, 7U, 33U, 300U}) {
            if (pairs > 1 && length > 100) continue;  // one pair shows what a second tile of nodes does
            Complexes v = random_complexes(pairs, engine);
            Complexes w = random_complexes(pairs, engine);
            Complexes z = random_complexes(length, engine);
            for (auto& value : w) value.real(-0.5 - std::abs(value.real()));
            for (auto& value : z) value.real(std::abs(value.real()));
            const Complexes cotangent = random_complexes(length, engine);
            Complexes by_v(pairs), by_z(length), by_w(pairs);
            cauchy_vjp<double>(v, z, w, cotangent, by_v, by_z, by_w);
            const auto loss = [&] { return inner_product(definition(v, z, w), cotangent); };
            EXPECT_LE(relative_error(as_column(by_v), central_differences_of(loss, v)), reverse_pass) << length;
            EXPECT_LE(relative_error(as_column(by_z), central_differences_of(loss, z)), reverse_pass) << length;
            EXPECT_LE(relative_error(as_column(by_w), central_differences_of(loss, w)), reverse_pass) << length;
            cauchy_vjp<double>(v, z, w, cotangent, by_v, {}, by_w);  // adds, and leaves the nodes out
            EXPECT_LE(relative_error(as_column(by_v) * 0.5, central_differences_of(loss, v)), reverse_pass);
            EXPECT_LE(relative_error(as_column(by_w) * 0.5, central_differences_of(loss, w)), reverse_pass);
        }
}

TYPED_TEST(Cauchy, VjpKeepsItsDigitsNearAPole) {
    for (const double distance : {1e-2, 1e-4, 1e-6}) {
        const Complexes v{{0.3, -0.4}};
        const Complexes w{{-0.123456789, 1.0 / 3}};
        const Complexes z{w[0] + std::complex<double>{distance, 0.3 * distance}};
        const std::vector<std::complex<TypeParam>> cotangent{{TypeParam(0.5), TypeParam(-0.25)}};
        Complexes by_v(1), by_z(1), by_w(1);
        cauchy_vjp<TypeParam>(v, z, w, cotangent, by_v, by_z, by_w);
        const WideComplex near = Wide{1} / (WideComplex(z[0]) - WideComplex(w[0]));
        const WideComplex far = Wide{1} / (WideComplex(z[0]) - std::conj(WideComplex(w[0])));
        const WideComplex g(cotangent[0]);
        const WideComplex expected_v = std::conj(near) * g + std::conj(g) * far;
        const WideComplex expected_w =
            std::conj(WideComplex(v[0])) * (std::conj(near * near) * g + std::conj(g) * far * far);
        const WideComplex expected_z =
            -std::conj(WideComplex(v[0]) * near * near + std::conj(WideComplex(v[0])) * far * far) * g;
        const Wide bound = std::max<Wide>(2 * Tolerance<TypeParam>::rounding, 2e-15L / distance);
        EXPECT_LE(std::abs(WideComplex(by_v[0]) - expected_v), bound * std::abs(expected_v)) << distance;
        EXPECT_LE(std::abs(WideComplex(by_w[0]) - expected_w), bound * std::abs(expected_w)) << distance;
        EXPECT_LE(std::abs(WideComplex(by_z[0]) - expected_z), bound * std::abs(expected_z)) << distance;
    }
}

// The gradients of numerators [sums][pairs] and poles [pairs] of `evaluate` for the cotangent [sums][nodes].
template <class Scalar>
void cauchy_sums_vjp(Index n, const std::vector<Complexes>& v, const Complexes& mu,
                     const std::vector<Complexes>& cotangent, std::vector<Complexes>& by_v, Complexes& by_mu) {
    const ImaginaryNodes<Scalar> nodes(n);
    const auto sums = static_cast<Index>(v.size());
    const auto pairs = static_cast<Index>(mu.size());
    CauchySums<Scalar> engine(pairs, sums);
    Storage<Scalar> planes(2 * sums * nodes.padded());
    for (Index p = 0; p < pairs; ++p) engine.set_pole(p, mu[static_cast<std::size_t>(p)]);
    for (Index s = 0; s < sums; ++s) {
        const auto at = static_cast<std::size_t>(s);
        for (Index p = 0; p < pairs; ++p)
            engine.set_numerator(s, p, v[at][static_cast<std::size_t>(p)], mu[static_cast<std::size_t>(p)]);
        for (Index k = 0; k < nodes.count(); ++k) {
            planes.data()[2 * s * nodes.padded() + k] =
                static_cast<Scalar>(cotangent[at][static_cast<std::size_t>(k)].real());
            planes.data()[(2 * s + 1) * nodes.padded() + k] =
                static_cast<Scalar>(cotangent[at][static_cast<std::size_t>(k)].imag());
        }
    }
    typename CauchySums<Scalar>::Gradient gradient(engine);
    engine.evaluate_vjp(nodes, planes.data(), gradient);
    for (std::size_t p = 0; p < mu.size(); ++p) {
        CauchySums<Scalar>::set_pole_vjp(gradient, static_cast<Index>(p), mu[p], by_mu[p]);
        for (Index s = 0; s < sums; ++s)
            CauchySums<Scalar>::set_numerator_vjp(gradient, s, static_cast<Index>(p), v[static_cast<std::size_t>(s)][p],
                                                  mu[p], by_v[static_cast<std::size_t>(s)][p], by_mu[p]);
    }
}

TEST(CauchySumsVjp, IsTheDifferenceOfTheDefinitionForAnyNumberOfSums) {
    RandomEngine engine{9};
    for (const Index n : {2, 4, 6, 50})
        for (const std::size_t sums : {1U, 2U, 3U, 4U, 5U, 9U}) {
            constexpr std::size_t pairs = 2;
            Complexes mu(pairs);
            for (auto& value : mu) value = {-0.1 - uniform(engine), normal(engine)};
            Complexes z;
            for (Index k = 0; k < n / 2; ++k)
                z.emplace_back(0.0, std::tan(std::numbers::pi * static_cast<double>(k) / static_cast<double>(n)));
            std::vector<Complexes> v(sums), cotangent(sums), by_v(sums, Complexes(pairs));
            for (std::size_t s = 0; s < sums; ++s) {
                v[s] = random_complexes(pairs, engine);
                cotangent[s] = random_complexes(z.size(), engine);
            }
            Complexes by_mu(pairs);
            cauchy_sums_vjp<double>(n, v, mu, cotangent, by_v, by_mu);
            const auto loss = [&] {
                Wide total = 0;
                for (std::size_t s = 0; s < sums; ++s) total += inner_product(definition(v[s], z, mu), cotangent[s]);
                return total;
            };
            EXPECT_LE(relative_error(as_column(by_mu), central_differences_of(loss, mu)), reverse_pass) << n;
            for (std::size_t s = 0; s < sums; ++s)
                EXPECT_LE(relative_error(as_column(by_v[s]), central_differences_of(loss, v[s])), reverse_pass)
                    << "n " << n << ", sum " << s << " of " << sums;
        }
}

TEST(CauchySumsVjp, InFloatIsCloseToDouble) {
    RandomEngine engine{10};
    for (const Index n : {1024, 16'384}) {
        constexpr std::size_t pairs = 32;
        Complexes mu(pairs);
        for (std::size_t p = 0; p < pairs; ++p) mu[p] = {-0.0025, 0.005 * std::numbers::pi * static_cast<double>(p)};
        std::vector<Complexes> v(4), cotangent(4), narrow(4, Complexes(pairs)), wide(4, Complexes(pairs));
        for (std::size_t s = 0; s < 4; ++s) {
            v[s] = random_complexes(pairs, engine);
            cotangent[s] = random_complexes(static_cast<std::size_t>(n / 2), engine);
        }
        Complexes narrow_mu(pairs), wide_mu(pairs);
        cauchy_sums_vjp<float>(n, v, mu, cotangent, narrow, narrow_mu);
        cauchy_sums_vjp<double>(n, v, mu, cotangent, wide, wide_mu);
        EXPECT_LE(relative_error(as_column(narrow_mu), as_column(wide_mu)), Tolerance<float>::rounding) << n;
        for (std::size_t s = 0; s < 4; ++s)
            EXPECT_LE(relative_error(as_column(narrow[s]), as_column(wide[s])), Tolerance<float>::rounding) << n;
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
