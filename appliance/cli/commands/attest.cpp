// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <memory>

#include "appliance/audit/read.h"
#include "appliance/cli/commands/context.h"
#include "appliance/cli/output/claims.h"
#include "appliance/release/challenge.h"
#include "appliance/release/verdict.h"
#include "base/error.h"
#include "base/fd.h"

namespace qpcseal::cli {

namespace {

nlohmann::ordered_json json_of_trust(const policy::TrustVector& trust) {
  nlohmann::ordered_json out;
  for (const auto& [name, value] : trust.claims())
    out[name] = {{"value", value}, {"tier", policy::tier_name(value)}};
  return out;
}

std::string text_of_trust(const policy::TrustVector& trust) {
  std::string out = "appraisal (AR4SI):\n";
  std::vector<std::vector<std::string>> rows;
  for (const auto& [name, value] : trust.claims())
    rows.push_back({"  " + name, policy::tier_name(value) + " (" + std::to_string(value) + ")"});
  return out + table(rows, Head::No);
}

struct JudgedReport {
  std::string scheme;
  bool allowed = false;
  Findings findings;
  policy::TrustVector trust;
  std::optional<attest::Claims> claims;  // where the evidence verified
  std::string mek, device_class;         // where it is allowed
};

std::string headline(const JudgedReport& j) {
  if (j.allowed)
    return "ALLOWED: " + printable(j.mek) + " may be released to this card, class " +
           printable(j.device_class) + "\n";
  const std::string count =
      std::to_string(j.findings.size()) + (j.findings.size() == 1 ? " reason" : " reasons");
  return j.claims ? "DENIED by policy, " + count + ":\n"
                  : "DENIED: the report does not verify, " + count + ":\n";
}

Report report_of(const JudgedReport& j) {
  Report report;
  report.json = {{"allowed", j.allowed},
                 {"scheme", j.scheme},
                 {"verified", j.claims.has_value()},
                 {"findings", as_json(j.findings)},
                 {"trust_vector", json_of_trust(j.trust)}};
  if (j.allowed) {
    report.json["mek"] = j.mek;
    report.json["device_class"] = j.device_class;
  }
  report.text = headline(j);
  for (const std::string& line : finding_lines(j.findings)) report.text += "  " + line + "\n";
  report.text += text_of_trust(j.trust);
  if (j.claims) {
    report.json["card"] = as_json(*j.claims);
    report.text += "what the card says (" + j.scheme + "):\n" + table(claim_rows(*j.claims), Head::No);
  }
  report.exit_code = j.allowed ? 0 : 5;
  return report;
}

// The format that the challenge's MEK may have: our own, where its rule names it.
std::string format_of(const policy::Policy& policy, const audit::State& state, const Bytes& nonce) {
  const auto challenge = state.challenges.find(nonce);
  if (challenge == state.challenges.end()) return std::string(policy::kOwnFormat);
  const auto mek = state.meks.find(challenge->second.mek_id);
  const policy::MekRule* rule = mek == state.meks.end() ? nullptr : policy.mek(mek->second.label);
  if (rule == nullptr ||
      std::ranges::find(rule->formats.value, policy::kOwnFormat) != rule->formats.value.end())
    return std::string(policy::kOwnFormat);
  return rule->formats.value.front();
}

// Reads the home without lock or token, and changes nothing.
Report verify_attest(Context& context, const std::string& path) {
  static_cast<void>(open_to_read(path));  // before a home is looked for
  const site::Home home = site::locate_home();
  const audit::State state = audit::read_log(home.log(), std::nullopt).state;
  const policy::Policy policy = site::read_policy(home, state);
  const release::Report given = release::read_unchecked_report(path, release::names_external(policy));
  const trust::Trust trust = site::read_pinned_trust(home, state);
  const UnixTime now = std::max({context.clock.now(), state.last_time, build_time()});
  const release::Verified verified = release::verify_attestation(given, policy, trust, now, &state);
  const attest::Evidence& evidence = verified.evidence;
  if (!evidence.claims)
    return report_of({verified.scheme, false, evidence.findings, policy::appraise(evidence.findings, false),
                      std::nullopt, "", ""});
  release::VerdictInputs question{policy, state, now, {}, std::nullopt, 1};
  question.format = format_of(policy, state, evidence.claims->nonce);
  const release::Verdict judged =
      release::judge(question, release::challenge_facts(state, evidence.claims->nonce, given), verified);
  const policy::Decision& decision = judged.decision;
  Report report = report_of({verified.scheme, decision.allowed(), decision.findings(), decision.trust(),
                             evidence.claims, judged.mek_label, decision.device_class()});
  if (decision.allowed()) return report;
  const auto uses = release::uses_of_challenges(home, state, {evidence.claims->nonce});
  const std::string mek = judged.mek_label.empty() ? "NAME" : judged.mek_label;
  const std::string again = release::new_request_hint(decision.findings(), mek);
  for (const auto& [nonce, use] : uses) report.text += use + "\n";
  if (!again.empty()) report.text += again + "\n";
  return report;
}

}  // namespace

void add_attest(CLI::App& app, Context& context) {
  CLI::App* attest = app.add_subcommand("attest", "Requests to cards, and their reports");
  attest->require_subcommand(1);
  add_attest_request(*attest, context);
  CLI::App* command = attest->add_subcommand(
      "verify", "Verify a report against the policy; uses up no challenge, needs no token");
  auto path = std::make_shared<std::string>();
  command->add_option("REPORT", *path, "The card's report")->required();
  add_output_options(*command, context);
  command->callback(
      [&context, path] { context.command = [&context, path] { return verify_attest(context, *path); }; });
}

}  // namespace qpcseal::cli
