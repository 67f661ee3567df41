// The differentiable scan: forward as the recurrence, reverse by differences, in chunks, and through the kernels.
#include "tests/reference/reference.hpp"
#include "tests/support/dplr_systems.hpp"
#include "tests/support/expect_error.hpp"
#include "tests/support/finite_difference.hpp"
#include "tests/support/tolerances.hpp"
#include <s4/convolution/causal_convolution.hpp>
#include <s4/discretize/bilinear.hpp>
#include <s4/discretize/dirac.hpp>
#include <s4/discretize/euler.hpp>
#include <s4/discretize/generalised_bilinear.hpp>
#include <s4/fft/kiss_fft.hpp>
#include <s4/kernel/diagonal_kernel.hpp>
#include <s4/kernel/dplr_kernel.hpp>
#include <s4/kernel/trainable_kernels.hpp>
#include <s4/recurrence/diagonal_recurrence.hpp>
#include <s4/recurrence/dplr_recurrence.hpp>
#include <s4/recurrence/scan_vjp.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <complex>
#include <limits>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

namespace s4::test {
namespace {

using States = detail::RowMajorMatrix<std::complex<double>, Dynamic, Dynamic>;

States random_states(Index channels, Index pairs, std::uint64_t seed) {
    RandomEngine engine{seed};
    States x(channels, pairs);
    for (auto& value : x.reshaped()) value = complex_normal(engine);
    return x;
}

// Ā and B̄/B of one mode, from the table of rules.
struct WideStep {
    WideComplex a, b;
};
template <class Rule>
WideStep textbook_step(const Rule& rule, WideComplex lambda, Wide dt) {
    const WideComplex z = dt * lambda;
    if constexpr (WeightedRule<Rule>) {
        const auto w = static_cast<Wide>(rule.weight());
        return {(Wide{1} + (1 - w) * z) / (Wide{1} - w * z), dt / (Wide{1} - w * z)};
    } else if constexpr (std::is_same_v<Rule, ZeroOrderHold>) {
        return {std::exp(z), (std::exp(z) - Wide{1}) / lambda};
    } else {
        return {std::exp(z), Wide{1}};
    }
}

/// A chunk and a loss Σ dy ∘ y + Re Σ conj(dx_L) x_L, of any system, by the textbook in long double.
template <class Ssm>
struct Problem {
    using Scalar = typename Ssm::Scalar;
    using Scan = ScanVjp<Ssm>;
    using System = typename Scan::System;
    using Parameters = typename Ssm::Parameters;

    Problem(const Parameters& p, Index length, std::uint64_t seed)
        : parameters{p},
          channels{p.channels()},
          heads{p.heads()},
          pairs{p.A_real.cols()},
          u{white_noise<double>(length, channels, seed)},
          dy{white_noise<double>(length, heads * channels, seed + 1)},
          x_0{random_states(channels, pairs, seed + 2)},
          dx_L{random_states(channels, pairs, seed + 3)} {
        for (Index row = 0; row < heads * channels; ++row)
            systems.push_back(Ssm::system(p, row % channels, row / channels));
    }

    Parameters parameters;
    Index channels, heads, pairs;
    Sequence<double> u, dy;
    States x_0, dx_L;
    std::vector<System> systems;

