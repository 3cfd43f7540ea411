#include "appliance/release/candidate.h"

#include <algorithm>
#include <set>

#include "appliance/release/transaction.h"
#include "appliance/release/verdict_record.h"
#include "base/error.h"
#include "base/file_batch.h"
#include "base/parallel.h"

namespace qpcseal::release {

namespace {

using audit::Json;

Json policy_of(const Appliance& appliance) {
  return {{"digest", appliance.policy_digest()}, {"serial", appliance.policy().serial.value}};
}

Json intent_of(const Candidate& c, const keys::Mek& mek, const Json& policy) {
  return {{"nonce", to_hex(c.claims().nonce)},         {"mek_id", to_hex(mek.id)},        {"mek", mek.label},
          {"report_sha256", to_hex(c.report->digest)}, {"ueid", to_hex(c.claims().ueid)}, {"policy", policy}};
}

// Between the wrap and its entry the wrapped key is in the home already: nobody can say that nothing was
// wrapped.
bool may_be_wrapped(const audit::OpenIntent& open, const PendingWraps& pending) {
  return open.is_wrapped() || pending.contains(audit::text_member(open.data, "report_sha256"));
}

audit::Outcome closed(const audit::OpenIntent& open, const PendingWraps& pending, const std::string& why) {
  const bool wrapped = may_be_wrapped(open, pending);
  return {{open.seq, open.txn, open.kind}, wrapped ? "unknown" : "failed", {{"error", why}}};
}

// The log has no wrap of it, and none can come any more.
bool is_over(const audit::State& state, const audit::OpenIntent& open, UnixTime now) {
  if (open.is_wrapped()) return false;
  const auto challenge = state.challenges.find(from_hex(audit::text_member(open.data, "nonce")));
  return challenge == state.challenges.end() || challenge->second.intent != open.seq ||
         challenge->second.expires <= now;
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

bool is_what_the_log_says(const keys::WrappedMek& made, const Json& wrapped) {
  return sha256_hex(made.encrypt) == audit::text_member(wrapped, "wrapped_sha256") &&
         sha256_hex(made.pub) == audit::text_member(wrapped, "pub_sha256");
}

// The file that keeps it is not signed: it is another key's, or another card's answer's, or it is taken.
bool is_wrap_for(const keys::WrappedMek& made, const keys::Mek& mek, const Candidate& c) {
  const auto head = seal::parse_wrap_head(made.encrypt);
  return head && head->mek_id == mek.id && head->suite == static_cast<unsigned>(made.suite) &&
         made.nonce == c.claims().nonce;
}

// What was wrapped before is what goes on: under the same suite, or not at all.
void hold_to_wrapped(Candidate& c) {
  if (!c.is_wrapped() || !c.verdict->suite) return;
  const std::string& wrapped = audit::text_member(c.wrapped_before, "suite");
  if (keys::name_of(*c.verdict->suite) != wrapped)
    c.obstacle.push_back({"POL-CHALLENGE-USED", "wrap suite", std::string(keys::name_of(*c.verdict->suite)),
                          wrapped, "no challenge gets a second wrap"});
}

// Those whose wrap failed drop out of both.
std::vector<Grant> without_faults(std::vector<Grant> grants, std::vector<Candidate*>& candidates) {
  std::vector<Grant> out;
  std::vector<Candidate*> whole;
  for (std::size_t i = 0; i < grants.size(); ++i) {
    if (!candidates[i]->fault.empty()) continue;
    out.push_back(std::move(grants[i]));
    whole.push_back(candidates[i]);
  }
  if (whole.empty()) throw Error(ErrorKind::Token, candidates.front()->fault);
  candidates = std::move(whole);
  return out;
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

void find_other_keys(const audit::State& state, const keys::Mek& mek, std::vector<Candidate>& candidates) {
  for (Candidate& c : candidates) {
    if (!c.verifies()) continue;
    const auto challenge = state.challenges.find(c.claims().nonce);
    if (challenge == state.challenges.end() || challenge->second.mek_id == mek.id) continue;
    const auto other = state.meks.find(challenge->second.mek_id);
    c.obstacle.push_back({"POL-CHALLENGE-MEK", "MEK of the challenge",
                          other == state.meks.end() ? to_hex(challenge->second.mek_id) : other->second.label,
                          mek.label, "the challenge was made for the MEK that is to be released"});
  }
}

void find_duplicates(std::vector<Candidate>& candidates) {
  std::map<Bytes, std::vector<Candidate*>> cards, nonces;
  for (Candidate& c : candidates) {
    if (!c.may_consume()) continue;
    cards[c.claims().ueid].push_back(&c);
    nonces[c.claims().nonce].push_back(&c);
  }
  const auto mark = [](const auto& groups, const char* id, const char* claim) {
    for (const auto& [value, group] : groups)
      for (Candidate* c : group)
        if (group.size() > 1)
          c->obstacle.push_back({id, claim,
                                 to_hex(value) + " in " + std::to_string(group.size()) + " reports",
                                 "one report", "reports of one run differ in card and challenge"});
  };
  mark(cards, "POL-CARD-TWICE", "ueid");
  mark(nonces, "POL-CHALLENGE-TWICE", "nonce");
}

void close_stale(Appliance& appliance, const keys::Mek& mek, const PendingWraps& pending,
                 const std::vector<Candidate*>& candidates) {
  const audit::State& state = appliance.log().state();
  std::vector<audit::Outcome> outcomes;
  std::set<std::uint64_t> ours;
  for (const Candidate* c : candidates) {
    const auto challenge = state.challenges.find(c->claims().nonce);
    if (challenge == state.challenges.end() || challenge->second.consumed_by != to_hex(c->report->digest))
      continue;
    const auto open = state.open.find(challenge->second.intent);
    if (open == state.open.end()) continue;
    ours.insert(open->first);
    if (unfinished_release(state, challenge->second, c->report->digest) == nullptr)
      outcomes.push_back(closed(open->second, pending, "cut short, and the policy has changed since"));
  }
  for (const auto& [seq, open] : state.open)
    if (open.kind == "release" && !ours.contains(seq) &&
        audit::text_member(open.data, "mek_id") == to_hex(mek.id) && is_over(state, open, appliance.now()))
      outcomes.push_back(closed(open, pending, "cut short before anything left"));
  if (!outcomes.empty()) appliance.log().results(std::move(outcomes));
}

void look_up_challenges(const audit::State& state, const std::vector<Candidate*>& candidates) {
  for (Candidate* c : candidates) {
    const Bytes& nonce = c->claims().nonce;
    c->challenge = challenge_facts(state, nonce, *c->report);
    const auto challenge = state.challenges.find(nonce);
    if (challenge == state.challenges.end()) continue;
    const auto* open = unfinished_release(state, challenge->second, c->report->digest);
    if (open == nullptr) continue;
    c->txn = {open->seq, open->txn, open->kind};
    c->wrapped_before = open->wrapped;
  }
}

void consume(Appliance& appliance, const keys::Mek& mek, const ReleaseApproval& approval,
             const std::vector<Candidate*>& candidates) {
  std::vector<Json> data;
  std::vector<Candidate*> fresh;
  std::vector<std::uint64_t> taken_up;
  keep_reports(appliance.home(), {candidates.begin(), candidates.end()});
  look_up_challenges(appliance.log().state(), candidates);
  for (Candidate* c : candidates) {
    if (!c->txn.kind.empty()) {
      taken_up.push_back(c->txn.seq);
      continue;
    }
    data.push_back(intent_of(*c, mek, policy_of(appliance)));
    fresh.push_back(c);
  }
  approval.mark(appliance.log(), taken_up, data);
  if (data.empty()) return;
  const auto txns = appliance.log().intents("release", std::move(data));
  for (std::size_t i = 0; i < fresh.size(); ++i) fresh[i]->txn = txns[i];
}

void find_lost_wraps(const PendingWraps& pending, const std::vector<Candidate*>& candidates) {
  for (Candidate* c : candidates) {
    const auto* made = pending.find(c->report->digest);
    c->was_made = made != nullptr && !c->challenge.consumed;  // else it is an earlier release of it
    if (!c->is_wrapped() || (made != nullptr && is_what_the_log_says(*made, c->wrapped_before))) continue;
    c->obstacle.push_back({"POL-CHALLENGE-USED", "challenge",
                           "a key was wrapped for it, and that wrapped key is not in the home any more",
                           "used once", "no challenge gets a second wrap"});
  }
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
  // The intents of these very releases count already.
  for (const Candidate* c : candidates) question.own_releases += c->txn.kind.empty() ? 0 : 1;
  for (Candidate* c : candidates) {
    question.own_card_releases = c->txn.kind.empty() ? 0 : 1;
    c->judged = circumstances_of(question, c->challenge, c->claims(), std::move(c->judged));
    c->verdict = judge(question, c->challenge, c->verified);
    hold_to_wrapped(*c);
    if (count == Count::Each && c->allowed()) ++question.releases_wanted;
  }
}

std::vector<Grant> wrap_all(Appliance& appliance, const keys::Mek& mek, std::vector<Candidate*>& candidates,
                            const PendingWraps& pending) {
  std::vector<Grant> grants;
  grants.reserve(candidates.size());
  for (const Candidate* c : candidates) grants.push_back(grant_of(appliance.log().state(), *c));
  const auto worker = [&]() -> seal::Work {
    const auto session =
        std::make_shared<pkcs11::Session>(appliance.module(), appliance.token(), pkcs11::Access::ReadOnly);
    return [&, session](std::uint64_t i) {
      Candidate& c = *candidates[i];
      const auto* made = pending.find(c.report->digest);
      const bool same = made != nullptr && (c.is_wrapped() || made->suite == c.verdict->suite);
      if (same && !is_wrap_for(*made, mek, c))
        throw Error(ErrorKind::Denied, "the key that waits in the home for " + c.report->name +
                                           " is another key's, or was wrapped for another challenge");
      try {
        grants[i].wrapped = same ? *made : wrap_for(*session, mek, c);
      } catch (const Error& error) {
        if (error.kind() != ErrorKind::Token || candidates.size() == 1) throw;
        c.fault = error.what();
      }
    };
  };
  seal::run_parallel(seal::default_threads(), grants.size(), worker, {});
  return without_faults(std::move(grants), candidates);
}

std::map<Sha256Digest, keys::WrappedMek> wraps_of(const std::vector<Grant>& grants) {
  std::map<Sha256Digest, keys::WrappedMek> out;
  for (const Grant& grant : grants) out.emplace(grant.report_digest, grant.wrapped);
  return out;
}

Json wrapped_data(const keys::Mek& mek, const Candidate& c, const keys::WrappedMek& wrapped) {
  const Json facts = granted_facts(c.verified, *c.verdict);
  return {{"mek_id", to_hex(mek.id)},
          {"mek", mek.label},
          {"ueid", to_hex(c.claims().ueid)},
          {"wrapped_sha256", sha256_hex(wrapped.encrypt)},
          {"pub_sha256", sha256_hex(wrapped.pub)},
          {"suite", facts.at("suite")},
          {"session_key", facts.at("session_key")},
          {"raised", {{"svn_floors", facts.at("svn_floors")}, {"crls", facts.at("crls")}}}};
}

audit::Outcome denied_outcome(const Appliance& appliance, const Candidate& c) {
  if (c.is_wrapped() || c.was_made) {
    const std::string why =
        c.findings().empty() ? "another report of the run is denied" : ids_of(c.findings());
    return {c.txn, "unknown", {{"error", "the key was wrapped by a run that was cut short; now: " + why}}};
  }
  Json data = denied_facts(c.verified, *c.verdict);
  data.update({{"policy", policy_of(appliance)}, {"judged", c.judged}});
  return {c.txn, "denied", std::move(data)};
}

audit::Outcome granted_outcome(const Appliance& appliance, const keys::Mek& mek, const Candidate& c,
                               const Grant& grant, Json act) {
  Json data = granted_facts(c.verified, *c.verdict);
  data.update({{"mek_id", to_hex(mek.id)},
               {"mek", mek.label},
               {"wrapped_sha256", sha256_hex(grant.wrapped.encrypt)},
               {"report_sha256", to_hex(grant.report_digest)},
               {"policy", policy_of(appliance)},
               {"judged", c.judged},
               {"token_serial", appliance.token().serial},
               {"act", std::move(act)}});
  return {c.txn, "ok", std::move(data)};
}

}  // namespace qpcseal::release
