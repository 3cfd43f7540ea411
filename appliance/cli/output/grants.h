// SPDX-License-Identifier: Apache-2.0
// Releases, for people and for programs.
#pragma once

#include <vector>

#include "appliance/cli/output/report.h"
#include "appliance/release/transaction.h"

namespace qpcseal::cli {

nlohmann::ordered_json as_json(const std::vector<release::Grant>& grants);
// Adds the grants to the end of a report, and as its member "released".
void add_grants(Report& report, const std::vector<release::Grant>& grants);

}  // namespace qpcseal::cli
