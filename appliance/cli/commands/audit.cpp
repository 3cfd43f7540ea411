// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <memory>

#include "appliance/audit/tiles.h"
#include "appliance/cli/commands/audit_options.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/file.h"
#include "base/print.h"
#include "base/terminal.h"
#include "base/text.h"
#include "encoding/file_kind.h"
#include "encoding/pgp_words.h"

namespace qpcseal::cli {

namespace {

Report show_checkpoint(const AuditOptions& options) {
  const audit::LogCopy log = read_log(options);
  if (!options.output.empty()) write_output(options, log.note);
  const std::string root = to_hex(log.checkpoint.root);
  Report report;
  report.json = {{"size", log.checkpoint.size},
                 {"root", root},
                 {"words", encoding::to_words(log.checkpoint.root)},
                 {"note", log.note}};
  report.log_entry = log.state.size - 1;
  if (!options.output.empty()) {
    report.json.update({{"output", options.output}, {"sha256", sha256_hex(log.note)}});
    report.written = {options.output};
  }
  report.text = "size  " + std::to_string(log.checkpoint.size) + "\nroot  " + root +
                "\nthe root in words:\n" + encoding::word_lines(log.checkpoint.root, "  ", text_columns());
  return report;
}

Report export_log(const AuditOptions& options) {
  const audit::LogCopy log = read_log(options);
  audit::export_tiles(log, options.output);
  Report report;
  report.json = {{"folder", options.output}, {"size", log.checkpoint.size}};
  report.written = {options.output};
  report.log_entry = log.state.size - 1;
  report.text = "wrote " + std::to_string(log.checkpoint.size) + " entries to " + options.output + "\n";
  return report;
}

Report show_log(AuditOptions options) {
  read_period(options);
  audit::LogCopy log = read_log(options);
  require_known(log, options.filter);
  return show_entries(std::move(log), options.filter);
}

void add_show(CLI::App& audit, Context& context, const SharedAuditOptions& options) {
  CLI::App* app =
      add_audit_command(audit, context, options, "show", "The entries, of a verified log", show_log);
  add_log_options(*app, options);
  add_period_options(*app, options);
  app->add_option("--mek", options->filter.mek, "Of this MEK: name, name#generation or id");
  app->add_option("--card", options->filter.card, "Of this card: its ueid, or how that begins");
  app->add_option("--kind", options->filter.kind, "Of this kind, e.g. release");
  app->add_option("--outcome", options->filter.outcome, "Results with this outcome")
      ->check(CLI::IsMember({"ok", "denied", "failed", "unknown"}));
}

}  // namespace

const char* const kKeyNotGiven =
    "the key was taken from the log, so this shows no more than that the log agrees with itself; --key VKEY "
    "is "
    "the auditor's own copy";

namespace {

// The folder that was meant to be a log's, and is none.
void require_log_folder(const std::filesystem::path& dir) {
  std::error_code ignored;
  if (std::filesystem::is_regular_file(dir, ignored)) {
    const std::string_view kind = encoding::file_kind(encoding::front_of(open_to_read(dir)));
    throw Error(ErrorKind::Io,
                dir.string() + " is " + (kind.empty() ? "a file" : std::string(kind)) +
                    ", and --log is the log's folder, with entries.jsonl and checkpoint",
                kind == "a signed checkpoint" ? "--earlier takes a checkpoint" : "");
  }
  if (!std::filesystem::is_directory(dir, ignored) || std::filesystem::exists(dir / "entries.jsonl", ignored))
    return;
  throw Error(ErrorKind::Io, dir.string() + " holds no log: entries.jsonl is not there",
              std::filesystem::exists(dir / "log" / "entries.jsonl", ignored)
                  ? "--log " + shell_word((dir / "log").string())
                  : "")
      .with_code("not-found");
}

}  // namespace

audit::LogCopy read_log(const AuditOptions& options, audit::Check check) {
  const std::filesystem::path dir =
      options.dir.empty() ? site::locate_home().log() : std::filesystem::path(options.dir);
  if (!options.dir.empty()) require_log_folder(dir);
  std::optional<tlog::VerifierKey> key;
  if (!options.key.empty()) key = tlog::VerifierKey::parse(vkey_text(options.key));
  audit::LogCopy log = audit::read_log(dir, key, check);
  if (!options.dir.empty() && !key) print_error(std::string("note: ") + kKeyNotGiven + "\n");
  return log;
}

void read_period(AuditOptions& options) {
  const auto read = [](const std::string& text, const char* option, OfDay which) {
    return with_context(option, [&] { return parse_time_or_day(text, which); });
  };
  if (!options.since.empty()) options.filter.since = read(options.since, "--since", OfDay::First);
  if (!options.until.empty()) options.filter.until = read(options.until, "--until", OfDay::Last);
}

void write_output(const AuditOptions& options, const std::string& text) {
  write_file(options.output, view(text), options.force ? Existing::Replace : Existing::Refuse);
}

void add_log_options(CLI::App& app, const SharedAuditOptions& options) {
  app.add_option("--log", options->dir, "The log's folder, or a copy (default: this appliance's)");
  app.add_option("--key", options->key,
                 "The log's first verification key: name+id+key, or a file that holds it");
}

void add_period_options(CLI::App& app, const SharedAuditOptions& options) {
  app.add_option("--since", options->since, "Not before this day or time (2026-11-24, 2026-11-24T08:30:00Z)");
  app.add_option("--until", options->until, "Not after this day or time");
}

void add_output(CLI::App& app, const SharedAuditOptions& options, const char* help) {
  app.add_option("-o,--output", options->output, help)->required();
  app.add_flag("--force", options->force, "Replace an existing file");
}

CLI::App* add_audit_command(CLI::App& parent, Context& context, const SharedAuditOptions& options,
                            const char* name, const char* help,
                            std::function<Report(const AuditOptions&)> act) {
  CLI::App* app = parent.add_subcommand(name, help);
  add_output_options(*app, context);
  app->callback([&context, options, act = std::move(act)] {
    context.command = [options, act] { return act(*options); };
  });
  return app;
}

void add_audit(CLI::App& app, Context& context) {
  CLI::App* audit = app.add_subcommand("audit", "The log: what was done, provably");
  audit->require_subcommand(1);
  const auto options = std::make_shared<AuditOptions>();
  add_audit_verify(*audit, context, options);
  CLI::App* one = add_audit_command(*audit, context, options, "checkpoint",
                                    "Size and root, with words to read aloud", show_checkpoint);
  add_log_options(*one, options);
  one->add_option("-o,--output", options->output, "Write the signed checkpoint to this file");
  one->add_flag("--force", options->force, "Replace an existing file");
  one = add_audit_command(*audit, context, options, "export", "The log as static files (C2SP tlog-tiles)",
                          export_log);
  add_log_options(*one, options);
  one->add_option("-o,--output", options->output, "A new folder")->required();
  add_audit_receipts(*audit, context, options);
  add_show(*audit, context, options);
  add_audit_report(*audit, context, options);
  add_audit_keys(*audit, context, options);
  add_anchor_accept(*audit, context);
}

}  // namespace qpcseal::cli
