// Laws that every back end keeps, instantiated for each of them.
#include "tests/support/expect_error.hpp"
#include "tests/support/tolerances.hpp"
#include <s4/core/random.hpp>
#include <s4/fft/fftw.hpp>
#include <s4/fft/forward_real.hpp>
#include <s4/fft/kiss_fft.hpp>

#include <gtest/gtest.h>

#include <cmath>
#include <complex>
#include <numbers>
#include <vector>

namespace s4::test {
namespace {

template <class Fft_>
class Fft : public ::testing::Test {
protected:
    using Real = typename Fft_::Scalar;
    using L = Lanes<Real>;
    using Signals = Eigen::Matrix<std::complex<Real>, Dynamic, Dynamic>;  // [M × lanes]

    static Signals random_signals(Index length, Index lanes, std::uint64_t seed) {
        RandomEngine engine{seed};
        Signals signals(length, lanes);
        for (auto& value : signals.reshaped()) value = std::complex<Real>(complex_normal(engine));
        return signals;
    }

    static void fill(typename Fft_::Buffer& buffer, const Signals& signals) {
        buffer.fill(signals.cols(), signals.rows(), [&](Index l) {
            alignas(storage_alignment) Real re[64] = {};
            alignas(storage_alignment) Real im[64] = {};
            for (Index lane = 0; lane < signals.cols(); ++lane) {
                re[lane] = signals(l, lane).real();
                im[lane] = signals(l, lane).imag();
            }
            return ComplexLanes<Real>{L::load(re), L::load(im)};
        });
    }

    static Signals drain(const typename Fft_::Buffer& buffer, Index length, Index lanes) {
        Signals signals(length, lanes);
        buffer.drain(lanes, length, [&](Index l, const ComplexLanes<Real>& value) {
            alignas(storage_alignment) Real re[64];
            alignas(storage_alignment) Real im[64];
            value.re.store(re);
            value.im.store(im);
            for (Index lane = 0; lane < lanes; ++lane) signals(l, lane) = {re[lane], im[lane]};
        });
        return signals;
    }

    static Signals forward(const Signals& signals) {
        const typename Fft_::Plan plan(signals.rows());
        typename Fft_::Buffer buffer(plan);
        fill(buffer, signals);
        auto spectrum = plan.make_spectrum(signals.cols());
        plan.forward(buffer, signals.cols(), spectrum);
        Signals bins(signals.rows(), signals.cols());
        for (Index lane = 0; lane < signals.cols(); ++lane)
            for (Index k = 0; k < signals.rows(); ++k) bins(k, lane) = plan.bin(spectrum, lane, k);
        return bins;
    }

