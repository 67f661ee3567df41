#include <s4/parameters/transforms.hpp>

#include <limits>
#include <tests/support/expect_error.hpp>
#include <tests/support/tolerances.hpp>

namespace {

using s4::Transform;
using Accuracy = s4::test::Tolerance<double>;

constexpr Transform every_transform[] = {Transform::none, Transform::exp, Transform::relu, Transform::sigmoid,
                                         Transform::softplus};

TEST(Transforms, AreFoundByTheirNames) {
    for (const Transform transform : every_transform)
        EXPECT_EQ(s4::transform_from_name(s4::name_of(transform)), transform);
    EXPECT_S4_ERROR(static_cast<void>(s4::transform_from_name("tanh")), "'tanh'", "none, exp, relu, sigmoid, softplus");
}

TEST(Transforms, InverseUndoesApply) {
    for (const Transform transform : every_transform)
        for (const double x : {0.0, 1e-3, 0.25, 0.5, 1.0, 2.0, 7.0})
            EXPECT_NEAR(s4::inverse(transform, s4::apply(transform, x)), x, Accuracy::law) << s4::name_of(transform);
    for (const Transform transform : {Transform::none, Transform::exp, Transform::sigmoid, Transform::softplus})
        for (const double x : {-1e-3, -0.5, -1.0, -7.0, -30.0})
            EXPECT_NEAR(s4::inverse(transform, s4::apply(transform, x)), x, Accuracy::law) << s4::name_of(transform);
}

TEST(Transforms, ApplyUndoesInverseForTinyAndHugeValues) {
    const auto relative = [](Transform transform, double y) {
        return std::abs(s4::apply(transform, s4::inverse(transform, y)) - y) / y;
    };
    // A value e^x carries the rounding of x, so |x| roundings.
    for (const double y : {1e-300, 1e-8, 1e-4, 0.5, 0.999, 1.0, 1.001, 3.0, 100.0, 1e10, 1e300})
        for (const Transform transform : {Transform::none, Transform::exp, Transform::softplus})
            EXPECT_LE(relative(transform, y), Accuracy::law) << s4::name_of(transform) << ' ' << y;
    for (const double y : {1e-300, 1e-8, 0.2, 0.25, 0.4, 0.5, 0.6, 0.75, 0.999})
        EXPECT_LE(relative(Transform::sigmoid, y), Accuracy::law) << y;
    for (const double y : {1e-4, 2e-4, 1.0, 1e10}) EXPECT_LE(relative(Transform::relu, y), Accuracy::rounding) << y;
}

TEST(Transforms, HaveTheirDefinedValues) {
    EXPECT_EQ(s4::apply(Transform::none, -3.0), -3.0);
    EXPECT_EQ(s4::apply(Transform::relu, -3.0), 1e-4);
    EXPECT_EQ(s4::apply(Transform::relu, 2.0), 2.0001);
    EXPECT_EQ(s4::apply(Transform::sigmoid, 0.0), 0.5);
    EXPECT_EQ(s4::apply(Transform::softplus, 0.0), std::log(2.0));
    EXPECT_EQ(s4::apply(Transform::softplus, 1000.0), 1000.0);
    EXPECT_EQ(s4::apply(Transform::sigmoid, 1000.0), 1.0);
    EXPECT_EQ(s4::apply(Transform::sigmoid, -1000.0), 0.0);
    EXPECT_EQ(s4::inverse(Transform::softplus, 100.0), 100.0);
}

TEST(Transforms, DerivativeIsTheSlope) {
    constexpr double step = 1e-6;
    for (const Transform transform : every_transform)
        for (const double x : {-3.0, -0.7, 0.3, 1.0, 4.0}) {
            const double slope = (s4::apply(transform, x + step) - s4::apply(transform, x - step)) / (2 * step);
            EXPECT_NEAR(s4::derivative(transform, x), slope, s4::test::central_difference * (1 + std::abs(slope)))
                << s4::name_of(transform) << ' ' << x;
        }
    EXPECT_EQ(s4::derivative(Transform::softplus, 1000.0), 1.0);
    EXPECT_EQ(s4::derivative(Transform::sigmoid, -1000.0), 0.0);
}

TEST(Transforms, InverseRefusesValuesTheyNeverTake) {
    constexpr double nan = std::numeric_limits<double>::quiet_NaN();
    constexpr double infinity = std::numeric_limits<double>::infinity();
    for (const Transform transform : every_transform) {
        EXPECT_S4_ERROR(static_cast<void>(s4::inverse(transform, nan)), s4::name_of(transform).data(), "nan");
        EXPECT_S4_ERROR(static_cast<void>(s4::inverse(transform, infinity)), s4::name_of(transform).data(), "inf");
    }
    EXPECT_S4_ERROR(static_cast<void>(s4::inverse(Transform::exp, 0.0)), "exp", "above 0");
    EXPECT_S4_ERROR(static_cast<void>(s4::inverse(Transform::softplus, -1.0)), "softplus", "-1", "above 0");
    EXPECT_S4_ERROR(static_cast<void>(s4::inverse(Transform::relu, 0.0)), "relu", "1e-4");
    EXPECT_S4_ERROR(static_cast<void>(s4::inverse(Transform::sigmoid, 1.0)), "sigmoid", "between 0 and 1");
}

}  // namespace
