// SPDX-License-Identifier: Apache-2.0
// Compares two policies by the reports that the home keeps: which verdicts would change.
#pragma once

#include <string>
#include <vector>

#include "appliance/audit/read.h"
#include "appliance/site/home.h"
#include "base/finding.h"
#include "policy/policy.h"

namespace qpcseal::verdict {

struct ChangedVerdict {
  std::string report;                  // SHA-256, hex
  std::string ueid;                    // hex; empty where the report does not verify under either
  bool before = false, after = false;  // allowed
  Findings why_before, why_after;
};

// On all cores; a report is verified once where both policies verify alike. Memory: a ChangedVerdict for each
// report. The answer is about cards, so each report is evaluated as if it were fresh: its challenge is unused
// and not expired. Time, trust material and counts are those of the last verdict that found the challenge
// unused, else of the last verdict; so a report that was given twice by mistake says the same as before. A
// report that did not verify then is evaluated with today's counts. In order of digest. Error{Malformed} for
// a file there that is no report; Error{Io} where trust material was not kept.
std::vector<ChangedVerdict> changed_verdicts(const site::Home& home, const audit::LogCopy& log,
                                             const policy::Policy& before, const policy::Policy& after);

}  // namespace qpcseal::verdict