    [[nodiscard]] Wide loss_of(Index h) const {
        const System& system = systems[static_cast<std::size_t>(h)];
        WideVector x = x_0.row(h).transpose().template cast<WideComplex>();
        WideMatrix A = WideMatrix::Zero(pairs, pairs), A_conj = A;  // x ← A x + A_conj conj(x) + B u
        WideVector B(pairs);
        if constexpr (std::is_same_v<System, DplrSystem>) {
            const DenseSystem dense = dense_bilinear(system);
            A = dense.A.topLeftCorner(pairs, pairs);
            A_conj = dense.A.topRightCorner(pairs, pairs);
            B = dense.B.head(pairs);
        } else {
            for (Index n = 0; n < pairs; ++n) {
                const WideStep step =
                    textbook_step(parameters.rule, WideComplex(system.lambda[n]), static_cast<Wide>(system.dt[n]));
                A(n, n) = step.a;
                B[n] = step.b * WideComplex(system.B[n]);
            }
        }
        Wide loss = 0;
        for (Index t = 0; t < u.rows(); ++t) {
            const auto input = static_cast<Wide>(u(t, h));
            x = (A * x + A_conj * x.conjugate() + B * input).eval();
            for (Index head = 0; head < heads; ++head) {
                const System& output = systems[static_cast<std::size_t>(head * channels + h)];
                Wide y = static_cast<Wide>(output.D) * input;
                for (Index n = 0; n < pairs; ++n) y += 2 * (WideComplex(output.C[n]) * x[n]).real();
                loss += y * static_cast<Wide>(dy(t, head * channels + h));
            }
        }
        for (Index n = 0; n < pairs; ++n) loss += (std::conj(WideComplex(dx_L(h, n))) * x[n]).real();
        return loss;
    }
};

/// Two routes to a gradient in double: through the kernel and through the states.
constexpr double same_gradient = 1e-12;

/// What forward and vjp give.
template <class Ssm>
struct Pass {
    using Scalar = typename Ssm::Scalar;
    using Scan = ScanVjp<Ssm>;

    Pass(const Scan& scan, Index length)
        : y(length, scan.outputs()),
          du(length, scan.channels()),
          x_L{scan.zero_state()},
          dx_0{scan.zero_state()},
          gradients{scan.zero_gradients()} {
        du.setConstant(Scalar{17});  // to be overwritten
        dx_0.setConstant(Scalar{17});
    }
    explicit Pass(const Problem<Ssm>& problem) : Pass{Scan{problem.parameters}, problem.u.rows()} {
        const Scan scan{problem.parameters};
        auto workspace = scan.make_workspace();
        auto tape = scan.make_tape(problem.u.rows() + 3);
        const Sequence<Scalar> u = problem.u.template cast<Scalar>();
        const Sequence<Scalar> dy = problem.dy.template cast<Scalar>();
        scan.forward(workspace, tape, state(problem.x_0), u, y, x_L);
        scan.vjp(workspace, tape, u, dy, state(problem.dx_L), du, dx_0, gradients);
    }
    static typename Scan::StateMatrix state(const States& x) { return x.template cast<std::complex<Scalar>>(); }

