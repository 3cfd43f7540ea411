// SPDX-License-Identifier: Apache-2.0
// The one rule of how many officers an operation needs: what asks for them, what counts them, and what shows
// it use no other.
#pragma once

#include <optional>
#include <string_view>

#include "policy/policy.h"

namespace qpcseal::policy {

// How many officers must approve the operation. Nothing: the policy does not allow it. Repairs always have a
// quorum, so that no policy locks an appliance for good: the policy's greatest number where it does not name
// them, and always for site-change and anchor-accept, which could undo what others protect. An exposure needs
// as many as seal and release, at least.
std::optional<int> officers_needed(const Policy& policy, std::string_view operation);

}  // namespace qpcseal::policy
