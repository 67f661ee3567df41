// Checkpoints: what was saved comes back bit for bit, what does not fit is named, and a failure changes nothing.
#include "sample_layer.hpp"
#include <s4/train/adamw.hpp>
#include <s4/train/checkpoint.hpp>
#include <s4/train/gradient.hpp>
#include <s4/train/moving_average.hpp>
#include <s4/train/schedule.hpp>

#include <gtest/gtest.h>

#include <bit>
#include <csignal>
#include <cstdint>
#include <limits>
#include <string>
#include <sys/resource.h>
#include <sys/wait.h>
#include <tests/io/safetensors_bytes.hpp>
#include <tests/support/expect_error.hpp>
#include <type_traits>
#include <unistd.h>

namespace s4::test {
namespace {

/// A run: a model that follows noise instead of gradients of data.
template <class Scalar>
struct SampleRun {
    using Layer = SampleLayer<Scalar>;

    typename Layer::Parameters model;
    AdamW<Layer> optimiser{{.learning_rate = 0.01}, model};
    MovingAverage<Layer> average{{}, model};
    Schedule schedule = PlateauSchedule{.decay = 0.5, .patience = 1};
    RandomEngine engine{7};
    std::int64_t epoch = 0;
    bool is_over = false;
    double best = std::numeric_limits<double>::infinity();
    std::string name = "first \"run\"\n\u00e9";
    Index width = 2;

    template <class Archive, class Self>
    static void for_each_item(Archive& archive, Self& self) {
        archive.fixed("width", self.width);
        archive.template tensors<Layer>("model", self.model);
        archive("adamw", self.optimiser);
        archive("average", self.average);
        archive("schedule", self.schedule);
        archive("engine", self.engine);
        archive("epoch", self.epoch);
        archive("is_over", self.is_over);
        archive("best", self.best);
        archive("name", self.name);
    }

