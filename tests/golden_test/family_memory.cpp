// hippo_memory_*, lmu_memory_*: online memories, sample by sample and whole, and what they remember.
#include <s4/recurrence/hippo_memory.hpp>
#include <s4/recurrence/legs_memory.hpp>

#include <cmath>
#include <tests/golden_test/choices.hpp>
#include <tests/golden_test/families.hpp>

namespace s4::golden {

namespace {

Eigen::VectorXd real_vector(const Tensor& tensor) {
    return Eigen::Map<const Eigen::VectorXcd>(tensor.values.data(), static_cast<Index>(tensor.values.size())).real();
}

/// One channel fed sample by sample; what it knows at each of the `times` (1-based, ascending).
struct Memories {
    Values coefficients;    // [times × N]
    Values reconstruction;  // [times × points]
};

/// `channels` channels get the sound times 1, −1/2, 1/4, …; whole parts of it at once unless there is one channel. The
/// last one is what counts, scaled back: so it stands for the others too.
template <class Memory>
Memories remember(const Memory& memory, const Eigen::VectorXd& u, const std::vector<Index>& times,
                  const Eigen::VectorXd& points) {
    using Scalar = typename Memory::Scalar;
    const Index channels = memory.channels();
    const double scale = std::pow(-0.5, static_cast<double>(channels - 1));
    Sequence<Scalar> frames(u.size(), channels);
    for (Index h = 0; h < channels; ++h)
        frames.col(h) = (u * std::pow(-0.5, static_cast<double>(h))).template cast<Scalar>();
    auto state = memory.make_state();
    Memories found;
    Index heard = 0;
    for (const Index time : times) {
        if (channels == 1)
            for (Index t = heard; t < time; ++t) memory.step(state, frames.row(t));
        else
            memory.scan(state, frames.middleRows(heard, time - heard));
        heard = time;
        append(found.coefficients, flatten(memory.coefficients(state).row(channels - 1)));
        if (points.size() > 0)
            append(found.reconstruction, flatten(memory.reconstruct(state, points).col(channels - 1)));
    }
    for (Values* values : {&found.coefficients, &found.reconstruction})
        for (std::complex<double>& value : *values) value /= scale;
    return found;
}

struct BothScalars {
    Memories in_double;
    Memories in_float;
    [[nodiscard]] Found coefficients() const { return {in_double.coefficients, in_float.coefficients}; }
    [[nodiscard]] Found reconstruction() const { return {in_double.reconstruction, in_float.reconstruction}; }
};

/// `make(scalar, channels)` makes the memory.
template <class Make>
BothScalars remember_in_both(const Make& make, Index channels, const Eigen::VectorXd& u,
                             const std::vector<Index>& times, const Eigen::VectorXd& points) {
    return {remember(make(double{}, channels), u, times, points), remember(make(float{}, channels), u, times, points)};
}

template <class Make>
void compare_memories(Case& test, const Make& make, const Eigen::VectorXd& u, const std::vector<Index>& times,
                      const std::string& points_name, const std::string& coefficients_name,
                      const std::string& reconstruction_name) {
    const Eigen::VectorXd points = real_vector(test.input(points_name));
    constexpr Index several = 19;  // more than one lane block, and a part of one
    for (const Index channels : {Index{1}, several}) {
        const BothScalars found = remember_in_both(make, channels, u, times, points);
        const std::string how = channels == 1 ? ", steps" : ", scan";
        test.compare(coefficients_name, found.coefficients(), {.label = coefficients_name + how});
        test.compare(reconstruction_name, found.reconstruction(), {.label = reconstruction_name + how});
    }
}

/// The tensor "times". Error unless they ascend from 1 to at most `length`.
std::vector<Index> times_of(Case& test, Index length) {
    std::vector<Index> times;
    for (const std::complex<double> time : test.input("times").values) {
        const auto value = static_cast<Index>(time.real());
        if (value < 1 || value > length || (!times.empty() && value <= times.back()))
            test.file().fail("'times' must ascend from 1 to the length of u");
        times.push_back(value);
    }
    return times;
}

void check_scale_invariant(Case& test) {
    const GoldenFile& file = test.file();
    if (file.text("measure") != LegS::name) file.fail("there is no scale-invariant memory of " + file.text("measure"));
    const Eigen::VectorXd u = real_vector(test.input("u", {file.integer("L")}));
    const std::vector<Index> times = times_of(test, u.size());
    std::visit(
        [&]<class Chosen>(const Chosen& rule) {
            if constexpr (LegsRule<Chosen>) {
                const auto make = [&]<class Scalar>(Scalar, Index channels) {
                    return LegsMemory<Scalar, Chosen>(channels, file.integer("N"), rule);
                };
                compare_memories(test, make, u, times, "points", "coef", "reconstruction");
            } else {
                file.fail("there is no scale-invariant memory with the rule " + std::string{rule.name});
            }
        },
        rule_from_name(file.text("discretization")));
}

/// Ā, B̄ of the memory, and A, B they come from.
void check_system(Case& test, const HippoSystem& unscaled, const HippoSystem& windowed, const Rule& rule, double dt) {
    const Comparison cast{.note = cast_note};
    test.compare("A", computed_in_double(flatten(unscaled.A)), cast);
    test.compare("B", computed_in_double(flatten(unscaled.B)), cast);
    const DenseStep<double> step =
        std::visit([&](const auto& chosen) { return discretize(chosen, windowed.A, windowed.B, dt); }, rule);
    test.compare("dA", computed_in_double(flatten(step.A_bar)), cast);
    test.compare("dB", computed_in_double(flatten(step.B_bar)), cast);
}

/// Makes memories of this measure, window and rule in any scalar.
auto memory_maker(const HippoMemoryOptions& options, const Rule& rule) {
    return [options, rule]<class Scalar>(Scalar, Index channels) {
        HippoMemoryOptions own = options;
        own.channels = channels;
        return std::visit([&own](const auto& chosen) { return HippoMemory<Scalar>(own, chosen); }, rule);
    };
}

void check_windowed(Case& test) {
    const GoldenFile& file = test.file();
    const Rule rule = rule_from_name(file.text("discretization"));
    const HippoMemoryOptions options{.state_size = file.integer("N"),
                                     .hippo = measure_of(file),
                                     .window = file.has_metadata("theta") ? file.number("theta") : 1.0,
                                     .dt = file.number("dt")};
    const HippoSystem system = windowed_transition(options.hippo, options.state_size, options.window);
    check_system(test, system, system, rule, options.dt);
    const Eigen::VectorXd u = real_vector(test.input("u", {file.integer("L")}));
    compare_memories(test, memory_maker(options, rule), u, times_of(test, u.size()), "lag_points", "coef",
                     "reconstruction");
}

}  // namespace

void check_hippo_memory(Case& test) {
    const std::string kind = test.file().text("kind");
    if (kind == "hippo_memory_scale_invariant") return check_scale_invariant(test);
    if (kind == "hippo_memory_lti") return check_windowed(test);
    test.file().fail("there is no kind of memory '" + kind + "'");
}

void check_lmu_memory(Case& test) {
    const GoldenFile& file = test.file();
    const Rule rule = rule_from_name(file.text("discretizer"));
    const HippoMemoryOptions options{.state_size = file.integer("order"),
                                     .hippo = Lmu{},
                                     .window = file.number("theta"),
                                     .dt = file.has_metadata("dt") ? file.number("dt") : 1.0};
    check_system(test, transition(options.hippo, options.state_size),
                 windowed_transition(options.hippo, options.state_size, options.window), rule, options.dt);

    // Every sample counts here.
    const auto all_times = [](Index length) {
        std::vector<Index> times(static_cast<std::size_t>(length));
        for (Index t = 0; t < length; ++t) times[static_cast<std::size_t>(t)] = t + 1;
        return times;
    };
    const auto make = memory_maker(options, rule);
    const Eigen::VectorXd u = real_vector(test.input("u", {file.integer("L")}));
    compare_memories(test, make, u, all_times(u.size()), "delay_fraction", "memory", "decoded");

    const Eigen::VectorXd delays = real_vector(test.input("delay_fraction"));
    test.compare("decoder",
                 computed_in_double(flatten(reconstruction_basis(options.hippo, options.state_size, delays))),
                 {.note = cast_note});

    const Tensor& response = test.truth("impulse_response");
    if (response.shape.empty() || response.shape.front() < 1) file.fail("impulse_response has no rows");
    const Eigen::VectorXd impulse = Eigen::VectorXd::Unit(response.shape.front(), 0);
    test.compare("impulse_response",
                 remember_in_both(make, 1, impulse, all_times(impulse.size()), Eigen::VectorXd{}).coefficients());
}

}  // namespace s4::golden
