// The steps that every release takes, over several reports at once; for release.cpp, which puts them in
// order. Verifying and wrapping use all cores, wrapping with a session for each.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "appliance/release/approval.h"
#include "appliance/release/verdict.h"
#include "appliance/site/appliance.h"

namespace qpcseal::release {

struct Grant;
class PendingWraps;

// A report on its way through a release. What is not reached yet is empty.
struct Candidate {
  const Report* report = nullptr;
  Verified verified;                 // claims only where signature, path and structure hold
  audit::Json judged;                // what the verdict rested on beside them (circumstances.h)
  policy::ChallengeFacts challenge;  // as the log had it before this release used it up
  audit::Txn txn;
  audit::Json wrapped_before;  // of a release that was cut short behind its wrap; else null
  bool was_made = false;       // a run that was cut short has wrapped a key for it
  Findings obstacle;           // why it cannot be released that is no matter of the policy
  std::optional<Verdict> verdict;
  std::string fault;  // why the token did not wrap; the release stays open

  [[nodiscard]] const attest::Claims& claims() const { return *verified.evidence.claims; }
  [[nodiscard]] bool verifies() const { return verified.evidence.claims.has_value(); }
  [[nodiscard]] bool may_consume() const { return verifies() && obstacle.empty(); }
  [[nodiscard]] bool is_wrapped() const { return !wrapped_before.is_null(); }
  [[nodiscard]] bool allowed() const { return obstacle.empty() && verdict && verdict->decision.allowed(); }
  [[nodiscard]] const Findings& findings() const {
    if (!obstacle.empty()) return obstacle;
    return verdict ? verdict->decision.findings() : verified.evidence.findings;
  }
};

std::vector<Candidate> verify_all(const Appliance& appliance, const std::vector<Report>& reports);

// Records those that do not verify. They use nothing up: garbage must not consume a challenge.
void record_unverified(Appliance& appliance, const keys::Mek& mek, const std::vector<Candidate>& candidates);

// An obstacle for each that answers a challenge for another key: nothing of that key's is used up.
void find_other_keys(const audit::State& state, const keys::Mek& mek, std::vector<Candidate>& candidates);
// An obstacle for all that verify and come from one card, or answer one challenge.
void find_duplicates(std::vector<Candidate>& candidates);

// Ends open releases that cannot go on: of these reports, but begun under another policy; of this MEK, with
// nothing wrapped, whose challenge has expired or is another's. "failed" before the wrap, "unknown" after it.
// Those whose key is pending are "unknown".
void close_stale(Appliance& appliance, const keys::Mek& mek, const PendingWraps& pending,
                 const std::vector<Candidate*>& candidates);

void look_up_challenges(const audit::State& state, const std::vector<Candidate*>& candidates);
// The intents; from here on the challenges of all of them are used up, whatever the policy says. An intent
// that an earlier run left open is taken up again by the same report, for the same MEK, under the same
// policy.
void consume(Appliance& appliance, const keys::Mek& mek, const ReleaseApproval& approval,
             const std::vector<Candidate*>& candidates);
// Marks those whose key is pending; an obstacle for those whose key was wrapped before, where the wrapped key
// is not in the home any more: no challenge gets a second wrap.
void find_lost_wraps(const PendingWraps& pending, const std::vector<Candidate*>& candidates);

enum class Count {
  Together,  // all of them want a release: one too many denies all
  Each,      // those that are allowed count, one after the other
};
void decide(Appliance& appliance, const keys::Mek& mek, Count count,
            const std::vector<Candidate*>& candidates);

// Wraps the MEK for each, but where it is pending for that report; all must be allowed. One that fails gets a
// fault, and leaves `candidates`; Error{Token} where all fail.
std::vector<Grant> wrap_all(Appliance& appliance, const keys::Mek& mek, std::vector<Candidate*>& candidates,
                            const PendingWraps& pending);
std::map<Sha256Digest, keys::WrappedMek> wraps_of(const std::vector<Grant>& grants);

// Of the entry between wrap and delivery.
audit::Json wrapped_data(const keys::Mek& mek, const Candidate& candidate, const keys::WrappedMek& wrapped);
// "denied", or "unknown" where a key was wrapped before.
audit::Outcome denied_outcome(const Appliance& appliance, const Candidate& candidate);
audit::Outcome granted_outcome(const Appliance& appliance, const keys::Mek& mek, const Candidate& candidate,
                               const Grant& grant, audit::Json act);

}  // namespace qpcseal::release
