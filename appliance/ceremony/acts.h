// What a step of a plan can do: the names, what each wants to be told, and the doing.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "appliance/ceremony/plan.h"
#include "appliance/release/appliance.h"

namespace qpcseal::ceremony {

enum class ArgumentKind { File, Digest, Days, Text };  // File: a plain name in the ceremony's folder

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

// Files that the step reads, each with the SHA-256 that the plan names for it.
struct Input {
  std::string file, sha256;
};
std::vector<Input> inputs_of(const Step& step);
// The one file that it writes, or nothing.
std::optional<std::string> output_of(const Step& step);

// Does it, in the appliance; the log tells the rest.
void carry_out(release::Appliance& appliance, const Step& step, const std::filesystem::path& folder);

// After a run that was killed: whether the file at the output's place is the one that the intent `data` of
// this step's act announced, whole. Only acts that write a file after their intent can answer.
[[nodiscard]] bool is_output_of(const release::Appliance& appliance, const Step& step,
                                const std::filesystem::path& path, const audit::Json& data);

}  // namespace qpcseal::ceremony
