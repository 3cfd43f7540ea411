#include "appliance/release/release.h"

#include <set>

#include "appliance/release/failure.h"
#include "base/error.h"
#include "base/file.h"

namespace qpcseal::release {

namespace {

using audit::Json;

struct Candidate {
  const Report* report = nullptr;
  Verified verified;
  audit::Txn txn;
  std::optional<Verdict> verdict;

  [[nodiscard]] const attest::Claims& claims() const { return *verified.evidence.claims; }
};

Json json_of(const Findings& findings) {
  Json out = Json::array();
  for (const Finding& f : findings)
    out.push_back({{"id", f.id},
                   {"claim", f.claim},
                   {"observed", f.observed},
                   {"expected", f.expected},
                   {"rule", f.rule}});
  return out;
}

// In AR4SI's names.
Json json_of(const policy::TrustVector& trust) {
  Json out = Json::object();
  for (const auto& [name, value] : trust.claims()) out[name] = static_cast<std::uint64_t>(value);
  return out;
}

Json json_of(const std::vector<policy::SvnFloor>& floors) {
  Json out = Json::array();
  for (const policy::SvnFloor& floor : floors)
    out.push_back({{"scheme", floor.scheme},
                   {"hwmodel", to_hex(floor.hwmodel)},
                   {"name", floor.name},
                   {"svn", floor.svn}});
  return out;
}

Json json_of(const attest::CrlNumbers& crls) {
  Json out = Json::array();
  for (const auto& [issuer, number] : crls)
    out.push_back({{"issuer", to_hex(issuer)}, {"number", to_hex(number)}});
  return out;
}

std::string words_of(const std::string& report, const Findings& findings) {
  std::string ids;
  for (const Finding& finding : findings) ids += (ids.empty() ? "" : ", ") + finding.id;
  return report + " is denied: " + ids;
}

[[noreturn]] void deny(const std::string& report, const Findings& findings) {
  throw Error(ErrorKind::Denied, words_of(report, findings),
              "'qpcseal attest verify' shows what the card says", findings);
}

// All denied reports at once; their findings name the report where there is more than one.
[[noreturn]] void deny(const std::vector<const Candidate*>& denied) {
  if (denied.size() == 1) deny(denied[0]->report->name, denied[0]->verdict->decision.findings());
  std::string words;
  Findings all;
  for (const Candidate* c : denied) {
    const Findings& findings = c->verdict->decision.findings();
    words += (words.empty() ? "" : "; ") + words_of(c->report->name, findings);
    for (Finding finding : findings) {
      finding.claim.insert(0, c->report->name + ": ");
      all.push_back(std::move(finding));
    }
  }
  throw Error(ErrorKind::Denied, words, "'qpcseal attest verify' shows what each card says", all);
}

// Signature, path and claims. Nothing is consumed by what does not verify: garbage must not use up a
// challenge.
Candidate verify_one(Appliance& appliance, const keys::Mek& mek, const Report& report) {
  Candidate candidate{
      &report, verify_attestation(report, appliance.policy(), appliance.trust(), appliance.now()), {}, {}};
  if (candidate.verified.evidence.claims) return candidate;
  const Findings& findings = candidate.verified.evidence.findings;
  appliance.log().event(
      "denied",
      {{"report_sha256", to_hex(report.digest)},
       {"mek_id", to_hex(mek.id)},
       {"policy", {{"digest", appliance.policy_digest()}, {"serial", appliance.policy().serial.value}}},
       {"trust_vector", json_of(policy::appraise(findings, false))},
       {"findings", json_of(findings)}});
  deny(report.name, findings);
}

void refuse_duplicates(const std::vector<Candidate>& candidates) {
  std::set<Bytes> nonces, cards;
  for (const Candidate& c : candidates) {
    if (!cards.insert(c.claims().ueid).second)
      throw Error(ErrorKind::Usage, c.report->name + ": card " + to_hex(c.claims().ueid) + " is given twice");
    if (!nonces.insert(c.claims().nonce).second)
      throw Error(ErrorKind::Usage, c.report->name + ": another report answers the same challenge");
  }
}

Json intent_of(const Candidate& c, const keys::Mek& mek) {
  return {{"nonce", to_hex(c.claims().nonce)},
          {"mek_id", to_hex(mek.id)},
          {"mek", mek.label},
          {"report_sha256", to_hex(c.report->digest)},
          {"ueid", to_hex(c.claims().ueid)}};
}

const audit::OpenIntent* unfinished(const audit::State& state, const Candidate& c) {
  for (const audit::OpenIntent& intent : state.open)
    if (intent.kind == "release" &&
        audit::text_member(intent.data, "report_sha256") == to_hex(c.report->digest))
      return &intent;
  return nullptr;
}

// What officers see and sign where the policy wants them to agree to each release.
Json parameters_of(const keys::Mek& mek, const std::vector<Report>& reports) {
  Json digests = Json::array();
  for (const Report& report : reports) digests.push_back(to_hex(report.digest));
  return {{"mek", mek.label}, {"mek_id", to_hex(mek.id)}, {"reports", std::move(digests)}};
}

// From here on the challenges are used up, whatever the policy says.
void consume(Appliance& appliance, const keys::Mek& mek, const Json& approval,
             std::vector<Candidate>& candidates) {
  std::vector<Json> data;
  std::vector<Candidate*> fresh;
  for (Candidate& c : candidates) {
    write_file(appliance.home().reports() / (to_hex(c.report->digest) + ".report"), c.report->bytes,
               Existing::Replace, 0600);
    if (const auto* open = unfinished(appliance.log().state(), c)) {
      c.txn = {open->seq, open->txn, open->kind};
      continue;
    }
    data.push_back(intent_of(c, mek));
    fresh.push_back(&c);
  }
  if (data.empty()) return;
  data.front() = with_approval(std::move(data.front()), approval);
  const auto txns = appliance.log().intents("release", std::move(data));
  for (std::size_t i = 0; i < fresh.size(); ++i) fresh[i]->txn = txns[i];
}

// The state before the intents: what the challenges were when this transaction began.
void decide(Appliance& appliance, const keys::Mek& mek, const audit::State& before,
            std::vector<Candidate>& candidates) {
  const Question question{
      appliance.policy(), before, appliance.now(), keys::probe_suites(appliance.session()), mek.id,
      candidates.size()};
  for (Candidate& c : candidates) c.verdict = judge(question, *c.report, c.verified);
}

Json policy_of(const Appliance& appliance) {
  return {{"digest", appliance.policy_digest()}, {"serial", appliance.policy().serial.value}};
}

void conclude_denied(Appliance& appliance, const std::vector<Candidate>& candidates) {
  std::vector<audit::Outcome> outcomes;
  std::vector<const Candidate*> denied;
  for (const Candidate& c : candidates) {
    if (!c.verdict->decision.allowed()) denied.push_back(&c);
    outcomes.push_back({c.txn,
                        "denied",
                        {{"ueid", to_hex(c.claims().ueid)},
                         {"policy", policy_of(appliance)},
                         {"trust_vector", json_of(c.verdict->decision.trust())},
                         {"findings", json_of(c.verdict->decision.findings())}}});
  }
  if (denied.empty()) return;
  appliance.log().results(std::move(outcomes));
  deny(denied);
}

// The only caller of keys::wrap_mek for a card. A Decision that allows can come from the policy's evaluation
// alone.
keys::WrappedMek wrap_for(Appliance& appliance, const policy::Decision& decision, const keys::Mek& mek,
                          keys::Suite suite, const attest::Claims& claims) {
  if (!decision.allowed()) throw Error(ErrorKind::Internal, "a release without a decision that allows it");
  return keys::wrap_mek(appliance.session(), mek, suite, peer_of(claims), claims.nonce);
}

Grant grant_of(Appliance& appliance, const keys::Mek& mek, const Candidate& c) {
  const Verdict& verdict = *c.verdict;
  Grant grant;
  grant.report = c.report->name;
  grant.report_digest = c.report->digest;
  grant.claims = c.claims();
  grant.device_class = verdict.decision.device_class();
  grant.crls = c.verified.evidence.crls;
  grant.trust = verdict.decision.trust();
  grant.svn_minimums = verdict.decision.svn_minimums();
  const audit::Challenge& challenge = appliance.log().state().challenges.at(c.claims().nonce);
  grant.host = challenge.host;
  grant.device = challenge.device;
  grant.wrapped = wrap_for(appliance, verdict.decision, mek, verdict.suite.value(), c.claims());
  return grant;
}

Json result_of(const Appliance& appliance, const keys::Mek& mek, const Grant& grant, Json act) {
  return {{"mek_id", to_hex(mek.id)},
          {"mek", mek.label},
          {"nonce", to_hex(grant.claims.nonce)},
          {"ueid", to_hex(grant.claims.ueid)},
          {"device_class", grant.device_class},
          {"trust_vector", json_of(grant.trust)},
          {"svn_floors", json_of(grant.svn_minimums)},
          {"crls", json_of(grant.crls)},
          {"session_key",
           {{"type", attest::name_of(grant.claims.session_key.value().type)},
            {"sha256", to_hex(sha256(grant.claims.session_key.value().public_key))}}},
          {"suite", keys::name_of(grant.wrapped.suite)},
          {"wrapped_sha256", to_hex(sha256(grant.wrapped.encrypt))},
          {"report_sha256", to_hex(grant.report_digest)},
          {"policy", policy_of(appliance)},
          {"token_serial", appliance.token().serial},
          {"act", std::move(act)}};
}

void conclude_failed(Appliance& appliance, const std::vector<Candidate>& candidates, const std::string& why) {
  std::vector<audit::Outcome> outcomes;
  for (const Candidate& c : candidates) outcomes.push_back({c.txn, "failed", {{"error", why}}});
  appliance.log().results(std::move(outcomes));
}

std::vector<Grant> carry_out(Appliance& appliance, const keys::Mek& mek,
                             const std::vector<Candidate>& candidates, const Act& act) {
  std::vector<Grant> grants;
  for (const Candidate& c : candidates)
    grants.push_back(with_context("releasing " + mek.label + " to card " + to_hex(c.claims().ueid),
                                  [&] { return grant_of(appliance, mek, c); }));
  const std::vector<Json> acts = act(grants);
  std::vector<audit::Outcome> outcomes;
  for (std::size_t i = 0; i < grants.size(); ++i)
    outcomes.push_back({candidates[i].txn, "ok", result_of(appliance, mek, grants[i], acts.at(i))});
  const auto entries = appliance.log().results(std::move(outcomes));
  for (std::size_t i = 0; i < grants.size(); ++i) grants[i].entry = entries[i];
  return grants;
}

}  // namespace

std::vector<Grant> release(Appliance& appliance, const keys::Mek& mek, const std::vector<Report>& reports,
                           const Act& act) {
  const Json approval = appliance.approve("release", parameters_of(mek, reports));
  std::vector<Candidate> candidates;
  for (const Report& report : reports) candidates.push_back(verify_one(appliance, mek, report));
  refuse_duplicates(candidates);
  const audit::State before = appliance.log().state();
  consume(appliance, mek, approval, candidates);
  decide(appliance, mek, before, candidates);
  conclude_denied(appliance, candidates);
  try {
    return carry_out(appliance, mek, candidates, act);
  } catch (const Error& error) {
    log_failure([&] { conclude_failed(appliance, candidates, error.what()); });
    throw;
  }
}

}  // namespace qpcseal::release
