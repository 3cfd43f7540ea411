// SPDX-License-Identifier: Apache-2.0
// `completion`, and what the shells' scripts are told of this appliance: names from its log, without token or
// lock.
#include "cli/completion.h"

#include <algorithm>
#include <memory>

#include "appliance/audit/read.h"
#include "appliance/cli/commands/context.h"
#include "appliance/keys/mek.h"
#include "base/file.h"
#include "policy/policy.h"

namespace qpcseal::cli {

namespace {

constexpr std::uint64_t kQuick = std::uint64_t{32} << 20;  // bytes of a log that are read between two keys

// Names and labels of the keys that are not destroyed; none where there is no home, or a long log.
std::vector<std::string> mek_names() {
  const site::Home home = site::locate_home();
  if (std::filesystem::file_size(home.log() / "entries.jsonl") > kQuick) return {};
  std::vector<std::string> out;
  for (const auto& [id, mek] : audit::read_log(home.log(), std::nullopt).state.meks) {
    if (mek.state == "destroyed" || mek.state == "failed") continue;
    out.push_back(mek.label);
    out.emplace_back(keys::name_in(mek.label));
  }
  std::ranges::sort(out);
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

}  // namespace

std::vector<std::string> completed_values(const std::string& name) {
  if (name == "OPERATION") return {policy::operations().begin(), policy::operations().end()};
  if (name == "SHELL") return completed_shells();
  if (name == "--kind") return audit::kind_names();
  if (name != "--mek" && name != "MEK") return {};
  try {
    return mek_names();
  } catch (const std::exception&) {
    return {};  // a key pressed in a shell is no place for an error
  }
}

void add_completion(CLI::App& app, Context& context) {
  CLI::App* command =
      app.add_subcommand("completion", "The completion script for a shell, for all three programs");
  const auto shell = std::make_shared<std::string>();
  command->add_option("SHELL", *shell, "bash, zsh or fish")->required();
  add_output_options(*command, context);
  command->callback([&context, shell] {
    context.command = [shell] {
      Report report;
      report.text = completion_script(*shell);
      report.json = {{"shell", *shell}, {"script", report.text}};
      return report;
    };
  });
}

}  // namespace qpcseal::cli
