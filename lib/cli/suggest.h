// SPDX-License-Identifier: Apache-2.0
// What a mistyped command line was meant to be; base/nearest.h has single words.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/nearest.h"

namespace qpcseal::cli {

// The first word of a command line that `app` does not know, a command or an option, as Error{Usage} that
// names what is near; nothing where all are known. For a line that did not parse.
std::optional<Error> unknown_word(const CLI::App& app, const std::vector<std::string>& words);

// Commands `help [COMMAND...]` and `version`, which print what --help and --version do. `app` must require
// one command, be complete but for them, and live as long as it parses.
void add_help_commands(CLI::App& app);

}  // namespace qpcseal::cli
