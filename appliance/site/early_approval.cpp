// SPDX-License-Identifier: Apache-2.0
#include "appliance/site/early_approval.h"

#include <optional>

#include "appliance/audit/position.h"
#include "base/error.h"
#include "base/file.h"
#include "policy/officers_needed.h"

namespace qpcseal::site {

namespace {

// What the home has, as it lies there.
struct Named {
  policy::Policy policy;
  approval::Officers officers;
};

std::optional<Named> read_home(const Home& home) {
  try {
    return Named{policy::parse_policy(read_text_file(home.policy(), policy::kMaxPolicySize)),
                 approval::parse_officers(read_text_file(home.officers(), approval::kMaxOfficersFile))};
  } catch (const Error&) {
    return std::nullopt;
  }
}

// Then the genesis is what is missed first, and the start says so.
bool awaits_genesis(const Home& home) {
  try {
    return !audit::find_position(home.log()).state.genesis_accepted;
  } catch (const Error&) {
    return true;
  }
}

}  // namespace

void require_approvals(const Home& home, const approval::ApprovalFiles& given, UnixTime now,
                       const std::vector<std::string>& operations) {
  const auto named = read_home(home);
  if (!named) return;
  const std::vector<std::string> requests = approval::read_requests(given.requests),
                                 signatures = approval::read_signatures(given.signatures);
  try {
    for (const std::string& operation : operations)
      if (policy::officers_needed(named->policy, operation).value_or(0) > 0)
        approval::require_candidate(named->policy, named->officers, now, operation, requests, signatures);
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::ApprovalsMissing || awaits_genesis(home)) return;
    throw;
  }
}

}  // namespace qpcseal::site
