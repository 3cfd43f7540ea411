#include "appliance/release/replay.h"

#include <algorithm>
#include <filesystem>
#include <limits>

#include "appliance/release/verify.h"
#include "attest/scheme.h"
#include "base/error.h"

namespace qpcseal::release {

namespace {

struct Answer {
  bool allowed = false;
  Findings why;
  std::string ueid;
};

// What the report says of itself, unverified: enough to find its challenge.
Bytes nonce_of(const Report& report) {
  for (const auto& scheme : attest::all_schemes()) {
    const attest::Evidence evidence = scheme->inspect(report.bytes);
    if (evidence.claims) return evidence.claims->nonce;
  }
  return {};
}

Answer ask(const policy::Policy& policy, const audit::State& state, const Trust& trust, const Report& report,
           UnixTime now) {
  const Verified verified = verify_attestation(report, policy, trust, now);
  if (!verified.evidence.claims) return {false, verified.evidence.findings, ""};
  const policy::ChallengeFacts challenge = challenge_facts(state, verified.evidence.claims->nonce, report);
  const Verdict verdict = judge({policy, state, now, {}, std::nullopt, 1}, challenge, verified);
  return {verdict.decision.allowed(), verdict.decision.findings(), to_hex(verified.evidence.claims->ueid)};
}

std::vector<std::filesystem::path> archived(const Home& home) {
  std::vector<std::filesystem::path> out;
  std::error_code failed;
  for (const auto& item : std::filesystem::directory_iterator(home.reports(), failed))
    if (item.path().extension() == ".report") out.push_back(item.path());
  std::ranges::sort(out);
  return out;
}

}  // namespace

std::vector<Replayed> replay(const Home& home, audit::State state, Trust trust, const policy::Policy& before,
                             const policy::Policy& after) {
  for (auto& [nonce, challenge] : state.challenges) challenge.consumed = false;
  trust.collateral.not_before = 0;
  trust.collateral.not_after = std::numeric_limits<UnixTime>::max();
  std::vector<Replayed> out;
  for (const std::filesystem::path& path : archived(home)) {
    const Report report = read_report(path);
    const auto challenge = state.challenges.find(nonce_of(report));
    const UnixTime then = challenge == state.challenges.end() ? state.last_time : challenge->second.made;
    const Answer was = ask(before, state, trust, report, then), is = ask(after, state, trust, report, then);
    out.push_back({to_hex(report.digest), was.ueid.empty() ? is.ueid : was.ueid, was.allowed, is.allowed,
                   was.why, is.why});
  }
  return out;
}

}  // namespace qpcseal::release