    // The definition, in long double.
    static Signals definition(const Signals& signals) {
        const Index length = signals.rows();
        std::vector<std::complex<long double>> roots(static_cast<std::size_t>(length));
        for (Index k = 0; k < length; ++k) {
            const long double angle =
                -2 * std::numbers::pi_v<long double> * static_cast<long double>(k) / static_cast<long double>(length);
            roots[static_cast<std::size_t>(k)] = {std::cos(angle), std::sin(angle)};
        }
        Signals bins(length, signals.cols());
        for (Index lane = 0; lane < signals.cols(); ++lane) {
            for (Index k = 0; k < length; ++k) {
                std::complex<long double> sum = 0;
                for (Index l = 0; l < length; ++l)
                    sum +=
                        roots[static_cast<std::size_t>(k * l % length)] * std::complex<long double>(signals(l, lane));
                bins(k, lane) = std::complex<Real>(sum);
            }
        }
        return bins;
    }
};

using Backends = ::testing::Types<Fftw<float>, Fftw<double>, KissFft<float>, KissFft<double>>;
TYPED_TEST_SUITE(Fft, Backends);

constexpr Index lengths[] = {1, 2, 3, 5, 16, 31, 60, 64, 97, 240, 1024};

TYPED_TEST(Fft, IsABackend) { static_assert(FftBackend<TypeParam>); }

TYPED_TEST(Fft, ForwardMatchesTheDefinition) {
    using Scalar = typename TypeParam::Scalar;
    for (const Index length : lengths) {
        const auto signals = this->random_signals(length, std::min<Index>(3, Lanes<Scalar>::count), 7);
        EXPECT_LE(relative_error(this->forward(signals), this->definition(signals)), Tolerance<Scalar>::rounding)
            << "length " << length;
    }
}

TYPED_TEST(Fft, InverseUndoesForwardUpToTheLength) {
    using Scalar = typename TypeParam::Scalar;
    for (const Index length : lengths) {
        for (Index lanes = 1; lanes <= Lanes<Scalar>::count; ++lanes) {
            const auto signals = this->random_signals(length, lanes, 11);
            const typename TypeParam::Plan plan(length);
            typename TypeParam::Buffer buffer(plan);
            this->fill(buffer, signals);
            auto spectrum = plan.make_spectrum(lanes);
            plan.forward(buffer, lanes, spectrum);
            plan.inverse(spectrum, lanes, buffer);
            const auto back = this->drain(buffer, length, lanes);
            EXPECT_LE(relative_error(back, (static_cast<Scalar>(length) * signals).eval()), Tolerance<Scalar>::rounding)
                << "length " << length << ", lanes " << lanes;
        }
    }
}

TYPED_TEST(Fft, AnImpulseHasAFlatSpectrumThatTurnsWithItsPlace) {
    using Scalar = typename TypeParam::Scalar;
    for (const Index length : lengths) {
        typename TestFixture::Signals impulse = TestFixture::Signals::Zero(length, 1);
        const Index place = length / 3;
        impulse(place, 0) = Scalar{1};
        typename TestFixture::Signals expected(length, 1);
        for (Index k = 0; k < length; ++k) {
            const double angle =
                -2 * std::numbers::pi * static_cast<double>(k * place % length) / static_cast<double>(length);
            expected(k, 0) = {static_cast<Scalar>(std::cos(angle)), static_cast<Scalar>(std::sin(angle))};
        }
        EXPECT_LE(relative_error(this->forward(impulse), expected), Tolerance<Scalar>::rounding) << length;
    }
}

TYPED_TEST(Fft, IsLinearAndKeepsTheEnergy) {
    using Scalar = typename TypeParam::Scalar;
    for (const Index length : lengths) {
        const auto a = this->random_signals(length, 1, 3);
        const auto b = this->random_signals(length, 1, 5);
        const std::complex<Scalar> factor{Scalar(0.3), Scalar(-1.2)};
        const auto sum = this->forward((a + factor * b).eval());
        EXPECT_LE(relative_error(sum, (this->forward(a) + factor * this->forward(b)).eval()),
                  Tolerance<Scalar>::rounding);
        const double energy = static_cast<double>(this->forward(a).squaredNorm());
        EXPECT_NEAR(energy / (static_cast<double>(length) * static_cast<double>(a.squaredNorm())), 1,
                    Tolerance<Scalar>::rounding);
    }
}

TYPED_TEST(Fft, ConvolveIsTheCyclicConvolution) {
    using Scalar = typename TypeParam::Scalar;
    for (const Index length : lengths) {
        const Index lanes = std::min<Index>(2, Lanes<Scalar>::count);
        const auto a = this->random_signals(length, lanes, 3);
        const auto b = this->random_signals(length, lanes, 5);
        typename TestFixture::Signals expected = TestFixture::Signals::Zero(length, lanes);
        for (Index i = 0; i < length; ++i)
            for (Index j = 0; j < length; ++j)
                expected.row((i + j) % length) += static_cast<Scalar>(length) * a.row(i).cwiseProduct(b.row(j));
        const typename TypeParam::Plan plan(length);
        typename TypeParam::Buffer buffer(plan);
        this->fill(buffer, b);
        auto spectrum = plan.make_spectrum(lanes);
        plan.forward(buffer, lanes, spectrum);
        this->fill(buffer, a);
        plan.convolve(buffer, lanes, spectrum);
        EXPECT_LE(relative_error(this->drain(buffer, length, lanes), expected), 10 * Tolerance<Scalar>::rounding);
    }
}

TYPED_TEST(Fft, FillPadsWithZeros) {
    using Scalar = typename TypeParam::Scalar;
    const typename TypeParam::Plan plan(16);
    typename TypeParam::Buffer buffer(plan);
    const auto full = this->random_signals(16, 1, 3);
    this->fill(buffer, full);
    this->fill(buffer, full.topRows(5));
    auto drained = this->drain(buffer, 16, 1);
    EXPECT_EQ((drained.topRows(5) - full.topRows(5)).norm(), Scalar{0});
    EXPECT_EQ(drained.bottomRows(11).norm(), Scalar{0});
}

TYPED_TEST(Fft, RealInverseMatchesTheDefinition) {
    using Scalar = typename TypeParam::Scalar;
    RandomEngine engine{13};
    for (const Index length : {2, 4, 6, 16, 30, 62, 240, 1024}) {
        const typename TypeParam::RealPlan plan(length);
        typename TypeParam::RealBuffer buffer(plan);
        std::vector<std::complex<double>> bins(static_cast<std::size_t>(length / 2 + 1));
        for (auto& bin : bins) bin = complex_normal(engine);
        bins.front().imag(0);
        bins.back().imag(0);
        Eigen::VectorXd expected(length);
        for (Index l = 0; l < length; ++l) {
            double sum = bins.front().real() + (l % 2 == 0 ? 1 : -1) * bins.back().real();
            for (Index k = 1; k < length / 2; ++k) {
                const double angle =
                    2 * std::numbers::pi * static_cast<double>(k * l % length) / static_cast<double>(length);
                sum += 2 * (bins[static_cast<std::size_t>(k)] * std::polar(1.0, angle)).real();
            }
            expected[l] = sum;
        }
        for (Index k = 0; k <= length / 2; ++k)
            buffer.spectrum()[k] = std::complex<Scalar>(bins[static_cast<std::size_t>(k)]);
        plan.inverse(buffer);
        const Eigen::Map<Eigen::Matrix<Scalar, Dynamic, 1>> found(buffer.signal(), length);
        EXPECT_LE(relative_error(found, expected), 2 * Tolerance<Scalar>::rounding) << length;
    }
}

TYPED_TEST(Fft, RealForwardMatchesTheDefinition) {
    using Scalar = typename TypeParam::Scalar;
    for (const Index length : {2, 4, 6, 16, 30, 62, 240, 1024}) {
        const typename TypeParam::RealPlan plan(length);
        typename TypeParam::RealBuffer buffer(plan);
        const Sequence<Scalar> signal = white_noise<Scalar>(length, 1, 17);
        Eigen::VectorXcd expected = Eigen::VectorXcd::Zero(length / 2 + 1);
        for (Index k = 0; k <= length / 2; ++k)
            for (Index l = 0; l < length; ++l)
                expected[k] += static_cast<double>(signal(l, 0)) *
                               std::polar(1.0, -2 * std::numbers::pi * static_cast<double>(k * l % length) /
                                                   static_cast<double>(length));
        for (Index l = 0; l < length; ++l) buffer.signal()[l] = signal(l, 0);
        forward_real<TypeParam>(plan, buffer);
        const Eigen::Map<Eigen::Matrix<std::complex<Scalar>, Dynamic, 1>> found(buffer.spectrum(), length / 2 + 1);
        EXPECT_LE(relative_error(found, expected), 2 * Tolerance<Scalar>::rounding) << length;
        plan.inverse(buffer);
        const Eigen::Map<Eigen::Matrix<Scalar, Dynamic, 1>> back(buffer.signal(), length);
        EXPECT_LE(relative_error(back, static_cast<Scalar>(length) * signal), 2 * Tolerance<Scalar>::rounding);
    }
}

TYPED_TEST(Fft, RejectsLengthsItCannotTake) {
    EXPECT_S4_ERROR(typename TypeParam::Plan(0), "FFT length", "found 0");
    EXPECT_S4_ERROR(typename TypeParam::Plan(-1), "FFT length", "found -1");
    EXPECT_S4_ERROR(typename TypeParam::Plan(max_fft_size + 1), "FFT length");
    EXPECT_S4_ERROR(typename TypeParam::Plan(3'000'000'000), "3000000000");
    EXPECT_S4_ERROR(typename TypeParam::RealPlan(0), "FFT length", "found 0");
}

TEST(GoodFftSize, IsTheSmallestOfItsFormAndNeverSmallerThanAsked) {
    EXPECT_EQ(good_fft_size(0), 1);
    EXPECT_EQ(good_fft_size(1), 1);
    EXPECT_EQ(good_fft_size(2), 2);
    EXPECT_EQ(good_fft_size(3), 4);
    EXPECT_EQ(good_fft_size(784), 800);
    EXPECT_EQ(good_fft_size(1000), 1024);
    EXPECT_EQ(good_fft_size(262'144), 262'144);
    EXPECT_EQ(good_fft_size(max_fft_size), max_fft_size);
    for (Index length = 2; length < 5000; ++length) {
        const Index size = good_fft_size(length);
        EXPECT_GE(size, length);
        EXPECT_LE(size, length * 5 / 4 + 2);
        EXPECT_EQ(size % 2, 0);
        Index rest = size;
        for (const Index prime : {2, 3, 5})
            while (rest % prime == 0) rest /= prime;
        EXPECT_EQ(rest, 1);
    }
    EXPECT_S4_ERROR(static_cast<void>(good_fft_size(max_fft_size + 1)), "FFT length");
    EXPECT_S4_ERROR(static_cast<void>(good_fft_size(-1)), "found -1");
}

}  // namespace
}  // namespace s4::test
