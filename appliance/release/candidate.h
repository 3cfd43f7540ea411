// SPDX-License-Identifier: Apache-2.0
// The steps that every release takes, over several reports at once; transaction.cpp puts them in
// order. Verifying uses all cores.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "appliance/release/approval.h"
#include "appliance/release/verdict.h"
#include "appliance/site/appliance.h"

namespace qpcseal::release {

// A report in a release. Members of steps that are not reached yet are empty.
struct ReleaseItem {
  const Report* report = nullptr;
  Verified verified;                 // claims only where signature, path and structure hold
  encoding::Json judged;             // what the verdict rested on beside them (verdict_record.h)
  policy::ChallengeFacts challenge;  // as the log had it before this release used it up
  audit::Txn txn;
  encoding::Json wrapped_before;  // of a release that was cut short behind its wrap; else null
  Findings obstacle;              // why it cannot be released that is no matter of the policy
  std::optional<Verdict> verdict;
  std::string fault;  // why nothing was begun, or the token did not wrap; the release stays as it is

  [[nodiscard]] const attest::Claims& claims() const { return *verified.evidence.claims; }
  [[nodiscard]] bool verifies() const { return verified.evidence.claims.has_value(); }
  [[nodiscard]] bool may_consume() const { return verifies() && obstacle.empty() && fault.empty(); }
  [[nodiscard]] bool is_wrapped() const { return !wrapped_before.is_null(); }
  [[nodiscard]] bool allowed() const { return obstacle.empty() && verdict && verdict->decision.allowed(); }
  [[nodiscard]] const Findings& findings() const {
    if (!obstacle.empty()) return obstacle;
    return verdict ? verdict->decision.findings() : verified.evidence.findings;
  }
};

std::vector<ReleaseItem> verify_all(const site::Appliance& appliance, const std::vector<Report>& reports);

// Logs the reports that do not verify. They use no challenge up: anybody can make such a report.
void record_unverified(site::Appliance& appliance, const keys::Mek& mek,
                       const std::vector<ReleaseItem>& candidates);

// Logs the reports that verify and have an obstacle. They use no challenge up either.
void record_refused(site::Appliance& appliance, const keys::Mek& mek,
                    const std::vector<ReleaseItem>& candidates);

// Sets an obstacle for each report that answers the challenge of another MEK, one that was made for another
// card, or one that is used up, but by the report's own release that goes on. No challenge is used up by it.
void find_others_challenges(const audit::State& state, const keys::Mek& mek,
                            std::vector<ReleaseItem>& candidates);
// Sets an obstacle for each report whose release was begun, and its key wrapped, in another format: that
// release is not used up.
void find_other_format(const audit::State& state, std::string_view format,
                       std::vector<ReleaseItem>& candidates);
// Sets an obstacle for all reports without one that come from one card, or answer one challenge; a card that
// answers several bars no other card from its own.
void find_duplicates(std::vector<ReleaseItem>& candidates);

enum class Count {
  Together,  // all of them want a release: one too many denies all
  Each,      // those that are allowed count, one after the other
};
void decide(site::Appliance& appliance, const keys::Mek& mek, Count count, std::string_view format,
            const std::vector<ReleaseItem*>& candidates);

// Digest and serial of the policy in force, for the log.
encoding::Json policy_facts(const site::Appliance& appliance);
// Keeps the reports that the log names in the home.
void keep_reports(const site::Home& home, const std::vector<const ReleaseItem*>& candidates);

}  // namespace qpcseal::release
