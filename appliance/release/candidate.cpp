// SPDX-License-Identifier: Apache-2.0
#include "appliance/release/candidate.h"

#include <algorithm>

#include "appliance/release/verdict_record.h"
#include "base/file_batch.h"
#include "base/parallel.h"

namespace qpcseal::release {

namespace {

using encoding::Json;

// What was wrapped before is what goes on: under the same suite, or not at all.
void hold_to_wrapped(ReleaseItem& c) {
  if (!c.is_wrapped() || !c.verdict->suite) return;
  const std::string& wrapped = encoding::text_member(c.wrapped_before, "suite");
  if (keys::to_string(*c.verdict->suite) != wrapped)
    c.obstacle.push_back({"POL-CHALLENGE-USED", "wrap suite", std::string(keys::to_string(*c.verdict->suite)),
                          wrapped, "no challenge gets a second wrap"});
}

// An event of `kind` for each report that `concerns` picks; `facts` says what is its own of it.
template <typename Concerns, typename Facts>
void record_events(site::Appliance& appliance, const keys::Mek& mek,
                   const std::vector<ReleaseItem>& candidates, const std::string& kind,
                   const Concerns& concerns, const Facts& facts) {
  std::vector<const ReleaseItem*> picked;
  for (const ReleaseItem& c : candidates)
    if (concerns(c)) picked.push_back(&c);
  if (picked.empty()) return;
  keep_reports(appliance.home(), picked);
  std::vector<Json> events;
  for (const ReleaseItem* c : picked) {
    events.push_back(facts(*c));
    events.back().update({{"report_sha256", to_hex(c->report->digest)},
                          {"mek_id", to_hex(mek.id)},
                          {"policy", policy_facts(appliance)}});
  }
  appliance.log().events(kind, std::move(events));
}

}  // namespace

Json policy_facts(const site::Appliance& appliance) {
  return {{"digest", appliance.policy_digest()}, {"serial", appliance.policy().serial.value}};
}

void keep_reports(const site::Home& home, const std::vector<const ReleaseItem*>& candidates) {
  FileBatch files(0600);
  for (const ReleaseItem* c : candidates)
    files.add(home.reports() / (to_hex(c->report->digest) + ".report"), c->report->bytes, Existing::Replace);
  files.commit();
}

std::vector<ReleaseItem> verify_all(const site::Appliance& appliance, const std::vector<Report>& reports) {
  std::vector<ReleaseItem> out(reports.size());
  const UnixTime now = appliance.now();
  if (!names_external(appliance.policy()))
    for (const Report& report : reports)
      with_context(report.name, [&] { attest::require_report_form(report.bytes); });
  const Verifier verifier(appliance.policy(), appliance.trust(), now, &appliance.log().state());
  const Json judged = make_verdict_record(now, appliance.trust());
  const auto verify = [&](std::uint64_t i) {
    out[i].report = &reports[i];
    out[i].verified = verifier.verify(reports[i]);
    out[i].judged = judged;
  };
  run_parallel(default_threads(), reports.size(), [&]() -> Work { return verify; }, {});
  return out;
}

void record_unverified(site::Appliance& appliance, const keys::Mek& mek,
                       const std::vector<ReleaseItem>& candidates) {
  record_events(
      appliance, mek, candidates, "denied", [](const ReleaseItem& c) { return !c.verifies(); },
      [](const ReleaseItem& c) {
        Json facts = unverified_facts(c.verified);
        facts["judged"] = c.judged;
        return facts;
      });
}

void record_refused(site::Appliance& appliance, const keys::Mek& mek,
                    const std::vector<ReleaseItem>& candidates) {
  record_events(
      appliance, mek, candidates, "refused",
      [](const ReleaseItem& c) { return c.verifies() && !c.obstacle.empty(); },
      [](const ReleaseItem& c) { return refused_facts(c.verified, c.obstacle); });
}

void find_others_challenges(const audit::State& state, const keys::Mek& mek,
                            std::vector<ReleaseItem>& candidates) {
  for (ReleaseItem& c : candidates) {
    if (!c.verifies()) continue;
    const auto challenge = state.challenges.find(c.claims().nonce);
    if (challenge == state.challenges.end()) continue;
    const auto& [nonce, asked] = *challenge;
    const bool goes_on = asked.consumed_by == to_hex(c.report->digest) && state.open.contains(asked.intent);
    if (asked.consumed && !goes_on)
      c.obstacle.push_back({"POL-CHALLENGE-USED", "challenge", "used before", "used once", "always"});
    if (asked.mek_id != mek.id) {
      const auto other = state.meks.find(asked.mek_id);
      c.obstacle.push_back({"POL-CHALLENGE-MEK", "MEK of the challenge",
                            other == state.meks.end() ? to_hex(asked.mek_id) : other->second.label, mek.label,
                            "the challenge was made for the MEK that is to be released"});
    }
    if (asked.ueid && *asked.ueid != c.claims().ueid)
      c.obstacle.push_back({"POL-CHALLENGE-UEID", "ueid", to_hex(c.claims().ueid), to_hex(*asked.ueid),
                            "the challenge was made for one card"});
  }
}

void find_other_format(const audit::State& state, std::string_view format,
                       std::vector<ReleaseItem>& candidates) {
  for (ReleaseItem& c : candidates) {
    if (!c.may_consume()) continue;
    const auto challenge = state.challenges.find(c.claims().nonce);
    if (challenge == state.challenges.end()) continue;
    const auto* begun = unfinished_release(state, challenge->second, c.report->digest);
    if (begun == nullptr || !begun->is_wrapped()) continue;
    const std::string_view before =
        begun->wrapped.contains("exposed") ? policy::kVendorFormat : policy::kOwnFormat;
    if (before != format)
      c.obstacle.push_back({"POL-FORMAT-BEGUN", "format",
                            "its release was begun with --format " + std::string(before) + " and cut short",
                            std::string(before), "the command that was cut short finishes it"});
  }
}

void find_duplicates(std::vector<ReleaseItem>& candidates) {
  std::map<Bytes, std::vector<ReleaseItem*>> cards, nonces;
  for (ReleaseItem& c : candidates) {
    if (!c.may_consume()) continue;
    cards[c.claims().ueid].push_back(&c);
    nonces[c.claims().nonce].push_back(&c);
  }
  const auto mark = [](ReleaseItem& c, const char* id, const char* claim, const Bytes& value,
                       std::size_t count) {
    c.obstacle.push_back({id, claim, to_hex(value) + " in " + std::to_string(count) + " reports",
                          "one report", "reports of one run differ in card and challenge"});
  };
  for (const auto& [ueid, group] : cards)
    for (ReleaseItem* c : group)
      if (group.size() > 1) mark(*c, "POL-CARD-TWICE", "ueid", ueid, group.size());
  // A card that answers many challenges is refused already, and is in nobody's way.
  for (const auto& [nonce, group] : nonces) {
    const auto others = std::ranges::count_if(group, &ReleaseItem::may_consume);
    for (ReleaseItem* c : group)
      if (group.size() > 1 && (others > 1 || !c->may_consume()))
        mark(*c, "POL-CHALLENGE-TWICE", "nonce", nonce, group.size());
  }
}

void decide(site::Appliance& appliance, const keys::Mek& mek, Count count, std::string_view format,
            const std::vector<ReleaseItem*>& candidates) {
  VerdictInputs question{appliance.policy(),
                         appliance.log().state(),
                         appliance.now(),
                         keys::probe_suites(appliance.session()),
                         mek.id,
                         candidates.size()};
  question.format = format;
  if (count == Count::Each) question.releases_wanted = 1;
  // The intents of these very releases count already. Where each is decided by itself, one that is wrapped
  // counts for all the others whatever becomes of it: its key may have left.
  const auto begun = [](const ReleaseItem* c) { return !c->txn.kind.empty(); };
  const auto open = [&](const ReleaseItem* c) {
    return begun(c) && (count == Count::Together || !c->is_wrapped());
  };
  const auto all_open = static_cast<std::uint64_t>(std::ranges::count_if(candidates, open));
  for (ReleaseItem* c : candidates) {
    question.own_releases = all_open + (begun(c) && !open(c) ? 1 : 0);
    question.own_card_releases = begun(c) ? 1 : 0;
    c->judged = make_verdict_record(question, c->challenge, c->claims(), std::move(c->judged));
    c->verdict = judge(question, c->challenge, c->verified);
    hold_to_wrapped(*c);
    if (count == Count::Each && c->allowed() && !c->is_wrapped()) ++question.releases_wanted;
  }
}

}  // namespace qpcseal::release
