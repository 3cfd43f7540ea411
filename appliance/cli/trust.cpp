#include "appliance/release/trust.h"

#include <memory>

#include "appliance/audit/read.h"
#include "appliance/cli/app.h"

namespace qpcseal::cli {

namespace {

std::string pem_of(const std::string& base64) {
  constexpr std::size_t kLine = 64;
  std::string out = "-----BEGIN PUBLIC KEY-----\n";
  for (std::size_t at = 0; at < base64.size(); at += kLine) out += base64.substr(at, kLine) + "\n";
  return out + "-----END PUBLIC KEY-----\n";
}

Report show_key(const audit::State& state) {
  Report report;
  const std::string key = audit::text_member(state.genesis, "seal_key");
  report.text = pem_of(key);
  report.json = {{"seal_key", key}, {"pem", report.text}};
  return report;
}

Report show(bool seal_key, bool log_key) {
  const release::Home home = release::locate_home();
  const audit::State state = audit::read_log(home.log(), std::nullopt).state;
  if (seal_key) return show_key(state);
  Report report;
  if (log_key) {
    report.text = audit::text_member(state.genesis, "log_key") + "\n";
    report.json = {{"log_key", audit::text_member(state.genesis, "log_key")}};
    return report;
  }
  const release::Trust trust = release::read_pinned_trust(home, state);
  std::vector<std::vector<std::string>> rows{{"FILE", "KIND", "SHA-256"}};
  report.json = {{"sha256", to_hex(trust.digest)}, {"files", nlohmann::ordered_json::array()}};
  const auto add = [&](const char* kind, const release::TrustFile& file) {
    const std::string digest = to_hex(sha256(file.der));
    rows.push_back({printable(file.name), kind, digest});
    report.json["files"].push_back({{"file", file.name}, {"kind", kind}, {"sha256", digest}});
  };
  for (const auto& root : trust.roots) add("root", root);
  for (const auto& crl : trust.crls) add("CRL", crl);
  report.text = table(rows);
  return report;
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
  add_output_options(*showing, context);
  showing->callback([&context, seal_key, log_key] {
    context.command = [seal_key, log_key] { return show(*seal_key, *log_key); };
  });
}

}  // namespace qpcseal::cli
