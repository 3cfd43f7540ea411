// SPDX-License-Identifier: Apache-2.0
#include "appliance/cli/commands/audit_options.h"
#include "appliance/site/seen_checkpoints.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text_file.h"
#include "encoding/file_kind.h"
#include "tlog/cosignature.h"

namespace qpcseal::cli {

namespace {

std::string read_note(const std::string& path) {
  std::string out = read_plain_text(path, tlog::kMaxCheckpointSize);
  with_context(path, [&] { encoding::refuse_other_kind(view(out), "a signed checkpoint"); });
  return out;
}

// The witness is the one given, or one that the log says is trusted.
tlog::Cosigned open_witnessed(const AuditOptions& options, const audit::LogCopy& log,
                              const std::string& note) {
  if (!options.witness_key.empty())
    return tlog::open_cosigned(note, tlog::WitnessKey::parse(vkey_text(options.witness_key)));
  for (const std::string& vkey : log.state.witness_keys) {
    try {
      return tlog::open_cosigned(note, tlog::WitnessKey::parse(vkey));
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::LogDamaged) throw;
    }
  }
  throw Error(ErrorKind::LogDamaged, options.witness + ": not signed by any witness that the log trusts",
              "--witness-key VKEY is the auditor's own copy of a witness's key");
}

void check_witness(const AuditOptions& options, const audit::LogCopy& log, Report& report) {
  const std::string note = read_note(options.witness);
  const tlog::Cosigned seen =
      with_context(options.witness, [&] { return open_witnessed(options, log, note); });
  site::require_continues(log.state, log.tree, note, options.witness);
  report.json["witness"] = {{"size", seen.checkpoint.size}, {"time", format_time(seen.time)}};
  report.text += "a witness saw the first " + std::to_string(seen.checkpoint.size) + " entries on " +
                 format_time(seen.time) + "\n";
}

void check_earlier(const AuditOptions& options, const audit::LogCopy& log, Report& report) {
  const std::string note = read_note(options.earlier);
  site::require_continues(log.state, log.tree, note, options.earlier);
  report.json["continues"] = options.earlier;
  report.text += "it continues the checkpoint " + printable(options.earlier) + "\n";
}

Report summary(const AuditOptions& options, const audit::LogCopy& log) {
  Report report;
  const std::string root = to_hex(log.checkpoint.root);
  report.json = {{"verified", true},
                 {"size", log.checkpoint.size},
                 {"root", root},
                 {"log_key", log.key.text()},
                 {"key_given", !options.key.empty()},
                 {"replayed", !options.quick},
                 {"last_time", format_time(log.state.last_time)},
                 {"open_intents", log.state.open.size()},
                 {"key_rotations", log.state.log_keys.size() - 1},
                 {"uncommitted_bytes", log.tail.size()}};
  report.text = "the log is whole: " + std::to_string(log.checkpoint.size) + " entries, the last of " +
                format_time(log.state.last_time) + "\nroot    " + root + "\nlog key " + log.key.text() + "\n";
  if (options.quick)
    report.text += "checked: signature, tree, chain and form of all entries; not replayed: what they say\n";
  if (log.state.log_keys.size() > 1)
    report.text += "the log's key was rotated " + std::to_string(log.state.log_keys.size() - 1) +
                   " times, each time signed by the key before\n";
  if (!log.state.open.empty())
    report.text += std::to_string(log.state.open.size()) + " acts have no result yet\n";
  if (!log.tail.empty())
    report.text += std::to_string(log.tail.size()) + " bytes behind the checkpoint are not part of it\n";
  return report;
}

Report verify_log(const AuditOptions& options) {
  const audit::LogCopy log =
      read_log(options, options.quick ? audit::Check::Proofs : audit::Check::Everything);
  Report report = summary(options, log);
  if (!options.earlier.empty()) check_earlier(options, log, report);
  if (!options.witness.empty()) check_witness(options, log, report);
  if (options.key.empty() && options.dir.empty()) report.text += std::string("note: ") + kKeyNotGiven + "\n";
  return report;
}

}  // namespace

void add_audit_verify(CLI::App& audit, Context& context, const SharedAuditOptions& options) {
  CLI::App* app =
      add_audit_command(audit, context, options, "verify", "Check the whole log; needs no token", verify_log);
  add_log_options(*app, options);
  app->add_flag("--quick", options->quick,
                "Signature, tree, chain and form only, without replaying the entries");
  app->add_option("--earlier", options->earlier,
                  "A checkpoint kept from before, which the log must continue");
  CLI::Option* witness = app->add_option("--witness", options->witness,
                                         "A checkpoint that a witness cosigned, which the log must continue");
  app->add_option("--witness-key", options->witness_key,
                  "The witness's key (default: those that the log trusts)")
      ->needs(witness);
}

}  // namespace qpcseal::cli
