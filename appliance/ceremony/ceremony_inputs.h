// SPDX-License-Identifier: Apache-2.0
// The inputs of a ceremony.
#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "appliance/ceremony/plan.h"

namespace qpcseal::ceremony {

struct CeremonyInputs {
  Plan plan;
  std::filesystem::path dir;                       // of inputs and outputs
  std::vector<std::filesystem::path> signatures;   // of officers, over the plan
  std::optional<std::filesystem::path> rehearsal;  // its record
};

}  // namespace qpcseal::ceremony
