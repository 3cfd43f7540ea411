// SPDX-License-Identifier: Apache-2.0
#include "policy/collateral_rules.h"

#include <algorithm>

namespace qpcseal::policy {

Findings check_collateral(const Policy& policy, const Facts& facts) {
  Findings out;
  const CollateralFacts& bundle = facts.collateral;
  if (!bundle.present) {
    if (policy.collateral_required.value)
      out.push_back({"POL-COLLATERAL", "collateral bundle", "none was imported", "a fresh one",
                     policy.at(policy.collateral_required.line)});
    return out;
  }
  const std::string name = "collateral bundle " + std::to_string(bundle.serial);
  if (facts.now < bundle.not_before || facts.now >= bundle.not_after)
    out.push_back({"POL-COLLATERAL-STALE", name, "at " + format_time(facts.now),
                   "from " + format_time(bundle.not_before) + " to before " + format_time(bundle.not_after),
                   "collateral bundle"});
  if (std::ranges::find(bundle.revoked_ueids, facts.card.ueid) != bundle.revoked_ueids.end())
    out.push_back({"POL-COLLATERAL-REVOKED", "ueid", to_hex(facts.card.ueid), "not revoked", name});
  return out;
}

std::vector<Bytes> allowed_digests(const MeasurementRule& rule, const CollateralFacts& collateral) {
  std::vector<Bytes> out = rule.digests;
  for (const std::string& name : rule.references) {
    const auto found = collateral.references.find(name);
    if (found != collateral.references.end())
      out.insert(out.end(), found->second.begin(), found->second.end());
  }
  return out;
}

}  // namespace qpcseal::policy
