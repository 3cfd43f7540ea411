// SPDX-License-Identifier: Apache-2.0
// Uses challenges up by the intents of a release, and takes up releases that were cut short.
#pragma once

#include <vector>

#include "appliance/release/approval.h"
#include "appliance/release/candidate.h"
#include "appliance/site/pending_wraps.h"

namespace qpcseal::release {

// Ends open releases that cannot go on: releases of these reports under another policy, and releases of this
// MEK with nothing wrapped whose challenge has expired or is another release's. The outcome is "failed"
// before the wrap, "unknown" after it.
void close_stale(site::Appliance& appliance, const keys::Mek& mek,
                 const std::vector<ReleaseItem*>& candidates);

void look_up_challenges(const audit::State& state, const std::vector<ReleaseItem*>& candidates);
// Writes the intents, which use the challenges up whatever the policy decides. An intent that an earlier run
// left open is taken up by the same report, for the same MEK, under the same policy.
void consume(site::Appliance& appliance, const keys::Mek& mek, const ReleaseApproval& approval,
             const std::vector<ReleaseItem*>& candidates);
// Sets an obstacle for each whose MEK was exposed before, or was wrapped before and whose wrapped MEK the
// home does not have any more: no challenge gets a second wrap. `format` is this release's: one in the
// vendor's format never goes on.
void find_lost_wraps(const site::PendingWraps& pending, std::string_view format,
                     const std::vector<ReleaseItem*>& candidates);

}  // namespace qpcseal::release
