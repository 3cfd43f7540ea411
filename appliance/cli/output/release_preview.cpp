// SPDX-License-Identifier: Apache-2.0
#include "appliance/cli/output/release_preview.h"

#include "appliance/audit/read.h"
#include "appliance/cli/output/report.h"
#include "appliance/cli/output/report_paths.h"
#include "appliance/release/verdict.h"
#include "appliance/site/in_force.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

namespace qpcseal::cli {

namespace {

// What the verdicts rest on.
struct Basis {
  policy::Policy policy;
  trust::Trust trust;
  audit::State state;
  bool has_log = false;
};

void expect_policy(const approval::ApprovalRequest& request, const std::string& digest,
                   const std::string& where) {
  if (digest != request.policy_digest)
    throw Error(ErrorKind::Denied, where + " is not the policy of the request: its SHA-256 is " + digest,
                "the request names " + request.policy_digest);
}

// The appliance as the request describes it, with nothing released yet.
audit::State described_state(const approval::ApprovalRequest& request) {
  audit::State out;
  out.genesis = {{"aud", request.aud}, {"appliance_id", request.appliance_id}};
  audit::MekHistory mek;
  mek.id = from_hex(encoding::text_member(request.parameters, "mek_id"));
  mek.label = encoding::text_member(request.parameters, "mek");
  mek.state = "ok";
  const Bytes id = mek.id;
  out.meks.emplace(id, std::move(mek));
  return out;
}

std::optional<Basis> own_files(const approval::ApprovalRequest& request, const PreviewInputs& inputs) {
  if (inputs.policy.empty() != inputs.trust.empty())
    throw Error(ErrorKind::Usage, "--policy and --trust go together: what reports are judged with");
  if (inputs.policy.empty()) return std::nullopt;
  const std::string text = read_text_file(inputs.policy, policy::kMaxPolicySize);
  expect_policy(request, sha256_hex(text), inputs.policy);
  return Basis{policy::parse_policy(text, inputs.policy), trust::read_trust(inputs.trust),
               described_state(request), false};
}

// Of this machine's home, where it is the request's appliance.
std::optional<Basis> home_files(const approval::ApprovalRequest& request) {
  const auto home = site::find_home();
  if (!home) return std::nullopt;
  audit::State state = audit::read_log(home->log(), std::nullopt).state;
  if (encoding::text_member(state.genesis, "aud") != request.aud) return std::nullopt;
  expect_policy(request, state.policy_digest, "the policy in force");
  Basis out{site::read_policy(*home, state), site::read_pinned_trust(*home, state), {}, true};
  out.state = std::move(state);
  return out;
}

policy::ChallengeFacts fresh_challenge(const audit::State& state, const attest::Claims& claims,
                                       const Bytes& mek, UnixTime now) {
  policy::ChallengeFacts out;
  out.known = true;
  out.aud = from_hex(encoding::text_member(state.genesis, "aud"));
  out.nonce = claims.nonce;
  out.mek_id = mek;
  out.ueid = claims.ueid;
  out.made = now;
  out.expiry = INT64_MAX;
  return out;
}

std::string host_of(const audit::State& state, const Bytes& nonce) {
  const auto found = state.challenges.find(nonce);
  if (found == state.challenges.end() || found->second.host.empty()) return "no host named";
  const audit::Challenge& challenge = found->second;
  return "host " + printable(challenge.host) +
         (challenge.device ? ", device " + std::to_string(*challenge.device) : "");
}

std::string verdict_line(const Basis& basis, const release::Report& report, const release::Verified& verified,
                         const Bytes& mek, UnixTime now) {
  if (!verified.evidence.claims) {
    std::string out = printable(report.name) + ": DENIED, it does not verify\n";
    for (const std::string& line : finding_lines(verified.evidence.findings)) out += "    " + line + "\n";
    return out;
  }
  const attest::Claims& claims = *verified.evidence.claims;
  const policy::ChallengeFacts challenge = basis.has_log
                                               ? release::challenge_facts(basis.state, claims.nonce, report)
                                               : fresh_challenge(basis.state, claims, mek, now);
  const release::Verdict verdict =
      release::judge({basis.policy, basis.state, now, {}, mek, 1}, challenge, verified);
  const bool ok = verdict.decision.allowed();
  std::string out = (basis.has_log ? host_of(basis.state, claims.nonce) + ", " : "") + "card " +
                    to_hex(claims.ueid) +
                    (ok ? ", class " + verdict.decision.device_class() + ": ALLOWED\n" : ": DENIED\n");
  for (const std::string& line : finding_lines(verdict.decision.findings())) out += "    " + line + "\n";
  return out;
}

}  // namespace

std::string release_preview(const approval::ApprovalRequest& request, const PreviewInputs& inputs,
                            UnixTime now) {
  const std::string title = "\nThe cards of this request, under the policy that it names:\n";
  if (inputs.reports.empty())
    return title + "  NOBODY LOOKED: the reports are not at hand (--report), only their SHA-256 are above\n";
  std::optional<Basis> basis = own_files(request, inputs);
  if (!basis) basis = home_files(request);
  if (!basis) return title + "  NOBODY LOOKED: the policy is not at hand (--policy FILE --trust FOLDER)\n";
  const Bytes mek = from_hex(encoding::text_member(request.parameters, "mek_id"));
  const release::Verifier verifier(basis->policy, basis->trust, now);
  std::string out = title;
  unsigned number = 0;
  for (const auto& path : report_paths(inputs.reports)) {
    const release::Report report = release::read_report(path);
    out += "  " + std::to_string(++number) + ". " +
           verdict_line(*basis, report, verifier.verify(report), mek, now);
  }
  if (!basis->has_log)
    out +=
        "  The log is not at hand: whether a challenge is unused, and how often keys were released, was not "
        "looked at\n";
  return out;
}

}  // namespace qpcseal::cli
