// SPDX-License-Identifier: Apache-2.0
// Findings as JSON: sorted for the log, in their written order for people.
#pragma once

#include "base/finding.h"

namespace qpcseal::encoding {

template <class Json>
Json findings_as(const Findings& findings) {
  Json out = Json::array();
  for (const Finding& finding : findings)
    out.push_back({{"id", finding.id},
                   {"claim", finding.claim},
                   {"observed", finding.observed},
                   {"expected", finding.expected},
                   {"rule", finding.rule}});
  return out;
}

}  // namespace qpcseal::encoding
