// SPDX-License-Identifier: Apache-2.0
// The facts of the site: shown from the log, changed by officers.
#include <memory>

#include "appliance/audit/position.h"
#include "appliance/cli/commands/context.h"
#include "appliance/cli/commands/program_options.h"
#include "appliance/site/repair_acts.h"
#include "base/error.h"

namespace qpcseal::cli {

namespace {

struct SiteOptions {
  site::SiteChange change;
  std::optional<std::string> anchor;  // "yes", "no"
  std::optional<std::string> swap;    // "accept", "refuse"
  std::optional<std::string> image;   // "running", "none", or a root hash
  std::vector<std::string> accept;
  ProgramOptions programs;
  bool accept_none = false, yes = false;
};

nlohmann::ordered_json file_json(const audit::PinnedFile& file) {
  return {{"path", file.path}, {"sha256", file.sha256}};
}

nlohmann::ordered_json programs_json(const audit::SiteFacts& facts) {
  nlohmann::ordered_json out = nlohmann::ordered_json::array();
  for (const audit::PinnedProgram& each : facts.programs) {
    nlohmann::ordered_json files = nlohmann::ordered_json::array();
    for (const audit::PinnedFile& file : each.files) files.push_back(file_json(file));
    out.push_back({{"name", each.name}, {"program", file_json(each.program)}, {"files", std::move(files)}});
  }
  return out;
}

nlohmann::ordered_json facts_json(const audit::SiteFacts& facts) {
  nlohmann::ordered_json out{{"module_sha256", facts.module_sha256},
                             {"module_arguments", facts.module_arguments},
                             {"accept", facts.accept},
                             {"anchor", facts.anchor},
                             {"clock_days", facts.clock_days}};
  // As in the log: what is not pinned is not there.
  if (!facts.programs.empty()) out["programs"] = programs_json(facts);
  if (facts.swap) out["swap"] = true;
  if (!facts.image.empty()) out["image"] = facts.image;
  return out;
}

std::vector<std::vector<std::string>> rows_of(const audit::SiteFacts& facts) {
  std::vector<std::vector<std::string>> out{
      {"module's SHA-256", facts.module_sha256},
      {"module's arguments", facts.module_arguments.empty() ? "none" : printable(facts.module_arguments)},
      {"the token may lack", facts.accept.empty() ? "nothing" : join(facts.accept)},
      {"log anchor in the token", facts.anchor ? "yes" : "no"},
      {"days until the clock is asked about", std::to_string(facts.clock_days)}};
  for (const audit::PinnedProgram& each : facts.programs) {
    out.push_back({"program '" + each.name + "'", printable(each.program.path) + " " + each.program.sha256});
    for (const audit::PinnedFile& file : each.files)
      out.push_back({"  and its file", printable(file.path) + " " + file.sha256});
  }
  if (facts.swap) out.push_back({"swap", "ACCEPTED while a key is exposed"});
  out.push_back({"image that must run", facts.image.empty() ? "none" : facts.image});
  return out;
}

Report show_site() {
  const site::Home home = site::locate_home();
  const site::Site site = site::Site::read(home.site());
  const audit::SiteFacts facts = audit::find_position(home.log()).state.site;
  Report report;
  report.json = {{"module", site.module}, {"token", site.token_label}, {"facts", facts_json(facts)}};
  std::vector<std::vector<std::string>> rows{{"module", printable(site.module)},
                                             {"token", printable(site.token_label)}};
  for (auto& row : rows_of(facts)) rows.push_back(std::move(row));
  report.text = table(rows, Head::No);
  return report;
}

}  // namespace

namespace {

// "NAME=PATH"
std::pair<std::string, std::string> named_path(const std::string& text) {
  const std::size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0 || equals + 1 == text.size())
    throw Error(ErrorKind::Usage, "'" + text + "' is not of the form NAME=PATH");
  return {text.substr(0, equals), text.substr(equals + 1)};
}

}  // namespace

void take_programs(const ProgramOptions& options, site::SiteChange& change) {
  change.forget_programs = options.forget;
  for (const std::string& text : options.programs) {
    auto [name, path] = named_path(text);
    if (!change.programs.try_emplace(name, std::vector<std::string>{path}).second)
      throw Error(ErrorKind::Usage, "program '" + name + "' is given twice");
  }
  for (const std::string& text : options.files) {
    auto [name, path] = named_path(text);
    const auto found = change.programs.find(name);
    if (found == change.programs.end())
      throw Error(ErrorKind::Usage, "--program-file " + text + ": --program " + name + "=PATH is missing");
    found->second.push_back(std::move(path));
  }
}

