// SPDX-License-Identifier: Apache-2.0
// One run of the vendor's tool, with a key or without; for this room alone.
#pragma once

#include <chrono>
#include <initializer_list>
#include <string>
#include <vector>

#include "appliance/vendor/outputs.h"
#include "appliance/vendor/tool_folder.h"
#include "confine/sandbox.h"

namespace qpcseal::vendor {

inline constexpr const char* kToolOutput = "/qpcseal/out";  // its folder, in the sandbox

// The folder is published only after all of this, so that a fault of the tool leaves nothing.
struct ToolRun {
  ToolFolder dir;
  confine::Job job;
  OutputLimits limits;
};

// Bounds in time and bytes; and the run gets its folder. The run stays where it is from then on.
void set_limits(ToolRun& run, std::uint64_t input_bytes, std::chrono::seconds time);
void add_words(confine::Job& job, std::initializer_list<std::string> words);
// Error{Io} where the tool does not end with exit status 0; Error{Denied} (EXP-OUTPUT).
std::vector<ToolOutput> run_and_take(const ToolRun& run);

}  // namespace qpcseal::vendor
