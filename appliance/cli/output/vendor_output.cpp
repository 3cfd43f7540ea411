// SPDX-License-Identifier: Apache-2.0
#include "appliance/cli/output/vendor_output.h"

#include "appliance/cli/output/grants.h"

namespace qpcseal::cli {

Report render_vendor(const vendor::VendorResult& result, const keys::Mek* mek) {
  Report report;
  report.json = {{"format", policy::kVendorFormat},
                 {"output", result.output.string()},
                 {"outputs", nlohmann::ordered_json::array()}};
  report.text = "the vendor's tool made " + printable(result.output.string()) + "\n";
  std::vector<Cells> rows{{"FILE", "BYTES", "SHA-256"}};
  for (const vendor::ToolOutput& one : result.outputs) {
    rows.push_back({printable(one.name), std::to_string(one.size), one.sha256});
    report.written.push_back(result.output / one.name);
    report.json["outputs"].push_back({{"name", one.name}, {"size", one.size}, {"sha256", one.sha256}});
  }
  report.text += table(rows);
  if (mek == nullptr) return report;
  report.json["mek"] = mek->label;
  report.json["exposed"] = true;
  report.text += mek->label + " was EXPOSED to the tool on this workstation for this run\n";
  add_grants(report, result.grants);
  return report;
}

}  // namespace qpcseal::cli
