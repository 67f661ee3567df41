// Parameters are values: plain aggregates of tensors that one visitor walks, alone or several of them in step.
#pragma once

#include <s4/core/error.hpp>
#include <s4/core/sequence.hpp>

#include <string>
#include <string_view>
#include <type_traits>

namespace s4::inline S4_ABI {

/// How an optimiser treats a tensor. The S4 papers train `ssm` tensors (dt, A, B, P) with a small learning rate and no
/// weight decay, `ssm_output` (C) with the small rate but with decay, everything else with the base rate; `frozen`
/// tensors stay as they are.
enum class TensorRole { ordinary, ssm, ssm_output, frozen };

/// One part of a larger object, whose tensors are called "blocks.0.ssm.C": the part, its number if there are several,
/// and the part that it belongs to. On the stack of for_each_tensor, so naming tensors does not allocate.
struct TensorScope {
    std::string_view part;               ///< its name
    Index number = -1;                   ///< −1: there is one
    const TensorScope* outer = nullptr;  ///< nullptr: the whole object
};

/// What a visitor is told of a tensor: its name in checkpoints, its role, and the part that has it.
struct TensorInfo {
    std::string_view name;
    TensorRole role;
    const TensorScope* scope = nullptr;  ///< valid during the visit
};

/// "blocks.0.ssm.C".
[[nodiscard]] inline std::string full_name(const TensorInfo& info) {
    std::string name{info.name};
    for (const TensorScope* scope = info.scope; scope != nullptr; scope = scope->outer) {
        std::string outer{scope->part};
        if (scope->number >= 0) outer += '.' + std::to_string(scope->number);
        name = outer + '.' + name;
    }
    return name;
}

/// Visits the tensors of one part of a larger object: Layer::for_each_tensor of that part (and of the same part of
/// `more`), named behind `part` (and `number`). What a layer with parts calls in its own for_each_tensor.
template <class Layer, class Visitor, class P, class... More>
void for_each_tensor_of(std::string_view part, Index number, Visitor& visit, P& p, More&... more);

/// A copy of `p`, the parameters of `Layer`, in which every tensor is zero: a gradient or a moment before the first
/// step. Error when memory runs out.
template <class Layer, class P>
[[nodiscard]] P zero_like(const P& p) {
    return detail::or_out_of_memory("zero_like", [&] {
        P zero = p;
        Layer::for_each_tensor([](const TensorInfo&, auto& tensor) { tensor.setZero(); }, zero);
        return zero;
    });
}

namespace detail {

/// A visitor that tells another one which part a tensor belongs to.
template <class Visitor>
struct ScopedVisitor {
    Visitor& visit;
    TensorScope scope;

    template <class... Tensors>
    void operator()(TensorInfo info, Tensors&... tensors) const {
        if (info.scope == nullptr) info.scope = &scope;
        visit(info, tensors...);
    }
};
template <class Visitor>
inline constexpr bool is_scoped = false;
template <class Visitor>
inline constexpr bool is_scoped<ScopedVisitor<Visitor>> = true;

[[nodiscard]] constexpr TensorInfo tensor_info(std::string_view name, TensorRole role, bool frozen) noexcept {
    return {name, frozen ? TensorRole::frozen : role};
}

template <class Derived>
void check_tensor(const char* system, const char* name, const Eigen::DenseBase<Derived>& tensor, Index rows,
                  Index cols) {
    require(tensor.rows() == rows && tensor.cols() == cols, system, ": ", name, " must be [", rows, " x ", cols,
            "], found [", tensor.rows(), " x ", tensor.cols(), "]");
    require(all_finite(tensor), system, ": ", name, " has an entry that is infinite or not a number");
}

}  // namespace detail

template <class Layer, class Visitor, class P, class... More>
void for_each_tensor_of(std::string_view part, Index number, Visitor& visit, P& p, More&... more) {
    detail::ScopedVisitor<Visitor> scoped{visit, {part, number}};
    if constexpr (detail::is_scoped<std::remove_const_t<Visitor>>) scoped.scope.outer = &visit.scope;
    Layer::for_each_tensor(scoped, p, more...);
}

}  // namespace s4::inline S4_ABI
