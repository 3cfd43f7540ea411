// SPDX-License-Identifier: Apache-2.0
// The collateral bundle against the policy.
#pragma once

#include "base/finding.h"
#include "policy/facts.h"
#include "policy/policy.h"

namespace qpcseal::policy {

// A bundle must exist where the policy requires one, must be fresh if it exists, and must not
// list the card as revoked. Ids: POL-COLLATERAL, POL-COLLATERAL-STALE, POL-COLLATERAL-REVOKED.
Findings check_collateral(const Policy& policy, const Facts& facts);

// The digests that a rule allows: its own and those of its references. A name that the bundle lacks allows
// nothing.
std::vector<Bytes> allowed_digests(const MeasurementRule& rule, const CollateralFacts& collateral);

}  // namespace qpcseal::policy
