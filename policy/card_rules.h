// SPDX-License-Identifier: Apache-2.0
// One card against one device class.
#pragma once

#include "base/finding.h"
#include "policy/facts.h"
#include "policy/policy.h"

namespace qpcseal::policy {

// Every rule of `device` that the card breaks. Empty: the card belongs to the class.
Findings check_card(const Policy& policy, const DeviceClass& device, const Facts& facts);

// The least security versions that `device` demands of the card: the policy's, or the log's where that is
// higher. A release writes them into the log as floors.
std::vector<SvnFloor> svn_minimums(const DeviceClass& device, const Facts& facts);

// Rules for every card, whatever its class: the challenge is this appliance's, unused, unexpired and for this
// MEK and card, and no class of the policy lists the card as revoked.
Findings check_challenge(const Policy& policy, const Facts& facts);
Findings check_revoked_card(const Policy& policy, const CardFacts& card);

}  // namespace qpcseal::policy
