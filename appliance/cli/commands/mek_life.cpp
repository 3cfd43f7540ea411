// SPDX-License-Identifier: Apache-2.0
#include <unistd.h>

#include <memory>

#include "appliance/cli/commands/context.h"
#include "appliance/cli/commands/sign.h"
#include "appliance/mek/lifecycle.h"
#include "base/error.h"
#include "cli/exit_code.h"

namespace qpcseal::cli {

namespace {

Report life_report(const keys::Mek& mek, const char* state, const std::string& text) {
  Report report;
  report.json = {{"label", mek.label}, {"id", to_hex(mek.id)}, {"state", state}};
  report.text = mek.label + " (id " + to_hex(mek.id) + ") " + text + "\n";
  return report;
}

Report suspend(Context& context, const std::string& reference) {
  site::Environment environment = context.environment({.operations = {"mek-suspend"}});
  environment.urgent = true;
  site::Appliance appliance(environment);
  return life_report(mek::suspend(appliance, reference), "suspended", "is suspended: nothing uses it");
}

Report resume_mek(Context& context, const std::string& reference) {
  site::Appliance appliance(context.environment({.operations = {"mek-resume"}}));
  return life_report(mek::resume(appliance, reference), "ok", "is in use again");
}

struct DestroyOptions {
  std::string mek;
  std::optional<std::string> transferee;
};

// A person at a terminal types the name once more. Officers have read it in the request that they signed.
void confirm_destruction(const Context& context, const std::string& mek) {
  if (!context.approvals.signatures.empty() || isatty(STDIN_FILENO) == 0) return;
  const std::string answer = ask_terminal("'" + mek + "' is destroyed for good. Type its name again: ");
  if (answer != mek) throw Error(ErrorKind::Usage, "not destroyed: the answer was not '" + mek + "'");
}

Report destroy(Context& context, const DestroyOptions& options) {
  const auto look = [&](const site::Outlook&) {
    if (options.transferee) static_cast<void>(mek::recovery_key_digest(*options.transferee));
  };
  site::Environment environment = context.environment(
      {.inputs = {options.transferee.value_or("")}, .operations = {"mek-destroy"}, .look = look});
  environment.confirm = [&] { confirm_destruction(context, options.mek); };
  site::Appliance appliance(environment);
  const mek::Destroyed gone = mek::destroy(appliance, options.mek, options.transferee);
  Report report = life_report(gone.mek, "destroyed", "is destroyed; a search of the token finds it no more");
  report.json["encryptions"] = gone.encryptions;
  report.json["entry"] = gone.entry;
  report.text += "proof: 'qpcseal audit receipt " + std::to_string(gone.entry) + " -o FILE'\n";
  return report;
}

struct ImportOptions {
  std::string file, name;
  bool shred = false;
};

Report import_key(Context& context, const ImportOptions& options) {
  const auto look = [&](const site::Outlook& outlook) {
    mek::look_at_import(outlook, options.name, options.file, options.shred);
  };
  site::Appliance appliance(context.environment({.look = look}));
  const mek::Imported in = mek::import_file(appliance, options.name, options.file, options.shred);
  Report report = life_report(in.mek, appliance.log().state().meks.at(in.mek.id).state.c_str(),
                              (in.known      ? "was imported before, and is in token "
                               : in.returned ? "was lost, and is back with its history in token "
                                             : "is in token ") +
                                  appliance.token().label);
  report.json["shredded"] = in.shredded;
  report.json["known"] = in.known;
  report.json["returned"] = in.returned;
  report.text +=
      "warning: its history is unknown. Whoever had the file may have a copy, and nobody counted its "
      "encryptions.\nMake a new key for new models ('qpcseal mek generate'), and use this one for what needs "
      "it.\n";
  if (in.shredded)
    report.text +=
        "the file was overwritten and removed. Copies, snapshots, journals and what a flash drive keeps are "
        "beyond that.\n";
  if (!in.shred_error.empty()) {
    report.json["shred_error"] = in.shred_error;
    report.text += "THE FILE IS STILL THERE: " + printable(in.shred_error) + "\n";
    report.exit_code = exit_code(ErrorKind::Io);
  }
  return report;
}

void add_life_command(CLI::App& parent, Context& context, const char* name, const char* help,
                      Report (*run)(Context&, const std::string&)) {
  CLI::App* command = parent.add_subcommand(name, help);
  auto reference = std::make_shared<std::string>();
  command->add_option("MEK", *reference, "Label, label#generation or PKCS #11 URI")->required();
  add_output_options(*command, context);
  add_token_options(*command, context);
  add_approval_options(*command, context);
  command->callback([&context, reference, run] {
    context.command = [&context, reference, run] { return run(context, *reference); };
  });
}

void add_destroy(CLI::App& mek, Context& context) {
  CLI::App* command = mek.add_subcommand("destroy", "Destroy a key, and search the token for it");
  auto options = std::make_shared<DestroyOptions>();
  command->add_option("MEK", options->mek, "Label, label#generation or PKCS #11 URI")->required();
  command->add_option("--transfer-to", options->transferee,
                      "Public file of the recovery key whose token may seal under this key from now on");
  add_output_options(*command, context);
  add_token_options(*command, context);
  add_approval_options(*command, context);
  command->callback(
      [&context, options] { context.command = [&context, options] { return destroy(context, *options); }; });
}

}  // namespace

void add_mek_life(CLI::App& mek, Context& context) {
  add_life_command(mek, context, "suspend", "Let nothing use a key until it is resumed", suspend);
  add_life_command(mek, context, "resume", "Put a suspended key back in use", resume_mek);
  add_destroy(mek, context);
  CLI::App* importing = mek.add_subcommand("import", "Import a MEK file of the vendor's tool");
  auto options = std::make_shared<ImportOptions>();
  importing->add_option("FILE", options->file, "16 raw bytes")->required();
  importing->add_option("--name", options->name, "The key's name here")->required();
  importing->add_flag("--shred", options->shred, "Overwrite and remove the file afterwards");
  add_output_options(*importing, context);
  add_token_options(*importing, context);
  add_approval_options(*importing, context);
  importing->callback([&context, options] {
    context.command = [&context, options] { return import_key(context, *options); };
  });
}

}  // namespace qpcseal::cli
