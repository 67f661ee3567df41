// The kernel of a dense system and its reverse pass.
#include "tests/support/finite_difference.hpp"
#include "tests/support/tolerances.hpp"
#include <s4/core/random.hpp>
#include <s4/discretize/dense_vjp.hpp>
#include <s4/kernel/krylov.hpp>

#include <gtest/gtest.h>

#include <vector>

namespace s4::test {
namespace {

using Wide = long double;
using WideMatrix = Eigen::Matrix<Wide, Dynamic, Dynamic>;

/// A rotation that decays slowly, coupled with random numbers, and its input and output.
struct System {
    explicit System(Index states) : A(states, states), B(states), C(states) {
        RandomEngine engine{1};
        for (auto& value : A.reshaped()) value = 0.3 * normal(engine) / static_cast<double>(states);
        A.diagonal().array() -= 0.2;
        for (auto& value : B) value = normal(engine);
        for (auto& value : C) value = normal(engine);
        if (states > 1) {
            A(0, 1) += 2;
            A(1, 0) -= 2;
        }
    }
    Eigen::MatrixXd A;
    Eigen::VectorXd B;
    Eigen::RowVectorXd C;
};

std::vector<double> random_values(Index length, std::uint64_t seed) {
    const Sequence<double> values = white_noise<double>(length, 1, seed);
    return {values.data(), values.data() + length};
}

/// Σ_l cotangent_l C A^l B, one product after the other.
Wide textbook_loss(const WideMatrix& A, const WideMatrix& B, const WideMatrix& C,
                   const std::vector<double>& cotangent) {
    WideMatrix x = B;
    Wide loss = 0;
    for (const double weight : cotangent) {
        loss += static_cast<Wide>(weight) * (C * x).value();
        x = (A * x).eval();
    }
    return loss;
}

TEST(Krylov, IsTheProductOfPowers) {
    for (const Index states : {1, 4})
        for (const Index length : {1, 2, 63, 64, 65, 200}) {
            const System system(states);
            const DenseStep<double> step = discretize(Bilinear{}, system.A, system.B, 0.1);
            std::vector<double> kernel(static_cast<std::size_t>(length));
            krylov<double>(step.A_bar, step.B_bar, system.C, kernel);
            std::vector<double> impulse(kernel.size(), 0.0);
            for (std::size_t l = 0; l < kernel.size(); ++l) {
                impulse[l] = 1;
                const Wide expected =
                    textbook_loss(step.A_bar.cast<Wide>(), step.B_bar.cast<Wide>(), system.C.cast<Wide>(), impulse);
                EXPECT_NEAR(kernel[l], static_cast<double>(expected), Tolerance<double>::law) << l;
                impulse[l] = 0;
            }
        }
}

TEST(KrylovVjp, IsTheDifferenceOfTheTextbook) {
    for (const Index states : {1, 3})
        for (const Index length : {1, 2, 7, 63, 64, 65, 130, 200}) {
            SCOPED_TRACE(::testing::Message() << "N " << states << ", L " << length);
            const System system(states);
            const DenseStep<double> step = discretize(Bilinear{}, system.A, system.B, 0.1);
            const std::vector<double> cotangent = random_values(length, 2);
            DenseStep<double> gradient{Eigen::MatrixXd::Zero(states, states), Eigen::VectorXd::Zero(states)};
            Eigen::RowVectorXd by_C = Eigen::RowVectorXd::Zero(states);
            krylov_vjp<double>(step, system.C, cotangent, gradient, by_C);
            WideMatrix A = step.A_bar.cast<Wide>(), B = step.B_bar.cast<Wide>(), C = system.C.cast<Wide>();
            const auto loss = [&] { return textbook_loss(A, B, C, cotangent); };
            EXPECT_LE(relative_error(as_column(gradient.A_bar), central_differences_of(loss, A)), reverse_pass);
            EXPECT_LE(relative_error(gradient.B_bar, central_differences_of(loss, B)), reverse_pass);
            EXPECT_LE(relative_error(by_C.transpose(), central_differences_of(loss, C)), reverse_pass);
            const DenseStep<double> once = gradient;  // a second pass adds the same again
            krylov_vjp<double>(step, system.C, cotangent, gradient, by_C);
            EXPECT_LE(relative_error(gradient.A_bar, (2 * once.A_bar).eval()), Tolerance<double>::rounding);
        }
}

TEST(KrylovVjp, ThroughEveryRuleIsTheDifferenceOfTheWhole) {
    const auto check = [](const auto& rule) {
        const System system(3);
        const std::vector<double> cotangent = random_values(100, 3);
        DenseStep<double> by_step{Eigen::MatrixXd::Zero(3, 3), Eigen::VectorXd::Zero(3)};
        Eigen::RowVectorXd by_C = Eigen::RowVectorXd::Zero(3);
        krylov_vjp<double>(discretize(rule, system.A, system.B, 0.1), system.C, cotangent, by_step, by_C);
        const DenseGradient<double> found = discretize_vjp(rule, system.A, system.B, 0.1, by_step);
        WideMatrix A = system.A.cast<Wide>();
        Eigen::Matrix<Wide, Dynamic, 1> B = system.B.cast<Wide>();
        Wide dt = static_cast<Wide>(0.1);
        const auto loss = [&] {
            const DenseStep<Wide> step = discretize(rule, A, B, dt);
            return textbook_loss(step.A_bar, step.B_bar, system.C.cast<Wide>(), cotangent);
        };
        EXPECT_LE(relative_error(as_column(found.A), central_differences_of(loss, A)), reverse_pass) << rule.name;
        EXPECT_LE(relative_error(found.B, central_differences_of(loss, B)), reverse_pass) << rule.name;
        const auto by_dt = static_cast<double>(central_difference_of(loss, dt));
        EXPECT_NEAR(found.dt, by_dt, reverse_pass * std::abs(by_dt)) << rule.name;
    };
    check(BackwardEuler{});
    check(Bilinear{});
    check(ZeroOrderHold{});
    check(Dirac{});
}

TEST(KrylovVjp, TakesAnEmptyCotangentAndFloats) {
    const System system(3);
    const DenseStep<double> step = discretize(Bilinear{}, system.A, system.B, 0.1);
    DenseStep<double> gradient{Eigen::MatrixXd::Zero(3, 3), Eigen::VectorXd::Zero(3)};
    Eigen::RowVectorXd by_C = Eigen::RowVectorXd::Zero(3);
    krylov_vjp<float>(step, system.C, {}, gradient, by_C);
    EXPECT_EQ(gradient.A_bar.norm() + by_C.norm(), 0.0);
    const std::vector<float> narrow{1, -2, 0.5F};
    krylov_vjp<float>(step, system.C, narrow, gradient, by_C);
    DenseStep<double> expected{Eigen::MatrixXd::Zero(3, 3), Eigen::VectorXd::Zero(3)};
    Eigen::RowVectorXd C_expected = Eigen::RowVectorXd::Zero(3);
    krylov_vjp<double>(step, system.C, std::vector<double>{1, -2, 0.5}, expected, C_expected);
    EXPECT_EQ((gradient.A_bar - expected.A_bar).norm() + (by_C - C_expected).norm(), 0.0);
}

}  // namespace
}  // namespace s4::test
