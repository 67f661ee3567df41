// The reverse pass of a whole layer: kernels made for training, and the convolution with them.
#pragma once

#include <s4/convolution/causal_convolution.hpp>
#include <s4/kernel/trainable_kernels.hpp>

#include <string>
#include <tests/golden_test/layer_problem.hpp>
#include <tests/golden_test/ssm_parameters.hpp>

namespace s4::golden {

/// [B·L × rows] from [B, rows, L] (`features_first`), and back.
template <RealScalar Scalar>
[[nodiscard]] Sequence<Scalar> time_first(const Values& values, Index batch, Index rows, Index length) {
    Sequence<Scalar> sequence(batch * length, rows);
    for (Index b = 0; b < batch; ++b)
        for (Index row = 0; row < rows; ++row)
            for (Index l = 0; l < length; ++l)
                sequence(b * length + l, row) =
                    static_cast<Scalar>(values[static_cast<std::size_t>((b * rows + row) * length + l)].real());
    return sequence;
}
template <RealScalar Scalar>
[[nodiscard]] Values features_first(const Sequence<Scalar>& sequence, Index batch) {
    Values values;
    const Index length = sequence.rows() / batch;
    for (Index b = 0; b < batch; ++b)
        for (Index row = 0; row < sequence.cols(); ++row)
            for (Index l = 0; l < length; ++l) values.emplace_back(static_cast<double>(sequence(b * length + l, row)));
    return values;
}

/// The gradient of Σ y g by every tensor of `p` and by u, under `prefix` and its name; and `prefix`y, the output that
/// was differentiated.
template <class System, class Fft>
void layer_gradients(const LayerProblem& problem, const typename System::Parameters& p, const std::string& prefix,
                     Results& results) {
    using Scalar = typename System::Scalar;
    TrainableKernels<System, Fft> kernels{p, problem.length};
    Sequence<Scalar> table(p.C.rows(), problem.length);
    kernels.forward(p, table);
    const CausalConvolution<Fft> convolution{table, {.heads = p.heads(), .bidirectional = !is_causal<System>}};
    typename CausalConvolution<Fft>::Workspace workspace{convolution};
    typename CausalConvolution<Fft>::VjpWorkspace vjp_workspace{convolution};

    const Sequence<Scalar> u = time_first<Scalar>(problem.u, problem.batch, problem.channels, problem.length);
    const Sequence<Scalar> g =
        time_first<Scalar>(problem.g, problem.batch, problem.heads * problem.channels, problem.length);
    Sequence<Scalar> y(u.rows(), g.cols());
    convolution(workspace, u, y, problem.batch);
    Sequence<Scalar> du(u.rows(), u.cols());
    convolution.vjp(vjp_workspace, u, g, du, table, problem.batch);
    typename System::Parameters gradient = zero_like<System>(p);
    kernels.vjp(p, table, gradient);

    put_tensors<System>(gradient, prefix, results);
    results[prefix + "u"] = features_first<Scalar>(du, problem.batch);
    results[prefix + "y"] = features_first<Scalar>(y, problem.batch);
}

}  // namespace s4::golden
