// SPDX-License-Identifier: Apache-2.0
#include "cli/command_tree.h"

namespace qpcseal::cli {

std::vector<const CLI::App*> shown_commands(const CLI::App& app) {
  return app.get_subcommands([](const CLI::App* command) { return !command->get_group().empty(); });
}

const CLI::App* find_command(const CLI::App& app, const std::string& name) {
  for (const CLI::App* command : shown_commands(app))
    if (command->get_name() == name) return command;
  return nullptr;
}

}  // namespace qpcseal::cli
