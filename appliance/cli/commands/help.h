// SPDX-License-Identifier: Apache-2.0
// What --help and the man page say beside the options: examples, exit codes, environment and files.
#pragma once

#include <CLI/CLI.hpp>

namespace qpcseal::cli {

// For the whole tree, once it is complete. Also adds the hidden --man.
void add_help(CLI::App& app);

}  // namespace qpcseal::cli
