// Two components side by side: files and FFTW.
#include <s4/fft/fftw.hpp>
#include <s4/io/safetensors.hpp>

#include <iostream>

int main() {
    const s4::Fftw<double>::Plan plan{64};
    try {
        static_cast<void>(s4::Safetensors::read("no such file.safetensors"));
    } catch (const s4::Error& error) {
        std::cout << error.what() << '\n';
        return plan.length() == 64 ? 0 : 1;
    }
    return 1;
}
