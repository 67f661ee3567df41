// The two modes of a layer, and the concepts that the compiler names when a call belongs to the other one.
#pragma once

#include <s4/core/scalar.hpp>

namespace s4::inline S4_ABI {

/// How a layer runs: `convolution` takes whole sequences through the FFT, `recurrence` takes samples one by one.
enum class Mode { recurrence, convolution };

/// The layer takes whole sequences: prepare, make_workspace, forward.
template <Mode M>
concept ConvolutionMode = M == Mode::convolution;

/// The layer takes samples as they come: step, scan.
template <Mode M>
concept RecurrenceMode = M == Mode::recurrence;

}  // namespace s4::inline S4_ABI
