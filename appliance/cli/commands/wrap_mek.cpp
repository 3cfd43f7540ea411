// SPDX-License-Identifier: Apache-2.0
#include <memory>

#include "appliance/cli/commands/context.h"
#include "appliance/cli/commands/vendor_options.h"
#include "appliance/cli/output/grants.h"
#include "appliance/cli/output/progress.h"
#include "appliance/cli/output/report_paths.h"
#include "appliance/cli/output/vendor_output.h"
#include "appliance/models/wrap_fleet.h"
#include "appliance/models/wrap_mek.h"
#include "appliance/release/challenge.h"
#include "base/error.h"
#include "cli/exit_code.h"

namespace qpcseal::cli {

namespace {

struct WrapMekOptions {
  std::string mek;
  std::vector<std::string> reports;
  std::filesystem::path output;
  bool force = false, skip_denied = false;
  VendorOptions vendor;

  [[nodiscard]] Existing existing() const { return force ? Existing::Replace : Existing::Refuse; }
};

std::string next_step(const WrapMekOptions& options) {
  return "put it into sealed models: qpcseal replace-mek --encrypted-qpc FILE --wrapped-meks " +
         shell_word(options.output.string()) + " --output-dir DIR\n";
}

Report render_wrap_mek(const models::WrapResult& done, const keys::Mek& mek, const WrapMekOptions& options) {
  Report report;
  report.json = {{"output", options.output.string()},
                 {"mek", mek.label},
                 {"mek_id", to_hex(mek.id)},
                 {"released", as_json(done.grants)}};
  std::vector<std::vector<std::string>> rows{{"FOLDER", "CARD", "SUITE", "LOG ENTRY"}};
  report.written = {options.output / models::kConfigName};
  for (std::size_t i = 0; i < done.grants.size(); ++i) {
    const release::Grant& grant = done.grants[i];
    report.json["released"][i]["folder"] = done.folders[i];
    rows.push_back(
        {done.folders[i], to_hex(grant.claims.ueid), grant.suite_name(), std::to_string(grant.entry)});
    report.written.push_back(options.output / done.folders[i]);
  }
  report.text = "wrapped " + mek.label + " for " + std::to_string(done.grants.size()) +
                (done.grants.size() == 1 ? " card" : " cards") + " into " +
                printable(options.output.string()) + "\n" + table(rows) + next_step(options);
  return report;
}

nlohmann::ordered_json entry_of(const models::FleetCard& card) {
  if (!card.fault.empty()) return {{"report", card.report}, {"error", card.fault}};
  if (card.denied())
    return {{"report", card.report}, {"ueid", to_hex(card.ueid)}, {"findings", as_json(card.findings)}};
  nlohmann::ordered_json out{{"report", card.report},     {"folder", card.dir},
                             {"ueid", to_hex(card.ueid)}, {"suite", card.suite},
                             {"earlier", card.earlier},   {"receipt", {{"entry", card.entry}}}};
  if (card.dir.empty()) out["folder"] = nullptr;
  if (!card.waits.empty()) out["waits"] = card.waits;
  if (!card.old.empty()) out["old"] = card.old;
  return out;
}

// Thousands of lines help nobody: the cards that were served are in config.json, those that were not are
// named.
Report render_wrap_mek(const std::vector<models::FleetCard>& cards, const keys::Mek& mek,
                       const WrapMekOptions& options) {
  Report report;
  report.json = {{"output", options.output.string()},
                 {"mek", mek.label},
                 {"mek_id", to_hex(mek.id)},
                 {"released", nlohmann::ordered_json::array()},
                 {"denied", nlohmann::ordered_json::array()}};
  std::size_t earlier = 0, old = 0, waiting = 0, placed = 0;
  std::string denied;
  for (const models::FleetCard& card : cards) {
    report.json[card.denied() ? "denied" : "released"].push_back(entry_of(card));
    earlier += card.earlier ? 1 : 0;
    if (!card.old.empty()) {
      ++old;
      denied += "OLD REPORT " + printable(card.report) + "\n  " + card.old + "\n";
    }
    if (!card.waits.empty()) {
      ++waiting;
      denied += "RELEASED, log entry " + std::to_string(card.entry) +
                ", and has no folder: " + printable(card.report) + "\n  " + printable(card.waits) + "\n";
      continue;
    }
    if (card.dir.empty() && !card.old.empty()) continue;
    if (!card.denied()) {
      ++placed;
      report.written.push_back(options.output / card.dir);
      continue;
    }
    denied += "DENIED " + printable(card.report) + "\n";
    if (!card.fault.empty()) denied += "  " + printable(card.fault) + "\n";
    for (const std::string& line : finding_lines(card.findings)) denied += "  " + line + "\n";
  }
  const std::size_t released = report.json["released"].size();
  if (placed > 0) report.written.push_back(options.output / models::kConfigName);
  if (waiting > 0)
    report.exit_code = exit_code(ErrorKind::DoneWithFault);
  else if (released < cards.size() || old > 0)
    report.exit_code = exit_code(ErrorKind::Denied);
  report.text = denied + "wrapped " + mek.label + " for " + std::to_string(released) + " of " +
                std::to_string(cards.size()) + " cards into " + printable(options.output.string());
  if (earlier > 0) report.text += ", " + std::to_string(earlier) + " of them in an earlier run";
  if (earlier > 0 && earlier == released)
    report.text += "\nnothing new was released; a card that was reset since then answers a new request only";
  if (old > 0)
    report.text +=
        "\n" + std::to_string(old) +
        " of the reports are old: a card that was reset since then cannot use these files, and answers "
        "a new request only: qpcseal attest request --mek " +
        shell_word(mek.label) + " -o FILE";
  if (waiting > 0)
    report.text += "\n" + std::to_string(waiting) +
                   " of them have no folder yet: move away what is in the way, and give the command again";
  report.text += "\n" + (placed > 0 ? next_step(options) : "");
  Findings all;
  for (const models::FleetCard& card : cards)
    all.insert(all.end(), card.findings.begin(), card.findings.end());
  if (const std::string again = release::new_request_hint(all, mek.label); !again.empty())
    report.text += again + "\n";
  return report;
}

Report serve_fleet(site::Appliance& appliance, const keys::Mek& mek, const WrapMekOptions& options,
                   std::vector<std::filesystem::path> paths) {
  ProgressBar bar("wrapping", ProgressBar::Unit::Cards);
  const models::FleetOptions wanted{std::move(paths), options.output, options.existing()};
  return render_wrap_mek(
      models::wrap_fleet(appliance, mek, wanted,
                         [&](std::uint64_t done, std::uint64_t total) { bar.update(done, total); }),
      mek, options);
}

Report wrap_vendor(Context& context, const WrapMekOptions& options) {
  if (options.skip_denied) throw Error(ErrorKind::Usage, "--skip-denied is not for --format vendor");
  const std::vector<release::Report> reports = read_reports(report_paths(options.reports));
  site::Appliance appliance(context.environment({.operations = {"mek-expose"}}));
  const keys::Mek mek = appliance.find_mek(options.mek);
  return render_vendor(
      vendor::run_vendor_tool(
          appliance, mek,
          {vendor::VendorAct::WrapMek, {}, options.output, reports, options.force, options.vendor.time()}),
      &mek);
}

// Cards of a trip that did not answer.
void name_missing(Report& report, const WrapMekOptions& options) {
  const std::vector<std::string> missing = requests_without_report(options.reports);
  if (missing.empty()) return;
  report.json["without_report"] = missing;
  report.text += "no report is there for " + std::to_string(missing.size()) +
                 (missing.size() == 1 ? " request: " : " requests: ") + printable(join(missing)) + "\n";
}

Report run_wrap_mek(Context& context, const WrapMekOptions& options) {
  if (options.vendor.vendor()) return wrap_vendor(context, options);
  std::vector<std::filesystem::path> paths = report_paths(options.reports);
  models::WrapMekOptions wanted{{}, options.output, options.existing()};
  if (!options.skip_denied) wanted.reports = read_reports(paths);
  // A fleet's run that only has to be finished releases nothing, and asks no officer.
  std::vector<std::string> operations;
  if (!options.skip_denied || !std::filesystem::exists(options.output)) operations.emplace_back("release");
  site::Appliance appliance(context.environment({.operations = operations}));
  const keys::Mek mek = appliance.find_mek(options.mek);
  Report report = options.skip_denied
                      ? serve_fleet(appliance, mek, options, std::move(paths))
                      : render_wrap_mek(models::wrap_to_files(appliance, mek, wanted), mek, options);
  name_missing(report, options);
  return report;
}

}  // namespace

void add_wrap_mek(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand(
      "wrap-mek", "Release a MEK to cards, as files for replace-mek. All or nothing, unless --skip-denied");
  auto options = std::make_shared<WrapMekOptions>();
  command->add_option("--mek", options->mek, "Key in the token: label, label#generation or PKCS #11 URI")
      ->required();
  command
      ->add_option("--pub-keys", options->reports,
                   "Attestation reports, one a card; a folder stands for its *.report and *.dat files, @FILE "
                   "for the paths in that file, one a line")
      ->required();
  command
      ->add_option("--output-dir", options->output,
                   "Where MEK.encrypt, MEK.nonce, MEK.pub and config.json go; with several reports in a "
                   "folder for each card")
      ->required();
  command->add_flag("--skip-denied", options->skip_denied,
                    "Serve the cards that pass, list the others, and end with exit code 5 if there were any. "
                    "After an interruption, the same command goes on");
  add_vendor_options(*command, options->vendor);
  command->add_flag("--force", options->force, "Replace existing outputs");
  add_output_options(*command, context);
  add_token_options(*command, context);
  add_approval_options(*command, context);
  command->callback([&context, options] {
    context.command = [&context, options] { return run_wrap_mek(context, *options); };
  });
}

}  // namespace qpcseal::cli
