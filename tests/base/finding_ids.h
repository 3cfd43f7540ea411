// SPDX-License-Identifier: Apache-2.0
// The ids of findings, for matchers.
#pragma once

#include <string>
#include <vector>

#include "base/finding.h"

namespace qpcseal::testing {

inline std::vector<std::string> ids(const Findings& findings) {
  std::vector<std::string> out;
  for (const Finding& finding : findings) out.push_back(finding.id);
  return out;
}

}  // namespace qpcseal::testing
