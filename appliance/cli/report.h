// What a command returns, and the one printer that renders it as text or as JSON.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/finding.h"
#include "base/text.h"

namespace qpcseal::cli {

// `text` is for people, `json` for programs; both say the same. `exit_code` is 0 but for a verdict that says
// no.
struct Report {
  std::string text;
  nlohmann::ordered_json json = nlohmann::ordered_json::object();
  int exit_code = 0;
};

// One line a finding: "POL-DBGSTAT: dbgstat is 0, expected at least 3 (policy.toml:12)".
std::vector<std::string> lines_of(const Findings& findings);
nlohmann::ordered_json json_of(const Findings& findings);

// Aligned columns: each row a list of cells, the first row the head.
std::string table(const std::vector<std::vector<std::string>>& rows);

}  // namespace qpcseal::cli
