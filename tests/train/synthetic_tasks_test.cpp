// The synthetic tasks: what an example is, that it follows from (seed, number) alone, and that the error of who has
// learnt nothing is as stated – by drawing many examples, within five standard errors.
#include <s4/train/synthetic_tasks.hpp>

#include <Eigen/QR>

#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <numbers>
#include <tests/support/expect_error.hpp>
#include <tests/support/tolerances.hpp>
#include <vector>

namespace {

using s4::AddingTask;
using s4::CopyingTask;
using s4::DelayTask;
using s4::Index;
using s4::ReconstructionTask;
using s4::Sequence;

constexpr double nan = std::numeric_limits<double>::quiet_NaN();

/// Mean of independent numbers, and its standard error as they themselves show it.
class Sample {
public:
    void add(double value) {
        ++count_;
        sum_ += value;
        squares_ += value * value;
    }
    [[nodiscard]] double mean() const { return sum_ / count_; }
    [[nodiscard]] double standard_error() const {
        return std::sqrt((squares_ / count_ - mean() * mean()) / (count_ - 1));
    }
    /// The mean is `expected` within five standard errors, and these are below `largest_error`.
    void expect_mean(double expected, double largest_error) const {
        EXPECT_NEAR(mean(), expected, 5 * standard_error());
        EXPECT_LT(standard_error(), largest_error);
    }

private:
    double count_ = 0, sum_ = 0, squares_ = 0;
};

/// Inputs and targets of a batch of a regression task.
template <class Scalar>
struct Batch {
    template <class Task>
    Batch(const Task& task, std::uint64_t seed, std::uint64_t first, Index count)
        : u{Sequence<Scalar>::Constant(count * task.length(), task.inputs(), Scalar{-7})},
          target{Sequence<Scalar>::Constant(count * task.scored_steps(), task.outputs(), Scalar{-7})} {
        task.validate();
        task.template fill<Scalar>(seed, first, u, target);
    }
    Sequence<Scalar> u, target;
};

template <class Task>
class RegressionTask : public ::testing::Test {};
using RegressionTasks = ::testing::Types<DelayTask, ReconstructionTask, AddingTask>;
TYPED_TEST_SUITE(RegressionTask, RegressionTasks);

template <class Task>
Task small() {
    return {};
}
template <>
DelayTask small() {
    return {.steps = 50, .lag = 10, .cutoff = 0.2};
}
template <>
ReconstructionTask small() {
    return {.steps = 50, .window = 20, .cutoff = 0.2};
}
template <>
AddingTask small() {
    return {.steps = 51};
}

TYPED_TEST(RegressionTask, ExampleFollowsFromSeedAndNumber) {
    const auto task = small<TypeParam>();
    const Batch<double> whole(task, 1, 10, 5);
    const Batch<double> again(task, 1, 10, 5);
    EXPECT_TRUE(whole.u == again.u);
    EXPECT_TRUE(whole.target == again.target);
    for (Index b = 0; b < 5; ++b) {
        const Batch<double> single(task, 1, 10 + static_cast<std::uint64_t>(b), 1);
        EXPECT_TRUE(single.u == whole.u.middleRows(b * task.length(), task.length())) << b;
        EXPECT_TRUE(single.target == whole.target.middleRows(b * task.scored_steps(), task.scored_steps())) << b;
    }
    for (Index b = 1; b < 5; ++b)
        EXPECT_FALSE(whole.u.topRows(task.length()) == whole.u.middleRows(b * task.length(), task.length()));
    EXPECT_FALSE(Batch<double>(task, 2, 10, 5).u == whole.u);
}

TYPED_TEST(RegressionTask, FloatIsDoubleRounded) {
    const auto task = small<TypeParam>();
    const Batch<double> exact(task, 3, 0, 4);
    const Batch<float> rounded(task, 3, 0, 4);
    EXPECT_LT(s4::test::relative_error(rounded.u, exact.u), s4::test::Tolerance<float>::rounding);
    EXPECT_LT(s4::test::relative_error(rounded.target, exact.target), s4::test::Tolerance<float>::rounding);
}

TYPED_TEST(RegressionTask, FillsColumnsOfWiderSequences) {
    const auto task = small<TypeParam>();
    const Batch<float> compact(task, 4, 0, 2);
    Sequence<float> u = Sequence<float>::Constant(compact.u.rows(), task.inputs() + 2, 9.0F);
    Sequence<float> target = Sequence<float>::Constant(compact.target.rows(), task.outputs() + 1, 9.0F);
    task.template fill<float>(4, 0, u.middleCols(1, task.inputs()), target.leftCols(task.outputs()));
    EXPECT_TRUE(u.middleCols(1, task.inputs()) == compact.u);
    EXPECT_TRUE(target.leftCols(task.outputs()) == compact.target);
    EXPECT_EQ(u.col(0).minCoeff(), 9.0F);
    EXPECT_EQ(u.rightCols(1).minCoeff(), 9.0F);
    EXPECT_EQ(target.rightCols(1).minCoeff(), 9.0F);
}

TYPED_TEST(RegressionTask, DefaultsAreTheSizesOfTheLiterature) {
    const TypeParam task;
    task.validate();
    EXPECT_EQ(task.length(), 1000);
}

// ---- Delay ----

TEST(DelayTask, AsksForTheInputSomeStepsAgo) {
    for (const Index lag : {0, 1, 6}) {
        const DelayTask task{.steps = 7, .lag = lag};
        EXPECT_EQ(task.scored_steps(), 7 - lag);
        const Batch<double> batch(task, 5, 0, 3);
        for (Index b = 0; b < 3; ++b)
            for (Index t = lag; t < 7; ++t)
                EXPECT_EQ(batch.target(b * (7 - lag) + t - lag, 0), batch.u(b * 7 + t - lag, 0));
    }
}

TEST(DelayTask, BaselineIsTheVarianceOfTheNoise) {
    for (const double cutoff : {0.0, 0.03, 0.5}) {
        const DelayTask task{.steps = 100, .lag = 25, .cutoff = cutoff};
        Sample mean;
        Sample error;
        for (std::uint64_t i = 0; i < 10'000; ++i) {
            const Batch<double> batch(task, 6, i, 1);
            mean.add(batch.target.mean());
            error.add(batch.target.squaredNorm() / static_cast<double>(batch.target.size()));
        }
        mean.expect_mean(0, 0.01);
        error.expect_mean(task.baseline(), 0.01);
    }
}

TEST(DelayTask, NoiseBelowACutoffHasTheCovarianceOfItsBand) {
    const DelayTask task{.steps = 64, .lag = 0, .cutoff = 0.1};  // 12 components
    for (const Index distance : {1, 5, 17, 63}) {
        double expected = 0;
        for (int k = 1; k <= 12; ++k)
            expected += std::cos(std::numbers::pi * k / 64 * static_cast<double>(distance)) / 12;
        Sample product;
        for (std::uint64_t i = 0; i < 20'000; ++i) {
            const Batch<double> batch(task, 7, i, 1);
            product.add(batch.u(0, 0) * batch.u(distance, 0));
        }
        product.expect_mean(expected, 0.012);
    }
}

TEST(DelayTask, NoiseBelowACutoffHasNoPowerAboveIt) {
    // On 64 steps the components of even number are whole cycles; those of odd number, half cycles more, go through
    // twice the steps – which the sequence does not have. So: subtract the band, fitted by least squares.
    const DelayTask task{.steps = 64, .lag = 0, .cutoff = 0.1};
    Eigen::MatrixXd band(64, 24);
    for (Index t = 0; t < 64; ++t)
        for (Index k = 1; k <= 12; ++k) {
            const double angle = std::numbers::pi * static_cast<double>(k * t) / 64;
            band(t, 2 * k - 2) = std::cos(angle);
            band(t, 2 * k - 1) = std::sin(angle);
        }
    const Batch<double> batch(task, 8, 0, 1);
    const Eigen::VectorXd u = batch.u;
    const Eigen::VectorXd fitted = band * band.colPivHouseholderQr().solve(u);
    EXPECT_LT(s4::test::relative_error(fitted, u), s4::test::Tolerance<double>::law);
    EXPECT_GT(u.norm(), 1);
}

TEST(DelayTask, WhiteNoiseIsUncorrelated) {
    const DelayTask task{.steps = 4, .lag = 0};
    Sample product;
    for (std::uint64_t i = 0; i < 20'000; ++i) {
        const Batch<double> batch(task, 9, i, 1);
        product.add(batch.u(0, 0) * batch.u(1, 0));
    }
    product.expect_mean(0, 0.01);
}

TEST(DelayTask, RefusesBadOptions) {
    EXPECT_S4_ERROR((DelayTask{.steps = 0}.validate()), "DelayTask: option steps must be at least 1, found 0");
    EXPECT_S4_ERROR((DelayTask{.steps = 5, .lag = 5}.validate()), "option lag must lie in [0, 5), found 5");
    EXPECT_S4_ERROR((DelayTask{.steps = 5, .lag = -1}.validate()), "option lag must lie in [0, 5), found -1");
    EXPECT_S4_ERROR((DelayTask{.cutoff = 0.6}.validate()), "option cutoff must lie in [0, 0.5], found 0.6");
    EXPECT_S4_ERROR((DelayTask{.cutoff = nan}.validate()), "option cutoff must lie in [0, 0.5], found ");
    EXPECT_S4_ERROR((DelayTask{.cutoff = 0.0001}.validate()), "option cutoff must be 0 or at least 0.0005",
                    "found 0.0001");
    DelayTask{.cutoff = 0.0005}.validate();
}

// ---- Reconstruction ----

TEST(ReconstructionTask, AsksForTheLastInputs) {
    for (const Index window : {1, 4, 7}) {
        const ReconstructionTask task{.steps = 7, .window = window, .cutoff = 0.3};
        const Batch<float> batch(task, 10, 0, 3);
        for (Index b = 0; b < 3; ++b)
            EXPECT_TRUE(batch.target.row(b).transpose() == batch.u.middleRows(b * 7 + 7 - window, window));
    }
}

TEST(ReconstructionTask, BaselineIsTheVarianceOfTheNoise) {
    const ReconstructionTask task{.steps = 80, .window = 50, .cutoff = 0.05};
    Sample error;
    for (std::uint64_t i = 0; i < 10'000; ++i)
        error.add(Batch<double>(task, 11, i, 1).target.squaredNorm() / static_cast<double>(task.window));
    error.expect_mean(task.baseline(), 0.01);
}

TEST(ReconstructionTask, RefusesBadOptions) {
    EXPECT_S4_ERROR((ReconstructionTask{.steps = 0, .window = 1}.validate()),
                    "ReconstructionTask: option steps must be at least 1, found 0");
    EXPECT_S4_ERROR((ReconstructionTask{.steps = 10, .window = 11, .cutoff = 0.1}.validate()),
                    "option window must lie in [1, 10], found 11");
    EXPECT_S4_ERROR((ReconstructionTask{.window = 0}.validate()), "option window must lie in [1, 1000], found 0");
    EXPECT_S4_ERROR((ReconstructionTask{.cutoff = -0.1}.validate()), "ReconstructionTask: option cutoff");
}

// ---- Adding ----

TEST(AddingTask, MarksOneNumberInEachHalf) {
    for (const Index steps : {2, 3, 8, 51}) {
        const AddingTask task{.steps = steps};
        std::vector<int> marked(static_cast<std::size_t>(steps));
        const Batch<double> batch(task, 12, 0, 500);
        EXPECT_GE(batch.u.col(0).minCoeff(), 0);
        EXPECT_LT(batch.u.col(0).maxCoeff(), 1);
        for (Index b = 0; b < 500; ++b) {
            const auto example = batch.u.middleRows(b * steps, steps);
            EXPECT_EQ(example.col(1).head(steps / 2).sum(), 1);
            EXPECT_EQ(example.col(1).tail(steps - steps / 2).sum(), 1);
            EXPECT_NEAR(example.col(0).dot(example.col(1)), batch.target(b, 0), s4::test::Tolerance<double>::rounding);
            for (Index t = 0; t < steps; ++t) marked[static_cast<std::size_t>(t)] += example(t, 1) == 1 ? 1 : 0;
        }
        // Every step is marked sometimes: the chance that one of 51 never is, is below 51 (1 − 1/26)^500 = 2e-7.
        for (const int count : marked) EXPECT_GT(count, 0);
    }
}

TEST(AddingTask, BaselineIsThatOfAlwaysAnsweringOne) {
    const AddingTask task{.steps = 10};
    Sample answer;
    Sample error;
    const Batch<double> batch(task, 13, 0, 40'000);
    for (Index b = 0; b < 40'000; ++b) {
        answer.add(batch.target(b, 0));
        error.add((batch.target(b, 0) - 1) * (batch.target(b, 0) - 1));
    }
    answer.expect_mean(1, 0.003);
    error.expect_mean(task.baseline(), 0.002);
    EXPECT_NEAR(task.baseline(), 0.1667, 5e-5);
}

TEST(AddingTask, RefusesBadOptions) {
    EXPECT_S4_ERROR((AddingTask{.steps = 1}.validate()), "AddingTask: option steps must be at least 2, found 1");
}

// ---- Copying ----

struct Tokens {
    Tokens(const CopyingTask& task, std::uint64_t seed, std::uint64_t first, Index count)
        : tokens(static_cast<std::size_t>(count * task.length()), -7),
          targets(static_cast<std::size_t>(count * task.scored_steps()), -7) {
        task.validate();
        task.fill(seed, first, tokens, targets);
    }
    std::vector<Index> tokens, targets;
};

TEST(CopyingTask, AsksForTheSymbolsAfterTheBlanks) {
    const CopyingTask task{.symbols = 5, .memory = 3, .blanks = 4};
    EXPECT_EQ(task.length(), 10);
    EXPECT_EQ(task.inputs(), 7);
    EXPECT_EQ(task.outputs(), 5);
    const Index blank = task.blank();
    const Index go = task.go();
    const Tokens batch(task, 14, 0, 100);
    for (std::size_t b = 0; b < 100; ++b) {
        const Index* x = &batch.tokens[b * 10];
        const Index* y = &batch.targets[b * 3];
        for (int i = 0; i < 3; ++i) {
            EXPECT_GE(x[i], 0);
            EXPECT_LT(x[i], 5);
            EXPECT_EQ(y[i], x[i]);
        }
        EXPECT_EQ((std::vector<Index>{x + 3, x + 10}),
                  (std::vector<Index>{blank, blank, blank, go, blank, blank, blank}));
    }
    const Tokens shortest({.symbols = 2, .memory = 1, .blanks = 1}, 14, 0, 1);
    EXPECT_EQ(shortest.tokens, (std::vector<Index>{shortest.targets[0], 3, 2}));
}

TEST(CopyingTask, ScoresAllStepsIfAsked) {
    const CopyingTask recall{.symbols = 5, .memory = 3, .blanks = 4};
    const CopyingTask all{.symbols = 5, .memory = 3, .blanks = 4, .score_all = true};
    EXPECT_EQ(all.scored_steps(), 10);
    EXPECT_EQ(all.outputs(), 6);
    const Tokens a(recall, 15, 0, 20);
    const Tokens b(all, 15, 0, 20);
    EXPECT_EQ(a.tokens, b.tokens);
    for (std::size_t i = 0; i < 20; ++i) {
        for (std::size_t t = 0; t < 7; ++t) EXPECT_EQ(b.targets[i * 10 + t], all.blank());
        for (std::size_t t = 0; t < 3; ++t) EXPECT_EQ(b.targets[i * 10 + 7 + t], a.targets[i * 3 + t]);
    }
}

TEST(CopyingTask, OneHotInputIsTheSameExamples) {
    const CopyingTask task{.symbols = 4, .memory = 3, .blanks = 2};
    const Tokens batch(task, 16, 3, 5);
    Sequence<float> u(5 * task.length(), task.inputs());
    std::vector<Index> targets(batch.targets.size());
    task.fill<float>(16, 3, u, targets);
    EXPECT_EQ(targets, batch.targets);
    for (Index t = 0; t < u.rows(); ++t)
        for (Index i = 0; i < u.cols(); ++i)
            EXPECT_EQ(u(t, i), batch.tokens[static_cast<std::size_t>(t)] == i ? 1.0F : 0.0F);
}

TEST(CopyingTask, ExampleFollowsFromSeedAndNumber) {
    const CopyingTask task;
    task.validate();
    const Tokens whole(task, 17, 10, 5);
    EXPECT_EQ(Tokens(task, 17, 10, 5).tokens, whole.tokens);
    EXPECT_EQ(Tokens(task, 17, 14, 1).targets, (std::vector<Index>{whole.targets.end() - 10, whole.targets.end()}));
    EXPECT_NE(Tokens(task, 17, 11, 5).targets, whole.targets);
    EXPECT_NE(Tokens(task, 18, 10, 5).targets, whole.targets);
}

TEST(CopyingTask, BaselineIsThatOfGuessing) {
    // A guesser that knows the plan gives the blank where it belongs (loss 0) and, for a symbol, the share that each
    // symbol had in other examples.
    for (const bool score_all : {false, true}) {
        const CopyingTask task{.symbols = 8, .memory = 10, .blanks = 30, .score_all = score_all};
        constexpr Index count = 5000;
        std::array<double, 8> shares{};
        for (const Index target : Tokens(task, 19, 0, count).targets)
            if (target != task.blank()) shares[static_cast<std::size_t>(target)] += 1.0 / (count * 10);
        // Binomial: √(1/8 · 7/8 / 50000) = 0.0015.
        for (const double share : shares) EXPECT_NEAR(share, 0.125, 5 * 0.0015);

        const Tokens test(task, 20, 0, count);
        double loss = 0;
        for (Index b = 0; b < count; ++b)
            for (Index t = 0; t < task.scored_steps(); ++t) {
                const Index target = test.targets[static_cast<std::size_t>(b * task.scored_steps() + t)];
                const bool answering = t >= task.scored_steps() - task.memory;
                ASSERT_EQ(target == task.blank(), !answering);
                if (answering) loss -= std::log(shares[static_cast<std::size_t>(target)]);
            }
        loss /= static_cast<double>(test.targets.size());
        // The standard deviation of log(share) is that of the shares over 1/8, 0.012; a mean of 50 000 of them moves
        // by 0.012/√50000 = 5e-5, and the guesser loses half the sum of (deviation/share)² · 1/8, 7e-5, by his shares.
        EXPECT_NEAR(loss / task.baseline(), 1, 5e-4);
    }
    EXPECT_DOUBLE_EQ(CopyingTask{}.baseline(), std::log(8.0));
    // Arjovsky et al.: 10 log 8 / (T + 20).
    EXPECT_DOUBLE_EQ((CopyingTask{.blanks = 500, .score_all = true}.baseline()), 10 * std::log(8.0) / 520);
}

TEST(CopyingTask, RefusesBadOptions) {
    EXPECT_S4_ERROR((CopyingTask{.symbols = 1}.validate()), "CopyingTask: option symbols must be at least 2, found 1");
    EXPECT_S4_ERROR((CopyingTask{.memory = 0}.validate()), "CopyingTask: option memory must be at least 1, found 0");
    EXPECT_S4_ERROR((CopyingTask{.blanks = 0}.validate()), "CopyingTask: option blanks must be at least 1, found 0");
}

}  // namespace
