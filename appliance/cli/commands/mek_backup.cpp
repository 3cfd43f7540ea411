// SPDX-License-Identifier: Apache-2.0
#include <memory>

#include "appliance/cli/commands/context.h"
#include "appliance/mek/backup.h"
#include "appliance/mek/lifecycle.h"
#include "base/terminal.h"
#include "encoding/pgp_words.h"

namespace qpcseal::cli {

namespace {

struct MekBackupOptions {
  std::string mek, recovery_key, file, output, retirement;
  unsigned days = mek::kDrillDays;
  bool force = false;
  [[nodiscard]] Existing existing() const { return force ? Existing::Replace : Existing::Refuse; }
  [[nodiscard]] Output written() const { return {output, existing()}; }
};

Report describe_backup(const mek::RecoveryKeyMade& made, const MekBackupOptions& options) {
  Report report;
  report.json = {{"output", options.output},
                 {"sha256", made.sha256},
                 {"words", encoding::to_words(from_hex(made.sha256))},
                 {"token_serial", made.file.token_serial},
                 {"suites", nlohmann::ordered_json::array()}};
  report.written = {options.output};
  for (const keys::Suite suite : made.file.suites) report.json["suites"].push_back(keys::to_string(suite));
  report.text = "recovery key in the token with serial " + made.file.token_serial +
                "\nits public half is in " + printable(options.output) + "\nSHA-256 " + made.sha256 +
                "\nin words:\n" + encoding::word_lines(from_hex(made.sha256), "  ", text_columns()) +
                "The officers of each source compare these before they approve a backup to it.\n";
  return report;
}

Report new_recovery_key(Context& context, const MekBackupOptions& options) {
  site::Appliance appliance(
      context.environment({.outputs = {options.written()}, .operations = {"recovery-key"}}));
  const auto made = mek::make_recovery_key(appliance, options.output, options.existing());
  Report report = describe_backup(made, options);
  report.json["entry"] = made.entry;
  report.text += "proof: 'qpcseal audit receipt " + std::to_string(made.entry) + " -o FILE'\n";
  return report;
}

Report show_recovery_key(Context& context, const MekBackupOptions& options) {
  site::Appliance appliance(context.environment({.outputs = {options.written()}}));
  const auto made = mek::recovery_key_in_force(appliance);
  write_file(options.output, encode(made.file), options.existing());
  Report report = describe_backup(made, options);
  report.log_entry = appliance.log().state().size - 1;
  return report;
}

Report back_up_mek(Context& context, const MekBackupOptions& options) {
  const auto look = [&](const site::Outlook&) {
    static_cast<void>(mek::recovery_key_digest(options.recovery_key));
  };
  site::Appliance appliance(context.environment({.inputs = {options.recovery_key},
                                                 .outputs = {options.written()},
                                                 .operations = {"mek-backup"},
                                                 .look = look}));
  const mek::BackupMade made =
      mek::backup(appliance, {options.mek, options.recovery_key, options.output, options.existing()});
  Report report;
  report.json = {{"label", made.mek.label},
                 {"id", to_hex(made.mek.id)},
                 {"output", options.output},
                 {"sha256", made.sha256},
                 {"recovery_key_sha256", made.recovery_key_sha256},
                 {"suite", keys::to_string(made.suite)},
                 {"encryptions", made.encryptions}};
  report.written = {options.output};
  report.text = made.mek.label + " is backed up in " + printable(options.output) + ", by suite " +
                std::string(keys::to_string(made.suite)) + "\nSHA-256       " + made.sha256 +
                "\nrecovery key  " + made.recovery_key_sha256 + "\n";
  return report;
}

std::string origin_text(const mek::RestoredMek& back) {
  if (back.returned)
    return "the token had lost it, and this backup is its own: it goes on as before, encryptions counted\n";
  if (back.origin == keys::Origin::Transferee)
    return "its source is destroyed: it seals and wraps here in its place\n";
  return "it only wraps: its source, token " + printable(back.header.token_serial) + ", may still encrypt\n";
}

Report restore_mek(Context& context, const MekBackupOptions& options) {
  mek::MekRestoreOptions wanted{options.file, std::nullopt};
  if (!options.retirement.empty()) wanted.retirement = options.retirement;
  const auto look = [&](const site::Outlook& outlook) { mek::look_at_restore(outlook, wanted); };
  site::Appliance appliance(
      context.environment({.inputs = {options.file, options.retirement}, .look = look}));
  const mek::RestoredMek back = mek::restore(appliance, wanted);
  Report report;
  report.json = {{"label", back.mek.label},
                 {"id", to_hex(back.mek.id)},
                 {"origin", back.returned ? "returned" : keys::to_string(back.origin)},
                 {"source_serial", back.header.token_serial},
                 {"encryptions", back.header.encryptions},
                 {"state", back.suspended ? "suspended" : "ok"}};
  report.text = "restored " + back.mek.label + " (id " + to_hex(back.mek.id) + ") in token " +
                appliance.token().label + "; the check value holds\n" + origin_text(back);
  if (back.header.exposed_since > 0) {
    report.json["exposed_since"] = format_time(back.header.exposed_since);
    report.text += "it is EXPOSED since " + format_time(back.header.exposed_since) +
                   ": at its source the vendor's tool had it in the clear\n";
  }
  if (back.suspended) report.text += "it was suspended here before, and is again: nothing uses it\n";
  return report;
}

Report drill(Context& context, const MekBackupOptions& options) {
  const auto look = [&](const site::Outlook& outlook) {
    mek::look_at_drill(outlook, options.file, options.days);
  };
  site::Appliance appliance(
      context.environment({.inputs = {options.file}, .outputs = {options.written()}, .look = look}));
  const mek::Drilled done =
      mek::drill(appliance, options.file, options.days, options.output, options.existing());
  const std::string label = keys::make_label(done.header.name, done.header.generation);
  Report report;
  report.json = {{"label", label},
                 {"id", to_hex(done.header.mek_id)},
                 {"certificate", options.output},
                 {"expires", format_time(done.expires)}};
  report.written = {options.output};
  report.text = "the backup of " + label +
                " opens in this token and its check value holds; the key did not " + "stay\ncertificate " +
                printable(options.output) + ", good until " + format_time(done.expires) + "\n";
  return report;
}

CLI::App* add_backup_command(CLI::App& parent, Context& context, const char* name, const char* help,
                             const std::shared_ptr<MekBackupOptions>& options,
                             Report (*run)(Context&, const MekBackupOptions&)) {
  CLI::App* command = parent.add_subcommand(name, help);
  add_output_options(*command, context);
  add_token_options(*command, context);
  add_approval_options(*command, context);
  command->callback([&context, options, run] {
    context.command = [&context, options, run] { return run(context, *options); };
  });
  return command;
}

void add_output_file(CLI::App& command, const std::shared_ptr<MekBackupOptions>& options, const char* what) {
  command.add_option("-o,--output", options->output, what)->required();
  command.add_flag("--force", options->force, "Replace the file");
}

}  // namespace

void add_mek_backup(CLI::App& mek, Context& context) {
  auto options = std::make_shared<MekBackupOptions>();
  CLI::App* backup = add_backup_command(
      mek, context, "backup", "Wrap a key, inside the token, to a recovery token", options, back_up_mek);
  backup->add_option("MEK", options->mek, "Label, label#generation or PKCS #11 URI")->required();
  backup->add_option("--to", options->recovery_key, "The recovery token's public key")->required();
  add_output_file(*backup, options, "The backup");
  CLI::App* restoring =
      add_backup_command(mek, context, "restore", "Restore a key from a backup to this token's recovery key",
                         options, restore_mek);
  restoring->add_option("FILE", options->file, "The backup")->required();
  restoring->add_option("--retirement", options->retirement,
                        "The receipt of the source's 'mek destroy': the key then seals here too");
  CLI::App* drilling =
      add_backup_command(mek, context, "drill",
                         "Prove that a backup opens in this token; the key does not stay", options, drill);
  drilling->add_option("FILE", options->file, "The backup")->required();
  drilling->add_option("--days", options->days, "How long the certificate holds (default 180)")
      ->check(CLI::Range(1, 3650));
  add_output_file(*drilling, options, "The certificate: the receipt of the drill's entry in the log");
  add_mek_drills(mek, context);
}

void add_recovery_key(CLI::App& app, Context& context) {
  CLI::App* parent = app.add_subcommand("recovery-key", "The key that backups are wrapped to");
  parent->require_subcommand(1);
  auto options = std::make_shared<MekBackupOptions>();
  CLI::App* making =
      add_backup_command(*parent, context, "new", "Make the pair in this token", options, new_recovery_key);
  add_output_file(*making, options, "Its public half, for the sources");
  CLI::App* showing =
      add_backup_command(*parent, context, "show", "Write the public half of this token's pair again",
                         options, show_recovery_key);
  add_output_file(*showing, options, "Its public half, byte for byte as at first");
}

}  // namespace qpcseal::cli
