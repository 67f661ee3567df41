// What the examples share around their one idea: the command line, the folder for results, and pictures by gnuplot.
#pragma once

#include <CLI/CLI.hpp>
#include <Eigen/Core>

#include <cstdlib>
#include <exception>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <new>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace example {

namespace fs = std::filesystem;
using Error = std::runtime_error;

/// Parses the command line and runs `work()`. What `work` throws becomes one line on stderr, after the name of the app.
/// Returns the exit code of the program.
template <class Work>
int run_program(CLI::App& app, int argc, char** argv, const Work& work) {
    try {
        app.parse(argc, argv);
        work();
        return EXIT_SUCCESS;
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
    } catch (const std::bad_alloc&) {
        std::cerr << app.get_name() << ": out of memory\n";
    } catch (const std::exception& error) {
        std::cerr << app.get_name() << ": " << error.what() << '\n';
    }
    return EXIT_FAILURE;
}

/// The absolute path of a folder, made if it is not there. Error when it cannot be made.
inline fs::path make_folder(const std::string& path) {
    std::error_code failure;
    fs::create_directories(path, failure);
    if (failure) throw Error("cannot make the folder " + path + ": " + failure.message());
    return fs::canonical(path);
}

/// Pictures drawn by gnuplot (a process, never linked): data and commands are collected in one script, which stays
/// beside the pictures, so that they can be drawn again with other colours.
///     Plot plot{folder};
///     plot.data("signal", table);                                   // [points × columns] becomes $signal
///     plot.picture("signal.png", 1200, 600);                        // what follows is drawn there
///     plot << "plot $signal using 1:2 with lines title 'input'\n";
///     plot.draw();
class Plot {
public:
    explicit Plot(fs::path folder) : folder_{std::move(folder)}, script_{folder_ / "plot.gp"} {
        script_.precision(9);
        script_ << "set encoding utf8\n";
    }

    /// The data block $name: one line for each row of `table`. A NaN is a gap.
    template <class Derived>
    void data(std::string_view name, const Eigen::DenseBase<Derived>& table) {
        script_ << '$' << name << " << EOD\n" << table << "\nEOD\n";
    }

    /// Begins a picture of that many pixels.
    void picture(const std::string& file, int width, int height) {
        pictures_.push_back(file);
        script_ << "set output\nset terminal pngcairo noenhanced size " << width << ", " << height << "\nset output '"
                << file << "'\n";
    }

    /// Appends commands, which may hold numbers.
    template <class Value>
    Plot& operator<<(const Value& value) {
        script_ << value;
        return *this;
    }

    /// Draws, and prints where the pictures are – or, without gnuplot, how to get it. Error when gnuplot fails; then no
    /// picture is left.
    void draw() {
        script_.close();
        const fs::path file = folder_ / "plot.gp";
        if (!script_) throw Error("cannot write " + file.string());
        if (std::system("gnuplot --version > /dev/null 2>&1") != 0) {
            std::cout << "pictures            none: gnuplot was not found (apt-get install gnuplot-nox)\n";
            return;
        }
        // Run in the folder: the command holds no name that a user chose, so nothing in one can reach the shell.
        const fs::path before = fs::current_path();
        fs::current_path(folder_);
        const bool drawn = std::system("gnuplot plot.gp") == 0;
        fs::current_path(before);
        if (!drawn) {
            std::error_code ignored;
            for (const std::string& picture : pictures_) fs::remove(folder_ / picture, ignored);
            throw Error("gnuplot could not draw the pictures; its script is " + file.string());
        }
        const char* label = "pictures            ";
        for (const std::string& picture : pictures_) {
            std::cout << label << (folder_ / picture).string() << '\n';
            label = "                    ";
        }
    }

private:
    fs::path folder_;
    std::ofstream script_;
    std::vector<std::string> pictures_;
};

}  // namespace example
