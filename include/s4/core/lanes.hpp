// A block of channels as one SIMD register: the widest vector of the target, through Eigen's packets.
#pragma once

#include <s4/core/scalar.hpp>

namespace s4::inline S4_ABI {

/// `count` numbers side by side in one register. The width follows the target (never wider: PERFORMANCE 8), and is 1
/// where Eigen has no vectors. Multiplication and addition are separate; `fma` fuses where the target can.
template <RealScalar Scalar>
struct Lanes {
    /// Eigen's register.
    using Packet = typename Eigen::internal::packet_traits<Scalar>::type;
    /// Numbers in a register.
    static constexpr Index count = Eigen::internal::packet_traits<Scalar>::Vectorizable
                                       ? static_cast<Index>(Eigen::internal::packet_traits<Scalar>::size)
                                       : Index{1};
    static constexpr std::size_t alignment = sizeof(Packet);  ///< bytes, of `load` and `store`

    Packet value;  ///< the numbers

    /// The same number in all lanes.
    [[nodiscard]] static Lanes broadcast(Scalar scalar) noexcept { return {Eigen::internal::pset1<Packet>(scalar)}; }
    /// Zero in all lanes.
    [[nodiscard]] static Lanes zero() noexcept { return broadcast(Scalar{0}); }
    /// Reads `count` numbers from an address aligned to `alignment`.
    [[nodiscard]] static Lanes load(const Scalar* from) noexcept { return {Eigen::internal::pload<Packet>(from)}; }
    /// Reads `count` numbers from any address.
    [[nodiscard]] static Lanes load_unaligned(const Scalar* from) noexcept {
        return {Eigen::internal::ploadu<Packet>(from)};
    }
    /// Reads the first `active` numbers; the other lanes are zero.
    [[nodiscard]] static Lanes load_first(const Scalar* from, Index active) noexcept {
        if (active == count) return load_unaligned(from);
        alignas(Packet) Scalar padded[static_cast<std::size_t>(count)] = {};
        for (Index lane = 0; lane < active; ++lane) padded[lane] = from[lane];
        return load(padded);
    }

    /// Writes `count` numbers to an address aligned to `alignment`.
    void store(Scalar* to) const noexcept { Eigen::internal::pstore(to, value); }
    /// Writes `count` numbers to any address.
    void store_unaligned(Scalar* to) const noexcept { Eigen::internal::pstoreu(to, value); }
    /// Writes the first `active` lanes only.
    void store_first(Scalar* to, Index active) const noexcept {
        if (active == count) return store_unaligned(to);
        alignas(Packet) Scalar padded[static_cast<std::size_t>(count)];
        store(padded);
        for (Index lane = 0; lane < active; ++lane) to[lane] = padded[lane];
    }

    /// All lanes added up.
    [[nodiscard]] Scalar sum() const noexcept { return Eigen::internal::predux(value); }

    friend Lanes operator+(Lanes a, Lanes b) noexcept { return {Eigen::internal::padd(a.value, b.value)}; }
    friend Lanes operator-(Lanes a, Lanes b) noexcept { return {Eigen::internal::psub(a.value, b.value)}; }
    friend Lanes operator*(Lanes a, Lanes b) noexcept { return {Eigen::internal::pmul(a.value, b.value)}; }
    friend Lanes operator/(Lanes a, Lanes b) noexcept { return {Eigen::internal::pdiv(a.value, b.value)}; }
    friend Lanes operator-(Lanes a) noexcept { return {Eigen::internal::pnegate(a.value)}; }
    Lanes& operator+=(Lanes b) noexcept { return *this = *this + b; }

    /// a·b + c.
    [[nodiscard]] friend Lanes fma(Lanes a, Lanes b, Lanes c) noexcept {
        return {Eigen::internal::pmadd(a.value, b.value, c.value)};
    }
    /// c − a·b.
    [[nodiscard]] friend Lanes fnma(Lanes a, Lanes b, Lanes c) noexcept {
        return {Eigen::internal::pmadd(Eigen::internal::pnegate(a.value), b.value, c.value)};
    }
};

/// Number of lane blocks that hold `channels` channels; the last may be partly filled.
template <RealScalar Scalar>
[[nodiscard]] constexpr Index lane_blocks(Index channels) noexcept {
    return (channels + Lanes<Scalar>::count - 1) / Lanes<Scalar>::count;
}

}  // namespace s4::inline S4_ABI
