// SPDX-License-Identifier: Apache-2.0
// Reports on the path of a release: attestation, then challenge, budgets and policy, as `attest verify` and a
// release go it. Each part can be set wrong by hand.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "appliance/audit/state.h"
#include "appliance/trust/trust_folder.h"
#include "policy/policy.h"
#include "tests/attest/test_card.h"
#include "tests/attest/test_enclave.h"

namespace qpcseal::testing {

struct Judged {
  bool released = false;
  std::set<std::string> ids;  // of all findings
};

struct PolicyFixture {
  std::string policy_text;
  policy::Policy policy;
  trust::Trust trust;
  audit::State state;
  UnixTime now = kTestNow;
  Bytes mek_id = Bytes(16, 0x4d);

  // For a report that answers the desk's one challenge. Lets nothing but Findings say no: what throws is a
  // failure of the test.
  [[nodiscard]] Judged judge(ByteView report) const;
  audit::Challenge& challenge() { return *state.challenges.change(state.challenges.begin()->first); }
  // The desk's challenge is used up by a release of this report, which is open with this wrapped.
  void open_release(const Sha256Digest& report, const encoding::Json& wrapped);
  audit::MekHistory& mek() { return state.meks.begin()->second; }
};

// Desks that release to the card, or the enclave, as it is.
PolicyFixture desk_for(const TestCard& card);
PolicyFixture desk_for(const TestEnclave& enclave);

// Counts mutants by finding, and what was let through.
class MutantCounter {
 public:
  // `expected`: at least one of these must be among the findings.
  void note(const Judged& judged, const std::set<std::string>& expected, const std::string& what);
  [[nodiscard]] int mutants() const { return mutants_; }
  // Prints the counts by finding, and wants each in docs/CHECKS.md.
  void print(const std::string& campaign) const;

 private:
  int mutants_ = 0;
  std::map<std::string, int> by_id_;
};

}  // namespace qpcseal::testing
