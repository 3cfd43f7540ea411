// A plan held against where it is to run: policy, officers, token, files. Each returns what is wrong, all of
// it.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "appliance/ceremony/plan.h"
#include "appliance/release/appliance.h"
#include "policy/officers.h"

namespace qpcseal::ceremony {

using Complaints = std::vector<std::string>;

// A policy that has expired; operations that it does not allow, or for which it wants more officers than sign
// the plan.
Complaints check_policy(const Plan& plan, const policy::Policy& policy, UnixTime now);
// Inputs that are missing or others; outputs that exist though their step is not done.
Complaints check_files(const Plan& plan, const std::filesystem::path& folder);

// What of the machine and the token goes into the log and the record.
audit::Json environment_of(release::Appliance& appliance);
Complaints check_token(const Plan& plan, const audit::Json& environment);

// Who signed the plan's bytes. Error{ApprovalsMissing} below the threshold, with a finding for each signature
// that does not count; Error{Denied} for officers that are not the log's.
policy::Tally check_signatures(const Plan& plan, const release::Home& home, const audit::State& state,
                               const std::vector<std::filesystem::path>& signatures, UnixTime now);

// Before a ceremony goes on: whether enough of those who signed its plan, {"name", "fingerprint"} each, are
// officers still. Error{ApprovalsMissing}.
void check_signers(const Plan& plan, const release::Home& home, const audit::State& state,
                   const audit::Json& signers, UnixTime now);

// Error{Denied} with all of them in one message, where there are any.
void refuse(const std::string& what, const Complaints& complaints);

}  // namespace qpcseal::ceremony
