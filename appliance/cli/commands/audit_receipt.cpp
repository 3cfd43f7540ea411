// SPDX-License-Identifier: Apache-2.0
#include "appliance/audit/receipt.h"

#include "appliance/cli/commands/audit_options.h"
#include "appliance/verdict/bundle.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text_file.h"
#include "cli/exit_code.h"
#include "encoding/file_kind.h"

namespace qpcseal::cli {

namespace {

constexpr std::string_view kBundleKind = "a bundle (a receipt and what its verdict rests on)";

// What the entry proves. An intent, or a wrap that is not delivered yet, is not to be read as the act.
std::string nature_of(const audit::Entry& entry) {
  std::string out = printable(entry.kind) + ", " + std::string(audit::to_string(entry.phase));
  if (!entry.outcome.empty()) out += " " + printable(entry.outcome);
  if (entry.phase == audit::Phase::Intent)
    out += ": it was to be done; what came of it stands in another entry";
  return out;
}

Report receipt(const AuditOptions& options) {
  if (options.bundle && !site::find_home())
    throw Error(
        ErrorKind::Io, "a bundle is made where the appliance's home is, which keeps reports and approvals",
        "QPCSEAL_HOME names the home; a receipt without --bundle needs no more than a copy of the log");
  const audit::LogCopy log = read_log(options);
  const std::string text = options.bundle ? verdict::make_bundle(site::locate_home(), log, options.entry)
                                          : audit::make_receipt(log, options.entry);
  write_output(options, text);
  const audit::Entry entry = audit::parse_entry(log.line(options.entry));
  Report report;
  report.json = {
      {"entry", options.entry},   {"kind", entry.kind},     {"phase", audit::to_string(entry.phase)},
      {"outcome", entry.outcome}, {"file", options.output}, {"sha256", sha256_hex(text)},
      {"log_key", log.key.text()}};
  report.written = {options.output};
  report.log_entry = log.state.size - 1;
  report.text = "wrote " + printable(options.output) + ": entry " + std::to_string(options.entry) + ", " +
                nature_of(entry) + "\ncheck it with: qpcseal audit check-receipt " + options.output +
                " --key '" + log.key.text() + "'\n";
  return report;
}

// A drill's certificate holds until the day that it names.
void add_expiry(Report& report, const audit::Entry& entry) {
  if (entry.kind != "mek-drill" || entry.phase != audit::Phase::Result || entry.outcome != "ok") return;
  const auto expires = static_cast<UnixTime>(encoding::uint_member(entry.data, "expires"));
  const bool holds = SystemClock().now() < expires;
  report.json["expires"] = format_time(expires);
  report.json["expired"] = !holds;
  report.text +=
      (holds ? "the drill's certificate holds until " : "EXPIRED: the drill's certificate held until ") +
      format_time(expires) + "\n";
  if (!holds) report.exit_code = exit_code(ErrorKind::Denied);
}

Report describe_receipt(const audit::Receipt& got) {
  Report report;
  report.json = {{"verified", true},
                 {"entry", got.entry.seq},
                 {"kind", got.entry.kind},
                 {"phase", audit::to_string(got.entry.phase)},
                 {"outcome", got.entry.outcome},
                 {"time", format_time(got.entry.time)},
                 {"size", got.checkpoint.size},
                 {"root", to_hex(got.checkpoint.root)},
                 {"data", nlohmann::ordered_json::parse(got.entry.data.dump())}};
  report.text = "entry " + std::to_string(got.entry.seq) + " is in the log of " +
                std::to_string(got.checkpoint.size) + " entries with root " + to_hex(got.checkpoint.root) +
                "\n" +
                table({{"entry", nature_of(got.entry)},
                       {"time", format_time(got.entry.time)},
                       {"subject", entry_subject(got.entry)}},
                      Head::No) +
                whole_digests(got.entry);
  add_expiry(report, got.entry);
  return report;
}

std::string recomputed_words(const verdict::Recomputed& again) {
  std::string out = "computed again from the report, under the policy with serial " +
                    std::to_string(again.policy_serial) + ", as of " + format_time(again.time) + ": ";
  if (!again.allowed) {
    out += "DENIED, for the reasons in the log\n";
  } else if (again.receipt.entry.outcome == "ok") {
    out += "ALLOWED, as a card of class " + printable(again.device_class) + "\n";
  } else {
    out += "this report passes; another one of its transaction was DENIED, and so all were\n";
  }
  for (const std::string& line : finding_lines(again.findings)) out += "  " + line + "\n";
  const auto signers = [&](const char* what, const std::vector<std::string>& names) {
    if (!names.empty()) out += std::string(what) + " signed by " + printable(join(names)) + "\n";
  };
  if (again.signatures.policy.empty()) out += "nobody signed the policy: a demonstration\n";
  signers("policy", again.signatures.policy);
  signers("collateral", again.signatures.trust);
  signers("release", again.signatures.release);
  return out;
}

Report describe_receipt(const verdict::Recomputed& again) {
  Report report = describe_receipt(again.receipt);
  report.json["recomputed"] = {{"allowed", again.allowed},
                               {"device_class", again.device_class},
                               {"findings", as_json(again.findings)},
                               {"policy_serial", again.policy_serial},
                               {"as_of", format_time(again.time)},
                               {"signed",
                                {{"policy", again.signatures.policy},
                                 {"trust", again.signatures.trust},
                                 {"release", again.signatures.release}}}};
  report.text += recomputed_words(again);
  return report;
}

// Whether the key is named in it at all, as the checkpoint's signer or in a rotation.
bool names_key(const encoding::Json& receipt, const tlog::VerifierKey& key) {
  const std::string& note = encoding::text_member(receipt, "checkpoint");
  for (const tlog::NoteSignature& one : tlog::parse_note(note).signatures)
    if (one.name == key.name() && one.id == key.id()) return true;
  return encoding::member(receipt, "rotations").dump().find(key.text()) != std::string::npos;
}

// Before anything is verified: a key of another log says nothing of this file.
void refuse_other_key(std::string_view text, const tlog::VerifierKey& key) {
  const encoding::Json json = encoding::parse_json(text, "receipt");
  const encoding::Json& receipt = verdict::is_bundle(text) ? encoding::member(json, "receipt") : json;
  if (names_key(receipt, key)) return;
  throw Error(ErrorKind::Denied, "it was signed with another key than the one that was given, " + key.text(),
              "compare it with the key that the appliance's officers handed over");
}

Report check_receipt_file(const AuditOptions& options) {
  const std::string text = read_plain_text(options.file, verdict::kMaxBundle);
  const auto key = tlog::VerifierKey::parse(vkey_text(options.key));
  return with_context(options.file, [&] {
    encoding::as_kind(view(text), verdict::is_bundle(text) ? kBundleKind : "a receipt",
                      [&] { refuse_other_key(text, key); });
    if (verdict::is_bundle(text)) return describe_receipt(verdict::check_bundle(text, key));
    return encoding::as_kind(view(text), "a receipt",
                             [&] { return describe_receipt(audit::check_receipt(text, key)); });
  });
}

}  // namespace

void add_audit_receipts(CLI::App& audit, Context& context, const SharedAuditOptions& options) {
  CLI::App* app = add_audit_command(audit, context, options, "receipt",
                                    "One entry, provable without log or token", receipt);
  app->add_option("ENTRY", options->entry, "The entry's number")->required();
  add_log_options(*app, options);
  app->add_flag("--bundle", options->bundle,
                "With report, policy and trust material: the verdict can be computed again from it");
  add_output(*app, options, "The receipt to write");
  app = add_audit_command(audit, context, options, "check-receipt",
                          "Check a receipt; needs nothing but the key", check_receipt_file);
  app->add_option("FILE", options->file, "A receipt, or a bundle: its verdict is computed again")->required();
  app->add_option(
         "--key", options->key,
         "The log's verification key, the present one or an earlier: name+id+key, or a file that holds it")
      ->required();
}

}  // namespace qpcseal::cli
