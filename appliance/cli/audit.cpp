#include <memory>

#include "appliance/audit/receipt.h"
#include "appliance/audit/tiles.h"
#include "appliance/audit/words.h"
#include "appliance/cli/app.h"
#include "appliance/cli/audit_show.h"
#include "base/error.h"
#include "base/file.h"

namespace qpcseal::cli {

namespace {

// What all audit commands share; none needs the token or the lock.
struct AuditOptions {
  std::string folder;  // empty: the home's log
  std::string key;     // vkey; empty: as the log names it
  std::string output, earlier, since, until, file;
  std::uint64_t entry = 0;
  bool force = false;
  EntryFilter filter;
};

std::optional<audit::VerifierKey> key_of(const AuditOptions& options) {
  if (options.key.empty()) return std::nullopt;
  return audit::VerifierKey::parse(options.key);
}

audit::LogCopy read(const AuditOptions& options) {
  const std::filesystem::path folder =
      options.folder.empty() ? release::locate_home().log() : std::filesystem::path(options.folder);
  return audit::read_log(folder, key_of(options));
}

std::string read_small(const std::string& path) {
  return std::string(text_of(read_file(path, audit::kMaxReceiptSize)));
}

void write_output(const AuditOptions& options, const std::string& text) {
  write_file(options.output, view(text), options.force ? Existing::Replace : Existing::Refuse);
}

// A log goes on from every checkpoint that it ever had.
void check_continues(const audit::LogCopy& log, const std::string& path) {
  const audit::Checkpoint earlier =
      with_context(path, [&] { return audit::open_checkpoint(read_small(path), log.key); });
  if (earlier.size > log.checkpoint.size)
    throw Error(ErrorKind::LogDamaged, "the log was rolled back: it has " +
                                           std::to_string(log.checkpoint.size) + " entries, " + path +
                                           " has " + std::to_string(earlier.size));
  if (log.tree.root(earlier.size) != earlier.root)
    throw Error(ErrorKind::LogDamaged, "the log does not continue from " + path + ": it was rewritten");
}

Report verify(const AuditOptions& options) {
  const audit::LogCopy log = read(options);
  if (!options.earlier.empty()) check_continues(log, options.earlier);
  Report report;
  const std::string root = to_hex(log.checkpoint.root);
  report.json = {{"verified", true},
                 {"size", log.checkpoint.size},
                 {"root", root},
                 {"log_key", log.key.text()},
                 {"key_given", !options.key.empty()},
                 {"last_time", format_time(log.state.last_time)},
                 {"open_intents", log.state.open.size()},
                 {"uncommitted_bytes", log.tail.size()}};
  report.text = "the log is whole: " + std::to_string(log.checkpoint.size) + " entries, the last of " +
                format_time(log.state.last_time) + "\nroot    " + root + "\nlog key " + log.key.text() + "\n";
  if (!log.state.open.empty())
    report.text += std::to_string(log.state.open.size()) + " acts have no result yet\n";
  if (!log.tail.empty())
    report.text += std::to_string(log.tail.size()) + " bytes behind the checkpoint are not part of it\n";
  if (options.key.empty())
    report.text +=
        "note: the key was taken from the log, so this shows no more than that the log agrees with "
        "itself; --key VKEY is the auditor's own copy\n";
  return report;
}

Report checkpoint(const AuditOptions& options) {
  const audit::LogCopy log = read(options);
  if (!options.output.empty()) write_output(options, log.note);
  const std::string root = to_hex(log.checkpoint.root), words = audit::words_of(log.checkpoint.root);
  Report report;
  report.json = {{"size", log.checkpoint.size}, {"root", root}, {"words", words}, {"note", log.note}};
  report.text = "size  " + std::to_string(log.checkpoint.size) + "\nroot  " + root + "\nwords ";
  constexpr std::size_t kLine = 8;  // words
  for (std::size_t i = 0, count = 0; i < words.size(); ++i) {
    const bool wrap = words[i] == ' ' && ++count % kLine == 0;
    report.text += wrap ? "\n      " : std::string(1, words[i]);
  }
  report.text += "\n";
  return report;
}

Report receipt(const AuditOptions& options) {
  const audit::LogCopy log = read(options);
  write_output(options, audit::make_receipt(log, options.entry));
  Report report;
  report.json = {{"entry", options.entry}, {"file", options.output}, {"log_key", log.key.text()}};
  report.text = "wrote " + options.output + "\ncheck it with: qpcseal audit check-receipt " + options.output +
                " --key '" + log.key.text() + "'\n";
  return report;
}

Report check(const AuditOptions& options) {
  const audit::Receipt got = with_context(options.file, [&] {
    return audit::check_receipt(read_small(options.file), audit::VerifierKey::parse(options.key));
  });
  Report report;
  report.json = {{"verified", true},
                 {"entry", got.entry.seq},
                 {"kind", got.entry.kind},
                 {"outcome", got.entry.outcome},
                 {"time", format_time(got.entry.time)},
                 {"size", got.checkpoint.size},
                 {"root", to_hex(got.checkpoint.root)},
                 {"data", nlohmann::ordered_json::parse(got.entry.data.dump())}};
  report.text = "entry " + std::to_string(got.entry.seq) + " is in the log of " +
                std::to_string(got.checkpoint.size) + " entries with root " + to_hex(got.checkpoint.root) +
                "\n" +
                table({{"kind", printable(got.entry.kind)},
                       {"outcome", got.entry.outcome.empty() ? "-" : got.entry.outcome},
                       {"time", format_time(got.entry.time)},
                       {"subject", subject_of(got.entry)}});
  return report;
}

Report export_log(const AuditOptions& options) {
  const audit::LogCopy log = read(options);
  audit::export_tiles(log, options.output);
  Report report;
  report.json = {{"folder", options.output}, {"size", log.checkpoint.size}};
  report.text = "wrote " + std::to_string(log.checkpoint.size) + " entries to " + options.output + "\n";
  return report;
}

Report show(AuditOptions options) {
  if (!options.since.empty()) options.filter.since = parse_time(options.since);
  if (!options.until.empty()) options.filter.until = parse_time(options.until);
  return show_entries(read(options), options.filter);
}

using Shared = std::shared_ptr<AuditOptions>;

void add_log_options(CLI::App& app, const Shared& options) {
  app.add_option("--log", options->folder, "The log's folder, or a copy (default: this appliance's)");
  app.add_option("--key", options->key, "The log's verification key: name+id+key");
}

void add_output(CLI::App& app, const Shared& options, const char* help) {
  app.add_option("-o,--output", options->output, help)->required();
  app.add_flag("--force", options->force, "Replace an existing file");
}

template <typename Act>
CLI::App* add_one(CLI::App& parent, Context& context, const Shared& options, const char* name,
                  const char* help, Act act) {
  CLI::App* app = parent.add_subcommand(name, help);
  add_output_options(*app, context);
  app->callback([&context, options, act] { context.command = [options, act] { return act(*options); }; });
  return app;
}

void add_receipts(CLI::App& audit, Context& context, const Shared& options) {
  CLI::App* app =
      add_one(audit, context, options, "receipt", "One entry, provable without log or token", receipt);
  app->add_option("ENTRY", options->entry, "The entry's number")->required();
  add_log_options(*app, options);
  add_output(*app, options, "The receipt to write");
  app =
      add_one(audit, context, options, "check-receipt", "Check a receipt; needs nothing but the key", check);
  app->add_option("FILE", options->file, "A receipt")->required();
  app->add_option("--key", options->key, "The log's verification key: name+id+key")->required();
}

void add_show(CLI::App& audit, Context& context, const Shared& options) {
  CLI::App* app = add_one(audit, context, options, "show", "The entries, of a verified log", show);
  add_log_options(*app, options);
  app->add_option("--since", options->since, "Not before this time (2026-11-24T08:30:00Z)");
  app->add_option("--until", options->until, "Not after this time");
  app->add_option("--mek", options->filter.mek, "Of this MEK: name, name#generation or id");
  app->add_option("--card", options->filter.card, "Of this card (ueid)");
  app->add_option("--kind", options->filter.kind, "Of this kind, e.g. release");
}

}  // namespace

void add_audit(CLI::App& app, Context& context) {
  CLI::App* audit = app.add_subcommand("audit", "The log: what was done, provably");
  audit->require_subcommand(1);
  const auto options = std::make_shared<AuditOptions>();
  CLI::App* one = add_one(*audit, context, options, "verify", "Check the whole log; needs no token", verify);
  add_log_options(*one, options);
  one->add_option("--earlier", options->earlier,
                  "A checkpoint kept from before, which the log must continue");
  one =
      add_one(*audit, context, options, "checkpoint", "Size and root, with words to read aloud", checkpoint);
  add_log_options(*one, options);
  one->add_option("-o,--output", options->output, "Write the signed checkpoint to this file");
  one->add_flag("--force", options->force, "Replace an existing file");
  one = add_one(*audit, context, options, "export", "The log as static files (C2SP tlog-tiles)", export_log);
  add_log_options(*one, options);
  one->add_option("-o,--output", options->output, "A new folder")->required();
  add_receipts(*audit, context, options);
  add_show(*audit, context, options);
}

}  // namespace qpcseal::cli
