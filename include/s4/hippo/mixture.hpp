// One starting point for all sets of states, or several that share them.
#pragma once

#include <s4/core/error.hpp>
#include <s4/core/scalar.hpp>

#include <concepts>
#include <initializer_list>
#include <vector>

namespace s4::inline S4_ABI {

/// Starting points of the S sets of a system: the first S/size() sets begin as the first kind, and so on. Written as
/// one kind (`LegS{}`) or as a list (`{LegS{}, Fourier{}}`).
template <class Kind>
class Mixture {
public:
    /// All sets begin alike.
    template <std::convertible_to<Kind> One>
    Mixture(const One& kind) : kinds_{Kind(kind)} {}
    /// Each kind for an equal share of the sets.
    Mixture(std::initializer_list<Kind> kinds) : kinds_{kinds} {}

    /// In the order of the sets.
    [[nodiscard]] const std::vector<Kind>& kinds() const noexcept { return kinds_; }

    /// Which of the kinds the set `set` of `sets` begins as. Error unless the number of kinds divides that of the sets.
    [[nodiscard]] std::size_t kind_of(Index set, Index sets) const {
        const Index count = std::ssize(kinds_);
        detail::require(count > 0 && sets % count == 0, "a mixture of ", count,
                        " starting points must divide the number of sets, found ", sets, " sets");
        return static_cast<std::size_t>(set / (sets / count));
    }

private:
    std::vector<Kind> kinds_;
};

}  // namespace s4::inline S4_ABI