void add_program_options(CLI::App& command, ProgramOptions& options) {
  command.add_option("--program", options.programs,
                     "NAME=PATH: a program to pin by its SHA-256, with all its files: 'qaic-encrypt' for the "
                     "vendor's tool, NAME of a scheme external:NAME for a verifier");
  command.add_option("--program-file", options.files,
                     "NAME=PATH: a file that program NAME needs beside the system's, pinned likewise");
  command.add_option("--forget-program", options.forget, "NAME of a pinned program");
}

namespace {

// "running": of this machine.
std::string image_from(const std::string& option, const site::RunningImage& running) {
  if (option != "running") return option;
  if (running.root_hash.empty())
    throw Error(ErrorKind::Usage, "--image running: " + site::image_text(running) + " runs here",
                "--image none demands none");
  return running.root_hash;
}

Report change_site(Context& context, const SiteOptions& options) {
  site::Repair repair{options.change, false, options.yes};
  take_programs(options.programs, *repair.site);
  if (options.swap) repair.site->swap = *options.swap == "accept";
  if (options.anchor) repair.site->anchor = *options.anchor == "yes";
  if (options.accept_none || !options.accept.empty()) repair.site->accept = options.accept;
  const site::Environment environment = context.environment();
  if (options.image) repair.site->image = image_from(*options.image, environment.image);
  Report report;
  if (site::moves_module_only(environment, *repair.site)) {
    report.json = {{"module", *repair.site->module}, {"changed", false}};
    report.text = "site.toml names " + printable(*repair.site->module) +
                  " now; it is the module that the log names, so there is nothing for officers to agree to\n";
    return report;
  }
  const site::Appliance appliance(environment, repair);
  report.json = {
      {"module", appliance.site().module}, {"changed", true}, {"facts", facts_json(appliance.facts())}};
  report.text = "the site's facts are now\n" + table(rows_of(appliance.facts()), Head::No);
  return report;
}

void add_change(CLI::App& site, Context& context) {
  CLI::App* command = site.add_subcommand("change",
                                          "Change site facts, as officers approved (site-change); needed "
                                          "after an upgrade of the module or image");
  auto options = std::make_shared<SiteOptions>();
  command->add_option("--module", options->change.module,
                      "The module's file, absolute path: its SHA-256 is the new fact");
  command->add_option("--module-arguments", options->change.module_arguments,
                      "C_Initialize's pReserved string; {home} stands for the home's path");
  CLI::Option* accept =
      command->add_option("--accept", options->accept, "All desired key attributes that the token may lack");
  command->add_flag("--accept-none", options->accept_none, "The token may lack none")->excludes(accept);
  command->add_option("--anchor", options->anchor, "Whether the token keeps the log's anchor: yes or no")
      ->check(CLI::IsMember({"yes", "no"}));
  command->add_option("--clock-days", options->change.clock_days,
                      "Days after the log's last entry from which on the date must be confirmed (1 to 90)");
  add_program_options(*command, options->programs);
  command
      ->add_option("--swap", options->swap, "Whether a key may be exposed while swap is on: accept or refuse")
      ->check(CLI::IsMember({"accept", "refuse"}));
  command->add_option("--image", options->image,
                      "Image that must run, else acts are refused: its root hash, 'running', or 'none'");
  command->add_flag("--yes", options->yes, "In a demonstration without officers");
  add_output_options(*command, context);
  add_token_options(*command, context);
  add_approval_options(*command, context);
  command->callback([&context, options] {
    context.command = [&context, options] { return change_site(context, *options); };
  });
}

}  // namespace

void add_site(CLI::App& app, Context& context) {
  CLI::App* site = app.add_subcommand("site", "The site facts in the log: module, token and clock");
  site->require_subcommand(1);
  CLI::App* showing = site->add_subcommand("show", "The site facts in force; needs the home, but no token");
  add_output_options(*showing, context);
  showing->callback([&context] { context.command = [] { return show_site(); }; });
  add_change(*site, context);
}

}  // namespace qpcseal::cli
