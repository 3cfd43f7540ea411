// SPDX-License-Identifier: Apache-2.0
#include "appliance/cli/commands/token_options.h"

namespace qpcseal::cli {

void add_token_choice(CLI::App& command, pkcs11::TokenChoice& choice, const std::string& label_help) {
  command.add_option("--token", choice.label, label_help);
  command.add_option("--serial", choice.serial, "The token's serial, where tokens have one label");
  command.add_option("--slot", choice.slot,
                     "The token's slot, where they have one serial too ('qpcseal doctor --list')");
}

void add_module_files(CLI::App& command, std::vector<std::string>& files) {
  command
      .add_option(
          "--module-files", files,
          "Files and folders that the module reads and writes, beside its own folder and its arguments")
      ->check([](const std::string& path) {
        return path.starts_with('/') ? std::string() : "must be an absolute path, not '" + path + "'";
      });
}

}  // namespace qpcseal::cli
