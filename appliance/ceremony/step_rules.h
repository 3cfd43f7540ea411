// SPDX-License-Identifier: Apache-2.0
// The acts that a step of a plan can name, and the arguments that each takes. Text alone: steps.h carries
// the acts out.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace qpcseal::ceremony {

enum class ArgumentKind { File, Digest, Days, Text, Mek };  // File: a plain name in the ceremony's folder

struct ArgumentRule {
  std::string_view name;
  ArgumentKind kind;
  bool optional = false;
};

struct ActRule {
  std::string_view name;
  bool is_operation = true;  // of the policy's [approvals], by the same name
  std::vector<ArgumentRule> arguments;
};

// Null for an unknown act.
const ActRule* act_rule(std::string_view name);
// Of all acts.
std::vector<std::string> act_names();

}  // namespace qpcseal::ceremony
