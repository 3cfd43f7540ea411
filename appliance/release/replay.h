// Two policies over the reports that the home keeps: whose verdict would be another.
#pragma once

#include <string>
#include <vector>

#include "appliance/audit/state.h"
#include "appliance/release/home.h"
#include "appliance/release/trust.h"
#include "base/finding.h"
#include "policy/policy.h"

namespace qpcseal::release {

struct Replayed {
  std::string report;                  // SHA-256, hex
  std::string ueid;                    // hex; empty where the report does not verify under either
  bool before = false, after = false;  // allowed
  Findings why_before, why_after;
};

// Each as of the time when its challenge was made, as if the challenge were unused and the
// collateral bundle fresh. In order of digest.
// Error{Malformed} for a file there that is no report.
std::vector<Replayed> replay(const Home& home, audit::State state, Trust trust, const policy::Policy& before,
                             const policy::Policy& after);

}  // namespace qpcseal::release
