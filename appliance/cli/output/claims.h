// SPDX-License-Identifier: Apache-2.0
// The claims of a report, for people and for programs, verified or not.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "attest/evidence.h"

namespace qpcseal::cli {

// One row a claim that is there: name, value. Both leave out what no rule of a policy is about: profile, boot
// seed and times, and what a submodule says beside its debug status and measurements.
std::vector<std::vector<std::string>> claim_rows(const attest::Claims& claims);
nlohmann::ordered_json as_json(const attest::Claims& claims);

}  // namespace qpcseal::cli
