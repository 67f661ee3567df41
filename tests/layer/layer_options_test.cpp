// The options of a layer: each does in both modes, and with a state, what its definition says.
#include "tests/reference/reference.hpp"
#include "tests/support/expect_error.hpp"
#include "tests/support/systems.hpp"
#include "tests/support/tolerances.hpp"
#include <s4/discretize/euler.hpp>
#include <s4/discretize/generalised_bilinear.hpp>
#include <s4/fft/fftw.hpp>
#include <s4/fft/kiss_fft.hpp>
#include <s4/s4.hpp>

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <utility>
#include <vector>

namespace s4::test {
namespace {

template <class Ssm>
class LayerOptions : public ::testing::Test {
protected:
    using Real = typename Ssm::Scalar;
    using Parameters = typename Ssm::Parameters;
    static constexpr std::uint64_t seed = 31;
    static constexpr double law = Tolerance<Real>::law;

    static Parameters random(typename Ssm::Options options) {
        if (options.channels == 1) options.channels = 6;
        if (options.state_size == 64) options.state_size = 8;
        return Ssm::random(options, seed);
    }
    static Sequence<Real> convolve(const Parameters& p, const Sequence<Real>& u, Index batch = 1) {
        S4Layer<Ssm, Mode::convolution> layer(p);
        layer.prepare(u.rows() / batch);
        auto workspace = layer.make_workspace();
        Sequence<Real> y(u.rows(), layer.outputs());
        layer.forward(workspace, u, y, batch);
        return y;
    }
    static Sequence<Real> stream(const Parameters& p, const Sequence<Real>& u) {
        const S4Layer<Ssm, Mode::recurrence> layer(p);
        auto state = layer.make_state();
        Sequence<Real> y(u.rows(), layer.outputs());
        for (Index t = 0; t < u.rows(); ++t) layer.step(state, u.row(t), y.row(t));
        return y;
    }
    static Sequence<Real> noise(Index length, Index channels) { return white_noise<Real>(length, channels, 7); }

