#include "appliance/release/candidate.h"

#include <set>

#include "appliance/release/circumstances.h"
#include "appliance/seal/parallel.h"
#include "base/error.h"
#include "base/file_batch.h"

namespace qpcseal::release {

namespace {

using audit::Json;

Json policy_of(const Appliance& appliance) {
  return {{"digest", appliance.policy_digest()}, {"serial", appliance.policy().serial.value}};
}

Json intent_of(const Candidate& c, const keys::Mek& mek) {
  return {{"nonce", to_hex(c.claims().nonce)},
          {"mek_id", to_hex(mek.id)},
          {"mek", mek.label},
          {"report_sha256", to_hex(c.report->digest)},
          {"ueid", to_hex(c.claims().ueid)}};
}

// A release that was cut short may be finished, by the same report alone.
const audit::OpenIntent* unfinished(const audit::State& state, const Candidate& c) {
  const auto challenge = state.challenges.find(c.claims().nonce);
  if (challenge == state.challenges.end() || challenge->second.consumed_by != to_hex(c.report->digest))
    return nullptr;
  const auto open = state.open.find(challenge->second.intent);
  return open == state.open.end() ? nullptr : &open->second;
}

void keep_reports(const Home& home, const std::vector<const Candidate*>& candidates) {
  FileBatch files(0600);
  for (const Candidate* c : candidates)
    files.add(home.reports() / (to_hex(c->report->digest) + ".report"), c->report->bytes, Existing::Replace);
  files.commit();
}

Grant grant_of(const audit::State& state, const Candidate& c) {
  Grant grant;
  grant.report = c.report->name;
  grant.report_digest = c.report->digest;
  grant.claims = c.claims();
  grant.device_class = c.verdict->decision.device_class();
  grant.crls = c.verified.evidence.crls;
  grant.trust = c.verdict->decision.trust();
  grant.svn_minimums = c.verdict->decision.svn_minimums();
  const audit::Challenge& challenge = state.challenges.at(c.claims().nonce);
  grant.host = challenge.host;
  grant.device = challenge.device;
  return grant;
}

// The only caller of keys::wrap_mek for a card. A Decision that allows can come from the policy's evaluation
// alone.
keys::WrappedMek wrap_for(pkcs11::Session& session, const keys::Mek& mek, const Candidate& c) {
  if (!c.allowed()) throw Error(ErrorKind::Internal, "a release without a decision that allows it");
  return with_context("releasing " + mek.label + " to card " + to_hex(c.claims().ueid), [&] {
    return keys::wrap_mek(session, mek, c.verdict->suite.value(), peer_of(c.claims()), c.claims().nonce);
  });
}

}  // namespace

std::vector<Candidate> verify_all(const Appliance& appliance, const std::vector<Report>& reports) {
  std::vector<Candidate> out(reports.size());
  const UnixTime now = appliance.now();
  const Verifier verifier(appliance.policy(), appliance.trust(), now);
  const Json judged = circumstances_of(now, appliance.trust());
  const auto verify = [&](std::uint64_t i) {
    out[i].report = &reports[i];
    out[i].verified = verifier.verify(reports[i]);
    out[i].judged = judged;
  };
  seal::run_parallel(seal::default_threads(), reports.size(), [&]() -> seal::Work { return verify; }, {});
  return out;
}

void record_unverified(Appliance& appliance, const keys::Mek& mek, const std::vector<Candidate>& candidates) {
  std::vector<const Candidate*> denied;
  for (const Candidate& c : candidates)
    if (!c.verifies()) denied.push_back(&c);
  if (denied.empty()) return;
  keep_reports(appliance.home(), denied);
  std::vector<Json> events;
  for (const Candidate* c : denied) {
    events.push_back(unverified_facts(c->verified));
    events.back().update({{"report_sha256", to_hex(c->report->digest)},
                          {"mek_id", to_hex(mek.id)},
                          {"policy", policy_of(appliance)},
                          {"judged", c->judged}});
  }
  appliance.log().events("denied", std::move(events));
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

void consume(Appliance& appliance, const keys::Mek& mek, const ReleaseApproval& approval,
             const std::vector<Candidate*>& candidates) {
  std::vector<Json> data;
  std::vector<Candidate*> fresh;
  std::vector<std::uint64_t> taken_up;
  keep_reports(appliance.home(), {candidates.begin(), candidates.end()});
  for (Candidate* c : candidates) {
    const audit::State& state = appliance.log().state();
    c->challenge = challenge_facts(state, c->claims().nonce, *c->report);
    if (const auto* open = unfinished(state, *c)) {
      c->txn = {open->seq, open->txn, open->kind};
      taken_up.push_back(open->seq);
      continue;
    }
    data.push_back(intent_of(*c, mek));
    fresh.push_back(c);
  }
  approval.mark(appliance.log(), taken_up, data);
  if (data.empty()) return;
  const auto txns = appliance.log().intents("release", std::move(data));
  for (std::size_t i = 0; i < fresh.size(); ++i) fresh[i]->txn = txns[i];
}

void decide(Appliance& appliance, const keys::Mek& mek, Count count,
            const std::vector<Candidate*>& candidates) {
  Question question{appliance.policy(),
                    appliance.log().state(),
                    appliance.now(),
                    keys::probe_suites(appliance.session()),
                    mek.id,
                    candidates.size()};
  if (count == Count::Each) question.releases_wanted = 1;
  for (Candidate* c : candidates) {
    c->judged = circumstances_of(question, c->challenge, c->claims(), std::move(c->judged));
    c->verdict = judge(question, c->challenge, c->verified);
    if (count == Count::Each && c->allowed()) ++question.releases_wanted;
  }
}

std::vector<Grant> wrap_all(Appliance& appliance, const keys::Mek& mek,
                            const std::vector<Candidate*>& candidates, const PendingWraps& pending) {
  std::vector<Grant> grants;
  grants.reserve(candidates.size());
  for (const Candidate* c : candidates) grants.push_back(grant_of(appliance.log().state(), *c));
  const auto worker = [&]() -> seal::Work {
    const auto session =
        std::make_shared<pkcs11::Session>(appliance.module(), appliance.token(), pkcs11::Access::ReadOnly);
    return [&, session](std::uint64_t i) {
      const auto* made = pending.find(candidates[i]->report->digest, candidates[i]->verdict->suite.value());
      grants[i].wrapped = made != nullptr ? *made : wrap_for(*session, mek, *candidates[i]);
    };
  };
  seal::run_parallel(seal::default_threads(), grants.size(), worker, {});
  return grants;
}

audit::Outcome denied_outcome(const Appliance& appliance, const Candidate& c) {
  Json data = denied_facts(c.verified, *c.verdict);
  data.update({{"policy", policy_of(appliance)}, {"judged", c.judged}});
  return {c.txn, "denied", std::move(data)};
}

audit::Outcome granted_outcome(const Appliance& appliance, const keys::Mek& mek, const Candidate& c,
                               const Grant& grant, Json act) {
  Json data = granted_facts(c.verified, *c.verdict);
  data.update({{"mek_id", to_hex(mek.id)},
               {"mek", mek.label},
               {"wrapped_sha256", to_hex(sha256(grant.wrapped.encrypt))},
               {"report_sha256", to_hex(grant.report_digest)},
               {"policy", policy_of(appliance)},
               {"judged", c.judged},
               {"token_serial", appliance.token().serial},
               {"act", std::move(act)}});
  return {c.txn, "ok", std::move(data)};
}

}  // namespace qpcseal::release
