// What a step of a plan can do: the names, what each wants to be told, and the doing.
#pragma once

#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "appliance/ceremony/history.h"
#include "appliance/ceremony/plan.h"
#include "appliance/release/appliance.h"

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

// Files that the step reads, each with the SHA-256 that the plan names for it.
struct Input {
  std::string file, sha256;
  std::string digest_name;  // the argument that has it
};
std::vector<Input> inputs_of(const Step& step);
// The one file that it writes, or nothing.
std::optional<std::string> output_of(const Step& step);

// Does it, in the appliance; the log tells the rest.
void carry_out(release::Appliance& appliance, const Step& step, const std::filesystem::path& folder);

// Held by the appliance before it acts: Error{Denied} unless `operation` is the step's, on the key that the
// plan names, with files of the digests that it names. `parameters` come from the bytes that the act uses.
void expect_planned(const Step& step, const std::string& operation, const audit::Json& parameters);

// The SHA-256, hex, of the file at the output's place, where it is what this attempt's act wrote: of the
// digest that the log has; after a run that was killed, the one that the act's intent announced; a checkpoint
// of this log, with the attempt's beginning in it; a drill's receipt. Nothing for any other file.
std::optional<std::string> digest_of_output(const release::Appliance& appliance, const Step& step,
                                            const Attempt& attempt, const std::filesystem::path& path);

}  // namespace qpcseal::ceremony
