// The steps that every release takes, over several reports at once; for release.cpp, which puts them in
// order. Verifying and wrapping use all cores, wrapping with a session for each.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "appliance/release/pending.h"
#include "appliance/release/release.h"

namespace qpcseal::release {

// A report on its way through a release. What is not reached yet is empty.
struct Candidate {
  const Report* report = nullptr;
  Verified verified;                 // claims only where signature, path and structure hold
  audit::Json judged;                // what the verdict rested on beside them (circumstances.h)
  policy::ChallengeFacts challenge;  // as the log had it before this release used it up
  audit::Txn txn;
  std::optional<Verdict> verdict;

  [[nodiscard]] const attest::Claims& claims() const { return *verified.evidence.claims; }
  [[nodiscard]] bool verifies() const { return verified.evidence.claims.has_value(); }
  [[nodiscard]] bool allowed() const { return verdict && verdict->decision.allowed(); }
  [[nodiscard]] const Findings& findings() const {
    return verdict ? verdict->decision.findings() : verified.evidence.findings;
  }
};

std::vector<Candidate> verify_all(const Appliance& appliance, const std::vector<Report>& reports);

// Records those that do not verify. They use nothing up: garbage must not consume a challenge.
void record_unverified(Appliance& appliance, const keys::Mek& mek, const std::vector<Candidate>& candidates);

// Error{Usage} where two come from one card or answer one challenge.
void refuse_duplicates(const std::vector<Candidate>& candidates);

// The intents; from here on the challenges of all of them are used up, whatever the policy says. An intent
// that an earlier run left open, for the same report, is taken up again.
void consume(Appliance& appliance, const keys::Mek& mek, const ReleaseApproval& approval,
             const std::vector<Candidate*>& candidates);

enum class Count {
  Together,  // all of them want a release: one too many denies all
  Each,      // those that are allowed count, one after the other
};
void decide(Appliance& appliance, const keys::Mek& mek, Count count,
            const std::vector<Candidate*>& candidates);

// Wraps the MEK for each, but where it is pending for that report; all must be allowed.
std::vector<Grant> wrap_all(Appliance& appliance, const keys::Mek& mek,
                            const std::vector<Candidate*>& candidates, const PendingWraps& pending);

audit::Outcome denied_outcome(const Appliance& appliance, const Candidate& candidate);
audit::Outcome granted_outcome(const Appliance& appliance, const keys::Mek& mek, const Candidate& candidate,
                               const Grant& grant, audit::Json act);

}  // namespace qpcseal::release
