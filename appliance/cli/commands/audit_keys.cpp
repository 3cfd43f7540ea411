// SPDX-License-Identifier: Apache-2.0
// The log's own key, and the witnesses': what an operator changes about who vouches for the log.
#include "appliance/cli/commands/audit_options.h"
#include "appliance/site/witnesses.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text_file.h"
#include "encoding/file_kind.h"

namespace qpcseal::cli {

namespace {

Report rotate_log_key(Context& context) {
  site::Appliance appliance(context.environment({.operations = {"log-key-rotate"}}));
  const std::string before = appliance.log().key().text(), now = appliance.rotate_log_key();
  Report report;
  report.json = {{"log_key", now}, {"previous", before}};
  report.text =
      "the log's key is now " + now + "\nthe key before signed it and is gone from the token: " + before +
      "\nwho holds an earlier key goes on using it: logs and receipts carry the signatures between\n";
  return report;
}

Report trust(Context& context, const std::string& key_or_file, bool trusted) {
  const std::string vkey = vkey_text(key_or_file);
  const auto look = [&](const site::Outlook& outlook) { site::look_at_trust(outlook, vkey, trusted); };
  site::Appliance appliance(context.environment({.look = look}));
  site::trust_witness(appliance, vkey, trusted);
  Report report;
  report.json = {{"witness", vkey}, {"trusted", trusted}};
  report.text = printable(vkey) + (trusted ? " is a witness from now on\n" : " is no witness any more\n");
  return report;
}

Report import_note(Context& context, const std::string& path) {
  const std::string note = read_plain_text(path, tlog::kMaxCheckpointSize);
  with_context(path, [&] { encoding::refuse_other_kind(view(note), "a signed checkpoint"); });
  const auto look = [&](const site::Outlook& outlook) {
    with_context(path, [&] { static_cast<void>(site::check_cosigned(outlook, note)); });
  };
  site::Appliance appliance(context.environment({.look = look}));
  const site::Witnessing seen = with_context(path, [&] { return site::import_witness(appliance, note); });
  Report report;
  report.json = {{"witness", seen.witness},
                 {"size", seen.size},
                 {"time", format_time(seen.time)},
                 {"entry", seen.entry}};
  report.text = "the log goes on from the " + std::to_string(seen.size) + " entries that " +
                printable(seen.witness) + " saw on " + format_time(seen.time) + "; recorded as entry " +
                std::to_string(seen.entry) + "\n";
  return report;
}

Report list_witnesses(const AuditOptions& options) {
  const audit::LogCopy log = read_log(options);
  Report report;
  report.json = {{"witnesses", nlohmann::ordered_json::array()}};
  std::vector<std::vector<std::string>> rows{{"WITNESS", "SAW", "TIME"}};
  for (const std::string& vkey : log.state.witness_keys) {
    const auto seen = log.state.witnessed.find(vkey);
    const bool never = seen == log.state.witnessed.end();
    rows.push_back({printable(vkey), never ? "-" : std::to_string(seen->second.size),
                    never ? "-" : format_time(seen->second.time)});
    report.json["witnesses"].push_back({{"vkey", vkey}, {"size", never ? 0 : seen->second.size}});
  }
  report.text = table(rows);
  return report;
}

void add_trust(CLI::App& witness, Context& context, const char* name, const char* help, bool trusted) {
  CLI::App* app = witness.add_subcommand(name, help);
  const auto vkey = std::make_shared<std::string>();
  app->add_option("VKEY", *vkey, "The witness's key for cosignatures: name+id+key, or a file that holds it")
      ->required();
  add_output_options(*app, context);
  add_token_options(*app, context);
  add_approval_options(*app, context);
  app->callback([&context, vkey, trusted] {
    context.command = [&context, vkey, trusted] { return trust(context, *vkey, trusted); };
  });
}

}  // namespace

void add_audit_keys(CLI::App& audit, Context& context, const SharedAuditOptions& options) {
  CLI::App* app = audit.add_subcommand("rotate-key", "A new key for the log, signed by the present one");
  add_output_options(*app, context);
  add_token_options(*app, context);
  add_approval_options(*app, context);
  app->callback([&context] { context.command = [&context] { return rotate_log_key(context); }; });

  CLI::App* witness = audit.add_subcommand("witness", "Witnesses, who cosign checkpoints of the log");
  witness->require_subcommand(1);
  add_trust(*witness, context, "trust", "Let a witness's cosignatures count", true);
  add_trust(*witness, context, "distrust", "Let them count no longer", false);
  CLI::App* importing = witness->add_subcommand("import", "A checkpoint that a trusted witness cosigned");
  const auto path = std::make_shared<std::string>();
  importing->add_option("FILE", *path, "The cosigned checkpoint")->required();
  add_output_options(*importing, context);
  add_token_options(*importing, context);
  importing->callback(
      [&context, path] { context.command = [&context, path] { return import_note(context, *path); }; });
  add_log_options(*add_audit_command(*witness, context, options, "list", "Who is trusted, and what they saw",
                                     list_witnesses),
                  options);
}

}  // namespace qpcseal::cli
