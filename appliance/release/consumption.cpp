// SPDX-License-Identifier: Apache-2.0
#include "appliance/release/consumption.h"

#include <set>

namespace qpcseal::release {

namespace {

using encoding::Json;

Json intent_of(const ReleaseItem& c, const keys::Mek& mek, const Json& policy) {
  return {{"nonce", to_hex(c.claims().nonce)},         {"mek_id", to_hex(mek.id)},        {"mek", mek.label},
          {"report_sha256", to_hex(c.report->digest)}, {"ueid", to_hex(c.claims().ueid)}, {"policy", policy}};
}

audit::Outcome closed(const audit::OpenIntent& open, const std::string& why) {
  return {{open.seq, open.txn, open.kind}, open.is_wrapped() ? "unknown" : "failed", {{"error", why}}};
}

// Nothing was wrapped for it, and nothing can be any more.
bool is_over(const audit::State& state, const audit::OpenIntent& open, UnixTime now) {
  if (open.is_wrapped()) return false;
  const auto challenge = state.challenges.find(from_hex(encoding::text_member(open.data, "nonce")));
  return challenge == state.challenges.end() || challenge->second.intent != open.seq ||
         challenge->second.expires <= now;
}

// The copy in the home is not signed: the log says which one it is.
bool is_what_the_log_says(const keys::WrappedMek& kept, const ReleaseItem& c) {
  if (c.wrapped_before.contains("exposed")) return false;
  const auto said = [&](const char* name) { return encoding::text_member(c.wrapped_before, name); };
  return sha256_hex(kept.encrypt) == said("wrapped_sha256") && sha256_hex(kept.pub) == said("pub_sha256") &&
         keys::to_string(kept.suite) == said("suite") && kept.nonce == c.claims().nonce;
}

}  // namespace

void close_stale(site::Appliance& appliance, const keys::Mek& mek,
                 const std::vector<ReleaseItem*>& candidates) {
  const audit::State& state = appliance.log().state();
  std::vector<audit::Outcome> outcomes;
  std::set<std::uint64_t> ours;
  for (const ReleaseItem* c : candidates) {
    const auto challenge = state.challenges.find(c->claims().nonce);
    if (challenge == state.challenges.end() || challenge->second.consumed_by != to_hex(c->report->digest))
      continue;
    const auto open = state.open.find(challenge->second.intent);
    if (open == state.open.end()) continue;
    ours.insert(open->first);
    if (unfinished_release(state, challenge->second, c->report->digest) == nullptr)
      outcomes.push_back(closed(open->second, "cut short, and the policy has changed since"));
  }
  for (const auto& [seq, open] : state.open)
    if (open.kind == "release" && !ours.contains(seq) &&
        encoding::text_member(open.data, "mek_id") == to_hex(mek.id) && is_over(state, open, appliance.now()))
      outcomes.push_back(closed(open, "cut short before anything left"));
  if (!outcomes.empty()) appliance.log().results(std::move(outcomes));
}

void look_up_challenges(const audit::State& state, const std::vector<ReleaseItem*>& candidates) {
  for (ReleaseItem* c : candidates) {
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

void consume(site::Appliance& appliance, const keys::Mek& mek, const ReleaseApproval& approval,
             const std::vector<ReleaseItem*>& candidates) {
  std::vector<Json> data;
  std::vector<ReleaseItem*> fresh;
  std::vector<std::uint64_t> taken_up;
  keep_reports(appliance.home(), {candidates.begin(), candidates.end()});
  look_up_challenges(appliance.log().state(), candidates);
  for (ReleaseItem* c : candidates) {
    if (!c->txn.kind.empty()) {
      taken_up.push_back(c->txn.seq);
      continue;
    }
    data.push_back(intent_of(*c, mek, policy_facts(appliance)));
    fresh.push_back(c);
  }
  approval.mark(appliance.log(), taken_up, data);
  if (data.empty()) return;
  const auto txns = appliance.log().intents("release", std::move(data));
  for (std::size_t i = 0; i < fresh.size(); ++i) fresh[i]->txn = txns[i];
}

void find_lost_wraps(const site::PendingWraps& pending, std::string_view format,
                     const std::vector<ReleaseItem*>& candidates) {
  const bool own = format == policy::kOwnFormat;
  for (ReleaseItem* c : candidates) {
    if (!c->is_wrapped()) continue;
    const auto* kept = pending.find(c->report->digest);
    if (own && kept != nullptr && is_what_the_log_says(*kept, *c)) continue;
    c->obstacle.push_back({"POL-CHALLENGE-USED", "challenge",
                           "a key was wrapped for it, and that wrapped key is not in the home any more, or "
                           "was exposed",
                           "used once", "no challenge gets a second wrap"});
  }
}

}  // namespace qpcseal::release
