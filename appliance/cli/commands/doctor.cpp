// SPDX-License-Identifier: Apache-2.0
#include "appliance/site/doctor.h"

#include <memory>

#include "appliance/audit/position.h"
#include "appliance/cli/commands/token_options.h"
#include "appliance/cli/output/health_report.h"
#include "appliance/release/exposure.h"
#include "base/error.h"
#include "base/print.h"
#include "cli/exit_code.h"

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

Report render_doctor(const site::Diagnosis& found, const Confinement& confinement,
                     const site::RunningImage& running) {
  std::vector<Row> rows{
      {"module", printable(found.module)},
      {"SHA-256", found.module_sha256},
      {"token", printable(found.token.label + " (" + found.token.manufacturer + " " + found.token.model +
                          ", serial " + found.token.serial + ", firmware " + found.token.firmware + ")")},
      {"this process", confinement.text()}};
  const std::vector<Row> tried{{"AES-GCM", gcm_text(found.gcm)},
                               {"signing", signing_text(found.signing)},
                               {"wrap suites", suites_text(found.suites)},
                               {"key attributes", lacking_text(found)},
                               {"log anchor", anchor_text(found)}};
  if (found.probed) rows.insert(rows.end(), tried.begin(), tried.end());
  Report report;
  report.text = table(rows, Head::No);
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
                 {"probed", found.probed},
                 {"process", confinement.text()},
                 {"faults", found.faults},
                 {"leftovers", nlohmann::ordered_json::array()}};
  for (const keys::Leftover& left : found.leftovers) report.json["leftovers"].push_back(left.object.name);
  for (const auto& ability : found.suites)
    report.json["suites"].push_back(static_cast<unsigned>(ability.suite));
  add_image(report, running);
  report.exit_code = found.faults.empty() ? 0 : 6;
  return report;
}

Report render_list(const std::vector<pkcs11::ListedToken>& tokens) {
  Report report;
  std::vector<Row> rows{{"slot", "label", "serial", "model", "flags"}};
  report.json = nlohmann::ordered_json::array();
  for (const pkcs11::ListedToken& token : tokens) {
    const pkcs11::TokenInfo& info = token.info;
    const std::string model = info.manufacturer + " " + info.model;
    rows.push_back({std::to_string(info.slot), printable(info.label.empty() ? "-" : info.label),
                    printable(info.serial.empty() ? "-" : info.serial), printable(model),
                    token.flags.empty() ? "ready" : join(token.flags)});
    report.json.push_back({{"slot", info.slot},
                           {"label", info.label},
                           {"serial", info.serial},
                           {"model", info.model},
                           {"manufacturer", info.manufacturer},
                           {"firmware", info.firmware},
                           {"flags", token.flags}});
  }
  report.text = tokens.empty() ? "no token is in any slot of this module\n" : table(rows);
  return report;
}

struct DoctorOptions {
  std::string module, arguments;
  std::vector<std::string> module_files;
  pkcs11::TokenChoice token;
  std::vector<std::string> accept;
  bool list = false;
};

// Without a module of one's own: the home's. With one: a token that is to become a home's.
site::DoctorTarget target_of(site::Environment& environment, const DoctorOptions& options) {
  if (options.module.empty()) return {site::Site::read(environment.home.site()), {}, {}};
  environment.home.root.clear();
  site::Site site;
  site.module = options.module;
  site.pin_source = "tty";
  site.module_files = options.module_files;
  audit::SiteFacts facts;
  facts.module_sha256 = to_hex(pkcs11::Module::digest_of(options.module));
  facts.module_arguments = options.arguments;
  facts.accept = options.accept;
  return {site, options.token, facts};
}

// The programs of other makers' that run behind this appliance's gate, and the keys that were in them.
void add_programs(Report& report, const audit::State& state) {
  report.json["programs"] = nlohmann::ordered_json::array();
  report.json["exposed"] = nlohmann::ordered_json::array();
  for (const auto& [id, mek] : state.meks) {
    if (mek.exposures == 0) continue;
    report.text += mek.label + " is EXPOSED since " + format_time(mek.exposed_since) + "\n";
    report.json["exposed"].push_back(mek.label);
  }
  if (state.site.programs.empty()) return;
  Findings findings;
  for (const audit::PinnedProgram& program : state.site.programs) {
    const std::size_t before = findings.size();
    const auto files = release::load_program(program, findings);
    const bool good = findings.size() == before;
    if (good && program.name == audit::kVendorTool)
      for (Finding& finding : release::check_start(files)) findings.push_back(std::move(finding));
    report.text +=
        "program '" + program.name + "': " + (good ? "as it is pinned" : "NOT as it is pinned") + "\n";
    report.json["programs"].push_back({{"name", program.name}, {"as_pinned", good}});
  }
  for (Finding& finding : release::check_memory(state.site)) findings.push_back(std::move(finding));
  for (Finding& finding : release::check_sandbox()) findings.push_back(std::move(finding));
  for (const std::string& line : finding_lines(findings)) report.text += "FAULT: " + line + "\n";
  report.json["program_findings"] = as_json(findings);
  if (!findings.empty() && report.exit_code == 0) report.exit_code = exit_code(ErrorKind::Denied);
}

