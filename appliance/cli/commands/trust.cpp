// SPDX-License-Identifier: Apache-2.0
#include "appliance/trust/trust_folder.h"

#include <memory>

#include "appliance/audit/read.h"
#include "appliance/cli/commands/collateral.h"
#include "appliance/cli/commands/context.h"
#include "base/print.h"

namespace qpcseal::cli {

namespace {

using OrderedJson = nlohmann::ordered_json;

std::string pem_of(const std::string& base64) {
  constexpr std::size_t kLine = 64;
  std::string out = "-----BEGIN PUBLIC KEY-----\n";
  for (std::size_t at = 0; at < base64.size(); at += kLine) out += base64.substr(at, kLine) + "\n";
  return out + "-----END PUBLIC KEY-----\n";
}

Report show_key(const audit::State& state) {
  Report report;
  const std::string key = encoding::text_member(state.genesis, "seal_key");
  report.text = pem_of(key);
  report.json = {{"seal_key", key}, {"pem", report.text}};
  return report;
}

void add_bundle(Report& report, const policy::CollateralFacts& bundle) {
  report.json["bundle"] = nullptr;
  if (!bundle.present) return;
  auto revoked = OrderedJson::array();
  for (const Bytes& ueid : bundle.revoked_ueids) revoked.push_back(to_hex(ueid));
  auto references = OrderedJson::object();
  for (const auto& [name, digests] : bundle.references) {
    references[name] = OrderedJson::array();
    for (const Bytes& digest : digests) references[name].push_back(to_hex(digest));
  }
  report.json["bundle"] = {{"serial", bundle.serial},
                           {"not_before", format_time(bundle.not_before)},
                           {"not_after", format_time(bundle.not_after)},
                           {"references", references},
                           {"revoked_ueids", revoked}};
  report.text += "collateral bundle " + std::to_string(bundle.serial) + ", fresh from " +
                 format_time(bundle.not_before) + " to " + format_time(bundle.not_after) + ", " +
                 std::to_string(bundle.references.size()) + " reference measurement(s), " +
                 std::to_string(bundle.revoked_ueids.size()) + " revoked card(s)\n";
}

Report show_files(const trust::Trust& trust) {
  Report report;
  std::vector<std::vector<std::string>> rows{{"FILE", "KIND", "SHA-256"}};
  report.json = {{"sha256", to_hex(trust.digest)}, {"files", OrderedJson::array()}};
  const auto add = [&](const char* kind, const trust::TrustFile& file) {
    const std::string digest = sha256_hex(file.der);
    rows.push_back({printable(file.name), kind, digest});
    report.json["files"].push_back({{"file", file.name}, {"kind", kind}, {"sha256", digest}});
  };
  for (const auto& root : trust.roots) add("root", root);
  for (const auto& crl : trust.crls) add("CRL", crl);
  report.text = table(rows);
  add_bundle(report, trust.collateral);
  return report;
}

Report show_trust(bool seal_key, bool log_key) {
  const site::Home home = site::locate_home();
  const audit::State state = audit::read_log(home.log(), std::nullopt).state;
  if (seal_key) return show_key(state);
  Report report;
  if (log_key) {
    report.text = encoding::text_member(state.genesis, "log_key") + "\n";
    report.json = {{"log_key", encoding::text_member(state.genesis, "log_key")},
                   {"in_force", state.log_keys.back().vkey}};
    if (state.log_keys.size() > 1)
      print_error("qpcseal: the log's first key, which verifies all of it; rotated since, in force is " +
                  state.log_keys.back().vkey + "\n");
    return report;
  }
  return show_files(site::read_pinned_trust(home, state));
}

}  // namespace

void add_trust(CLI::App& app, Context& context) {
  CLI::App* trust = app.add_subcommand("trust", "The vendor's roots, and this appliance's own keys");
  trust->require_subcommand(1);
  CLI::App* showing =
      trust->add_subcommand("show", "Roots and CRLs, or one of the appliance's verification keys");
  auto seal_key = std::make_shared<bool>(false), log_key = std::make_shared<bool>(false);
  CLI::Option* first = showing->add_flag("--seal-key", *seal_key,
                                         "The seal verification key, PEM: cards are provisioned with it");
  showing->add_flag("--log-key", *log_key, "The log verification key (vkey): auditors keep it")
      ->excludes(first);
  add_collateral(*trust, context);
  add_output_options(*showing, context);
  showing->callback([&context, seal_key, log_key] {
    context.command = [seal_key, log_key] { return show_trust(*seal_key, *log_key); };
  });
}

}  // namespace qpcseal::cli
