// SPDX-License-Identifier: Apache-2.0
// Files and folders that a command line names, so that the process can be kept from all others.
#pragma once

#include <CLI/CLI.hpp>
#include <filesystem>
#include <span>
#include <string_view>
#include <vector>

namespace qpcseal::cli {

struct NamedFiles {
  std::vector<std::filesystem::path> read, write;
};

// The subcommand that was given, or `app` itself. `app` has parsed.
const CLI::App& chosen_command(const CLI::App& app);

// Each value of an option or argument that names something that exists, to read; "file:PATH" and "NAME=PATH"
// name PATH. The value of an option in `written` ("--output"), to write: the folder that holds it, and what
// it is.
NamedFiles named_files(const CLI::App& command, std::span<const std::string_view> written);

// The folder that holds `file`, whether or not it exists; "folder/" and "folder/." lie where "folder" does.
std::filesystem::path folder_of(const std::filesystem::path& file);

}  // namespace qpcseal::cli
