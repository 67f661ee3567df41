// expected: error: [^\n]*#include <s4/fft/fftw\.hpp>
#include <s4/s4.hpp>

#ifdef S4_MUST_FAIL
using Layer = s4::S4<float, s4::Mode::convolution>;
#else
using Layer = s4::S4<float, s4::Mode::recurrence>;  // needs no FFT
#endif

Layer make(const s4::Dplr<float>::Parameters& parameters) { return Layer{parameters}; }
