// The structured bilinear rule against the dense one, and C~ both ways.
#include "tests/reference/reference.hpp"
#include "tests/support/dplr_systems.hpp"
#include "tests/support/expect_error.hpp"
#include "tests/support/finite_difference.hpp"
#include "tests/support/tolerances.hpp"
#include <s4/discretize/dplr_vjp.hpp>

#include <gtest/gtest.h>

namespace s4::test {
namespace {

// Ā over both halves, from the factors.
WideMatrix assemble(const DiscreteDplr& discrete) {
    const Index pairs = discrete.a_minus_one.size();
    WideMatrix A = WideMatrix::Identity(2 * pairs, 2 * pairs);
    for (Index n = 0; n < pairs; ++n) {
        A(n, n) += WideComplex(discrete.a_minus_one[n]);
        A(pairs + n, pairs + n) += std::conj(WideComplex(discrete.a_minus_one[n]));
    }
    for (Index r = 0; r < discrete.G.rows(); ++r)
        for (Index row = 0; row < pairs; ++row)
            for (Index column = 0; column < pairs; ++column) {
                const WideComplex f(discrete.F(row, r));
                const WideComplex g(discrete.G(r, column));
                A(row, column) += f * g;
                A(row, pairs + column) += f * std::conj(g);
                A(pairs + row, column) += std::conj(f) * g;
                A(pairs + row, pairs + column) += std::conj(f) * std::conj(g);
            }
    return A;
}

TEST(DplrBilinear, IsTheDenseBilinearRule) {
    for (const bool tied : {true, false})
        for (const Index rank : {0, 1, 2, 3, 4})
            for (const Index pairs : {1, 2, 5})
                for (const double dt : {1e-8, 1e-3, 0.3, 20.0}) {
                    const DplrSystem system = random_dplr_system(pairs, rank, dt, 3, tied);
                    const DiscreteDplr discrete = discretize(Bilinear{}, system);
                    const DenseSystem dense = dense_bilinear(system);
                    EXPECT_LE(relative_error(assemble(discrete), dense.A), 10 * Tolerance<double>::rounding)
                        << "rank " << rank << ", dt " << dt;
                    EXPECT_LE(relative_error(discrete.B_bar, dense.B.head(pairs)), 100 * Tolerance<double>::rounding);
                }
}

TEST(DplrBilinear, TheRealMatrixActsLikeTheComplexOne) {
    const DplrSystem system = random_dplr_system(4, 2, 0.1, 5, true);
    const DiscreteDplr discrete = discretize(Bilinear{}, system);
    const Eigen::MatrixXd real = detail::real_matrix(discrete);
    WideVector x = WideVector::Zero(8);
    RandomEngine engine{6};
    Eigen::VectorXd planes(8);
    for (Index n = 0; n < 4; ++n) {
        const std::complex<double> value = complex_normal(engine);
        x[n] = WideComplex(value);
        x[4 + n] = std::conj(WideComplex(value));
        planes[n] = value.real();
        planes[4 + n] = value.imag();
    }
    const WideVector next = assemble(discrete) * x;
    const Eigen::VectorXd next_planes = real * planes;
    for (Index n = 0; n < 4; ++n) {
        EXPECT_NEAR(next_planes[n], static_cast<double>(next[n].real()), 1e-14);
        EXPECT_NEAR(next_planes[4 + n], static_cast<double>(next[n].imag()), 1e-14);
    }
}

TEST(CTilde, IsCTimesOneMinusThePower) {
    const DplrSystem system = random_dplr_system(4, 1, 0.05, 7, true);
    const DenseSystem dense = dense_bilinear(system);
    for (const Index length : {1, 2, 3, 7, 16, 100}) {
        WideMatrix power = WideMatrix::Identity(8, 8);
        for (Index l = 0; l < length; ++l) power = (power * dense.A).eval();
        const WideVector expected = dense.C - power.transpose() * dense.C;
        const DplrSystem changed = to_length(system, length);
        EXPECT_EQ(changed.kernel_length, length);
        EXPECT_LE(relative_error(changed.C, expected.head(4)), 10 * Tolerance<double>::rounding) << length;
    }
}

TEST(CTilde, GoesBackToPlainAndToOtherLengths) {
    // As slow as the published models get: dt N² L small, so that I − Ā^L is nearly singular (condition about 1e3).
    for (const double dt : {1e-5, 1e-3, 0.1}) {
        DplrSystem system = random_dplr_system(8, 1, dt, 8, true);
        for (const Index length : {64, 1000}) {
            const DplrSystem there = to_length(system, length);
            EXPECT_LE(relative_error(to_plain(there).C, system.C), 1e-10) << dt << " " << length;
            EXPECT_LE(relative_error(to_length(there, 333).C, to_length(system, 333).C), 1e-10);
        }
    }
}

TEST(CTilde, OfALongKernelOfAFastSystemIsC) {
    const DplrSystem system = random_dplr_system(4, 1, 0.5, 9, true);
    EXPECT_EQ((to_length(system, Index{1} << 28).C - system.C).norm(), 0.0);
}

TEST(CTilde, ConvertsWholeParameters) {
    using Ssm = Dplr<double>;
    const Ssm::Parameters plain = Ssm::random({.channels = 3, .state_size = 8}, 1);
    const Ssm::Parameters changed = to_length<Ssm>(plain, 50);
    EXPECT_EQ(changed.kernel_length, 50);
    EXPECT_GT(relative_error(changed.C, plain.C), 1e-3);
    const Ssm::Parameters back = to_plain<Ssm>(changed);
    EXPECT_EQ(back.kernel_length, 0);
    EXPECT_LE(relative_error(back.C, plain.C), 1e-11);
    EXPECT_S4_ERROR(static_cast<void>(to_length<Ssm>(plain, -1)), "kernel length", "found -1");
}

// What StructuredSteps and its reverse pass make of C and a cotangent, against powers of the whole matrix.
void expect_steps_like_powers(const DplrSystem& system, Index steps) {
    const Index pairs = system.C.size();
    const DiscreteDplr discrete = discretize(Bilinear{}, system);
    const Eigen::MatrixXd A_bar = detail::real_matrix(discrete);
    const detail::StructuredSteps<Eigen::MatrixXd> structured{discrete};
    const Eigen::MatrixXd row = detail::real_row<Eigen::MatrixXd>(system.C);
    Eigen::VectorXcd expected(pairs);
    detail::set_complex_row(expected, detail::times_power(row, A_bar, steps));
    const Eigen::MatrixXd found = structured.run(structured.column(system.C), steps);
    EXPECT_LE((found - structured.column(expected)).norm(), Tolerance<double>::law * system.C.norm());

    RandomEngine engine{21};
    Eigen::VectorXcd cotangent(pairs);
    for (auto& value : cotangent) value = complex_normal(engine);
    Eigen::MatrixXd by_row(1, 2 * pairs);  // of the row [2 Re C, −2 Im C]
    for (Index n = 0; n < pairs; ++n) {
        by_row(0, n) = 0.5 * cotangent[n].real();
        by_row(0, pairs + n) = -0.5 * cotangent[n].imag();
    }
    const DiscreteDplr by_powers = detail::real_matrix_vjp(discrete, detail::power_vjp(A_bar, steps, row, by_row));
    const Eigen::MatrixXd before = detail::times_power(by_row, Eigen::MatrixXd(A_bar.transpose()), steps);
    Eigen::MatrixXd by_C = structured.column(cotangent);
    DiscreteDplr by_steps;
    detail::StructuredStepsVjp<Eigen::MatrixXd>{discrete}.run(structured.column(system.C), steps, by_C, by_steps);
    for (Index n = 0; n < pairs; ++n) {
        EXPECT_NEAR(by_C(n, 0), 2 * before(0, n), Tolerance<double>::law * cotangent.norm());
        EXPECT_NEAR(by_C(pairs + n, 0), -2 * before(0, pairs + n), Tolerance<double>::law * cotangent.norm());
    }
    constexpr double left_out = 1e-37;  // both stop where powers are below 1e-40
    const auto expect_close = [=](const auto& a, const auto& b) {
        ASSERT_EQ(a.rows(), b.rows());
        ASSERT_EQ(a.cols(), b.cols());
        EXPECT_LE((a - b).norm(), Tolerance<double>::law * b.norm() + left_out);
    };
    expect_close(by_steps.a_minus_one, by_powers.a_minus_one);
    expect_close(by_steps.F, by_powers.F);
    expect_close(by_steps.G, by_powers.G);
    EXPECT_EQ(by_steps.B_bar.size(), pairs);
    EXPECT_EQ(by_steps.B_bar.norm(), 0.0);
}

TEST(CTilde, StructuredStepsAreThePowers) {
    for (const Index rank : {0, 1, 2, 4})
        for (const Index pairs : {1, 3, 8})
            for (const Index steps : {1, 2, 31, 32, 33, 200}) {
                SCOPED_TRACE(::testing::Message() << "rank " << rank << ", " << pairs << " pairs, " << steps);
                expect_steps_like_powers(random_dplr_system(pairs, rank, 0.02, 19, true), steps);
                expect_steps_like_powers(random_dplr_system(pairs, rank, 1, 20, true), steps);  // dies out on the way
            }
}

TEST(CTilde, StepsThatDieOutLeaveTheGradientOfWhatDoesNot) {
    // C sees the fast state alone, and dies out with it; a change of C would see the slow one.
    DplrSystem system = random_dplr_system(2, 0, 1, 22, true);
    system.lambda << std::complex<double>{-1.9, 0.0}, std::complex<double>{-0.001, 0.3};
    system.dt.setOnes();
    system.C << 1.0, 0.0;
    expect_steps_like_powers(system, 100);
    system.C.setZero();
    expect_steps_like_powers(system, 100);
}

// Every tensor of a system by the differences of `loss()`, which reads the system.
template <class Loss>
void expect_gradient(DplrSystem& system, const DplrSystem& gradient, const Loss& loss) {
    EXPECT_LE(relative_error(gradient.lambda, central_differences_of(loss, system.lambda)), reverse_pass);
    EXPECT_LE(relative_error(as_column(gradient.P), central_differences_of(loss, system.P)), reverse_pass);
    EXPECT_LE(relative_error(gradient.B, central_differences_of(loss, system.B)), reverse_pass);
    EXPECT_LE(relative_error(gradient.C, central_differences_of(loss, system.C)), reverse_pass);
    EXPECT_LE(relative_error(gradient.dt, central_differences_of(loss, system.dt)), reverse_pass);
}

TEST(DplrBilinear, VjpIsTheDifferenceOfTheDenseRule) {
    for (const Index rank : {0, 1, 2, 4})
        for (const Index pairs : {1, 3}) {
            SCOPED_TRACE(::testing::Message() << "rank " << rank << ", " << pairs << " pairs");
            DplrSystem system = random_dplr_system(pairs, rank, 0.2, 13, false);
            system.rate = 0.5;
            RandomEngine engine{14};
            // The loss Σ weights ∘ Ā + Re Σ conj(by_b) B_bar, with Ā as a real matrix on [Re x; Im x].
            Eigen::MatrixXd weights(2 * pairs, 2 * pairs);
            for (auto& weight : weights.reshaped()) weight = normal(engine);
            DiscreteDplr cotangent = detail::real_matrix_vjp(discretize(Bilinear{}, system), weights);
            for (auto& value : cotangent.B_bar) value = complex_normal(engine);
            DplrSystem gradient = zero_gradient(system);
            discretize_vjp(Bilinear{}, system, cotangent, gradient);
            expect_gradient(system, gradient, [&] {
                DplrSystem at_rate = system;
                at_rate.dt *= system.rate;
                const DenseSystem dense = dense_bilinear(at_rate);
                Wide sum = 0;
                for (Index column = 0; column < pairs; ++column)
                    for (Index row = 0; row < pairs; ++row) {
                        const WideComplex same = dense.A(row, column);
                        const WideComplex crossed = dense.A(row, pairs + column);  // what acts on conj(x)
                        sum += static_cast<Wide>(weights(row, column)) * (same + crossed).real() +
                               static_cast<Wide>(weights(pairs + row, column)) * (same + crossed).imag() -
                               static_cast<Wide>(weights(row, pairs + column)) * (same - crossed).imag() +
                               static_cast<Wide>(weights(pairs + row, pairs + column)) * (same - crossed).real();
                    }
                for (Index n = 0; n < pairs; ++n)
                    sum += (std::conj(WideComplex(cotangent.B_bar[n])) * dense.B[n]).real();
                return sum;
            });
        }
}

TEST(DplrBilinear, VjpOfCTildeIsTheDifferenceOfTheDensePower) {
    for (const Index rank : {0, 1, 2})
        for (const Index length : {1, 2, 3, 7, 20}) {
            SCOPED_TRACE(::testing::Message() << "rank " << rank << ", length " << length);
            // dt so small that the power has not died out: otherwise C~ is C, and differences see rounding alone.
            DplrSystem system = random_dplr_system(2, rank, 0.02, 15, false);
            RandomEngine engine{16};
            Eigen::VectorXcd cotangent(2);
            for (auto& value : cotangent) value = complex_normal(engine);
            DplrSystem gradient = zero_gradient(system);
            to_length_vjp(system, length, cotangent, gradient);
            expect_gradient(system, gradient, [&] {
                const WideVector c = dense_c_of_length(system, length);
                Wide sum = 0;
                for (Index n = 0; n < 2; ++n) sum += (std::conj(WideComplex(cotangent[n])) * c[n]).real();
                return sum;
            });
        }
}

TEST(DplrBilinear, VjpThereAndBackIsTheCotangent) {
    // to_plain undoes to_length: what passes back through both arrives unchanged, and nothing reaches λ, P and dt.
    const DplrSystem plain = random_dplr_system(3, 2, 0.1, 17, true);
    const DplrSystem transformed = to_length(plain, 50);
    const Eigen::VectorXcd cotangent = random_dplr_system(3, 2, 0.1, 18, true).C;
    DplrSystem by_transformed = zero_gradient(transformed);
    to_length_vjp(transformed, 0, cotangent, by_transformed);
    DplrSystem by_plain = zero_gradient(plain);
    to_length_vjp(plain, 50, by_transformed.C, by_plain);
    EXPECT_LE(relative_error(by_plain.C, cotangent), Tolerance<double>::law);
    EXPECT_LE((by_plain.lambda + by_transformed.lambda).norm(), Tolerance<double>::law * by_plain.lambda.norm());
    EXPECT_LE((by_plain.P + by_transformed.P).norm(), Tolerance<double>::law * by_plain.P.norm());
    EXPECT_LE((by_plain.dt + by_transformed.dt).norm(), Tolerance<double>::law * by_plain.dt.norm());
    EXPECT_GT(by_plain.lambda.norm(), Tolerance<float>::golden);
}

}  // namespace
}  // namespace s4::test
