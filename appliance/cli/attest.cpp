#include <memory>

#include "appliance/audit/read.h"
#include "appliance/cli/app.h"
#include "appliance/release/challenge.h"
#include "appliance/release/verify.h"
#include "base/error.h"
#include "base/file.h"

namespace qpcseal::cli {

namespace {

struct RequestOptions {
  std::string mek, ueid, host;
  std::optional<std::uint64_t> device;
  std::string output;
  bool force = false;
};

Report request(Context& context, const RequestOptions& options) {
  release::Appliance appliance(context.environment());
  const keys::Mek mek = appliance.find_mek(options.mek);
  release::ChallengeWish wish;
  if (!options.ueid.empty()) wish.ueid = from_hex(options.ueid);
  wish.host = options.host;
  wish.device = options.device;
  AtomicFile output(options.output, options.force ? Existing::Replace : Existing::Refuse);
  const attest::Request made = release::make_requests(appliance, mek, {wish}).front();
  write_exact(output.fd(), attest::encode_request(made), 0);
  output.commit();
  Report report;
  report.json = {{"output", options.output},
                 {"mek", mek.label},
                 {"nonce", to_hex(made.nonce)},
                 {"expires", format_time(made.expiry)}};
  report.text = "request " + options.output + " for " + mek.label + ", to be answered by " +
                format_time(made.expiry) +
                "\ntake it to the card's host: qpcseal-attest --ip HOST --device N -i " + options.output +
                " -o report.dat\n";
  return report;
}

void add_claims(Report& report, const attest::Claims& claims) {
  report.json["card"] = {{"ueid", to_hex(claims.ueid)},
                         {"oemid", claims.oemid},
                         {"hwmodel", to_hex(claims.hwmodel)},
                         {"dbgstat", claims.dbgstat},
                         {"lifecycle", attest::lifecycle_name(claims.lifecycle)},
                         {"session_key", attest::name_of(claims.session_key.type)},
                         {"nonce", to_hex(claims.nonce)}};
  report.text += "card " + to_hex(claims.ueid) + ", lifecycle " + attest::lifecycle_name(claims.lifecycle) +
                 ", dbgstat " + std::to_string(claims.dbgstat) + ", session key " +
                 std::string(attest::name_of(claims.session_key.type)) + "\n";
}

Report verdict(bool allowed, const Findings& findings, const std::optional<attest::Claims>& claims,
               const std::string& detail) {
  Report report;
  report.json = {{"allowed", allowed}, {"findings", json_of(findings)}};
  report.text = allowed ? "ALLOWED: " + detail + "\n"
                        : "DENIED, for " + std::to_string(findings.size()) + " reason(s):\n";
  for (const std::string& line : lines_of(findings)) report.text += "  " + line + "\n";
  if (claims) add_claims(report, *claims);
  report.exit_code = allowed ? 0 : 5;
  return report;
}

// Reads the home without lock or token, and changes nothing.
Report verify(Context& context, const std::string& path) {
  const release::Report given = release::read_report(path);
  const release::Home home = release::locate_home();
  const audit::State state = audit::read_log(home.log(), std::nullopt).state;
  const policy::Policy policy = release::read_policy(home, state);
  const release::Trust trust = release::read_pinned_trust(home, state);
  const UnixTime now = std::max({context.clock.now(), state.last_time, build_time()});
  const release::Verified verified = release::verify_attestation(given, policy, trust, now);
  if (!verified.evidence.claims) return verdict(false, verified.evidence.findings, std::nullopt, "");
  const release::Verdict judged = release::judge({policy, state, now, {}, std::nullopt, 1}, given, verified);
  return verdict(
      judged.decision.allowed(), judged.decision.findings(), verified.evidence.claims,
      judged.mek_label + " may be released to this card (class " + judged.decision.device_class() + ")");
}

void add_request(CLI::App& parent, Context& context) {
  CLI::App* command = parent.add_subcommand("request", "A challenge for a card, to be taken to its host");
  auto options = std::make_shared<RequestOptions>();
  command->add_option("--mek", options->mek, "The key that is to be released")->required();
  command->add_option("--ueid", options->ueid, "Only this card may answer (hex)");
  command->add_option("--host", options->host, "Noted in the log and in config.json");
  command->add_option("--device", options->device, "Number of the card on its host, noted likewise");
  command->add_option("-o,--output", options->output, "File for the request")->required();
  command->add_flag("--force", options->force, "Replace an existing file");
  add_output_options(*command, context);
  add_token_options(*command, context);
  command->callback(
      [&context, options] { context.command = [&context, options] { return request(context, *options); }; });
}

}  // namespace

void add_attest(CLI::App& app, Context& context) {
  CLI::App* attest = app.add_subcommand("attest", "Requests to cards, and their reports");
  attest->require_subcommand(1);
  add_request(*attest, context);
  CLI::App* command = attest->add_subcommand("verify", "Judge a report; consumes nothing, needs no token");
  auto path = std::make_shared<std::string>();
  command->add_option("REPORT", *path, "The card's report")->required();
  add_output_options(*command, context);
  command->callback(
      [&context, path] { context.command = [&context, path] { return verify(context, *path); }; });
}

}  // namespace qpcseal::cli