    Sequence<Scalar> y, du;
    typename Scan::StateMatrix x_L, dx_0;
    std::vector<typename Scan::System> gradients;
};

/// Every entry of every gradient against the differences of the loss.
template <class Ssm>
void expect_differences(Problem<Ssm> problem) {
    const Pass<Ssm> found{problem};
    const Index length = problem.u.rows();
    for (Index h = 0; h < problem.channels; ++h) {
        const auto loss = [&] { return problem.loss_of(h); };
        Eigen::Matrix<Wide, Dynamic, 1> by_u(length);
        for (Index t = 0; t < length; ++t) by_u[t] = central_difference_of(loss, problem.u(t, h));
        EXPECT_LE(relative_error(found.du.col(h), by_u), reverse_pass) << "u of channel " << h;
        WideVector by_x(problem.pairs);
        for (Index n = 0; n < problem.pairs; ++n) by_x[n] = central_difference_of(loss, problem.x_0(h, n));
        EXPECT_LE(relative_error(found.dx_0.row(h).transpose(), by_x), reverse_pass) << "x_0 of channel " << h;
        auto& system = problem.systems[static_cast<std::size_t>(h)];
        const auto& gradient = found.gradients[static_cast<std::size_t>(h)];
        EXPECT_LE(relative_error(gradient.lambda, central_differences_of(loss, system.lambda)), reverse_pass);
        EXPECT_LE(relative_error(gradient.B, central_differences_of(loss, system.B)), reverse_pass);
        EXPECT_LE(relative_error(gradient.dt, central_differences_of(loss, system.dt)), reverse_pass);
        if constexpr (std::is_same_v<typename Ssm::Rule, Bilinear> && requires { system.P; }) {
            EXPECT_LE(relative_error(as_column(gradient.P), central_differences_of(loss, system.P)), reverse_pass);
        }
        for (Index head = 0; head < problem.heads; ++head) {
            auto& output = problem.systems[static_cast<std::size_t>(head * problem.channels + h)];
            const auto& by_output = found.gradients[static_cast<std::size_t>(head * problem.channels + h)];
            EXPECT_LE(relative_error(by_output.C, central_differences_of(loss, output.C)), reverse_pass);
            const Wide by_D = central_difference_of(loss, output.D);
            EXPECT_NEAR(static_cast<double>(by_D), by_output.D, reverse_pass * (1 + std::abs(by_output.D)));
            if (head > 0) {  // what heads share is in the gradient of the first
                EXPECT_EQ(by_output.lambda.norm() + by_output.B.norm() + by_output.dt.norm(), 0.0);
            }
        }
    }
}

template <class Scalar>
class ScanVjps : public ::testing::Test {};
using WideScalars = ::testing::Types<double, long double>;
TYPED_TEST_SUITE(ScanVjps, WideScalars);

template <class Ssm>
void expect_differences_of_rule(S4dInit init) {
    for (const Index states : {2, 6})
        for (const Index length : {1, 7, 130}) {
            SCOPED_TRACE(::testing::Message() << Ssm::Rule::name << ", N " << states << ", L " << length);
            auto p = Ssm::random({.channels = 3,
                                  .state_size = states,
                                  .init = init,
                                  .timescale = {.dt_min = 0.05, .dt_max = 0.2},
                                  .tied_dt = false},
                                 11);
            if constexpr (std::is_same_v<typename Ssm::Rule, GeneralisedBilinear>) p.rule = GeneralisedBilinear{0.7};
            expect_differences(Problem<Ssm>{p, length, 12});
        }
}

TYPED_TEST(ScanVjps, OfEveryRuleAreTheDifferencesOfTheTextbook) {
    expect_differences_of_rule<Diagonal<TypeParam, ZeroOrderHold>>(S4dInit::lin);
    expect_differences_of_rule<Diagonal<TypeParam, Bilinear>>(S4dInit::lin);
    expect_differences_of_rule<Diagonal<TypeParam, BackwardEuler>>(S4dInit::lin);
    expect_differences_of_rule<Diagonal<TypeParam, GeneralisedBilinear>>(S4dInit::lin);
    expect_differences_of_rule<Diagonal<TypeParam, Dirac>>(S4dInit::lin);
    expect_differences_of_rule<Diagonal<TypeParam, Euler>>(S4dInit::real);
}

TYPED_TEST(ScanVjps, OfEveryRankAreTheDifferencesOfTheTextbook) {
    using Ssm = Dplr<TypeParam>;
    for (const Index rank : {0, 1, 2, 4})
        for (const Index pairs : {1, 3})
            for (const Index length : {1, 7, 81}) {
                SCOPED_TRACE(::testing::Message() << "rank " << rank << ", " << pairs << " pairs, L " << length);
                const std::vector<DplrSystem> systems{random_dplr_system(pairs, rank, 0.1, 13, false),
                                                      random_dplr_system(pairs, rank, 0.2, 14, false)};
                // A seed without inputs near 0, where the differences by B would have no digits at L = 1.
                expect_differences(Problem<Ssm>{Ssm::from_systems(systems), length, 20});
            }
}

TYPED_TEST(ScanVjps, WithHeadsSetsAndOptionsAreTheDifferencesOfTheTextbook) {
    const SsmOptions options{.rate = 1.5, .band_limit = 0.8};
    for (const Index heads : {1, 2, 3})
        for (const bool tied : {true, false})
            for (const Index length : {5, 70}) {
                SCOPED_TRACE(::testing::Message() << heads << " heads, tied " << tied << ", L " << length);
                using S4d = Diagonal<TypeParam>;
                expect_differences(Problem<S4d>{S4d::random({.channels = 4,
                                                             .state_size = 4,
                                                             .heads = heads,
                                                             .sets = 2,
                                                             .timescale = {.dt_min = 0.1, .dt_max = 0.5},
                                                             .tied_dt = tied,
                                                             .ssm = options},
                                                            16),
                                                length, 17});
                using S4 = Dplr<TypeParam>;
                expect_differences(Problem<S4>{S4::random({.channels = 4,
                                                           .state_size = 4,
                                                           .heads = heads,
                                                           .sets = 2,
                                                           .hippo = LegT{},
                                                           .timescale = {.dt_min = 0.1, .dt_max = 0.5},
                                                           .tied_dt = tied,
                                                           .ssm = options},
                                                          18),
                                               length, 19});
            }
}

template <class Scalar>
class DifferentiableScan : public ::testing::Test {};
using Scalars = ::testing::Types<float, double>;
TYPED_TEST_SUITE(DifferentiableScan, Scalars);

/// The outputs and final states of the scan of a Recurrence, from the same state.
template <class Ssm>
void expect_recurrence(const typename Ssm::Parameters& p, Index length) {
    using Scalar = typename Ssm::Scalar;
    const Problem<Ssm> problem{p, length, 21};
    const Pass<Ssm> found{problem};
    const Recurrence<Ssm> recurrence(p);
    auto state = recurrence.make_state();
    recurrence.write(state, Pass<Ssm>::state(problem.x_0));
    const Sequence<Scalar> u = problem.u.template cast<Scalar>();
    Sequence<Scalar> y(length, recurrence.outputs());
    recurrence.scan(state, length, u.data(), u.outerStride(), y.data(), y.outerStride());
    typename ScanVjp<Ssm>::StateMatrix x_L(recurrence.channels(), recurrence.state_columns());
    recurrence.read(state, x_L);
    EXPECT_LE(relative_error(found.y, y), Tolerance<Scalar>::law);
    EXPECT_LE(relative_error(found.x_L, x_L), Tolerance<Scalar>::law);
}

TYPED_TEST(DifferentiableScan, IsTheScanOfTheRecurrence) {
    for (const Index channels : {1, 5, 19})
        for (const Index heads : {1, 3})
            for (const Index states : {2, 64})
                for (const Index length : {1, 63, 64, 203}) {
                    SCOPED_TRACE(::testing::Message()
                                 << "H " << channels << ", " << heads << " heads, N " << states << ", L " << length);
                    expect_recurrence<Diagonal<TypeParam>>(
                        Diagonal<TypeParam>::random(
                            {.channels = channels, .state_size = states, .heads = heads, .init = S4dInit::inv}, 22),
                        length);
                    for (const Index rank : {1, 2, 3, 4})
                        expect_recurrence<Dplr<TypeParam>>(Dplr<TypeParam>::random({.channels = channels,
                                                                                    .state_size = states,
                                                                                    .heads = heads,
                                                                                    .hippo = LegS{},
                                                                                    .rank = rank},
                                                                                   23),
                                                           length);
                }
}

TYPED_TEST(DifferentiableScan, OfRealAndOfSharedStatesIsThatOfTheRecurrence) {
    expect_recurrence<Diagonal<TypeParam, Bilinear>>(
        Diagonal<TypeParam, Bilinear>::random(
            {.channels = 6, .state_size = 8, .sets = 2, .init = S4dInit::real, .ssm = {.real = true}}, 25),
        100);
    expect_recurrence<Dplr<TypeParam>>(Dplr<TypeParam>::random({.channels = 6, .state_size = 8, .sets = 3}, 26), 100);
}

TYPED_TEST(DifferentiableScan, OfStaticSizesIsThatOfDynamicOnes) {
    using Static = Diagonal<TypeParam, ZeroOrderHold, Shape<8, 5>>;
    const Problem<Static> problem{Static::random({}, 27), 70, 28};
    const Pass<Static> found{problem};
    const Problem<Diagonal<TypeParam>> same{Diagonal<TypeParam>::random({.channels = 5, .state_size = 8}, 27), 70, 28};
    const Pass<Diagonal<TypeParam>> expected{same};
    EXPECT_EQ((found.y - expected.y).norm(), TypeParam{0});
    EXPECT_EQ((found.gradients[4].lambda - expected.gradients[4].lambda).norm(), 0.0);
    using StaticDplr = Dplr<TypeParam, Shape<8, 5>>;
    const Pass<StaticDplr> low_rank{Problem<StaticDplr>{StaticDplr::random({}, 27), 70, 28}};
    const Pass<Dplr<TypeParam>> expected_low_rank{
        Problem<Dplr<TypeParam>>{Dplr<TypeParam>::random({.channels = 5, .state_size = 8}, 27), 70, 28}};
    EXPECT_EQ((low_rank.du - expected_low_rank.du).norm(), TypeParam{0});
    EXPECT_EQ((low_rank.gradients[4].P - expected_low_rank.gradients[4].P).norm(), 0.0);
}

double largest_error(const DiagonalSystem& found, const DiagonalSystem& truth) {
    return std::max({relative_error(found.lambda, truth.lambda), relative_error(found.B, truth.B),
                     relative_error(found.C, truth.C), relative_error(found.dt, truth.dt)});
}
double largest_error(const DplrSystem& found, const DplrSystem& truth) {
    return std::max({relative_error(found.lambda, truth.lambda), relative_error(found.B, truth.B),
                     relative_error(found.C, truth.C), relative_error(found.dt, truth.dt),
                     relative_error(found.P, truth.P)});
}

/// Two chunks with the adjoint of the state handed back, sequences that are blocks of larger ones, du written over dy.
template <class Ssm>
void expect_chunks_are_the_whole(const typename Ssm::Parameters& p) {
    using Scalar = typename Ssm::Scalar;
    const Index length = 200;
    const Problem<Ssm> problem{p, length, 29};
    const Pass<Ssm> whole{problem};
    const ScanVjp<Ssm> scan{p};
    for (const Index cut : {1, 64, 137}) {
        auto workspace = scan.make_workspace();
        auto first = scan.make_tape(cut);
        auto second = scan.make_tape(length);
        const Sequence<Scalar> u = problem.u.template cast<Scalar>();
        Sequence<Scalar> dy = problem.dy.template cast<Scalar>();
        Sequence<Scalar> y(length, scan.outputs());
        auto x = Pass<Ssm>::state(problem.x_0);
        scan.forward(workspace, first, x, u.topRows(cut), y.topRows(cut), x);
        scan.forward(workspace, second, x, u.bottomRows(length - cut), y.bottomRows(length - cut), x);
        EXPECT_LE(relative_error(y, whole.y), Tolerance<Scalar>::law);
        EXPECT_LE(relative_error(x, whole.x_L), Tolerance<Scalar>::law);
        auto dx = Pass<Ssm>::state(problem.dx_L);
        auto gradients = scan.zero_gradients();
        auto du = dy.leftCols(scan.channels());  // one head: du is dy; several: over the cotangents of the first
        Sequence<Scalar> apart(length, scan.channels());
        const bool in_place = p.heads() == 1;
        const auto out = [&](Index from, Index rows) {
            return in_place ? SequenceOut<Scalar>{du.row(from).data(), rows, du.cols(), du.outerStride()}
                            : SequenceOut<Scalar>{apart.row(from).data(), rows, apart.cols(), apart.outerStride()};
        };
        scan.vjp(workspace, second, u.bottomRows(length - cut), dy.bottomRows(length - cut), dx, out(cut, length - cut),
                 dx, gradients);
        scan.vjp(workspace, first, u.topRows(cut), dy.topRows(cut), dx, out(0, cut), dx, gradients);
        EXPECT_LE(relative_error(in_place ? Sequence<Scalar>{du} : apart, whole.du), Tolerance<Scalar>::law) << cut;
        EXPECT_LE(relative_error(dx, whole.dx_0), Tolerance<Scalar>::law) << cut;
        for (std::size_t row = 0; row < gradients.size(); ++row)
            EXPECT_LE(largest_error(gradients[row], whole.gradients[row]), 10 * Tolerance<Scalar>::law) << cut;
    }
}

TYPED_TEST(DifferentiableScan, OfTwoChunksIsThatOfTheWhole) {
    for (const Index heads : {1, 2}) {
        expect_chunks_are_the_whole<Diagonal<TypeParam>>(
            Diagonal<TypeParam>::random({.channels = 5, .state_size = 16, .heads = heads}, 30));
        expect_chunks_are_the_whole<Dplr<TypeParam>>(
            Dplr<TypeParam>::random({.channels = 5, .state_size = 16, .heads = heads}, 31));
    }
}

TYPED_TEST(DifferentiableScan, OfNoSamplesPassesTheStateThrough) {
    using Ssm = Dplr<TypeParam>;
    const Problem<Ssm> problem{Ssm::random({.channels = 3, .state_size = 4}, 32), 0, 33};
    const Pass<Ssm> found{problem};
    EXPECT_EQ((found.x_L - Pass<Ssm>::state(problem.x_0)).norm(), TypeParam{0});
    EXPECT_EQ((found.dx_0 - Pass<Ssm>::state(problem.dx_L)).norm(), TypeParam{0});
    EXPECT_EQ(found.gradients[0].lambda.norm() + found.gradients[0].C.norm(), 0.0);
}

// The same gradients from a zero state by way of the kernel and the convolution.
template <class Ssm>
std::vector<typename ScanVjp<Ssm>::System> through_the_kernel(const Problem<Ssm>& problem, Sequence<double>& du) {
    using Fft = KissFft<double>;
    const Index length = problem.u.rows();
    const Index rows = problem.heads * problem.channels;
    Sequence<double> kernels = convolution_kernels<Ssm, Fft>(problem.parameters, length);
    for (Index row = 0; row < rows; ++row) kernels(row, 0) += problem.parameters.D[row];
    const CausalConvolution<Fft> convolution(kernels, KernelRows{.heads = problem.heads});
    typename CausalConvolution<Fft>::VjpWorkspace workspace(convolution);
    Sequence<double> by_kernels(rows, length);
    du.resize(length, problem.channels);
    convolution.vjp(workspace, problem.u, problem.dy, du, by_kernels);
    std::vector<typename ScanVjp<Ssm>::System> gradients = ScanVjp<Ssm>{problem.parameters}.zero_gradients();
    for (Index row = 0; row < rows; ++row) {
        const auto& system = problem.systems[static_cast<std::size_t>(row)];
        auto& gradient = gradients[static_cast<std::size_t>(row)];
        const std::span<const double> cotangent{by_kernels.data() + row * length, static_cast<std::size_t>(length)};
        if constexpr (std::is_same_v<typename ScanVjp<Ssm>::System, DplrSystem>) {
            const DplrKernel<Fft> kernel(length);
            typename DplrKernel<Fft>::Workspace scratch(kernel);
            kernel.vjp(scratch, system, cotangent, gradient);
        } else {
            diagonal_kernel_vjp<double>(problem.parameters.rule, system, cotangent, gradient);
        }
        gradient.D = cotangent[0];
        if (row < problem.channels) continue;  // what heads share is added up in that of the first
        auto& first = gradients[static_cast<std::size_t>(row % problem.channels)];
        first.lambda += gradient.lambda;
        first.B += gradient.B;
        first.dt += gradient.dt;
        if constexpr (requires { first.P; }) first.P += gradient.P;
    }
    return gradients;
}

template <class Ssm>
void expect_gradients_through_the_kernel(const typename Ssm::Parameters& p) {
    Problem<Ssm> problem{p, 500, 34};
    problem.x_0.setZero();
    problem.dx_L.setZero();
    Sequence<double> du;
    const auto expected = through_the_kernel(problem, du);
    const Pass<Ssm> found{problem};
    EXPECT_LE(relative_error(found.du, du), same_gradient);
    for (Index row = 0; row < problem.heads * problem.channels; ++row) {
        const auto& gradient = found.gradients[static_cast<std::size_t>(row)];
        const auto& truth = expected[static_cast<std::size_t>(row)];
        EXPECT_NEAR(gradient.D, truth.D, same_gradient * (1 + std::abs(truth.D)));
        EXPECT_LE(relative_error(gradient.C, truth.C), same_gradient) << row;
        if (row < problem.channels) {
            EXPECT_LE(largest_error(gradient, truth), same_gradient) << row;
        }
    }
}

TEST(ScanVjpGradients, AreThoseThroughTheKernel) {
    for (const Index heads : {1, 2}) {
        expect_gradients_through_the_kernel<Diagonal<double>>(
            Diagonal<double>::random({.channels = 5, .state_size = 16, .heads = heads, .tied_dt = false}, 35));
        expect_gradients_through_the_kernel<Diagonal<double, Bilinear>>(
            Diagonal<double, Bilinear>::random({.channels = 3, .state_size = 16, .heads = heads}, 36));
        expect_gradients_through_the_kernel<Dplr<double>>(
            Dplr<double>::random({.channels = 3, .state_size = 16, .heads = heads}, 37));
        expect_gradients_through_the_kernel<Dplr<double>>(
            Dplr<double>::random({.channels = 3, .state_size = 8, .heads = heads, .hippo = LegT{}}, 38));
    }
}

/// The tensors' gradients of training in two chunks, against those of the layer's kernels, by every option.
template <class Ssm>
void expect_parameter_gradients(const typename Ssm::Parameters& p) {
    const Index length = 150;
    const Index cut = 70;
    Problem<Ssm> problem{p, length, 44};
    using Fft = KissFft<double>;
    TrainableKernels<Ssm, Fft> kernels(p, length);
    Sequence<double> values(p.C.rows(), length);
    kernels.forward(p, values);
    const CausalConvolution<Fft> convolution(values, KernelRows{.heads = problem.heads});
    typename CausalConvolution<Fft>::VjpWorkspace workspace(convolution);
    Sequence<double> by_kernels(p.C.rows(), length);
    Sequence<double> du(length, problem.channels);
    convolution.vjp(workspace, problem.u, problem.dy, du, by_kernels);
    typename Ssm::Parameters expected = zero_like<Ssm>(p);
    kernels.vjp(p, by_kernels, expected);

    const ScanVjp<Ssm> scan{p};
    auto scratch = scan.make_workspace();
    auto first = scan.make_tape(cut);
    auto second = scan.make_tape(length - cut);
    auto x = scan.zero_state();
    auto dx = scan.zero_state();
    auto systems = scan.zero_gradients();
    Sequence<double> y(length, scan.outputs());
    scan.forward(scratch, first, x, problem.u.topRows(cut), y.topRows(cut), x);
    scan.forward(scratch, second, x, problem.u.bottomRows(length - cut), y.bottomRows(length - cut), x);
    scan.vjp(scratch, second, problem.u.bottomRows(length - cut), problem.dy.bottomRows(length - cut), dx,
             du.bottomRows(length - cut), dx, systems);
    scan.vjp(scratch, first, problem.u.topRows(cut), problem.dy.topRows(cut), dx, du.topRows(cut), dx, systems);
    typename Ssm::Parameters found = zero_like<Ssm>(p);
    for (Index row = 0; row < scan.outputs(); ++row)
        add_channel_gradient<Ssm>(p, row % problem.channels, row / problem.channels,
                                  systems[static_cast<std::size_t>(row)], found);
    Ssm::for_each_tensor(
        [](const TensorInfo& info, const auto& tensor, const auto& truth) {
            EXPECT_LE(relative_error(tensor, truth), same_gradient) << info.name;
        },
        found, expected);
}

TEST(ScanVjpGradients, OfParametersInTwoChunksAreThoseOfTheWholeKernel) {
    const SsmOptions options{.real_transform = Transform::softplus, .rate = 2, .band_limit = 0.5};
    for (const Index heads : {1, 2}) {
        expect_parameter_gradients<Diagonal<double>>(
            Diagonal<double>::random({.channels = 4,
                                      .state_size = 16,
                                      .heads = heads,
                                      .sets = 2,
                                      .timescale = {.dt_min = 0.01, .dt_max = 0.2},
                                      .ssm = options},
                                     45));
        expect_parameter_gradients<Dplr<double>>(Dplr<double>::random({.channels = 4,
                                                                       .state_size = 16,
                                                                       .heads = heads,
                                                                       .sets = 2,
                                                                       .timescale = {.dt_min = 0.01, .dt_max = 0.2},
                                                                       .tied_dt = false,
                                                                       .ssm = options},
                                                                      46));
    }
    expect_parameter_gradients<Diagonal<double>>(
        Diagonal<double>::random({.channels = 3, .state_size = 8, .init = S4dInit::real, .ssm = {.real = true}}, 47));
}

/// The same parameters in double.
template <class To, class From>
typename To::Parameters widened(const typename From::Parameters& p) {
    typename To::Parameters wide;
    static_cast<SsmOptions&>(wide) = p;
    To::for_each_tensor(
        [](const auto&, auto& to, const auto& from) {
            to = from.template cast<typename std::remove_cvref_t<decltype(to)>::Scalar>();
        },
        wide, p);
    return wide;
}

template <class Narrow, class Wide>
void expect_float_is_close(const typename Narrow::Parameters& p, Index length) {
    const Pass<Narrow> in_float{Problem<Narrow>{p, length, 40}};
    const Pass<Wide> in_double{Problem<Wide>{widened<Wide, Narrow>(p), length, 40}};
    EXPECT_LE(relative_error(in_float.y, in_double.y), Tolerance<float>::law);
    EXPECT_LE(relative_error(in_float.du, in_double.du), Tolerance<float>::law);
    // The rounding of A_bar turns a single mode by up to max_phase_drift, and a gradient weighs that by the age of the
    // inputs.
    EXPECT_LE(relative_error(in_float.x_L, in_double.x_L), detail::max_phase_drift);
    EXPECT_LE(relative_error(in_float.dx_0, in_double.dx_0), detail::max_phase_drift);
    for (std::size_t row = 0; row < in_float.gradients.size(); ++row)
        EXPECT_LE(largest_error(in_float.gradients[row], in_double.gradients[row]), 2 * detail::max_phase_drift) << row;
}

TEST(ScanVjpGradients, InFloatAreCloseToDouble) {
    expect_float_is_close<Diagonal<float>, Diagonal<double>>(
        Diagonal<float>::random({.channels = 9, .state_size = 64, .heads = 2}, 39), 1024);
    expect_float_is_close<Dplr<float>, Dplr<double>>(
        Dplr<float>::random({.channels = 9, .state_size = 64, .heads = 2}, 39), 1024);
}

TEST(ScanVjpGradients, InFloatAreCloseToDoubleForSlowModesThatTurnFast) {  // the rounding of A_bar - 1 is carried along
    expect_float_is_close<Diagonal<float>, Diagonal<double>>(
        Diagonal<float>::random({.channels = 9,
                                 .state_size = 64,
                                 .heads = 2,
                                 .init = S4dInit::inv,
                                 .timescale = {.dt_min = 1e-4, .dt_max = 1e-3}},
                                24),
        3000);
}

TEST(ScanVjpErrors, NameWhatAStateDoesNotHold) {
    auto p = Diagonal<float>::random({.channels = 2, .state_size = 4, .ssm = {.kernel_limit = 10}}, 41);
    EXPECT_S4_ERROR(ScanVjp<Diagonal<float>>{p}, "kernel_limit", "found 10");
    auto low_rank = Dplr<float>::random({.channels = 2, .state_size = 4, .ssm = {.kernel_limit = 7}}, 42);
    EXPECT_S4_ERROR(ScanVjp<Dplr<float>>{low_rank}, "kernel_limit", "found 7");
    low_rank.kernel_limit = 0;
    EXPECT_S4_ERROR(ScanVjp<Dplr<float>>{to_length<Dplr<float>>(low_rank, 16)}, "plain C", "16", "to_plain");
    p.kernel_limit = 0;
    p.A_real(0, 0) = std::numeric_limits<float>::quiet_NaN();
    EXPECT_S4_ERROR(ScanVjp<Diagonal<float>>{p}, "A_real");
    using Explicit = Diagonal<float, Euler>;
    const auto unstable = Explicit::random({.channels = 2, .state_size = 64, .timescale = {0.5, 0.5}}, 43);
    EXPECT_S4_ERROR(ScanVjp<Explicit>{unstable}, "grow", "dt = ");
    const ScanVjp<Dplr<float>> scan{low_rank};
    EXPECT_S4_ERROR(static_cast<void>(scan.make_tape(-1)), "length", "found -1");
}

}  // namespace
}  // namespace s4::test
