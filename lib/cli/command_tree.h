// SPDX-License-Identifier: Apache-2.0
// The commands that people are shown: those of CLI11's tree that are in a group.
#pragma once

#include <CLI/CLI.hpp>
#include <string>
#include <vector>

namespace qpcseal::cli {

// In the order in which they were added.
std::vector<const CLI::App*> shown_commands(const CLI::App& app);
// The one of them with this name; null where there is none.
const CLI::App* find_command(const CLI::App& app, const std::string& name);

}  // namespace qpcseal::cli
