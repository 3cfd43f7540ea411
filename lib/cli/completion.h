// SPDX-License-Identifier: Apache-2.0
// Completion in bash, zsh and fish. The scripts ask the program itself, by the word `__complete`, so they
// know what its command tree knows.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace qpcseal::cli {

inline constexpr std::string_view kComplete = "__complete";
// The line that stands for "and files".
inline constexpr std::string_view kFiles = ":files";

// What an option or an argument takes, by its name ("--mek", "MEK"); nothing: a file.
using ValuesOf = std::function<std::vector<std::string>(const std::string& name)>;

// The words that can stand for the last of `words`, those before it given.
std::vector<std::string> completions(const CLI::App& app, const std::vector<std::string>& words,
                                     const ValuesOf& values_of);

// For main: whether the command line asks for completions, which are then printed.
bool print_completions(const CLI::App& app, const std::vector<std::string>& words, const ValuesOf& values_of);

// The script for a shell, "bash", "zsh" or "fish"; for the three programs.
std::string completion_script(std::string_view shell);
std::vector<std::string> completed_shells();

}  // namespace qpcseal::cli
