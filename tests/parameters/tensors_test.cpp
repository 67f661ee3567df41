#include <s4/core/error.hpp>
#include <s4/discretize/zero_order_hold.hpp>
#include <s4/parameters/diagonal.hpp>
#include <s4/parameters/tensors.hpp>

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace s4 {
namespace {

// An object of parts that have parts: two pairs of systems.
struct Pair {
    using Ssm = Diagonal<double>;
    struct Parameters {
        Ssm::Parameters first, second;
    };
    template <class Visitor, class P, class... More>
    static void for_each_tensor(Visitor&& visit, P&& p, More&&... more) {
        for_each_tensor_of<Ssm>("first", -1, visit, p.first, more.first...);
        for_each_tensor_of<Ssm>("second", -1, visit, p.second, more.second...);
    }
};
struct Pairs {
    struct Parameters {
        std::vector<Pair::Parameters> pairs;
    };
    template <class Visitor, class P, class... More>
    static void for_each_tensor(Visitor&& visit, P&& p, More&&... more) {
        for (std::size_t i = 0; i < p.pairs.size(); ++i)
            for_each_tensor_of<Pair>("pairs", static_cast<Index>(i), visit, p.pairs[i], more.pairs[i]...);
    }
};

[[nodiscard]] Pairs::Parameters two_pairs() {
    const Diagonal<double>::Parameters p = Diagonal<double>::random({.channels = 2, .state_size = 4}, 1);
    return {{{p, p}, {p, p}}};
}

TEST(Tensors, AreNamedByThePartsThatHaveThem) {
    std::vector<std::string> names;
    const Pairs::Parameters p = two_pairs();
    Pairs::for_each_tensor([&](const TensorInfo& info, const auto&) { names.push_back(full_name(info)); }, p);
    ASSERT_EQ(names.size(), 24u);
    EXPECT_EQ(names.front(), "pairs.0.first.inv_dt");
    EXPECT_EQ(names[6], "pairs.0.second.inv_dt");
    EXPECT_EQ(names.back(), "pairs.1.second.D");
}

TEST(Tensors, OfSeveralObjectsAreVisitedInStep) {
    const Pairs::Parameters p = two_pairs();
    Pairs::Parameters zero = zero_like<Pairs>(p);
    int visits = 0;
    Pairs::for_each_tensor(
        [&](const TensorInfo& info, const auto& from, auto& to) {
            EXPECT_EQ(to.rows(), from.rows()) << full_name(info);
            EXPECT_TRUE(to.isZero(0)) << full_name(info);
            EXPECT_FALSE(from.isZero(0)) << full_name(info);
            to = from;
            ++visits;
        },
        p, zero);
    EXPECT_EQ(visits, 24);
    EXPECT_EQ(zero.pairs[1].second.C, p.pairs[1].second.C);
}

}  // namespace
}  // namespace s4