    void step() {
        const typename Layer::Parameters gradient = Layer::noise_like(model, engine());
        optimiser.step(model, gradient, schedule.factor(optimiser.steps()));
        average.update(model);
        schedule.observe(gradient_norm<Layer>(gradient));
        best = std::min(best, gradient_norm<Layer>(gradient));
        ++epoch;
    }
};

template <class Scalar>
[[nodiscard]] bool same_run(const SampleRun<Scalar>& a, const SampleRun<Scalar>& b) {
    using Layer = SampleLayer<Scalar>;
    return are_equal<Layer>(a.model, b.model) &&
           are_equal<Layer>(a.optimiser.first_moment(), b.optimiser.first_moment()) &&
           are_equal<Layer>(a.optimiser.second_moment(), b.optimiser.second_moment()) &&
           a.optimiser.steps() == b.optimiser.steps() &&
           are_equal<Layer>(a.average.parameters(), b.average.parameters()) &&
           a.average.updates() == b.average.updates() && a.schedule.factor(0) == b.schedule.factor(0) &&
           a.engine == b.engine && a.epoch == b.epoch && a.is_over == b.is_over && a.best == b.best && a.name == b.name;
}

template <class Scalar>
class Checkpoint : public testing::Test {
protected:
    using Sample = SampleLayer<Scalar>;
    TemporaryFolder folder;
    SampleRun<Scalar> run{Sample::random(1)};
};
using Scalars = testing::Types<float, double>;
TYPED_TEST_SUITE(Checkpoint, Scalars);

TYPED_TEST(Checkpoint, LoadsWhatItSaved) {
    for (int n = 0; n < 5; ++n) this->run.step();
    this->run.is_over = true;
    save_checkpoint(this->folder / "x", this->run);
    SampleRun<TypeParam> loaded{TestFixture::Sample::random(2)};
    loaded.name = "another";
    ASSERT_FALSE(same_run(loaded, this->run));
    load_checkpoint(this->folder / "x", loaded);
    EXPECT_TRUE(same_run(loaded, this->run));
    save_checkpoint(this->folder / "y", loaded);
    EXPECT_EQ(contents(this->folder / "x"), contents(this->folder / "y"));
}

TYPED_TEST(Checkpoint, ResumedRunIsTheOneNeverStopped) {
    SampleRun<TypeParam> whole = this->run;
    for (int n = 0; n < 12; ++n) whole.step();
    ASSERT_LT(whole.schedule.factor(0), 1);
    SampleRun<TypeParam> part = this->run;
    for (int n = 0; n < 12; ++n) {
        part.step();
        save_checkpoint(this->folder / "x", part);
        part = SampleRun<TypeParam>{TestFixture::Sample::random(9)};
        load_checkpoint(this->folder / "x", part);
    }
    EXPECT_TRUE(same_run(part, whole));
}

TYPED_TEST(Checkpoint, NamesItsTensorsByTheirPlace) {
    save_checkpoint(this->folder / "x", this->run);
    const Safetensors file = Safetensors::read(this->folder / "x");
    EXPECT_EQ(file.shape("model.weight"), (std::vector<Index>{3, 2}));
    EXPECT_EQ(file.shape("adamw.m.blocks.1.C"), (std::vector<Index>{2, 3, 2}));
    EXPECT_EQ(file.shape("adamw.v.blocks.0.D"), (std::vector<Index>{2}));
    EXPECT_EQ(file.shape("average.parameters.statistics"), (std::vector<Index>{2, 5}));
    const bool is_float = std::is_same_v<TypeParam, float>;
    EXPECT_EQ(file.info("average.parameters.blocks.0.B").dtype, is_float ? DType::F32 : DType::F64);
    EXPECT_EQ(file.integer("adamw.steps"), 0);
    EXPECT_EQ(file.info("schedule.best").dtype, DType::F64);
    EXPECT_EQ(file.metadata("name"), this->run.name);
}

TYPED_TEST(Checkpoint, KeepsTheBitsOfEveryNumber) {
    using Limits = std::numeric_limits<TypeParam>;
    auto& weight = this->run.model.weight;
    weight << -TypeParam{0}, Limits::denorm_min(), Limits::infinity(), Limits::max(), Limits::quiet_NaN(),
        TypeParam{1} / 3;
    this->run.best = std::bit_cast<double>(0x7ff8'0000'0000'1234ULL);
    save_checkpoint(this->folder / "x", this->run);
    SampleRun<TypeParam> loaded{TestFixture::Sample::random(2)};
    load_checkpoint(this->folder / "x", loaded);
    using Bits = std::conditional_t<sizeof(TypeParam) == 4, std::uint32_t, std::uint64_t>;
    for (Index n = 0; n < weight.size(); ++n)
        EXPECT_EQ(std::bit_cast<Bits>(loaded.model.weight.data()[n]), std::bit_cast<Bits>(weight.data()[n])) << n;
    EXPECT_EQ(std::bit_cast<std::uint64_t>(loaded.best), std::bit_cast<std::uint64_t>(this->run.best));
}

/// Loading `path` into `run` fails with a message that has all `parts`, and nothing of `run` changes.
template <class Scalar>
void expect_unchanged_by(SampleRun<Scalar> run, const std::filesystem::path& path,
                         std::initializer_list<const char*> parts) {
    const SampleRun<Scalar> before = run;
    try {
        load_checkpoint(path, run);
        ADD_FAILURE() << "no error";
    } catch (const Error& error) {
        EXPECT_TRUE(contains_all(error.what(), parts));
    }
    EXPECT_TRUE(same_run(run, before));
}

TYPED_TEST(Checkpoint, OfAnotherModelNamesTheFirstTensorThatDiffers) {
    using Layer = typename TestFixture::Sample;
    save_checkpoint(this->folder / "x", this->run);
    expect_unchanged_by(SampleRun<TypeParam>{Layer::random(2, 2, 5)}, this->folder / "x",
                        {"x\"", "\"model.blocks.0.inv_dt\"", "expected shape [5, 1]", "found [2, 1]"});
    expect_unchanged_by(SampleRun<TypeParam>{Layer::random(2, 3)}, this->folder / "x",
                        {"missing 24: \"model.blocks.2.inv_dt\", \"model.blocks.2.A_real\"", "..."});
    expect_unchanged_by(SampleRun<TypeParam>{Layer::random(2, 1)}, this->folder / "x",
                        {"unexpected 24: ", ".blocks.1.", "..."});
    SampleRun<TypeParam> other{Layer::random(2)};
    other.width = 3;
    expect_unchanged_by(other, this->folder / "x", {"\"width\"", "expected 3", "found 2"});
    other.width = 2;
    other.schedule = ConstantSchedule{};
    expect_unchanged_by(other, this->folder / "x", {"unexpected 3: ", "\"schedule.best\""});
}

TYPED_TEST(Checkpoint, OfAnotherScalarIsRefused) {
    using Other = std::conditional_t<std::is_same_v<TypeParam, float>, double, float>;
    save_checkpoint(this->folder / "x", this->run);
    expect_unchanged_by(
        SampleRun<Other>{SampleLayer<Other>::random(2)}, this->folder / "x",
        {"\"model.weight\"", std::is_same_v<TypeParam, float> ? "expected F64, found F32" : "expected F32, found F64"});
}

TYPED_TEST(Checkpoint, ThatIsBrokenIsRefused) {
    save_checkpoint(this->folder / "x", this->run);
    const std::string whole = contents(this->folder / "x");
    const auto path = this->folder / "broken";
    expect_unchanged_by(this->run, path, {"broken\"", "expected a file, found none"});
    for (const std::size_t size :
         {std::size_t{0}, std::size_t{7}, std::size_t{100}, whole.size() / 2, whole.size() - 1}) {
        write_text(path, whole.substr(0, size));
        expect_unchanged_by(this->run, path, {"broken\"", "expected"});
    }
    SafetensorsWriter other;
    other.set_metadata("format", "pt");
    other.write(path);
    expect_unchanged_by(this->run, path, {"expected a checkpoint", "\"s4 checkpoint 1\"", "found \"pt\""});
    other.set_metadata("format", "s4 checkpoint 1");
    other.write(path);
    expect_unchanged_by(this->run, path, {"missing ", "\"width\""});
}

TYPED_TEST(Checkpoint, SurvivesAFullDisk) {
    save_checkpoint(this->folder / "x", this->run);
    const std::string old = contents(this->folder / "x");
    this->run.step();
    rlimit before{};
    ::getrlimit(RLIMIT_FSIZE, &before);
    void (*const handler)(int) = std::signal(SIGXFSZ, SIG_IGN);
    const rlimit full{4096, before.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &full);
    EXPECT_S4_ERROR(save_checkpoint(this->folder / "x", this->run), "x\": cannot be written: ");
    ::setrlimit(RLIMIT_FSIZE, &before);
    std::signal(SIGXFSZ, handler);
    EXPECT_EQ(contents(this->folder / "x"), old);
    EXPECT_EQ(this->folder.files(), std::vector<std::string>{"x"});
    save_checkpoint(this->folder / "x", this->run);
    EXPECT_NE(contents(this->folder / "x"), old);
}

TYPED_TEST(Checkpoint, IsWholeAfterEveryKill) {
    save_checkpoint(this->folder / "x", this->run);
    for (int kill = 0; kill < 10; ++kill) {
        const pid_t child = ::fork();
        ASSERT_GE(child, 0);
        if (child == 0) {
            for (;;) {
                this->run.step();
                save_checkpoint(this->folder / "x", this->run);
            }
        }
        ::usleep(static_cast<useconds_t>(1'000 + 731 * kill));
        ASSERT_EQ(::kill(child, SIGKILL), 0);
        ASSERT_EQ(::waitpid(child, nullptr, 0), child);
        load_checkpoint(this->folder / "x", this->run);
        SampleRun<TypeParam> whole{TestFixture::Sample::random(1)};
        while (whole.epoch < this->run.epoch) whole.step();
        ASSERT_TRUE(same_run(whole, this->run)) << "epoch " << whole.epoch;
    }
}

TYPED_TEST(Checkpoint, GivesItsModelAlone) {
    using Layer = typename TestFixture::Sample;
    for (int n = 0; n < 3; ++n) this->run.step();
    save_checkpoint(this->folder / "x", this->run);
    typename Layer::Parameters p = Layer::random(5);
    load_tensors<Layer>(this->folder / "x", "average.parameters", p);
    EXPECT_TRUE(are_equal<Layer>(p, this->run.average.parameters()));
    load_tensors<Layer>(this->folder / "x", "model", p);
    EXPECT_TRUE(are_equal<Layer>(p, this->run.model));
    EXPECT_S4_ERROR(load_tensors<Layer>(this->folder / "x", "best", p), "missing 14: \"best.weight\"");
    typename Layer::Parameters small = Layer::random(5, 1);
    EXPECT_S4_ERROR(load_tensors<Layer>(this->folder / "x", "model", small), "unexpected 6: ", "\"model.blocks.1.");
    EXPECT_TRUE(are_equal<Layer>(small, Layer::random(5, 1)));
}

TEST(CheckpointSizes, FixedAtCompileTimeReadThoseOfRunTime) {
    using Free = Diagonal<double>;
    using Fixed = Diagonal<double, ZeroOrderHold, Shape<2, 1>>;
    const Free::Parameters p = Free::random({.channels = 1, .state_size = 2}, 3);
    Fixed::Parameters fixed = Fixed::random({}, 4);
    Free::Parameters free = Free::random({.channels = 1, .state_size = 2}, 5);
    const TemporaryFolder folder;
    CheckpointWriter writer;
    writer.tensors<Free>("", p);
    writer.write(folder / "free");
    load_tensors<Fixed>(folder / "free", "", fixed);
    EXPECT_EQ(fixed.C(0, 0), p.C(0, 0));
    EXPECT_EQ(fixed.inv_dt(0, 0), p.inv_dt(0, 0));
    CheckpointWriter of_fixed;
    of_fixed.tensors<Fixed>("", fixed);
    of_fixed.write(folder / "fixed");
    load_tensors<Free>(folder / "fixed", "", free);
    EXPECT_TRUE(are_equal<Free>(free, p));
}

/// One item of any type.
template <class T>
struct Item {
    T value;
    template <class Archive, class Self>
    static void for_each_item(Archive& archive, Self& self) {
        archive("item", self.value);
    }
};

TEST(CheckpointItems, MustHaveTheirTypeAndRange) {
    const TemporaryFolder folder;
    const auto path = folder / "x";
    const auto save = [&](auto value) { save_checkpoint(path, Item<decltype(value)>{value}); };
    const auto load = [&]<class T>(T value) {
        Item<T> item{value};
        load_checkpoint(path, item);
        return item.value;
    };
    save(std::int64_t{-300});
    EXPECT_EQ(load(std::int64_t{0}), -300);
    EXPECT_EQ(load(int{0}), -300);
    EXPECT_S4_ERROR(load(std::int8_t{0}), "\"item\"", "[-128, 127]", "found -300");
    EXPECT_S4_ERROR(load(false), "\"item\"", "[0, 1]", "found -300");
    EXPECT_S4_ERROR(load(0.0), "\"item\"", "expected F64, found I64");
    EXPECT_S4_ERROR(load(std::string{}), "missing 1: \"item\"", "unexpected 1: \"item\"");
    save(std::numeric_limits<std::uint64_t>::max() - 4);
    EXPECT_EQ(load(std::uint64_t{0}), std::numeric_limits<std::uint64_t>::max() - 4);
    save(0.1F);
    EXPECT_EQ(load(0.0F), 0.1F);
    EXPECT_EQ(load(0.0), static_cast<double>(0.1F));
    EXPECT_S4_ERROR(load(1), "expected I64, found F64");
    save(RandomEngine{3});
    EXPECT_EQ(load(RandomEngine{1}), RandomEngine{3});
    save(std::string{"1 2 3"});
    EXPECT_S4_ERROR(load(RandomEngine{1}), "\"item\"", "expected the state of a random engine");
    EXPECT_EQ(load(std::string{}), "1 2 3");
    SafetensorsWriter file;
    file.set_metadata("format", "s4 checkpoint 1");
    file.add_matrix("item", Eigen::VectorXd::Zero(2));
    file.write(path);
    EXPECT_S4_ERROR(load(0.0), "\"item\"", "expected shape []", "found [2]");
    CheckpointWriter twice;
    twice("item", 1);
    EXPECT_S4_ERROR(twice("item", 2), "\"item\"", "unique");
}

}  // namespace
}  // namespace s4::test
