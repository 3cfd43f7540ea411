#include "appliance/release/release.h"

#include <algorithm>

#include "appliance/release/candidate.h"
#include "appliance/release/failure.h"
#include "base/error.h"

namespace qpcseal::release {

namespace {

using audit::Json;

std::string words_of(const Candidate& c) {
  std::string ids;
  for (const Finding& finding : c.findings()) ids += (ids.empty() ? "" : ", ") + finding.id;
  return c.report->name + " is denied: " + ids;
}

// All denied reports at once; their findings name the report where there is more than one.
[[noreturn]] void deny(const std::vector<const Candidate*>& denied) {
  if (denied.size() == 1)
    throw Error(ErrorKind::Denied, words_of(*denied[0]), "'qpcseal attest verify' shows what the card says",
                denied[0]->findings());
  std::string words;
  Findings all;
  for (const Candidate* c : denied) {
    words += (words.empty() ? "" : "; ") + words_of(*c);
    for (Finding finding : c->findings()) {
      finding.claim.insert(0, c->report->name + ": ");
      all.push_back(std::move(finding));
    }
  }
  throw Error(ErrorKind::Denied, words, "'qpcseal attest verify' shows what each card says", all);
}

std::vector<Sha256Digest> digests_of(const std::vector<Report>& reports) {
  std::vector<Sha256Digest> out;
  for (const Report& report : reports) out.push_back(report.digest);
  return out;
}

std::map<Sha256Digest, keys::WrappedMek> wraps_of(const std::vector<Grant>& grants) {
  std::map<Sha256Digest, keys::WrappedMek> out;
  for (const Grant& grant : grants) out.emplace(grant.report_digest, grant.wrapped);
  return out;
}

// Wraps, acts, and records it; `denied` are results of the same transaction, recorded behind it. For an act
// that throws the results say "failed".
std::vector<Grant> carry_out(Appliance& appliance, const keys::Mek& mek,
                             const std::vector<Candidate*>& candidates, std::vector<audit::Outcome> denied,
                             const Act& act) {
  PendingWraps pending(appliance.home(), appliance.log().state());
  try {
    std::vector<Grant> grants = wrap_all(appliance, mek, candidates, pending);
    const auto wraps = wraps_of(grants);
    pending.keep(wraps);
    std::vector<Json> acts = act(grants);
    std::vector<audit::Outcome> outcomes;
    for (std::size_t i = 0; i < grants.size(); ++i)
      outcomes.push_back(granted_outcome(appliance, mek, *candidates[i], grants[i], std::move(acts.at(i))));
    outcomes.insert(outcomes.end(), denied.begin(), denied.end());
    const auto entries = appliance.log().results(std::move(outcomes));
    for (std::size_t i = 0; i < grants.size(); ++i) grants[i].entry = entries[i];
    pending.drop(wraps);
    return grants;
  } catch (const std::exception& error) {
    for (const Candidate* c : candidates) denied.push_back({c->txn, "failed", {{"error", error.what()}}});
    log_failure([&] { appliance.log().results(std::move(denied)); });
    throw;
  }
}

std::vector<Candidate*> those(std::vector<Candidate>& candidates, bool (Candidate::*quality)() const) {
  std::vector<Candidate*> out;
  for (Candidate& c : candidates)
    if ((c.*quality)()) out.push_back(&c);
  return out;
}

std::vector<audit::Outcome> denials(const Appliance& appliance, const std::vector<Candidate*>& candidates) {
  std::vector<audit::Outcome> out;
  for (const Candidate* c : candidates)
    if (!c->allowed()) out.push_back(denied_outcome(appliance, *c));
  return out;
}

void refuse_unverified(const std::vector<Candidate>& candidates) {
  std::vector<const Candidate*> denied;
  for (const Candidate& c : candidates)
    if (!c.verifies()) denied.push_back(&c);
  if (!denied.empty()) deny(denied);
}

// One that is denied denies all: each result says so, with the findings against that report.
void conclude_denied(Appliance& appliance, const std::vector<Candidate*>& candidates) {
  std::vector<audit::Outcome> outcomes;
  std::vector<const Candidate*> denied;
  for (const Candidate* c : candidates) {
    if (!c->allowed()) denied.push_back(c);
    outcomes.push_back(denied_outcome(appliance, *c));
  }
  if (denied.empty()) return;
  appliance.log().results(std::move(outcomes));
  deny(denied);
}

}  // namespace

std::vector<Grant> release(Appliance& appliance, const keys::Mek& mek, const std::vector<Report>& reports,
                           const Act& act) {
  const ReleaseApproval approval(appliance, mek, digests_of(reports));
  std::vector<Candidate> candidates = verify_all(appliance, reports);
  record_unverified(appliance, mek, candidates);
  refuse_unverified(candidates);
  refuse_duplicates(candidates);
  const std::vector<Candidate*> all = those(candidates, &Candidate::verifies);
  consume(appliance, mek, approval, all);
  decide(appliance, mek, Count::Together, all);
  conclude_denied(appliance, all);
  return carry_out(appliance, mek, all, {}, act);
}

std::vector<Answer> release_each(Appliance& appliance, const keys::Mek& mek,
                                 const std::vector<Report>& reports, const ReleaseApproval& approval,
                                 const Act& act) {
  std::vector<Candidate> candidates = verify_all(appliance, reports);
  record_unverified(appliance, mek, candidates);
  const std::vector<Candidate*> verified = those(candidates, &Candidate::verifies);
  if (!verified.empty()) {
    consume(appliance, mek, approval, verified);
    decide(appliance, mek, Count::Each, verified);
  }
  const std::vector<Candidate*> allowed = those(candidates, &Candidate::allowed);
  std::vector<audit::Outcome> denied = denials(appliance, verified);
  std::vector<Grant> grants;
  if (!allowed.empty()) {
    grants = carry_out(appliance, mek, allowed, std::move(denied), act);
  } else if (!denied.empty()) {
    appliance.log().results(std::move(denied));
  }
  std::vector<Answer> out;
  std::size_t next = 0;
  for (const Candidate& c : candidates) {
    if (c.allowed()) {
      out.push_back({std::move(grants[next++]), {}});
    } else {
      out.push_back({std::nullopt, c.findings()});
    }
  }
  return out;
}

}  // namespace qpcseal::release
