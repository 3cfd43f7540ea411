// SPDX-License-Identifier: Apache-2.0
// The differences between two policies, in words.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "policy/policy.h"

namespace qpcseal::policy {

// One rule, before and after; nothing where the rule does not exist.
struct Change {
  std::string rule;  // e.g. "class 'ai100': least dbgstat"
  std::optional<std::string> before, after;
};

// In the order of the rules' names. Line numbers and comments are no difference.
std::vector<Change> diff(const Policy& before, const Policy& after);

}  // namespace qpcseal::policy
