// SPDX-License-Identifier: Apache-2.0
// One reason against a piece of evidence or a request, as a value. Attestation and policy both collect all
// they find.
#pragma once

#include <string>
#include <vector>

namespace qpcseal {

struct Finding {
  std::string id;        // stable: "ATT-..." from attestation, "POL-..." from policy
  std::string claim;     // what was looked at, e.g. "dbgstat"
  std::string observed;  // what it was
  std::string expected;  // what it had to be
  std::string rule;      // where that is written, e.g. "policy.toml:12" or "FORMAT.md section 5"

  bool operator==(const Finding&) const = default;
};

using Findings = std::vector<Finding>;

// Their ids in order, e.g. "ATT-NONCE, POL-CARD-RELEASES".
inline std::string finding_ids(const Findings& findings) {
  std::string out;
  for (const Finding& finding : findings) out += (out.empty() ? "" : ", ") + finding.id;
  return out;
}

}  // namespace qpcseal
