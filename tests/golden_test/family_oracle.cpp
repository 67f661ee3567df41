// oracle_*: a real LegS system in extended precision, against the kernels and the recurrence.
#include <s4/discretize/dense.hpp>
#include <s4/fft/fftw.hpp>
#include <s4/fft/kiss_fft.hpp>
#include <s4/kernel/dplr_kernel.hpp>
#include <s4/kernel/krylov.hpp>
#include <s4/recurrence/dplr_recurrence.hpp>

#include <span>
#include <tests/golden_test/families.hpp>

namespace s4::golden {

namespace {

template <class Fft>
Values dplr_kernel_values(const DplrSystem& system, std::size_t length, KernelPrecision precision) {
    const DplrKernel<Fft> make_kernel{static_cast<Index>(length), 0, precision};
    typename DplrKernel<Fft>::Workspace workspace{make_kernel};
    std::vector<typename Fft::Scalar> kernel(length);
    make_kernel(workspace, system, kernel);
    return {kernel.begin(), kernel.end()};
}

template <RealScalar Scalar>
Values krylov_values(const DenseStep<double>& step, const Eigen::RowVectorXd& C, std::size_t length) {
    std::vector<Scalar> kernel(length);
    krylov<Scalar>(step.A_bar, step.B_bar, C, kernel);
    return {kernel.begin(), kernel.end()};
}

/// The answers to a unit impulse, sample by sample.
Values impulse_response(const DplrSystem& system, std::size_t length) {
    const Recurrence<Dplr<double>> recurrence{Dplr<double>::from_systems(std::span{&system, 1})};
    auto state = recurrence.make_state();
    Values response;
    for (std::size_t l = 0; l < length; ++l) {
        const double u = l == 0 ? 1 : 0;
        double y = 0;
        recurrence.step(state, &u, &y);
        response.emplace_back(y);
    }
    return response;
}

}  // namespace

void check_oracle(Case& test) {
    const auto pairs = static_cast<Index>(test.input("Lambda").values.size());
    const Index N = 2 * pairs;
    const auto vector = [&](const char* name) -> Eigen::VectorXcd {
        return Eigen::Map<const Eigen::VectorXcd>(test.input(name, {pairs}).values.data(), pairs);
    };
    const auto real_vector = [&](const char* name) -> Eigen::VectorXd {
        return Eigen::Map<const Eigen::VectorXcd>(test.input(name, {N}).values.data(), N).real();
    };
    const Values& P = test.input("P").values;
    if (pairs < 1 || static_cast<Index>(P.size()) % pairs != 0) test.file().fail("P and Lambda do not fit together");
    const Index rank = static_cast<Index>(P.size()) / pairs;
    const double dt = test.input("dt", {}).values.front().real();
    const std::size_t length = test.truth("K").values.size();
    const Bounds bounds = bounds_for(test.file().stem());

    DplrSystem system{vector("Lambda"), Eigen::MatrixXcd(rank, pairs), vector("B_diag"), vector("C_diag"),
                      Eigen::VectorXd::Constant(pairs, dt)};
    for (Index r = 0; r < rank; ++r)
        for (Index n = 0; n < pairs; ++n) system.P(r, n) = P[static_cast<std::size_t>(r * pairs + n)];

    for (const auto precision : {KernelPrecision::standard, KernelPrecision::accurate}) {
        const std::string label = precision == KernelPrecision::standard ? "K" : "K, accurate";
        test.compare("K",
                     {dplr_kernel_values<Fftw<double>>(system, length, precision),
                      dplr_kernel_values<Fftw<float>>(system, length, precision)},
                     {.bounds = bounds, .label = label, .back_end = "fftw"});
        test.compare("K",
                     {dplr_kernel_values<KissFft<double>>(system, length, precision),
                      dplr_kernel_values<KissFft<float>>(system, length, precision)},
                     {.bounds = bounds, .label = label, .back_end = "kiss"});
    }
    test.compare("K", {impulse_response(system, length)}, {.bounds = bounds, .label = "K by stepping"});

    const Eigen::MatrixXd A = Eigen::Map<const Eigen::Matrix<std::complex<double>, Dynamic, Dynamic, Eigen::RowMajor>>(
                                  test.input("A", {N, N}).values.data(), N, N)
                                  .real();
    const DenseStep<double> step = discretize(Bilinear{}, A, real_vector("B"), dt);
    const Eigen::RowVectorXd C = real_vector("C").transpose();
    test.compare("K", {krylov_values<double>(step, C, length), krylov_values<float>(step, C, length)},
                 {.bounds = bounds, .label = "K by dense powers"});
    constexpr Index largest_written = 16;  // beyond, the matrix may be left out of the file
    if (test.has("dA") || N <= largest_written)
        test.compare("dA", computed_in_double(flatten(step.A_bar)), {.note = cast_note});
    test.compare("dB", computed_in_double(flatten(step.B_bar)), {.note = cast_note});
}

}  // namespace s4::golden
