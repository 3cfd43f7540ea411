// SPDX-License-Identifier: Apache-2.0
#include "appliance/cli/commands/collateral.h"

#include <memory>

#include "appliance/cli/commands/sign.h"
#include "appliance/site/pinned_files.h"
#include "appliance/trust/collateral_bundle.h"
#include "attest/crl_signer.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/file.h"
#include "base/nearest.h"
#include "base/text_file.h"

namespace qpcseal::cli {

namespace {

struct CollateralOptions {
  std::uint64_t serial = 0;
  unsigned days = 30;
  std::string trust, output;
  std::vector<std::string> references, revoked;
  bool force = false;
};

// "NAME=HEX"; one name may have several digests.
void add_reference(trust::Collateral& bundle, const std::string& text) {
  const std::size_t equals = text.rfind('=');
  if (equals == std::string::npos || equals == 0)
    throw Error(ErrorKind::Usage, "--reference " + text + ": not of the form NAME=HEX");
  bundle.references[text.substr(0, equals)].push_back(from_hex(text.substr(equals + 1)));
}

// A mistyped number would revoke nobody. It may all the same be a card that never got a key here.
void name_unknown_cards(const trust::Collateral& bundle, Report& report) {
  const auto home = site::find_home();
  if (!home) return;
  const audit::State state = audit::read_log(home->log(), std::nullopt).state;
  std::vector<std::string> known;
  for (const auto& [ueid, count] : state.card_releases) known.push_back(to_hex(ueid));
  for (const Bytes& ueid : bundle.revoked_ueids) {
    const std::string number = to_hex(ueid);
    if (state.card_releases.contains(ueid)) continue;
    const std::string meant = did_you_mean(number, known);
    report.json["unknown_cards"].push_back(number);
    report.text += "WARNING: this appliance's log has released nothing to card " + number +
                   (meant.empty() ? "" : "; " + meant) + "\n";
  }
}

// A bundle from a folder of certificates and CRLs. Nothing of it counts before officers sign it.
Report make_collateral(Context& context, const CollateralOptions& options) {
  constexpr std::int64_t kDay = 86400;
  trust::Collateral bundle;
  bundle.serial = options.serial;
  bundle.not_before = context.clock.now();
  bundle.not_after = bundle.not_before + options.days * kDay;
  const trust::Trust trust = trust::read_trust(options.trust);
  for (const auto& root : trust.roots) bundle.roots.push_back(root.der);
  for (const auto& crl : trust.crls) bundle.crls.push_back(crl.der);
  for (const std::string& text : options.references) add_reference(bundle, text);
  for (const std::string& ueid : options.revoked) bundle.revoked_ueids.push_back(from_hex(ueid));
  attest::refuse_forged(bundle.crls, bundle.roots);
  const std::string text = trust::encode_collateral(bundle);
  static_cast<void>(trust::parse_collateral(text));
  write_file(options.output, view(text), options.force ? Existing::Replace : Existing::Refuse);
  const std::string digest = sha256_hex(text);
  Report report;
  report.json = {{"output", options.output},
                 {"serial", bundle.serial},
                 {"not_after", format_time(bundle.not_after)},
                 {"sha256", digest}};
  report.written = {options.output};
  report.json["unknown_cards"] = nlohmann::ordered_json::array();
  report.text = trust::show_collateral(bundle) + "SHA-256 " + digest + "\nin " + options.output +
                ": officers sign it by " +
                how_to_sign(options.output, "qpcseal trust sign", "collateral@qpcseal");
  name_unknown_cards(bundle, report);
  return report;
}

Signing signing_of_collateral(const std::string& path, UnixTime now) {
  const std::string text = read_plain_text(path, trust::kMaxCollateral);
  const trust::Collateral bundle = trust::parse_collateral(text);
  if (now >= bundle.not_after)
    throw Error(ErrorKind::Denied,
                "not signed: this bundle was fresh until " + format_time(bundle.not_after) + ", and it is " +
                    format_time(now),
                "'qpcseal trust bundle' makes the next one");
  return {path, text, {{trust::show_collateral(bundle)}}, std::string(site::kTrustNamespace)};
}

Report import(Context& context, const std::string& path) {
  const auto look = [&](const site::Outlook& outlook) {
    const trust::Trust in_force = site::read_pinned_trust(outlook.home, outlook.state);
    static_cast<void>(site::check_next_bundle(outlook, in_force, path));
  };
  site::Appliance appliance(context.environment({.inputs = {path}, .look = look}));
  const auto done = site::import_collateral(appliance, path);
  Report report;
  report.json = {{"serial", done.serial}, {"sha256", done.digest}, {"approvers", done.approvers.size()}};
  report.text = "collateral bundle " + std::to_string(done.serial) + " is in force, SHA-256 " + done.digest +
                "; the trust folder no longer counts\n";
  return report;
}

void add_make(CLI::App& trust, Context& context) {
  CLI::App* command =
      trust.add_subcommand("bundle", "Put a collateral bundle together, for officers to sign");
  auto options = std::make_shared<CollateralOptions>();
  command->add_option("--serial", options->serial, "Above that of the bundle before")->required();
  command->add_option("--days", options->days, "How long it is fresh, from now (default 30)")
      ->check(CLI::Range(1, 3650));
  command->add_option("--trust", options->trust, "Folder of root certificates and CRLs")->required();
  command->add_option("--reference", options->references,
                      "NAME=HEX: a reference measurement, which policies name");
  command->add_option("--revoke", options->revoked, "UEID of a card that gets no key any more (hex)");
  command->add_option("-o,--output", options->output, "File for the bundle")->required();
  command->add_flag("--force", options->force, "Replace an existing file");
  add_output_options(*command, context);
  command->callback([&context, options] {
    context.command = [&context, options] { return make_collateral(context, *options); };
  });
}

}  // namespace

void add_collateral(CLI::App& trust, Context& context) {
  add_make(trust, context);
  auto path = std::make_shared<std::string>();
  CLI::App* signing = trust.add_subcommand("sign", "Sign a collateral bundle with an officer's own token");
  signing->add_option("BUNDLE", *path, "As 'qpcseal trust bundle' makes it")->required();
  auto options = add_sign_options(*signing, context);
  signing->callback([&context, path, options] {
    context.command = [&context, path, options] {
      return sign(context, signing_of_collateral(*path, context.clock.now()), *options);
    };
  });
  CLI::App* importing =
      trust.add_subcommand("import", "Bring a collateral bundle into force that enough officers signed");
  importing->add_option("BUNDLE", *path, "As 'qpcseal trust bundle' makes it")->required();
  importing->add_option("--approval", context.approvals.signatures,
                        "An officer's signature, in namespace collateral@qpcseal");
  add_output_options(*importing, context);
  add_token_options(*importing, context);
  importing->callback(
      [&context, path] { context.command = [&context, path] { return import(context, *path); }; });
}

}  // namespace qpcseal::cli
