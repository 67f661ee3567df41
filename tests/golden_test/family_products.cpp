// cauchy_*, vandermonde_*: the sums inside the kernels.
#include <s4/kernel/cauchy.hpp>
#include <s4/kernel/vandermonde.hpp>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <span>
#include <tests/golden_test/families.hpp>
#include <utility>

namespace s4::golden {

namespace {

using ComplexSpan = std::span<const std::complex<double>>;

/// The batch axes and the last one of a tensor.
struct Batched {
    ComplexSpan values;
    std::size_t batch;
    std::size_t count;

    explicit Batched(const Tensor& tensor)
        : values{tensor.values},
          batch{1},
          count{static_cast<std::size_t>(tensor.shape.empty() ? 1 : tensor.shape.back())} {
        for (std::size_t axis = 0; axis + 1 < tensor.shape.size(); ++axis)
            batch *= static_cast<std::size_t>(tensor.shape[axis]);
    }
    /// Item `b`; a tensor without batch axes is shared by all items.
    [[nodiscard]] ComplexSpan operator[](std::size_t b) const {
        return values.subspan((batch == 1 ? 0 : b) * count, count);
    }
};

/// Error unless the shapes fit: equal batches, or none; equal counts where they must be.
std::size_t common_batch(const Case& test, std::initializer_list<Batched> tensors) {
    std::size_t batch = 1;
    for (const Batched& tensor : tensors) batch = std::max(batch, tensor.batch);
    for (const Batched& tensor : tensors)
        if (tensor.batch != 1 && tensor.batch != batch) test.file().fail("the batch axes do not agree");
    return batch;
}

template <RealScalar Scalar>
Values cauchy_values(const Batched& v, const Batched& z, const Batched& w, std::size_t batch) {
    Values values;
    std::vector<std::complex<Scalar>> result(z.count);
    for (std::size_t b = 0; b < batch; ++b) {
        cauchy<Scalar>(v[b], z[b], w[b], result);
        values.insert(values.end(), result.begin(), result.end());
    }
    return values;
}

/// How far the sums may move, relative to the largest, when nodes and poles are known to a pair of floats only:
/// |v| (|z| + |w|) 2^-48 / |z − w|² a term. What no arithmetic on such inputs can undo.
double pole_amplification(const Batched& v, const Batched& z, const Batched& w, std::size_t batch, double largest) {
    double worst = 0;
    for (std::size_t b = 0; b < batch; ++b)
        for (const std::complex<double> node : z[b]) {
            double moved = 0;
            for (std::size_t n = 0; n < v.count; ++n)
                for (const std::complex<double> pole : {w[b][n], std::conj(w[b][n])})
                    moved += std::abs(v[b][n]) * (std::abs(node) + std::abs(pole)) / std::norm(node - pole);
            worst = std::max(worst, moved);
        }
    return pair_of_floats_rounding * worst / largest;
}

double largest_of(const Values& values) {
    double largest = 0;
    for (const std::complex<double>& value : values) largest = std::max(largest, std::abs(value));
    return largest;
}

/// Adds what the inputs lose in float to the bound; nothing is judged where that is everything.
Comparison amplified(double amplification) {
    Comparison comparison;
    comparison.bounds.in_float += amplification;
    char text[64];
    std::snprintf(text, sizeof text, "float bound 1e-5 + %.1e from the inputs", amplification);
    comparison.note = text;
    if (!(amplification <= 1)) {
        comparison.judge_float = false;
        comparison.note += ": printed only";
    }
    return comparison;
}

template <RealScalar Scalar>
Values vandermonde_values(const Batched& v, const Batched& x, std::size_t batch, std::size_t length) {
    Values values;
    std::vector<Scalar> kernel(length);
    for (std::size_t b = 0; b < batch; ++b) {
        vandermonde<Scalar>(v[b], x[b], kernel);
        values.insert(values.end(), kernel.begin(), kernel.end());
    }
    return values;
}

template <RealScalar Scalar>
Values transposed_values(const Batched& v, const Batched& x, const Batched& u, std::size_t batch) {
    Values values;
    std::vector<std::complex<Scalar>> result(v.count);
    std::vector<Scalar> input(u.count);
    for (std::size_t b = 0; b < batch; ++b) {
        std::transform(u[b].begin(), u[b].end(), input.begin(),
                       [](const std::complex<double>& value) { return static_cast<Scalar>(value.real()); });
        vandermonde_transpose<Scalar>(v[b], x[b], input, result);
        values.insert(values.end(), result.begin(), result.end());
    }
    return values;
}

/// How much a float rounding of each of these terms moves their sum, relative to the largest result.
double cancellation(const Batched& v, double gain, double largest) {
    double worst = 0;
    for (std::size_t b = 0; b < v.batch; ++b) {
        double sum = 0;
        for (const std::complex<double> value : v[b]) sum += std::abs(value);
        worst = std::max(worst, sum);
    }
    return float_rounding * gain * worst / largest;
}

/// Values in the scalar of the library.
template <class To>
std::vector<To> narrowed(ComplexSpan values) {
    std::vector<To> result;
    for (const std::complex<double>& value : values) {
        if constexpr (Eigen::NumTraits<To>::IsComplex) {
            result.push_back(static_cast<To>(value));
        } else {
            result.push_back(static_cast<To>(value.real()));
        }
    }
    return result;
}

/// What the loss gains by the three inputs: one row for each item of the batch, or their sum where they share one.
struct CauchyGradients {
    Values v, z, w;
};

template <RealScalar Scalar>
CauchyGradients cauchy_gradients(const Batched& v, const Batched& z, const Batched& w, const Batched& g,
                                 std::size_t batch) {
    CauchyGradients gradients{Values(v.values.size()), Values(z.values.size()), Values(w.values.size())};
    const auto item = [](Values& values, const Batched& input, std::size_t b) {
        return std::span{values}.subspan((input.batch == 1 ? 0 : b) * input.count, input.count);
    };
    for (std::size_t b = 0; b < batch; ++b)
        cauchy_vjp<Scalar>(v[b], z[b], w[b], narrowed<std::complex<Scalar>>(g[b]), item(gradients.v, v, b),
                           item(gradients.z, z, b), item(gradients.w, w, b));
    return gradients;
}

struct VandermondeGradients {
    Values v, x;
};

template <RealScalar Scalar>
VandermondeGradients vandermonde_gradients(const Batched& v, const Batched& x, const Batched& g, std::size_t batch) {
    VandermondeGradients gradients{Values(v.values.size()), Values(x.values.size())};
    for (std::size_t b = 0; b < batch; ++b)
        vandermonde_vjp<Scalar>(v[b], x[b], narrowed<Scalar>(g[b]),
                                std::span{gradients.v}.subspan(b * v.count, v.count),
                                std::span{gradients.x}.subspan(b * x.count, x.count));
    return gradients;
}

/// How far the gradients by the poles and the nodes may move, relative to the largest, when nodes and poles are known
/// to a pair of floats only: one power of the distance more than the sums.
double gradient_amplification(const Batched& v, const Batched& z, const Batched& w, const Batched& g, std::size_t batch,
                              double power, double largest) {
    double worst = 0;
    for (std::size_t b = 0; b < batch; ++b)
        for (std::size_t n = 0; n < v.count; ++n)
            for (std::size_t l = 0; l < z.count; ++l)
                for (const std::complex<double> pole : {w[b][n], std::conj(w[b][n])})
                    worst = std::max(worst, std::abs(g[b][l]) * (std::abs(z[b][l]) + std::abs(pole)) /
                                                std::pow(std::abs(z[b][l] - pole), power) *
                                                (power > 2 ? 2 * std::abs(v[b][n]) : 1.0));
    return pair_of_floats_rounding * worst / largest;
}

}  // namespace

void check_cauchy(Case& test) {
    const Batched v{test.input("v")};
    const Batched z{test.input("z")};
    const Batched w{test.input("w")};
    if (v.count != w.count) test.file().fail("v and w need the same last axis");
    const std::size_t batch = common_batch(test, {v, z, w});
    const bool near = test.file().stem().starts_with("cauchy_near_");
    const double largest = largest_of(test.truth("r").values);
    const Comparison comparison = near ? amplified(pole_amplification(v, z, w, batch, largest)) : Comparison{};
    test.compare("r", {cauchy_values<double>(v, z, w, batch), cauchy_values<float>(v, z, w, batch)}, comparison);

    const Batched g{test.input("g")};
    if (g.count != z.count || g.batch != batch) test.file().fail("g needs the shape of r");
    CauchyGradients in_double = cauchy_gradients<double>(v, z, w, g, batch);
    CauchyGradients in_float = cauchy_gradients<float>(v, z, w, g, batch);
    const auto bounds = [&](const std::string& name, double power) {
        return near ? amplified(gradient_amplification(v, z, w, g, batch, power, largest_of(test.truth(name).values)))
                    : Comparison{};
    };
    test.compare("grad.v", {std::move(in_double.v), std::move(in_float.v)}, bounds("grad.v", 2));
    test.compare("grad.z", {std::move(in_double.z), std::move(in_float.z)}, bounds("grad.z", 3));
    test.compare("grad.w", {std::move(in_double.w), std::move(in_float.w)}, bounds("grad.w", 3));
}

void check_vandermonde(Case& test) {
    const Batched v{test.input("v")};
    const Batched x{test.input("x")};
    const Batched u{test.input("u")};
    if (v.count != x.count) test.file().fail("v and x need the same last axis");
    const Batched y{test.truth("y")};
    const std::size_t batch = common_batch(test, {v, x, u, y});
    const std::string& stem = test.file().stem();
    const bool hard = stem.starts_with("vandermonde_slow") || stem.starts_with("vandermonde_near");
    // Exponents are used in double, so only the rounding of the coefficients is left to be amplified by cancellation.
    const auto bounds = [&](const std::string& name, double gain) {
        return hard ? amplified(cancellation(v, gain, largest_of(test.truth(name).values))) : Comparison{};
    };
    test.compare("y",
                 {vandermonde_values<double>(v, x, batch, y.count), vandermonde_values<float>(v, x, batch, y.count)},
                 bounds("y", 2));
    test.compare("transpose", {transposed_values<double>(v, x, u, batch), transposed_values<float>(v, x, u, batch)},
                 bounds("transpose", 1));

    const Batched g{test.input("g")};
    if (g.count != y.count || v.batch != batch || x.batch != batch || g.batch != batch)
        test.file().fail("v, x and g need the batch axes and the length of y");
    VandermondeGradients in_double = vandermonde_gradients<double>(v, x, g, batch);
    VandermondeGradients in_float = vandermonde_gradients<float>(v, x, g, batch);
    test.compare("grad.v", {std::move(in_double.v), std::move(in_float.v)});
    test.compare("grad.x", {std::move(in_double.x), std::move(in_float.x)});
}

}  // namespace s4::golden
