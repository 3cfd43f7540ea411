#include "appliance/audit/receipt.h"

#include "appliance/cli/audit_options.h"
#include "base/error.h"
#include "base/file.h"

namespace qpcseal::cli {

namespace {

Report receipt(const AuditOptions& options) {
  const audit::LogCopy log = read_log(options);
  write_output(options, audit::make_receipt(log, options.entry));
  Report report;
  report.json = {{"entry", options.entry}, {"file", options.output}, {"log_key", log.key.text()}};
  report.text = "wrote " + options.output + "\ncheck it with: qpcseal audit check-receipt " + options.output +
                " --key '" + log.key.text() + "'\n";
  return report;
}

Report check(const AuditOptions& options) {
  const audit::Receipt got = with_context(options.file, [&] {
    return audit::check_receipt(text_of(read_file(options.file, audit::kMaxReceiptSize)),
                                audit::VerifierKey::parse(options.key));
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

}  // namespace

void add_audit_receipts(CLI::App& audit, Context& context, const SharedAuditOptions& options) {
  CLI::App* app = add_audit_command(audit, context, options, "receipt",
                                    "One entry, provable without log or token", receipt);
  app->add_option("ENTRY", options->entry, "The entry's number")->required();
  add_log_options(*app, options);
  add_output(*app, options, "The receipt to write");
  app = add_audit_command(audit, context, options, "check-receipt",
                          "Check a receipt; needs nothing but the key", check);
  app->add_option("FILE", options->file, "A receipt")->required();
  app->add_option("--key", options->key,
                  "The log's verification key, the present one or an earlier: name+id+key")
      ->required();
}

}  // namespace qpcseal::cli
