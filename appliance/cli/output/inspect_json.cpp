// SPDX-License-Identifier: Apache-2.0
#include "appliance/cli/output/inspect_json.h"

#include "appliance/audit/receipt.h"
#include "appliance/cli/commands/audit_show.h"
#include "appliance/cli/output/bundle_parts.h"
#include "base/digest.h"
#include "base/error.h"
#include "encoding/json.h"

namespace qpcseal::cli {

namespace {

using encoding::Json;

// The entry and the checkpoint as they stand in it; 'audit check-receipt' verifies them.
Report inspect_receipt(const Json& receipt) {
  encoding::expect_keys(receipt, {"checkpoint", "entry", "index", "proof", "rotations", "type", "v"},
                        "receipt");
  const audit::Entry entry = audit::parse_entry(encoding::text_member(receipt, "entry"));
  Report report;
  report.json = {{"type", "receipt"},
                 {"verified", false},
                 {"entry", entry.seq},
                 {"kind", entry.kind},
                 {"phase", audit::to_string(entry.phase)},
                 {"outcome", entry.outcome},
                 {"time", format_time(entry.time)},
                 {"data", entry.data},
                 {"checkpoint", encoding::text_member(receipt, "checkpoint")}};
  report.text = "receipt: what it SAYS; 'qpcseal audit check-receipt' verifies it\n" +
                table({{"entry", std::to_string(entry.seq)},
                       {"time", format_time(entry.time)},
                       {"act", printable(entry.kind) + " " + std::string(audit::to_string(entry.phase)) +
                                   " " + printable(entry.outcome)},
                       {"says", printable(entry_subject(entry))}},
                      Head::No) +
                whole_digests(entry);
  return report;
}

Report inspect_bundle(const Json& bundle) {
  Report report = inspect_receipt(encoding::member(bundle, "receipt"));
  report.json["type"] = "bundle";
  report.json["parts"] = nlohmann::ordered_json::array();
  report.text.replace(0, report.text.find(':'), "bundle: a receipt, and what its verdict rests on");
  std::vector<std::vector<std::string>> rows{{"PART", "BYTES", "WHAT"}};
  for (const BundlePart& part : bundle_parts(bundle)) {
    rows.push_back({part.name, std::to_string(part.bytes.size()), part.what});
    report.json["parts"].push_back({{"name", part.name},
                                    {"what", part.what},
                                    {"size", part.bytes.size()},
                                    {"sha256", sha256_hex(part.bytes)}});
  }
  report.text += "\n" + table(rows) + "--parts-to FOLDER writes them as files\n";
  return report;
}

// A value as the table shows it; "-" for null.
std::string shown(const Json& card, const char* name) {
  const Json& value = encoding::member(card, name);
  if (value.is_null()) return "-";
  return printable(value.is_string() ? value.get<std::string>() : value.dump());
}

Report inspect_wrapped(const Json& config) {
  Report report;
  encoding::expect_keys(config, {"format", "mek", "mek_id", "wrapped"}, "config.json");
  const Json& cards = encoding::member(config, "wrapped");
  if (!cards.is_array()) throw Error(ErrorKind::Malformed, "config.json: 'wrapped' is no list");
  report.json = {{"type", "wrapped MEKs"},
                 {"verified", false},
                 {"mek", encoding::text_member(config, "mek")},
                 {"mek_id", encoding::text_member(config, "mek_id")},
                 {"wrapped", cards}};
  std::vector<std::vector<std::string>> rows{{"FOLDER", "HOST", "DEVICE", "UEID", "SUITE", "ENTRY"}};
  for (const Json& card : cards)
    rows.push_back({shown(card, "folder"), shown(card, "host"), shown(card, "device"), shown(card, "ueid"),
                    shown(card, "suite"), shown(encoding::member(card, "receipt"), "entry")});
  report.text = "wrapped MEKs of " + shown(config, "mek") + " (" + shown(config, "mek_id") +
                "): what config.json SAYS; nothing is verified here\n" + table(rows);
  return report;
}

}  // namespace

Report inspect_json(std::string_view text) {
  const Json json = encoding::parse_json(text, "JSON");
  const auto says = [&](const char* name, std::string_view value) {
    const auto found = json.find(name);
    return found != json.end() && found->is_string() && found->get_ref<const std::string&>() == value;
  };
  if (says("format", "qpcseal/wrapped-meks/1")) return inspect_wrapped(json);
  if (text.ends_with('\n')) text.remove_suffix(1);
  const bool receipt = says("type", "qpcseal-receipt");
  if ((receipt || says("type", "qpcseal-bundle")) && encoding::canonical(json) != text)
    throw Error(ErrorKind::Malformed, "a receipt or bundle that is not written as one is");
  if (receipt) return inspect_receipt(json);
  if (says("type", "qpcseal-bundle")) return inspect_bundle(json);
  throw Error(ErrorKind::Malformed, "JSON, and no receipt, bundle or config.json of wrapped MEKs");
}

}  // namespace qpcseal::cli
