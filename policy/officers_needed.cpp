// SPDX-License-Identifier: Apache-2.0
#include "policy/officers_needed.h"

#include <algorithm>

namespace qpcseal::policy {

std::optional<int> officers_needed(const Policy& policy, std::string_view operation) {
  const auto named = policy.approvals_for(operation);
  const int most = policy.greatest_threshold();
  if (operation == "site-change" || operation == "anchor-accept") return most;
  // What hands a key out in the clear needs no fewer than what it does at the same time.
  if (operation == "mek-expose" && named)
    return std::max(
        {*named, policy.approvals_for("seal").value_or(0), policy.approvals_for("release").value_or(0)});
  if (operation == "clock-correct") return std::max(named.value_or(most), 1);
  return named;
}

}  // namespace qpcseal::policy