    /// Both modes, scans, chunks with a state, and the hand-over from one mode to the other give the same.
    static void expect_one_map(const Parameters& p, const std::string& what) {
        SCOPED_TRACE(what);
        constexpr Index length = 151;
        const Sequence<Real> u = noise(length, p.channels());
        const Sequence<Real> expected = stream(p, u);
        EXPECT_LE(relative_error(convolve(p, u), expected), law);

        const S4Layer<Ssm, Mode::recurrence> recurrence(p);
        auto state = recurrence.make_state();
        Sequence<Real> y(length, recurrence.outputs());
        Index start = 0;
        for (const Index rows : {1, 40, 0, 7, 103}) {
            recurrence.scan(state, u.middleRows(start, rows), y.middleRows(start, rows));
            start += rows;
        }
        EXPECT_EQ((y - expected).cwiseAbs().maxCoeff(), Real{0}) << "scan is not steps bit for bit";

        S4Layer<Ssm, Mode::convolution> convolution(p);
        convolution.prepare(80);
        auto workspace = convolution.make_workspace();
        auto handed = convolution.make_state();
        convolution.forward(workspace, handed, u.topRows(80), y.topRows(80));
        convolution.forward(workspace, handed, u.middleRows(80, 31), y.middleRows(80, 31));
        EXPECT_LE(relative_error(y.topRows(111), expected.topRows(111)), law);
        for (Index t = 111; t < length; ++t) recurrence.step(handed, u.row(t), y.row(t));
        EXPECT_EQ((y.bottomRows(40) - expected.bottomRows(40)).cwiseAbs().maxCoeff(), Real{0});

        const auto x0 = random_state(recurrence, 8);
        recurrence.write_state(state, x0);
        convolution.write_state(handed, x0);
        Sequence<Real> from_state(80, recurrence.outputs());
        recurrence.scan(state, u.topRows(80), from_state);
        convolution.forward(workspace, handed, u.topRows(80), y.topRows(80));
        EXPECT_LE(relative_error(y.topRows(80), from_state), law);
        EXPECT_LE(relative_error(convolution.read_state(handed), recurrence.read_state(state)), law);
    }
};

using Systems =
    ::testing::Types<Dplr<float>, Dplr<double>, Diagonal<float>, Diagonal<double>, Diagonal<double, Bilinear>>;
TYPED_TEST_SUITE(LayerOptions, Systems);

TYPED_TEST(LayerOptions, EveryCombinationIsOneMapInBothModes) {
    this->expect_one_map(this->random({.heads = 3}), "heads");
    this->expect_one_map(this->random({.channels = 38, .heads = 2, .sets = 2}), "heads and sets, several lane blocks");
    this->expect_one_map(this->random({.tied_dt = false}), "a dt for every state");
    this->expect_one_map(this->random({.deterministic = true}), "deterministic");
    this->expect_one_map(this->random({.ssm = {.rate = 3}}), "rate");
    this->expect_one_map(this->random({.timescale = {.dt_min = 0.05, .dt_max = 0.2}, .ssm = {.band_limit = 0.3}}),
                         "band limit");
    for (const Index limit : {1, 2, 3, 8, 37, 150, 151, 4000})
        this->expect_one_map(this->random({.ssm = {.kernel_limit = limit}}), "kernel limit " + std::to_string(limit));
    this->expect_one_map(this->random({.channels = 18,
                                       .heads = 2,
                                       .sets = 3,
                                       .timescale = {.dt_min = 0.05, .dt_max = 0.2},
                                       .tied_dt = false,
                                       .ssm = {.dt_transform = Transform::softplus,
                                               .real_transform = Transform::softplus,
                                               .imag_transform = Transform::exp,
                                               .dt_fast = true,
                                               .rate = 0.5,
                                               .band_limit = 0.4,
                                               .kernel_limit = 29}}),
                         "everything");
}

TYPED_TEST(LayerOptions, AHeadIsALayerOfItsOwn) {
    const auto p = this->random({.heads = 3});
    const Index H = p.channels();
    const auto u = this->noise(90, H);
    const auto y = this->convolve(p, u, 2);
    const auto stepped = this->stream(p, u);
    ASSERT_EQ(y.cols(), 3 * H);
    for (Index c = 0; c < 3; ++c) {
        auto one = p;
        one.C = p.C.middleRows(c * H, H).eval();
        one.D = p.D.segment(c * H, H).eval();
        EXPECT_LE(relative_error(y.middleCols(c * H, H), this->convolve(one, u, 2)), this->law) << "head " << c;
        EXPECT_LE(relative_error(stepped.middleCols(c * H, H), this->stream(one, u)), this->law) << "head " << c;
    }
}

TYPED_TEST(LayerOptions, ChannelHUsesSetHModS) {
    const auto p = this->random({.sets = 2});
    ASSERT_EQ(p.sets(), 2);
    auto expanded = p;
    for (auto* table : {&expanded.A_real, &expanded.A_imag}) *table = table->replicate(3, 1).eval();
    expanded.B = p.B.replicate(3, 1).eval();
    if constexpr (requires { expanded.P; }) expanded.P = p.P.replicate(3, 1).eval();
    const auto u = this->noise(90, p.channels());
    EXPECT_EQ((this->stream(p, u) - this->stream(expanded, u)).cwiseAbs().maxCoeff(), 0);
    EXPECT_LE(relative_error(this->convolve(p, u), this->convolve(expanded, u)), this->law);
}

TYPED_TEST(LayerOptions, RateMultipliesTheStepSize) {
    const auto p = this->random({});
    auto rated = p;
    rated.rate = 3;
    auto slower = p;
    slower.inv_dt.array() += static_cast<typename TypeParam::Scalar>(std::log(3.0));
    const auto u = this->noise(90, p.channels());
    EXPECT_LE(relative_error(this->stream(rated, u), this->stream(slower, u)), 2 * this->law);
    EXPECT_LE(relative_error(this->convolve(rated, u), this->convolve(slower, u)), 2 * this->law);
    if constexpr (requires { rated.kernel_length; }) {  // C~ belongs to rate 1
        const auto with_c_tilde = to_length<TypeParam>(rated, 64);
        EXPECT_EQ(with_c_tilde.kernel_length, 64);
        EXPECT_EQ(with_c_tilde.rate, 3.0);
        this->expect_one_map(with_c_tilde, "rate with C~");
        EXPECT_LE(relative_error(this->convolve(with_c_tilde, u), this->convolve(rated, u)), 4 * this->law);
    }
}

TYPED_TEST(LayerOptions, BandLimitSilencesFastModesAtTheTrainedRate) {
    auto p = this->random({.timescale = {.dt_min = 0.05, .dt_max = 0.2}});
    auto limited = p;
    limited.band_limit = 0.3;
    limited.rate = 2;  // must not matter to what is silenced
    auto silenced = p;
    silenced.rate = 2;
    Index count = 0;
    for (Index h = 0; h < p.channels(); ++h)
        for (Index n = 0; n < p.A_imag.cols(); ++n)
            if (std::exp(static_cast<double>(p.inv_dt(h, 0))) * std::abs(static_cast<double>(p.A_imag(h, n))) /
                    (2 * std::numbers::pi) >=
                0.15) {
                silenced.C(h, n) = 0;
                ++count;
            }
    ASSERT_GT(count, 0);
    ASSERT_LT(count, p.C.size());
    const auto u = this->noise(90, p.channels());
    EXPECT_EQ((this->stream(limited, u) - this->stream(silenced, u)).cwiseAbs().maxCoeff(), 0);
    EXPECT_EQ((this->convolve(limited, u) - this->convolve(silenced, u)).cwiseAbs().maxCoeff(), 0);
    EXPECT_GT(relative_error(this->convolve(limited, u), this->convolve(p, u)), 0.01);
    if constexpr (requires { p.kernel_length; }) {  // carried out before C becomes C~
        const auto with_c_tilde = to_length<TypeParam>(limited, 96);
        EXPECT_EQ(with_c_tilde.band_limit, 0.0);
        EXPECT_LE(relative_error(this->convolve(with_c_tilde, u), this->convolve(limited, u)), 4 * this->law);
        auto limits_c_tilde = to_length<TypeParam>(p, 96);
        limits_c_tilde.band_limit = 0.3;
        this->expect_one_map(limits_c_tilde, "band limit on C~");
    }
}

TYPED_TEST(LayerOptions, KernelLimitCutsTheKernel) {
    for (const Index limit : {1, 5, 32, 89, 90}) {
        const auto p = this->random({.ssm = {.kernel_limit = limit}});
        auto endless = p;
        endless.kernel_limit = 0;
        const auto u = this->noise(90, p.channels());
        const auto y = this->stream(p, u);
        auto kernels = convolution_kernels<TypeParam>(endless, 90);
        const auto cut = convolution_kernels<TypeParam>(p, 90);
        kernels.rightCols(90 - limit).setZero();
        EXPECT_LE(relative_error(cut, kernels), this->law);
        EXPECT_EQ(cut.rightCols(90 - limit).cwiseAbs().sum(), 0);
        for (Index h = 0; h < p.channels(); ++h) {
            std::vector<Wide> kernel(90), input(90);
            for (Index l = 0; l < 90; ++l) {
                kernel[static_cast<std::size_t>(l)] = kernels(h, l) + (l == 0 ? p.D[h] : 0);
                input[static_cast<std::size_t>(l)] = u(l, h);
            }
            EXPECT_LE(error_against(y.col(h), direct_convolution(kernel, input)), this->law) << "limit " << limit;
        }
    }
}

TYPED_TEST(LayerOptions, KernelLimitIsATimeNotANumberOfSamples) {
    auto fine = this->random({.timescale = {.dt_min = 1e-4, .dt_max = 1e-3}, .ssm = {.kernel_limit = 400}});
    fine.D.setZero();
    auto coarse = fine;
    coarse.rate = 4;
    auto by_hand = coarse;
    by_hand.kernel_limit = 0;
    auto kernels = convolution_kernels<TypeParam>(by_hand, 150);
    EXPECT_LE(relative_error(convolution_kernels<TypeParam>(coarse, 150).leftCols(100), kernels.leftCols(100)),
              this->law);
    EXPECT_EQ(convolution_kernels<TypeParam>(coarse, 150).rightCols(50).cwiseAbs().maxCoeff(), 0);
    this->expect_one_map(coarse, "kernel limit at another rate");
}

TYPED_TEST(LayerOptions, AStateOfAnotherLayerIsAnError) {
    const auto p = this->random({});
    using Layer = S4Layer<TypeParam, Mode::recurrence>;
    const Layer layer(p);
    for (const auto& other : {this->random({.heads = 2}), this->random({.ssm = {.kernel_limit = 5}}),
                              this->random({.channels = 70}), this->random({.state_size = 10})}) {
        auto foreign = Layer(other).make_state();
        EXPECT_S4_ERROR(static_cast<void>(layer.read_state(foreign)), "another layer");
        EXPECT_S4_ERROR(layer.write_state(foreign, random_state(layer, 1)), "another layer");
    }
}

TYPED_TEST(LayerOptions, AnInputIsForgottenAfterTheKernelLimit) {
    const auto p = this->random({.ssm = {.kernel_limit = 10}});
    const S4Layer<TypeParam, Mode::recurrence> layer(p);
    auto state = layer.make_state();
    Sequence<typename TypeParam::Scalar> u = this->noise(40, p.channels());
    u.bottomRows(25).setZero();
    auto y = u;
    layer.scan(state, u, y);
    EXPECT_LE(y.bottomRows(15).cwiseAbs().maxCoeff(), this->law * y.cwiseAbs().maxCoeff());
    EXPECT_GT(y.middleRows(16, 5).cwiseAbs().maxCoeff(), 1e-3 * y.cwiseAbs().maxCoeff());
    // A reset, or another state, also forgets the inputs that are still to leave.
    layer.scan(state, this->noise(5, p.channels()), y.topRows(5));
    state.reset();
    layer.scan(state, u, y);
    EXPECT_EQ((y - this->stream(p, u)).cwiseAbs().maxCoeff(), 0);
}

TYPED_TEST(LayerOptions, FastStepSizesGoThroughASinh) {
    const auto p = this->random({.ssm = {.dt_fast = true}});
    auto plain = p;
    plain.dt_fast = false;
    plain.inv_dt = p.inv_dt.array().sinh().matrix();
    const auto u = this->noise(90, p.channels());
    EXPECT_LE(relative_error(this->stream(p, u), this->stream(plain, u)), 4 * this->law);
    const auto same = this->random({});  // the step sizes drawn are the same
    EXPECT_LE(relative_error(this->stream(p, u), this->stream(same, u)), 4 * this->law);
}

TYPED_TEST(LayerOptions, MixturesStartSetsInTurn) {
    if constexpr (requires(typename TypeParam::Parameters p) { p.P; }) {
        const auto p = TypeParam::random({.channels = 8, .state_size = 8, .sets = 4, .hippo = {LegS{}, LegT{}}}, 1);
        EXPECT_EQ(p.rank(), 2);
        const auto legs = TypeParam::random({.state_size = 8}, 1);
        const auto legt = TypeParam::random({.state_size = 8, .hippo = LegT{}}, 1);
        for (const Index set : {0, 1}) {
            EXPECT_EQ((p.A_imag.row(set) - legs.A_imag.row(0)).norm(), 0);
            EXPECT_EQ((p.A_imag.row(2 + set) - legt.A_imag.row(0)).norm(), 0);
        }
        EXPECT_S4_ERROR(static_cast<void>(TypeParam::random({.channels = 3, .hippo = {LegS{}, LegT{}}}, 1)), "mixture",
                        "3 sets");
    } else {
        const auto p =
            TypeParam::random({.channels = 4, .state_size = 8, .sets = 2, .init = {S4dInit::inv, S4dInit::lin}}, 1);
        const auto inv = TypeParam::random({.state_size = 8, .init = S4dInit::inv}, 1);
        const auto lin = TypeParam::random({.state_size = 8}, 1);
        EXPECT_EQ((p.A_imag.row(0) - inv.A_imag.row(0)).norm(), 0);
        EXPECT_EQ((p.A_imag.row(1) - lin.A_imag.row(0)).norm(), 0);
    }
}

TYPED_TEST(LayerOptions, AreCheckedByNameAndRange) {
    using Layer = S4Layer<TypeParam, Mode::recurrence>;
    const auto good = this->random({});
    const auto with = [&](const auto& change) {
        auto bad = good;
        change(bad);
        return bad;
    };
    const double nan = std::numeric_limits<double>::quiet_NaN();
    for (const double rate : {0.0, -1.0, 1e5, 1e-5, nan})
        EXPECT_S4_ERROR(Layer{with([&](auto& p) { p.rate = rate; })}, "rate", "0.0001, 10000");
    for (const double limit : {-0.5, nan})
        EXPECT_S4_ERROR(Layer{with([&](auto& p) { p.band_limit = limit; })}, "band_limit");
    for (const Index limit : {Index{-1}, max_kernel_limit + 1})
        EXPECT_S4_ERROR(Layer{with([&](auto& p) { p.kernel_limit = limit; })}, "kernel_limit",
                        std::to_string(limit).c_str());
    EXPECT_S4_ERROR(Layer{with([](auto& p) { p.dt_transform = static_cast<Transform>(9); })}, "dt_transform",
                    "none, exp", "9");
    EXPECT_S4_ERROR(Layer{with([](auto& p) { p.imag_transform = static_cast<Transform>(-1); })}, "imag_transform");
    EXPECT_S4_ERROR(Layer{with([](auto& p) {
                        p.inv_dt.setConstant(1);
                        p.rate = 1e4;
                    })},
                    "dt must lie in");
    EXPECT_S4_ERROR(Layer{with([](auto& p) { p.C = p.C.replicate(2, 1).eval(); })}, "s4::Bidirectional<");
    EXPECT_S4_ERROR(Layer{with([](auto& p) { p.C = p.C.replicate(3, 1).eval(); })}, "C must be [6 x 4], found [18");
    EXPECT_S4_ERROR(Layer{with([](auto& p) { p.A_real.conservativeResize(4, Eigen::NoChange); })}, "A_real has 4 rows",
                    "divide", "H = 6");
    EXPECT_S4_ERROR(static_cast<void>(this->random({.heads = 0})), "heads", "found 0");
    EXPECT_S4_ERROR(static_cast<void>(this->random({.sets = 4})), "sets", "found 4");
    EXPECT_S4_ERROR(static_cast<void>(this->random({.sets = -1})), "sets", "found -1");
    for (const Index many : {Index{1} << 40, Index{1} << 62}) {
        EXPECT_S4_ERROR(static_cast<void>(this->random({.channels = many})), "channels", "at most");
        EXPECT_S4_ERROR(static_cast<void>(this->random({.heads = many})), "heads", "at most");
    }
    EXPECT_S4_ERROR(static_cast<void>(this->random({.channels = 1 << 20, .state_size = 1 << 10})), "too many");
    EXPECT_S4_ERROR(static_cast<void>(this->random({.ssm = {.imag_transform = Transform::sigmoid}})), "imag_transform",
                    "sigmoid");
    EXPECT_S4_ERROR(static_cast<void>(this->random({.ssm = {.rate = -2}})), "rate", "found -2");
    if constexpr (requires { good.P; }) {
        EXPECT_S4_ERROR(Layer{with([](auto& p) { p.real = true; })}, "real", "Diagonal");
        EXPECT_S4_ERROR(static_cast<void>(this->random({.ssm = {.real = true}})), "real", "Diagonal");
    }
}

TYPED_TEST(LayerOptions, FrozenTensorsSaySo) {
    auto p = this->random({});
    p.frozen = {.dt = true, .B = true};
    std::vector<std::string> frozen;
    TypeParam::for_each_tensor(
        [&](const TensorInfo& info, const auto&) {
            if (info.role == TensorRole::frozen) frozen.emplace_back(info.name);
        },
        p);
    EXPECT_EQ(frozen, (std::vector<std::string>{"inv_dt", "B"}));
}

// ---- bidirectional ---------------------------------------------------------------------------------------------

template <class Case>
class BidirectionalLayer : public ::testing::Test {};
template <class Ssm_, template <class> class Fft_>
struct BothWays {
    using Ssm = Ssm_;
    using Fft = Fft_<typename Ssm::Scalar>;
};
using BothWaysCases = ::testing::Types<BothWays<Dplr<float>, Fftw>, BothWays<Dplr<double>, KissFft>,
                                       BothWays<Diagonal<float>, KissFft>, BothWays<Diagonal<double>, Fftw>>;
TYPED_TEST_SUITE(BidirectionalLayer, BothWaysCases);

TYPED_TEST(BidirectionalLayer, IsItsDefinitionForAnyLengthHeadsAndBatch) {
    using Ssm = Bidirectional<typename TypeParam::Ssm>;
    using Scalar = typename Ssm::Scalar;
    for (const Index heads : {1, 2})
        for (const Index length : {1, 2, 7, 64, 90}) {
            constexpr Index H = 5;
            const auto p = Ssm::random({.channels = H, .state_size = 8, .heads = heads}, 3);
            S4Layer<Ssm, Mode::convolution, typename TypeParam::Fft> layer(p);
            layer.prepare(90);
            auto workspace = layer.make_workspace();
            const Sequence<Scalar> u = white_noise<Scalar>(2 * length, H, 4);
            Sequence<Scalar> y(2 * length, heads * H);
            layer.forward(workspace, u, y, 2);
            const auto kernels = convolution_kernels<Ssm, typename TypeParam::Fft>(p, 90);
            ASSERT_EQ(kernels.rows(), 2 * heads * H);
            Sequence<Scalar> expected(2 * length, heads * H);
            for (Index b = 0; b < 2; ++b)
                for (Index row = 0; row < heads * H; ++row)
                    for (Index l = 0; l < length; ++l) {
                        const auto input = [&](Index t) { return static_cast<Wide>(u(b * length + t, row % H)); };
                        Wide sum = static_cast<Wide>(p.D[row]) * input(l);
                        for (Index j = 0; j <= l; ++j) sum += static_cast<Wide>(kernels(row, j)) * input(l - j);
                        for (Index j = 0; l + 1 + j < length; ++j)
                            sum += static_cast<Wide>(kernels(heads * H + row, j)) * input(l + 1 + j);
                        expected(b * length + l, row) = static_cast<Scalar>(sum);
                    }
            EXPECT_LE(relative_error(y, expected), Tolerance<Scalar>::law) << heads << " heads, L = " << length;
        }
}

TYPED_TEST(BidirectionalLayer, ItsCausalHalfIsTheCausalLayer) {
    using Ssm = Bidirectional<typename TypeParam::Ssm>;
    using Scalar = typename Ssm::Scalar;
    auto p = Ssm::random({.channels = 3, .state_size = 8, .ssm = {.rate = 2, .kernel_limit = 20}}, 3);
    p.C.bottomRows(3).setZero();
    auto causal = p;
    causal.C = p.C.topRows(3).eval();
    S4Layer<Ssm, Mode::convolution, typename TypeParam::Fft> layer(p);
    layer.prepare(50);
    auto workspace = layer.make_workspace();
    const S4Layer<typename TypeParam::Ssm, Mode::recurrence> stream(causal);
    auto state = stream.make_state();
    const Sequence<Scalar> u = white_noise<Scalar>(50, 3, 4);
    Sequence<Scalar> y(50, 3);
    Sequence<Scalar> expected(50, 3);
    layer.forward(workspace, u, y);
    stream.scan(state, u, expected);
    EXPECT_LE(relative_error(y, expected), Tolerance<Scalar>::law);
    EXPECT_S4_ERROR((S4Layer<Ssm, Mode::convolution, typename TypeParam::Fft>{causal}), "s4::Bidirectional<",
                    "one row for every one of D");
}

// ---- rules and values of their own ------------------------------------------------------------------------------

TEST(RuleOfALayer, HasItsOwnParameters) {
    using Ssm = Diagonal<double, GeneralisedBilinear>;
    auto p = Ssm::random({.channels = 3, .state_size = 8}, 1);
    const Sequence<double> u = white_noise<double>(60, 3, 2);
    const auto run = [&u]<class System>(const typename System::Parameters& parameters, std::type_identity<System>) {
        const S4Layer<System, Mode::recurrence> stream(parameters);
        auto state = stream.make_state();
        Sequence<double> y(60, 3);
        stream.scan(state, u, y);
        S4Layer<System, Mode::convolution> whole(parameters);
        whole.prepare(60);
        auto workspace = whole.make_workspace();
        Sequence<double> z(60, 3);
        whole.forward(workspace, u, z);
        EXPECT_LE(relative_error(z, y), Tolerance<double>::law);
        return y;
    };
    const auto as = [&p]<class System>(std::type_identity<System>) {
        typename System::Parameters other;
        static_cast<PoleParameters<double, Shape<>>&>(other) = p;
        return other;
    };
    using Backward = Diagonal<double, BackwardEuler>;
    using Trapezoidal = Diagonal<double, Bilinear>;
    p.rule = GeneralisedBilinear{1.0};
    EXPECT_LE(relative_error(run(p, std::type_identity<Ssm>{}),
                             run(as(std::type_identity<Backward>{}), std::type_identity<Backward>{})),
              Tolerance<double>::rounding);
    p.rule = GeneralisedBilinear{};
    EXPECT_LE(relative_error(run(p, std::type_identity<Ssm>{}),
                             run(as(std::type_identity<Trapezoidal>{}), std::type_identity<Trapezoidal>{})),
              Tolerance<double>::rounding);
    p.rule = GeneralisedBilinear{0.8};
    EXPECT_GT(relative_error(run(p, std::type_identity<Ssm>{}),
                             run(as(std::type_identity<Trapezoidal>{}), std::type_identity<Trapezoidal>{})),
              1e-4);
}

TEST(RealSystem, IgnoresImaginaryPartsAndHasNRealStates) {
    using Ssm = Diagonal<double>;
    auto p = Ssm::random({.channels = 3, .state_size = 7, .init = S4dInit::real, .ssm = {.real = true}}, 1);
    EXPECT_EQ(p.state_size(), 7);
    EXPECT_EQ(p.C.cols(), 7);
    const auto kernels = convolution_kernels<Ssm>(p, 40);
    for (Index h = 0; h < 3; ++h)
        for (Index l = 0; l < 40; ++l) {
            double expected = 0;
            for (Index n = 0; n < 7; ++n) {
                const double decay = -static_cast<double>(n + 1);
                const double dt = std::exp(p.inv_dt(h, 0));
                expected += 2 * p.C(h, n).real() * std::expm1(decay * dt) / decay *
                            std::exp(decay * dt * static_cast<double>(l));
            }
            EXPECT_NEAR(kernels(h, l), expected, 1e-13);
        }
    auto noisy = p;
    noisy.A_imag.setConstant(3);
    for (auto* table : {&noisy.B, &noisy.C})
        for (Index i = 0; i < table->size(); ++i) table->data()[i] += std::complex<double>(0, 5);
    EXPECT_EQ((convolution_kernels<Ssm>(noisy, 40) - kernels).cwiseAbs().maxCoeff(), 0.0);
}

TEST(S4dInput, StartsAsItsNameSays) {
    using Ssm = Diagonal<double>;
    const auto B = [](S4dInput input, bool normalise = false) {
        return Ssm::random({.state_size = 8, .input = input, .normalise = normalise}, 1).B;
    };
    const double root = std::sqrt(0.5);
    for (Index n = 0; n < 4; ++n) {
        EXPECT_EQ(B(S4dInput::constant)(0, n), 1.0);
        EXPECT_EQ(B(S4dInput::alternating)(0, n), n % 2 == 0 ? 1.0 : -1.0);
    }
    EXPECT_LE(std::abs(B(S4dInput::unit_cw)(0, 1) - std::complex<double>(root, -root)), 1e-15);
    EXPECT_LE(std::abs(B(S4dInput::unit_ccw)(0, 3) - std::complex<double>(-root, root)), 1e-15);
    EXPECT_GT(std::abs(B(S4dInput::random)(0, 1).imag()), 0.0);
    // The value that the oracle s4d_zoh_altern_norm_n8_h2_l16 holds (N = 8, lin), to the digits of single precision.
    EXPECT_NEAR(B(S4dInput::alternating, true)(0, 0).real(), 0.3477250337600708, 1e-6);
    for (const char* name : {"of_init", "constant", "alternating", "unit-cw", "unit-ccw", "random"})
        EXPECT_EQ(name_of(s4d_input_from_name(name)), name);
    EXPECT_S4_ERROR(static_cast<void>(s4d_input_from_name("sideways")), "sideways", "unit-cw");
}

TEST(StaticShape, HoldsSeveralHeadsInPlace) {
    using Ssm = Diagonal<float, ZeroOrderHold, Shape<8, 5, 2>>;
    const auto p = Ssm::random({}, 1);
    EXPECT_EQ(p.heads(), 2);
    const S4Layer<Ssm, Mode::recurrence> layer(p);
    auto state = layer.make_state();
    const Sequence<float> u = white_noise<float>(30, 5, 2);
    Sequence<float> y(30, 10);
    layer.scan(state, u, y);
    using Free = Diagonal<float>;
    const auto q = Free::random({.channels = 5, .state_size = 8, .heads = 2}, 1);
    const S4Layer<Free, Mode::recurrence> free(q);
    auto free_state = free.make_state();
    Sequence<float> z(30, 10);
    free.scan(free_state, u, z);
    EXPECT_EQ((y - z).cwiseAbs().maxCoeff(), 0.0F);
    EXPECT_S4_ERROR(static_cast<void>(Ssm::random({.heads = 3}, 1)), "room for 2 heads", "found 3");
    EXPECT_S4_ERROR(static_cast<void>(Ssm::random({.heads = 1}, 1)), "fixed at compile time to 2", "found 1");
    EXPECT_S4_ERROR(static_cast<void>(Ssm::random({.ssm = {.real = true}}, 1)), "real", "run time");
}

TEST(DenseLayer, RefusesOptionsThatSpeakOfEigenvaluesAndUnboundedSystems) {
    using Layer = S4Layer<Dense<double>, Mode::recurrence>;
    const auto good = random_parameters<Dense<double>>(3, 4, 1);
    auto bad = good;
    bad.band_limit = 0.5;
    EXPECT_S4_ERROR(Layer{bad}, "band_limit", "eigenvalues");
    bad = good;
    bad.A(2, 2) = 0.5;
    EXPECT_S4_ERROR(Layer{bad}, "grow without bound");
    EXPECT_S4_ERROR(static_cast<void>(convolution_kernels<Dense<double>>(bad, 10)), "grow without bound");
    for (const Index limit : {0, 1, 9, 200}) {
        auto p = good;
        p.C = good.C.replicate(2, 1).eval();
        p.C.bottomRows(3) *= 0.5;
        p.D = good.D.replicate(2, 1).eval();
        p.kernel_limit = limit;
        p.rate = 2;
        const Sequence<double> u = white_noise<double>(90, 3, 2);
        const Layer stream(p);
        auto state = stream.make_state();
        Sequence<double> y(90, 6);
        stream.scan(state, u, y);
        S4Layer<Dense<double>, Mode::convolution> whole(p);
        whole.prepare(90);
        auto workspace = whole.make_workspace();
        Sequence<double> z(90, 6);
        whole.forward(workspace, u, z);
        EXPECT_LE(relative_error(z, y), Tolerance<double>::law);
    }
}

}  // namespace
}  // namespace s4::test
