// SPDX-License-Identifier: Apache-2.0
#include "appliance/site/doctor.h"

#include <memory>

#include "appliance/cli/commands/context.h"

namespace qpcseal::cli {

namespace {

using Row = std::vector<std::string>;

std::string gcm_text(const std::optional<pkcs11::GcmAbility>& gcm) {
  if (!gcm) return "does not work";
  return std::string(gcm->multipart ? "in pieces of 64 KiB" : "in one call a chunk") +
         (gcm->iv == pkcs11::IvRule::Caller ? ", IV from this program" : ", IV from the token");
}

std::string suites_text(const std::vector<keys::SuiteAbility>& suites) {
  std::string out;
  for (const auto& ability : suites) {
    const char* type = ability.type == keys::PeerType::P256   ? "p256"
                       : ability.type == keys::PeerType::P384 ? "p384"
                                                              : "rsa";
    out += (out.empty() ? "" : ", ") + std::to_string(static_cast<unsigned>(ability.suite)) + " " +
           std::string(keys::to_string(ability.suite)) + " (" + type + ")";
  }
  return out.empty() ? "none" : out;
}

std::string signing_text(const std::optional<keys::SigningType>& type) {
  if (!type) return "neither Ed25519 nor ECDSA P-256";
  return *type == keys::SigningType::Ed25519 ? "Ed25519" : "ECDSA P-256";
}

std::string lacking_text(const site::Diagnosis& found) {
  std::string out;
  for (const std::string& name : found.lacking) {
    const bool accepted =
        std::find(found.accepted.begin(), found.accepted.end(), name) != found.accepted.end();
    out += (out.empty() ? "" : ", ") + name + (accepted ? " (accepted)" : "");
  }
  return out.empty() ? "all honoured" : "not honoured: " + out;
}

std::string anchor_text(const site::Diagnosis& found) {
  if (!found.anchor)
    return "none: the token keeps no data objects, so an old log put back whole is not noticed";
  if (found.token.manufacturer.find("SoftHSM") == std::string::npos) return "in the token";
  return "in the token, a folder of files: an old log put back with it is noticed by witnesses alone";
}

Report render_doctor(const site::Diagnosis& found) {
  const std::vector<Row> rows{
      {"module", printable(found.module)},
      {"SHA-256", found.module_sha256},
      {"token", printable(found.token.label + " (" + found.token.manufacturer + " " + found.token.model +
                          ", serial " + found.token.serial + ", firmware " + found.token.firmware + ")")},
      {"AES-GCM", gcm_text(found.gcm)},
      {"signing", signing_text(found.signing)},
      {"wrap suites", suites_text(found.suites)},
      {"key attributes", lacking_text(found)},
      {"log anchor", anchor_text(found)}};
  Report report;
  report.text = table(rows);
  for (const keys::Leftover& left : found.leftovers)
    report.text += "half made: a " + printable(left.object.name) + "; 'qpcseal mek cleanup' removes it\n";
  for (const std::string& fault : found.faults) report.text += "FAULT: " + printable(fault) + "\n";
  report.text += found.faults.empty() ? "this token can serve\n" : "this token cannot serve as it is\n";
  report.json = {{"module", found.module},
                 {"module_sha256", found.module_sha256},
                 {"token", found.token.label},
                 {"token_serial", found.token.serial},
                 {"gcm", gcm_text(found.gcm)},
                 {"signing", signing_text(found.signing)},
                 {"suites", nlohmann::ordered_json::array()},
                 {"lacking", found.lacking},
                 {"accepted", found.accepted},
                 {"anchor", found.anchor},
                 {"faults", found.faults},
                 {"leftovers", nlohmann::ordered_json::array()}};
  for (const keys::Leftover& left : found.leftovers) report.json["leftovers"].push_back(left.object.name);
  for (const auto& ability : found.suites)
    report.json["suites"].push_back(static_cast<unsigned>(ability.suite));
  report.exit_code = found.faults.empty() ? 0 : 6;
  return report;
}

struct DoctorOptions {
  std::string module, arguments, token;
  std::vector<std::string> accept;
};

// Without a home: a token that is to become one's.
site::Site site_of(const DoctorOptions& options) {
  site::Site site;
  site.module = options.module;
  site.token_label = options.token;
  site.pin_source = "tty";
  return site;
}

audit::SiteFacts facts_of(const DoctorOptions& options) {
  audit::SiteFacts facts;
  facts.module_sha256 = to_hex(pkcs11::Module::digest_of(options.module));
  facts.module_arguments = options.arguments;
  facts.accept = options.accept;
  return facts;
}

Report run_doctor(Context& context, const DoctorOptions& options) {
  site::Environment environment = context.environment();
  if (options.module.empty())
    return render_doctor(site::diagnose(environment, site::Site::read(environment.home.site())));
  environment.home.root.clear();
  return render_doctor(site::diagnose(environment, site_of(options), facts_of(options)));
}

}  // namespace

void add_doctor(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand("doctor", "What the token can do, by trying, and what is missing");
  auto options = std::make_shared<DoctorOptions>();
  CLI::Option* module =
      command->add_option("--module", options->module, "Try this module instead of the home's");
  command->add_option("--module-arguments", options->arguments, "C_Initialize's pReserved string")
      ->needs(module);
  CLI::Option* token = command->add_option("--token", options->token, "The token's label")->needs(module);
  module->needs(token);
  command->add_option("--accept", options->accept, "As for init")->needs(module);
  add_output_options(*command, context);
  add_token_options(*command, context);
  command->callback([&context, options] {
    context.command = [&context, options] { return run_doctor(context, *options); };
  });
}

}  // namespace qpcseal::cli
