// Compares the library with every numeric oracle of a folder: S4_GOLDEN_DIR, or tests/golden.
#include <s4/core/error.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <filesystem>
#include <string>
#include <system_error>
#include <tests/golden_test/families.hpp>
#include <vector>

namespace s4::golden {

const Family* find_family(std::string_view stem) {
    static constexpr std::array families{
        Family{"hippo_transition_", check_hippo_transition, {}},
        Family{"hippo_nplr_", check_hippo_nplr, {}},
        Family{"hippo_s4dinit_", check_s4d_init, {}},
        Family{"hippo_memory_", check_hippo_memory, {}},
        Family{"disc_", check_discretisation, {}},
        Family{"cauchy_", check_cauchy, {}},
        Family{"vandermonde_", check_vandermonde, {}},
        Family{"oracle_", check_oracle, {}},
        Family{"s4_dplr_", check_dplr_layer, {}},
        Family{"s4d_", check_diagonal_layer, {}},
        Family{"s4d_dss_", check_dss, {}},
        Family{"s4dmin_", check_minimal_diagonal_layer, {}},
        Family{"lssl_", check_lssl, {}},
        Family{"lmu_memory_", check_lmu_memory, {}},
        Family{"lmu_cell_", nullptr, "Legendre memory unit"},
        Family{"block_", check_block, {}},
        Family{"model_", check_model, {}},
        Family{"model_sashimi_", nullptr, "SaShiMi"},
    };
    const Family* best = nullptr;
    for (const Family& family : families)
        if (stem.starts_with(family.prefix) && (best == nullptr || family.prefix.size() > best->prefix.size()))
            best = &family;
    return best;
}

namespace {

class FileTest : public ::testing::Test {
public:
    FileTest(std::filesystem::path path, Report& report) : path_{std::move(path)}, report_{report} {}

    void TestBody() override {
        const std::string stem = path_.stem().string();
        const Family* family = find_family(stem);
        report_.begin_file(family == nullptr ? "(unknown)" : std::string{family->prefix});
        if (family == nullptr) return report_.failure(stem, "(whole file)", "unknown family");
        try {
            const GoldenFile file = GoldenFile::read(path_);
            Case test{file, report_};
            if (file.tensors().empty()) return report_.failure(stem, "(whole file)", "the file holds no tensor");
            if (family->check == nullptr) {
                test.pending_file(std::string{family->missing_feature});
            } else {
                family->check(test);
            }
            test.finish();
        } catch (const std::exception& error) {
            report_.failure(stem, "(whole file)", error.what());
        }
    }

private:
    std::filesystem::path path_;
    Report& report_;
};

std::vector<std::filesystem::path> oracle_files(const std::filesystem::path& folder) {
    std::vector<std::filesystem::path> files;
    std::error_code problem;
    for (std::filesystem::directory_iterator entry{folder, problem}, end; !problem && entry != end;
         entry.increment(problem))
        if (entry->path().extension() == ".safetensors") files.push_back(entry->path());
    if (problem) throw Error(folder.string() + ": " + problem.message());
    std::sort(files.begin(), files.end());
    return files;
}

int run(int argc, char** argv) {
    GTEST_FLAG_SET(brief, true);  // one line a quantity is enough; --gtest_brief=0 brings the rest
    ::testing::InitGoogleTest(&argc, argv);
    const char* chosen = std::getenv("S4_GOLDEN_DIR");
    const std::filesystem::path folder = chosen == nullptr || *chosen == '\0' ? S4_GOLDEN_DEFAULT : chosen;

    Report report;
    const std::vector<std::filesystem::path> files = oracle_files(folder);
    if (files.empty()) throw Error(folder.string() + ": holds no .safetensors file");
    for (const std::filesystem::path& file : files) {
        const std::string stem = file.stem().string();
        const Family* family = find_family(stem);
        std::string suite{family == nullptr ? "unknown_" : family->prefix};
        suite.pop_back();
        ::testing::RegisterTest(suite.c_str(), stem.c_str(), nullptr, nullptr, __FILE__, __LINE__,
                                [file, &report]() -> ::testing::Test* {
                                    return new FileTest{file, report};
                                });
    }
    const int status = RUN_ALL_TESTS();
    report.print_summary();
    return status;
}

}  // namespace
}  // namespace s4::golden

int main(int argc, char** argv) {
    try {
        return s4::golden::run(argc, argv);
    } catch (const std::exception& error) {
        std::fprintf(stderr, "golden_test: %s\n", error.what());
        return 1;
    }
}
