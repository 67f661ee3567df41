// The families of oracles, by the prefix of their files.
#pragma once

#include <string_view>
#include <tests/golden_test/report.hpp>

namespace s4::golden {

// Each compares one file; see the README of the oracles for the formulas.
void check_hippo_transition(Case& test);
void check_hippo_nplr(Case& test);
void check_hippo_memory(Case& test);
void check_s4d_init(Case& test);
void check_discretisation(Case& test);
void check_cauchy(Case& test);
void check_vandermonde(Case& test);
void check_oracle(Case& test);
void check_dplr_layer(Case& test);
void check_diagonal_layer(Case& test);
void check_dss(Case& test);
void check_minimal_diagonal_layer(Case& test);
void check_block(Case& test);
/// The minimal diagonal layer as a block: all but its kernels.
void check_minimal_block(Case& test);
void check_model(Case& test);
void check_lmu_memory(Case& test);
void check_lssl(Case& test);

/// One family: a check, or the name of the feature that it waits for.
struct Family {
    std::string_view prefix;
    void (*check)(Case&);
    std::string_view missing_feature;
};

/// The family whose prefix `stem` begins with, the longest that fits; nullptr when there is none.
[[nodiscard]] const Family* find_family(std::string_view stem);

}  // namespace s4::golden
