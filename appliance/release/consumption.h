// SPDX-License-Identifier: Apache-2.0
// How a release uses challenges up, and how it goes on with one that was cut short.
#pragma once

#include <vector>

#include "appliance/release/approval.h"
#include "appliance/release/candidate.h"
#include "appliance/site/pending_wraps.h"

namespace qpcseal::release {

// Ends open releases that cannot go on: of these reports, but begun under another policy; of this MEK, with
// nothing wrapped, whose challenge has expired or is another's. "failed" before the wrap, "unknown" after it.
void close_stale(Appliance& appliance, const keys::Mek& mek, const std::vector<Candidate*>& candidates);

void look_up_challenges(const audit::State& state, const std::vector<Candidate*>& candidates);
// The intents; from here on the challenges of all of them are used up, whatever the policy says. An intent
// that an earlier run left open is taken up again by the same report, for the same MEK, under the same
// policy.
void consume(Appliance& appliance, const keys::Mek& mek, const ReleaseApproval& approval,
             const std::vector<Candidate*>& candidates);
// An obstacle for those whose key was wrapped before, where the home has no copy of what the log names: no
// challenge gets a second wrap.
void find_lost_wraps(const PendingWraps& pending, const std::vector<Candidate*>& candidates);

}  // namespace qpcseal::release
