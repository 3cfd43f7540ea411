// SPDX-License-Identifier: Apache-2.0
// A policy for simulated cards, to start from: complete, valid as it stands, and explained line by line.
#pragma once

#include <filesystem>
#include <string>

#include "base/clock.h"

namespace qpcseal::device {

// Fits card `number`, and every card of `dir` that is like it: their ueids are listed. For `appliance` alone.
std::string policy_for(const std::filesystem::path& dir, unsigned number, UnixTime now,
                       const std::string& appliance = "any");

}  // namespace qpcseal::device
