// SPDX-License-Identifier: Apache-2.0
// The officers' signatures in a bundle: of the policy, the collateral and the release, with the entries that
// name the signers, and the officers files of that time. Gathered from a home, and verified without one.
// FORMAT.md section 6.7.
#pragma once

#include "appliance/audit/receipt.h"
#include "appliance/site/home.h"
#include "policy/policy.h"

namespace qpcseal::verdict {

// `intent`: the verdict's; its number is the verdict's own where it has none.
// Error{Io} where something was not kept.
encoding::Json gather_signatures(const site::Home& home, const audit::LogCopy& log,
                                 const audit::Entry& verdict);

// The parts of a bundle against which signatures are verified; each is verified already.
struct SignatureSubject {
  const tlog::Checkpoint& checkpoint;
  const audit::Entry &genesis, &verdict;
  const audit::Entry* intent;  // null: a report that did not verify, for which nobody was asked
  const policy::Policy& policy;
  const std::string &policy_text, &trust_text;
};
// Who signed, for people: "policy signed by anna, bela". Error{Malformed}; Error{LogDamaged} where the
// signatures do not give what the log says.
struct Signatures {
  std::vector<std::string> policy, trust, release;  // names
};
Signatures check_signatures(const encoding::Json& json, const SignatureSubject& subject);

}  // namespace qpcseal::verdict
