// SPDX-License-Identifier: Apache-2.0
// The options that say which token of a module is meant.
#pragma once

#include <string>
#include <vector>

#include "appliance/cli/commands/context.h"
#include "pkcs11/token_choice.h"

namespace qpcseal::cli {

// --module-files, for a module that reads and writes elsewhere than Debian's tokens.
void add_module_files(CLI::App& command, std::vector<std::string>& files);

// --token (with this help), --serial, --slot. `choice` must live as long as the tree parses.
void add_token_choice(CLI::App& command, pkcs11::TokenChoice& choice, const std::string& label_help);

}  // namespace qpcseal::cli
