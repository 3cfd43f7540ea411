// SPDX-License-Identifier: Apache-2.0
// The collateral bundle against the policy.
#pragma once

#include "base/finding.h"
#include "policy/facts.h"
#include "policy/policy.h"

namespace qpcseal::policy {

// A bundle must be there where the policy requires one, must be fresh wherever there is one, and must not
// list the card as revoked. Ids: POL-COLLATERAL, POL-COLLATERAL-STALE, POL-COLLATERAL-REVOKED.
Findings check_collateral(const Policy& policy, const Facts& facts);

// What a measurement may be: the rule's digests and those of its references; a name that the bundle lacks
// allows nothing.
std::vector<Bytes> allowed_digests(const MeasurementRule& rule, const CollateralFacts& collateral);

}  // namespace qpcseal::policy
