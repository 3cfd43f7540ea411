// SPDX-License-Identifier: Apache-2.0
// Options that name programs to pin: of `site change`, and of the request for it.
#pragma once

#include <string>
#include <vector>

#include "appliance/cli/commands/context.h"

namespace qpcseal::cli {

struct ProgramOptions {
  std::vector<std::string> programs, files;  // NAME=PATH
  std::vector<std::string> forget;           // NAME
};
void add_program_options(CLI::App& command, ProgramOptions& options);
// Error{Usage} for what is not NAME=PATH, a name that comes twice, or a file of no program.
void take_programs(const ProgramOptions& options, site::SiteChange& change);

}  // namespace qpcseal::cli
