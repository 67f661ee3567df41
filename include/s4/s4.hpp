// Everything that runs a layer, without an FFT: for Mode::convolution include <s4/fft/fftw.hpp> or
// <s4/fft/kiss_fft.hpp> as well; files are in <s4/io/…>.
#pragma once

#include <s4/core/denormals.hpp>
#include <s4/layer/s4_layer.hpp>
#include <s4/version.hpp>
