// What the random starting points of Diagonal and Dplr share: their options checked, and the draws of every channel.
#pragma once

#include <s4/core/random.hpp>
#include <s4/parameters/pole_parameters.hpp>
#include <s4/parameters/timescale.hpp>

#include <span>
#include <utility>
#include <vector>

namespace s4::inline S4_ABI::detail {

/// The number S of sets of states. Error that names the option unless all sizes are possible.
template <class Options>
[[nodiscard]] Index checked_sets(const char* name, const Options& options, const PoleLayout& layout) {
    constexpr Index most = Index{1} << 24;
    require(options.channels > 0 && options.channels <= most, name, ": option channels must be positive, and at most ",
            most, ", found ", options.channels);
    require(options.heads > 0 && options.heads <= most, name, ": option heads must be positive, and at most ", most,
            ", found ", options.heads);
    require(options.state_size <= most, name, ": option state_size is at most ", most, ", found ", options.state_size);
    require(options.state_size > 0 && (options.ssm.real || options.state_size % 2 == 0), name,
            ": option state_size must be even and positive, found ", options.state_size);
    require(options.channels * options.heads <= (Index{1} << 26) / options.state_size, name, ": ", options.channels,
            " channels x ", options.heads, " heads x ", options.state_size, " states are too many");
    const Index sets = layout.sets == 0 ? options.channels : layout.sets;
    require(sets > 0 && sets <= options.channels && options.channels % sets == 0, name,
            ": option sets must divide the number of channels, ", options.channels, ", found ", layout.sets);
    validate(options.timescale);
    return sets;
}

/// Rows c·H + h of `systems`, which come as the H rows of head 0 with λ and B alone: dt, C and D are drawn.
template <class System, class Options>
[[nodiscard]] std::vector<System> draw_channels(std::vector<System> systems, const Options& options,
                                                const PoleLayout& layout, RandomEngine& engine) {
    const Index pairs = systems.front().lambda.size();
    const Index channels = options.channels;
    const Index rows = layout.directions * layout.heads * channels;
    const Eigen::VectorXd grid = geometric_grid(options.timescale, channels);
    systems.reserve(static_cast<std::size_t>(rows));
    for (Index row = 0; row < rows; ++row) {
        if (row >= channels) systems.push_back(systems[static_cast<std::size_t>(row % channels)]);
        System& system = systems[static_cast<std::size_t>(row)];
        if (row < channels) {
            system.dt.resize(pairs);
            for (Index n = 0; n < pairs; ++n) {
                if (options.deterministic) {
                    system.dt[n] = grid[row];
                } else {
                    system.dt[n] = n > 0 && options.tied_dt ? system.dt[0] : log_uniform(options.timescale, engine);
                }
            }
        }
        system.C.resize(pairs);
        for (Index n = 0; n < pairs; ++n) {
            if (options.deterministic) {
                system.C[n] = n == 0 ? 1.0 : 0.0;
            } else {
                system.C[n] = options.ssm.real ? normal(engine) : complex_normal(engine);
            }
        }
        system.D = normal(engine);
    }
    return systems;
}

/// H. Error unless every row c·H + h is there and all have the same N.
template <class System>
[[nodiscard]] Index check_systems(const char* name, std::span<const System> systems, const PoleLayout& layout) {
    require(!systems.empty(), name, ": at least one channel is needed, found H = 0");
    require(layout.heads > 0, name, ": heads must be positive, found ", layout.heads);
    const Index rows = std::ssize(systems);
    const Index of_a_channel = layout.heads * layout.directions;
    require(rows % of_a_channel == 0, name, ": ", of_a_channel, " systems are needed for every channel, found ", rows,
            " in all");
    const Index pairs = systems.front().lambda.size();
    require(pairs > 0, name, ": at least one pair of states is needed, found N = 0");
    for (Index row = 0; row < rows; ++row) {
        const System& system = systems[static_cast<std::size_t>(row)];
        const auto check = [&](const char* tensor, Index size) {
            require(size == pairs, name, ": ", tensor, " of system ", row, " must have N/2 = ", pairs,
                    " entries like the lambda of the first, found ", size);
        };
        check("lambda", system.lambda.size());
        check("B", system.B.size());
        check("C", system.C.size());
        check("dt", system.dt.size());
    }
    return rows / of_a_channel;
}

}  // namespace s4::inline S4_ABI::detail
