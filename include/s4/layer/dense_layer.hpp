// What S4Layer needs to run a dense system. Apart from the others for its compile time (Eigen's matrix functions).
#pragma once

#include <s4/kernel/krylov.hpp>
#include <s4/layer/s4_layer.hpp>
#include <s4/recurrence/dense_recurrence.hpp>

namespace s4::inline S4_ABI {

/// LSSL: a dense system under the bilinear rule. `Lssl<double, Mode::convolution>`. O(N²) a step: for studies.
template <RealScalar Scalar, Mode M, class Fft = Fftw<Scalar>>
using Lssl = S4Layer<Dense<Scalar>, M, Fft>;

}  // namespace s4::inline S4_ABI
