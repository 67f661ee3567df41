// What the metadata of an oracle choose by name: a rule, a measure.
#pragma once

#include <s4/discretize/bilinear.hpp>
#include <s4/discretize/dirac.hpp>
#include <s4/discretize/euler.hpp>
#include <s4/discretize/generalised_bilinear.hpp>
#include <s4/discretize/zero_order_hold.hpp>
#include <s4/hippo/hippo.hpp>

#include <string>
#include <tests/golden_test/golden_file.hpp>
#include <variant>

namespace s4::golden {

using Rule = std::variant<Euler, BackwardEuler, Bilinear, GeneralisedBilinear, ZeroOrderHold, Dirac>;

/// "forward" is another name of euler; "gbt0.3" is the generalised bilinear rule of weight 0.3. Error for other names.
[[nodiscard]] inline Rule rule_from_name(const std::string& name) {
    if (name == Euler::name || name == "forward") return Euler{};
    if (name == BackwardEuler::name) return BackwardEuler{};
    if (name == Bilinear::name) return Bilinear{};
    if (name == ZeroOrderHold::name) return ZeroOrderHold{};
    if (name == Dirac::name) return Dirac{};
    if (name.starts_with("gbt")) return GeneralisedBilinear{number_from(std::string_view{name}.substr(3), name)};
    throw Error("there is no rule '" + name + "'");
}

/// The measure that the metadata name, with the parameters that stand beside the name.
[[nodiscard]] inline Hippo measure_of(const GoldenFile& file) {
    Hippo hippo = hippo_from_name(file.text("measure"));
    std::visit(
        [&file](auto& measure) {
            if constexpr (requires { measure.alpha; })
                if (file.has_metadata("alpha")) measure.alpha = file.number("alpha");
            if constexpr (requires { measure.beta; })
                if (file.has_metadata("beta")) measure.beta = file.number("beta");
        },
        hippo);
    return hippo;
}

}  // namespace s4::golden
