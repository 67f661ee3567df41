// The two modes of a layer, and the concepts that the compiler names when a call belongs to the other one.
#pragma once

#include <s4/parameters/bidirectional.hpp>

namespace s4::inline S4_ABI {

/// How a layer runs: `convolution` takes whole sequences through the FFT, `recurrence` takes samples one by one.
enum class Mode { recurrence, convolution };

/// The layer takes whole sequences: prepare, make_workspace, forward.
template <Mode M>
concept ConvolutionMode = M == Mode::convolution;

/// The layer takes samples as they come: step, scan.
template <Mode M>
concept RecurrenceMode = M == Mode::recurrence;

/// Every output depends on the past alone, so that there is a state: all systems but Bidirectional ones.
template <class Ssm>
concept CausalSystem = is_causal<Ssm>;

}  // namespace s4::inline S4_ABI
