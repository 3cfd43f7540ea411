// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <map>
#include <memory>

#include "appliance/ceremony/fixtures.h"
#include "appliance/ceremony/preflight.h"
#include "appliance/ceremony/runner.h"
#include "appliance/cli/commands/context.h"
#include "appliance/cli/output/line_console.h"
#include "appliance/cli/output/record_page.h"
#include "base/error.h"
#include "base/file.h"
#include "base/nearest.h"
#include "base/terminal.h"
#include "base/text.h"
#include "encoding/pgp_words.h"

namespace qpcseal::cli {

namespace {

constexpr const char* kDone = "the ceremony is done: print record.html, and let people sign it";

struct CeremonyOptions {
  std::string plan, dir = ".", rehearsal, output, why;
  std::vector<std::string> signatures;
  bool ask = false, on_this_appliance = false, abandon = false, force = false;
};

// Of the plans that ceremonies of this log began with: SHA-256, by their ids. Of one id the last.
std::map<std::string, std::string> kept_ids(const site::Home& home) {
  const audit::LogCopy log = audit::read_log(home.log(), std::nullopt);
  std::map<std::uint64_t, std::string> by_time;
  for (const auto& [sha256, ceremony] : log.state.ceremonies) by_time[ceremony.seq] = sha256;
  std::map<std::string, std::string> out;
  for (const auto& [seq, sha256] : by_time)
    out[encoding::text_member(audit::parse_entry(log.line(seq)).data, "plan_id")] = sha256;
  return out;
}

ceremony::Plan plan_named(const site::Home& home, const std::string& id) {
  const std::map<std::string, std::string> known = kept_ids(home);
  if (const auto found = known.find(id); found != known.end())
    return ceremony::kept_plan(home, found->second);
  std::vector<std::string> ids;
  for (const auto& [name, sha256] : known) ids.push_back(name);
  throw with_nearest(Error(ErrorKind::Io, "'" + id + "' is no file, and no plan of a ceremony in the log",
                           ids.empty() ? "the log has no ceremony" : "its plans: " + join(ids))
                         .with_code("not-found"),
                     id, ids);
}

// A file; the id or the SHA-256 of a plan that a ceremony began with, which the home keeps; or nothing, for
// the ceremony that goes on, else the last one.
ceremony::Plan plan_of(const std::string& plan) {
  const site::Home home = site::locate_home();
  if (plan.empty())
    return ceremony::kept_plan(home, ceremony::latest_plan(audit::read_log(home.log(), std::nullopt).state));
  if (encoding::is_hex(plan, sizeof(Sha256Digest)) && !std::filesystem::exists(plan))
    return ceremony::kept_plan(home, plan);
  if (!std::filesystem::exists(plan) && site::find_home()) return plan_named(home, plan);
  const Bytes text = read_file(plan, ceremony::kMaxPlanSize);
  return ceremony::parse_plan(text_view(text), plan);
}

ceremony::CeremonyInputs inputs_from(const CeremonyOptions& options) {
  ceremony::CeremonyInputs out{plan_of(options.plan), options.dir, {}, std::nullopt};
  out.signatures.assign(options.signatures.begin(), options.signatures.end());
  if (!options.rehearsal.empty()) out.rehearsal = options.rehearsal;
  return out;
}

// record.json and record.html in the output folder.
void write_record(const ceremony::CeremonyResult& done, const CeremonyOptions& options) {
  const std::filesystem::path dir = options.output;
  const Existing existing = options.force ? Existing::Replace : Existing::Refuse;
  make_output_folder(dir);
  write_file(dir / "record.json", view(done.record), existing);
  write_file(dir / "record.html", view(make_record_page(done.record)), existing);
}

Report ceremony_report(const ceremony::CeremonyResult& done, const CeremonyOptions& options,
                       const std::string& what) {
  const std::string digest = sha256_hex(done.record);
  Report report;
  report.json = {{"ceremony", done.ceremony},
                 {"record", (std::filesystem::path(options.output) / "record.json").string()},
                 {"record_sha256", digest},
                 {"differences", done.differences}};
  report.written = {std::filesystem::path(options.output) / "record.json",
                    std::filesystem::path(options.output) / "record.html"};
  report.text = what + "\nrecord " + printable(options.output) + "/record.json and record.html\nSHA-256 " +
                digest + "\n" + encoding::word_lines(from_hex(digest), "  ", text_columns());
  for (const std::string& line : done.differences)
    report.text += "differs from the rehearsal: " + printable(line) + "\n";
  for (const std::string& line : done.unconfirmed) report.text += printable(line) + "\n";
  return report;
}

void expect_no_record(const CeremonyOptions& options) {
  for (const char* name : {"record.json", "record.html"})
    if (std::filesystem::exists(std::filesystem::path(options.output) / name) && !options.force)
      throw Error(ErrorKind::Io, options.output + "/" + name + " exists already");
}

// Without a token: what the plan says, and what here does not fit it.
Report lint(Context& context, const CeremonyOptions& options) {
  const ceremony::CeremonyInputs inputs = inputs_from(options);
  ceremony::Complaints complaints;
  const auto add = [&](const ceremony::Complaints& more) {
    complaints.insert(complaints.end(), more.begin(), more.end());
  };
  add(ceremony::check_inputs(inputs.plan, inputs.dir));
  add(ceremony::check_outputs(inputs.plan, inputs.dir));
  add(ceremony::check_people(inputs.plan));
  const site::Home home = site::locate_home();
  const bool at_home = std::filesystem::exists(home.site());
  if (at_home) {
    const audit::State state = audit::read_log(home.log(), std::nullopt).state;
    add(ceremony::check_place(inputs.plan, home, state, context.clock.now()));
    add(ceremony::check_officers(inputs.plan, home, state));
    add(ceremony::check_policy(inputs.plan, site::read_policy(home, state), context.clock.now()));
    add(ceremony::check_meks(inputs.plan, state));
    add(ceremony::check_image(inputs.plan, site::find_image()));
  }
  Report report;
  report.json = {{"plan", inputs.plan.id},
                 {"sha256", inputs.plan.sha256},
                 {"words", encoding::to_words(from_hex(inputs.plan.sha256))},
                 {"policy_checked", at_home},
                 {"complaints", complaints}};
  report.text = ceremony::show(inputs.plan);
  for (const std::string& line : complaints) report.text += "WRONG: " + printable(line) + "\n";
  if (complaints.empty())
    report.text +=
        at_home ? "it fits\n" : "it is well formed; there is no appliance here to check it against\n";
  report.exit_code = complaints.empty() ? 0 : 5;
  return report;
}

Report rehearse_in(Context& context, const site::Home& home, ceremony::CeremonyInputs inputs,
                   const CeremonyOptions& options) {
  ceremony::require_demo_appliance(audit::read_log(home.log(), std::nullopt).state);
  site::Environment environment = context.environment();
  environment.home = home;
  if (!options.on_this_appliance) environment.pin_fd.reset();
  site::Appliance appliance(environment);
  const auto stand_ins = ceremony::set_stage(appliance, inputs.plan, options.dir, inputs.dir);
  LineConsole people;
  NonInteractiveConsole nobody;
  ceremony::Console& console = options.ask ? static_cast<ceremony::Console&>(people) : nobody;
  const ceremony::CeremonyResult done = ceremony::rehearse(appliance, inputs, console, stand_ins);
  write_record(done, options);
  Report report = ceremony_report(done, options, "the plan was rehearsed");
  const ceremony::Complaints complaints = ceremony::check_image(inputs.plan, appliance.image());
  report.json["complaints"] = complaints;
  for (const std::string& line : complaints)
    report.text += "the ceremony would not begin here: " + printable(line) + "\n";
  return report;
}

Report rehearse(Context& context, const CeremonyOptions& options) {
  expect_no_record(options);
  const ceremony::Scratch scratch(context.random);
  ceremony::CeremonyInputs inputs = inputs_from(options);
  inputs.dir = scratch.path() / "folder";
  make_folder(inputs.dir);
  const site::Home home = site::locate_home();
  const site::Home stage =
      options.on_this_appliance
          ? home
          : ceremony::make_stage(context.environment(), inputs.plan, home, scratch.path());
  return rehearse_in(context, stage, std::move(inputs), options);
}

Report run_ceremony(Context& context, const CeremonyOptions& options) {
  expect_no_record(options);
  const ceremony::CeremonyInputs inputs = inputs_from(options);
  const auto look = [&](const site::Outlook& outlook) { ceremony::look_at_run(outlook, inputs); };
  site::Appliance appliance(context.environment({.look = look}));
  LineConsole console;
  const ceremony::CeremonyResult done = ceremony::run(appliance, inputs, console);
  write_record(done, options);
  return ceremony_report(done, options, kDone);
}

Report resume_ceremony(Context& context, const CeremonyOptions& options) {
  expect_no_record(options);
  const ceremony::CeremonyInputs inputs = inputs_from(options);
  const auto look = [&](const site::Outlook& outlook) {
    if (options.abandon)
      ceremony::look_at_abandon(outlook, inputs, options.why);
    else
      ceremony::look_at_resume(outlook, inputs);
  };
  site::Appliance appliance(context.environment({.look = look}));
  LineConsole people;
  if (!options.abandon) {
    const ceremony::CeremonyResult done = ceremony::resume(appliance, inputs, people);
    write_record(done, options);
    return ceremony_report(done, options, kDone);
  }
  NonInteractiveConsole nobody;  // a script said --abandon, and why
  ceremony::Console& console = isatty(STDIN_FILENO) == 1 ? static_cast<ceremony::Console&>(people) : nobody;
  const ceremony::CeremonyResult done = ceremony::abandon(appliance, inputs, options.why, console);
  write_record(done, options);
  Report report =
      ceremony_report(done, options, "the ceremony is abandoned: print record.html, and let people sign it");
  report.json["unconfirmed"] = done.unconfirmed;
  return report;
}

Report remake_record(Context& /*context*/, const CeremonyOptions& options) {
  const ceremony::CeremonyInputs inputs = inputs_from(options);
  const audit::LogCopy log = audit::read_log(site::locate_home().log(), std::nullopt);
  const ceremony::CeremonyResult done = ceremony::report(log, inputs.plan);
  write_record(done, options);
  Report out = ceremony_report(done, options, "the record, made again from the log");
  out.log_entry = log.state.size - 1;
  return out;
}

using Run = Report (*)(Context&, const CeremonyOptions&);

CLI::App* add_ceremony_command(CLI::App& parent, Context& context, const char* name, const char* help,
                               const std::shared_ptr<CeremonyOptions>& options, Run run, bool kept = false) {
  CLI::App* command = parent.add_subcommand(name, help);
  command
      ->add_option("PLAN", options->plan,
                   kept ? "The plan, or its id or SHA-256: the home keeps it (default: of the ceremony that "
                          "goes on, or "
                          "the last one)"
                        : "The plan, TOML")
      ->required(!kept);
  add_output_options(*command, context);
  command->callback([&context, options, run] {
    context.command = [&context, options, run] { return run(context, *options); };
  });
  return command;
}

void add_folder(CLI::App& command, const std::shared_ptr<CeremonyOptions>& options) {
  command.add_option("--dir", options->dir, "Folder of the plan's inputs and outputs (default: here)");
}

void add_record(CLI::App& command, const std::shared_ptr<CeremonyOptions>& options) {
  command.add_option("-o,--output", options->output, "Folder for record.json and record.html")->required();
  command.add_flag("--force", options->force, "Replace a record that is there");
}

}  // namespace

void add_ceremony(CLI::App& app, Context& context) {
  CLI::App* parent =
      app.add_subcommand("ceremony", "Key ceremonies: a reviewed plan, rehearsed, signed and run");
  parent->require_subcommand(1);
  auto options = std::make_shared<CeremonyOptions>();
  add_folder(*add_ceremony_command(*parent, context, "lint", "Read a plan strictly, say what does not fit",
                                   options, lint),
             options);
  CLI::App* rehearsing = add_ceremony_command(*parent, context, "rehearse",
                                              "Run the plan in a throw-away token", options, rehearse);
  rehearsing->add_flag("--ask", options->ask, "Ask people as a run does, instead of answering itself");
  rehearsing->add_flag("--on-this-appliance", options->on_this_appliance,
                       "In the appliance at QPCSEAL_HOME, a demonstration (init --insecure-demo)");
  add_folder(*rehearsing, options);
  add_record(*rehearsing, options);
  add_token_options(*rehearsing, context);
  CLI::App* running = add_ceremony_command(*parent, context, "run", "Run a plan that its officers signed",
                                           options, run_ceremony);
  running->add_option("--signature", options->signatures,
                      "Officers' signatures over the plan, or its rejection");
  CLI::App* resuming = add_ceremony_command(*parent, context, "resume", "Go on with a ceremony that stopped",
                                            options, resume_ceremony, true);
  CLI::Option* abandon =
      resuming->add_flag("--abandon", options->abandon, "End it as failed, where it stands");
  resuming->add_option("--why", options->why, "The reason, for the record")->needs(abandon);
  abandon->needs("--why");
  for (CLI::App* command : {running, resuming}) {
    command->add_option("--rehearsal", options->rehearsal, "The rehearsal's record.json");
    add_folder(*command, options);
    add_record(*command, options);
    add_token_options(*command, context);
  }
  add_record(*add_ceremony_command(*parent, context, "report", "Make the record again from the log", options,
                                   remake_record, true),
             options);
  add_ceremony_check(*parent, context);
}

}  // namespace qpcseal::cli
