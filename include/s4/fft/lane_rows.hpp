// Storage of back ends that transform one contiguous row at a time: a lane block turned into rows.
#pragma once

#include <s4/core/storage.hpp>
#include <s4/fft/backend.hpp>

#include <algorithm>
#include <complex>

namespace s4::inline S4_ABI {

/// `rows` rows of `length` complex numbers, every row aligned; row r belongs to lane r.
template <RealScalar Scalar>
class LaneRows {
public:
    using Complex = std::complex<Scalar>;
    /// Lanes in a block.
    static constexpr Index lanes = Lanes<Scalar>::count;

    /// Allocates. Error when the memory is not there.
    LaneRows(Index length, Index rows)
        : length_{length}, stride_{padded(length)}, rows_{rows}, values_{checked(stride_, rows)} {}

    /// Complex numbers in a row.
    [[nodiscard]] Index length() const noexcept { return length_; }
    /// Number of rows.
    [[nodiscard]] Index rows() const noexcept { return rows_; }
    /// The row of `lane` [length].
    [[nodiscard]] Complex* row(Index lane) noexcept { return values_.data() + lane * stride_; }
    /// The row of `lane` [length].
    [[nodiscard]] const Complex* row(Index lane) const noexcept { return values_.data() + lane * stride_; }
    void set_zero() noexcept { values_.set_zero(); }
    /// Adds the rows of `other`, of the same length and number.
    void add(const LaneRows& other) noexcept {
        S4_ASSERT(other.length_ == length_ && other.rows_ == rows_, "LaneRows::add: rows of another shape");
        for (Index lane = 0; lane < rows_; ++lane)
            for (Index k = 0; k < length_; ++k) row(lane)[k] += other.row(lane)[k];
    }

    /// row(r)[l] = lane r of generator(l) for l < count and r < active, zero behind. The turn from lanes to rows
    /// happens in tiles that stay in the L1 cache.
    template <class Generator>
    void fill(Index active, Index count, const Generator& generator) noexcept {
        S4_ASSERT(active <= rows_ && count <= length_, "LaneRows::fill: more lanes or samples than there is room for");
        alignas(storage_alignment) Scalar re[tile_size];
        alignas(storage_alignment) Scalar im[tile_size];
        for (Index start = 0; start < count; start += tile) {
            const Index in_tile = std::min(tile, count - start);
            for (Index l = 0; l < in_tile; ++l) {
                const ComplexLanes<Scalar> sample = generator(start + l);
                sample.re.store(re + l * lanes);
                sample.im.store(im + l * lanes);
            }
            for (Index lane = 0; lane < active; ++lane) {
                Complex* to = row(lane) + start;
                for (Index l = 0; l < in_tile; ++l) to[l] = Complex(re[l * lanes + lane], im[l * lanes + lane]);
            }
        }
        for (Index lane = 0; lane < active; ++lane) std::fill(row(lane) + count, row(lane) + length_, Complex{});
    }

    /// consumer(l, lanes of sample l) for l < count; lanes from `active` on hold nothing of meaning.
    template <class Consumer>
    void drain(Index active, Index count, const Consumer& consumer) const noexcept {
        S4_ASSERT(active <= rows_ && count <= length_, "LaneRows::drain: more lanes or samples than there are");
        alignas(storage_alignment) Scalar re[tile_size] = {};
        alignas(storage_alignment) Scalar im[tile_size] = {};
        for (Index start = 0; start < count; start += tile) {
            const Index in_tile = std::min(tile, count - start);
            for (Index lane = 0; lane < active; ++lane) {
                const Complex* from = row(lane) + start;
                for (Index l = 0; l < in_tile; ++l) {
                    re[l * lanes + lane] = from[l].real();
                    im[l * lanes + lane] = from[l].imag();
                }
            }
            for (Index l = 0; l < in_tile; ++l)
                consumer(start + l, ComplexLanes<Scalar>{Lanes<Scalar>::load(re + l * lanes),
                                                         Lanes<Scalar>::load(im + l * lanes)});
        }
    }

private:
    static constexpr Index tile = 16;
    static constexpr std::size_t tile_size = static_cast<std::size_t>(tile * lanes);

    // One cache line more than the row needs: rows of a power of two would share the same cache sets.
    static Index padded(Index length) noexcept {
        constexpr Index line = static_cast<Index>(storage_alignment / sizeof(Complex));
        return (length + line - 1) / line * line + line;
    }
    static Index checked(Index stride, Index rows) {
        detail::require(rows > 0 && stride <= std::numeric_limits<Index>::max() / rows / 64,
                        "out of memory: cannot hold ", rows, " rows of ", stride, " numbers");
        return stride * rows;
    }

    Index length_;
    Index stride_;
    Index rows_;
    Storage<Complex> values_;
};

/// row ← row · factor, entry by entry.
template <RealScalar Scalar>
void multiply_row(std::complex<Scalar>* row, const std::complex<Scalar>* factor, Index length) noexcept {
    for (Index k = 0; k < length; ++k) row[k] = detail::multiply(row[k], factor[k]);
}

/// product ← a · b, entry by entry.
template <RealScalar Scalar>
void product_row(const std::complex<Scalar>* a, const std::complex<Scalar>* b, std::complex<Scalar>* product,
                 Index length) noexcept {
    for (Index k = 0; k < length; ++k) product[k] = detail::multiply(a[k], b[k]);
}

/// sum ← sum + a · b, of the first `active` rows.
template <RealScalar Scalar>
void add_product(const LaneRows<Scalar>& a, const LaneRows<Scalar>& b, Index active, LaneRows<Scalar>& sum) noexcept {
    for (Index lane = 0; lane < active; ++lane)
        for (Index k = 0; k < a.length(); ++k) sum.row(lane)[k] += detail::multiply(a.row(lane)[k], b.row(lane)[k]);
}
/// sum ← sum + conj(a) · b, of the first `active` rows.
template <RealScalar Scalar>
void add_conjugate_product(const LaneRows<Scalar>& a, const LaneRows<Scalar>& b, Index active,
                           LaneRows<Scalar>& sum) noexcept {
    for (Index lane = 0; lane < active; ++lane)
        for (Index k = 0; k < a.length(); ++k)
            sum.row(lane)[k] += detail::multiply(std::conj(a.row(lane)[k]), b.row(lane)[k]);
}

}  // namespace s4::inline S4_ABI
