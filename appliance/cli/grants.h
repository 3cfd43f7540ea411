// Releases, for people and for programs.
#pragma once

#include <vector>

#include "appliance/cli/report.h"
#include "appliance/release/release.h"

namespace qpcseal::cli {

std::string text_of(const std::vector<release::Grant>& grants);
nlohmann::ordered_json json_of(const std::vector<release::Grant>& grants);

}  // namespace qpcseal::cli
