#include "appliance/cli/report.h"

#include <algorithm>
#include <vector>

#include "appliance/audit/findings.h"

namespace qpcseal::cli {

std::vector<std::string> lines_of(const Findings& findings) {
  std::vector<std::string> out;
  out.reserve(findings.size());
  for (const Finding& f : findings)
    out.push_back(printable(f.id + ": " + f.claim + " is " + f.observed + ", expected " + f.expected + " (" +
                            f.rule + ")"));
  return out;
}

nlohmann::ordered_json json_of(const Findings& findings) {
  return audit::findings_as<nlohmann::ordered_json>(findings);
}

std::string table(const std::vector<std::vector<std::string>>& rows) {
  std::vector<std::size_t> widths;
  for (const auto& row : rows) {
    widths.resize(std::max(widths.size(), row.size()));
    for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], columns_of(row[i]));
  }
  std::string out;
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += row[i];
      if (i + 1 < row.size()) line.append(widths[i] - columns_of(row[i]) + 2, ' ');
    }
    out += line + "\n";
  }
  return out;
}

}  // namespace qpcseal::cli
