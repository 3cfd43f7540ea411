// SPDX-License-Identifier: Apache-2.0
// What a mistyped word was meant to be.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace qpcseal::cli {

// The known word with the fewest changes (letters put in, left out, exchanged, swapped), or that begins with
// `word`; nothing where none is near: at most a third of its letters differ.
std::optional<std::string> nearest(std::string_view word, const std::vector<std::string>& known);
// "did you mean 'list'?"; empty where nothing is near.
std::string did_you_mean(std::string_view word, const std::vector<std::string>& known);

// The first word of a command line that `app` does not know, a command or an option, as Error{Usage} that
// names what is near; nothing where all are known. For a line that did not parse.
std::optional<Error> unknown_word(const CLI::App& app, const std::vector<std::string>& words);

// Commands `help [COMMAND...]` and `version`, which print what --help and --version do. `app` must be
// complete but for them, and live as long as it parses.
void add_help_commands(CLI::App& app);

}  // namespace qpcseal::cli
