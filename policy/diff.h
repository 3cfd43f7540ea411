// SPDX-License-Identifier: Apache-2.0
// What differs between two policies, in words.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "policy/policy.h"

namespace qpcseal::policy {

// One rule: what it was and what it is; nothing where the rule is not there.
struct Change {
  std::string rule;  // e.g. "class 'ai100': least dbgstat"
  std::optional<std::string> before, after;
};

// In the order of the rules' names. Line numbers and comments are no difference.
std::vector<Change> diff(const Policy& before, const Policy& after);

}  // namespace qpcseal::policy
