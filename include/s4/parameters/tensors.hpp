// Parameters are values: plain aggregates of tensors that one visitor walks, alone or several of them in step.
#pragma once

#include <s4/core/error.hpp>
#include <s4/core/sequence.hpp>

#include <string_view>

namespace s4::inline S4_ABI {

/// How an optimiser treats a tensor. The S4 papers train `ssm` tensors (dt, A, B, P) with a small learning rate and no
/// weight decay, `ssm_output` (C) with the small rate but with decay, everything else with the base rate; `frozen`
/// tensors stay as they are.
enum class TensorRole { ordinary, ssm, ssm_output, frozen };

/// What a visitor is told of a tensor: its name in checkpoints and its role.
struct TensorInfo {
    std::string_view name;
    TensorRole role;
};

namespace detail {

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
}  // namespace s4::inline S4_ABI
