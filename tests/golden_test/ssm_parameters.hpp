// The parameters of a system from the plain numbers of an oracle.
#pragma once

#include <s4/parameters/tensors.hpp>

#include <complex>
#include <string>
#include <tests/golden_test/layer_problem.hpp>

namespace s4::golden {

/// The parameters as the file has them, without a band limit: values of single precision, widened or as they are.
template <class Ssm>
[[nodiscard]] typename Ssm::Parameters unlimited_parameters(const LayerProblem& problem) {
    using Scalar = typename Ssm::Scalar;
    using Complex = std::complex<Scalar>;
    typename Ssm::Parameters p;
    static_cast<SsmOptions&>(p) = problem.options;
    p.band_limit = 0;
    p.inv_dt = problem.inv_dt.template cast<Scalar>();
    p.A_real = problem.A_real.template cast<Scalar>();
    p.A_imag = problem.A_imag.template cast<Scalar>();
    p.B = problem.B.template cast<Complex>();
    p.C = problem.C.template cast<Complex>();
    p.D = problem.D.template cast<Scalar>();
    if constexpr (requires { p.P; }) {
        p.P = problem.P.template cast<Complex>();
        p.kernel_length = problem.kernel_length;
    }
    return p;
}

/// Every tensor of parameters (or of a gradient) under `prefix` and its full name.
template <class Layer>
void put_tensors(const typename Layer::Parameters& p, const std::string& prefix, Results& results) {
    Layer::for_each_tensor(
        [&](const TensorInfo& info, const auto& tensor) { results[prefix + full_name(info)] = flatten(tensor); }, p);
}

}  // namespace s4::golden