// The table [token] of a ceremony's plan, as this token is.
nlohmann::ordered_json plan_token(const site::Diagnosis& found) {
  auto suites = nlohmann::ordered_json::array();
  for (const keys::SuiteAbility& ability : found.suites)
    if (const auto number = static_cast<unsigned>(ability.suite);
        std::find(suites.begin(), suites.end(), number) == suites.end())
      suites.push_back(number);
  return {{"manufacturer", found.token.manufacturer},
          {"model", found.token.model},
          {"signing", found.signing == keys::SigningType::Ed25519 ? "ed25519" : "ecdsa-p256"},
          {"suites", suites},
          {"lacking", found.lacking},
          {"anchor", found.anchor}};
}

// Where the token cannot be asked, its error ends the command as it would end the next one; what else was
// found is said before.
site::Diagnosis diagnose_home(const site::Environment& environment, const site::DoctorTarget& target,
                              const std::vector<site::HealthCheck>& found) {
  try {
    return site::diagnose(environment, target);
  } catch (const Error& error) {
    for (const site::HealthCheck& check : found)
      if (check.health != site::Health::Fine && check.text != error.what())
        print_error(check.id + ": " + printable(check.text) + "\n");
    throw;
  }
}

// The morning look: home and log, then the token.
Report look_at_appliance(const Context& context, const site::Environment& environment,
                         const site::DoctorTarget& target) {
  site::HomeHealth home = site::look_at_home(environment.home, environment.clock.now(), environment.image);
  std::vector<site::HealthCheck>& checks = home.checks;
  const site::Diagnosis token = diagnose_home(environment, target, checks);
  checks.insert(checks.end(), token.checks.begin(), token.checks.end());
  Report report = render_doctor(token, context.confinement, environment.image);
  add_checks(report, checks);
  add_programs(report, home.state ? *home.state : audit::find_position(environment.home.log()).state);
  report.json["healthy"] = report.exit_code == 0;
  report.json["plan_token"] = plan_token(token);
  report.text +=
      report.exit_code == 0 ? "nothing stops the next command\n" : "the next command would be refused\n";
  return report;
}

Report run_doctor(Context& context, const DoctorOptions& options) {
  if (options.list && !options.token.empty())
    throw Error(ErrorKind::Usage, "--list shows every token of the module");
  if (!options.module.empty() && !options.list && options.token.empty())
    throw Error(ErrorKind::Usage, "--module without a token: --token, --serial or --slot",
                "--list shows the module's tokens");
  if (options.module.empty() && !(options.token.empty() && options.accept.empty() &&
                                  options.arguments.empty() && options.module_files.empty()))
    throw Error(ErrorKind::Usage,
                "--token, --serial, --slot, --accept, --module-arguments and --module-files go with --module",
                "without --module it is the home's token");
  site::Environment environment = context.environment();
  const site::DoctorTarget target = target_of(environment, options);
  if (options.list) return render_list(site::list_tokens(environment, target));
  if (options.module.empty()) return look_at_appliance(context, environment, target);
  return render_doctor(site::diagnose(environment, target), context.confinement, environment.image);
}

}  // namespace

void add_doctor(CLI::App& app, Context& context) {
  CLI::App* command = app.add_subcommand(
      "doctor", "The morning look: whether the next command works; what the token can do, by trying");
  auto options = std::make_shared<DoctorOptions>();
  command->add_flag("--list", options->list, "Only list the module's tokens; asks for no PIN");
  command->add_option("--module", options->module, "Try this module instead of the home's");
  command->add_option("--module-arguments", options->arguments, "C_Initialize's pReserved string");
  add_module_files(*command, options->module_files);
  add_token_choice(*command, options->token, "The token's label");
  command->add_option("--accept", options->accept, "As for init");
  add_output_options(*command, context);
  add_token_options(*command, context);
  command->callback([&context, options] {
    context.command = [&context, options] { return run_doctor(context, *options); };
  });
}

}  // namespace qpcseal::cli
