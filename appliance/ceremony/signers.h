// SPDX-License-Identifier: Apache-2.0
// Who signed a plan, and who rejects it.
#pragma once

#include <string>
#include <vector>

#include "appliance/approval/officers.h"
#include "appliance/ceremony/plan.h"
#include "appliance/site/appliance.h"

namespace qpcseal::ceremony {

struct Signed {
  approval::Tally tally;
  std::vector<std::string> signatures;  // those that count, as tally.approvers
};
// Who signed the plan's bytes. Error{ApprovalsMissing} below the threshold, with a finding for each signature
// that does not count; Error{Denied} for officers that are not the log's.
Signed check_signatures(const Plan& plan, const site::Home& home, const audit::State& state,
                        const std::vector<std::string>& signatures, UnixTime now);
// Who signed that they reject it.
std::vector<approval::Approver> find_rejecters(const Plan& plan, const site::Home& home,
                                               const audit::State& state,
                                               const std::vector<std::string>& signatures, UnixTime now);

// Before a ceremony goes on: whether enough of the signatures that it began with, `begin`'s, would count
// today. Error{ApprovalsMissing}.
void check_signers(const Plan& plan, const site::Home& home, const audit::State& state,
                   const encoding::Json& begin, UnixTime now);

}  // namespace qpcseal::ceremony
