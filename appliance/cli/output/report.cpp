// SPDX-License-Identifier: Apache-2.0
#include "appliance/cli/output/report.h"

#include <algorithm>
#include <set>
#include <vector>

#include "base/file_digest.h"
#include "base/print.h"
#include "encoding/json_findings.h"

namespace qpcseal::cli {

void add_written(Report& report) {
  namespace fs = std::filesystem;
  std::set<fs::path> files;
  for (const fs::path& path : report.written) {
    if (!fs::is_directory(path)) {
      files.insert(path);
      continue;
    }
    for (const auto& item : fs::recursive_directory_iterator(path))
      if (item.is_regular_file()) files.insert(item.path().lexically_normal());
  }
  files.erase(kStandard);
  if (files.empty()) return;
  auto& list = report.json["written"] = nlohmann::ordered_json::array();
  for (const fs::path& file : files)
    list.push_back({{"path", file.string()}, {"sha256", to_hex(file_digest(open_to_read(file)))}});
}

std::vector<std::string> finding_lines(const Findings& findings) {
  std::vector<std::string> out;
  out.reserve(findings.size());
  for (const Finding& f : findings)
    out.push_back(printable(f.id + ": " + f.claim + " is " + f.observed + ", expected " + f.expected + " (" +
                            f.rule + ")"));
  return out;
}

nlohmann::ordered_json as_json(const Findings& findings) {
  return encoding::findings_as<nlohmann::ordered_json>(findings);
}

namespace {

// As json_text() has it, `depth` spaces deep in a larger value.
std::string dumped(const nlohmann::ordered_json& value, std::size_t depth) {
  std::string out;
  std::string text = json_text(value);
  text.pop_back();
  for (const char c : text) {
    out += c;
    if (c == '\n') out.append(depth, ' ');
  }
  return out;
}

// What json_text() would give of the object with all of the list's items in it.
void put_streamed(const Report& report, const std::function<void(std::string_view)>& put) {
  const char* before = "{\n";
  for (const auto& [key, value] : report.json.items()) {
    put(before + ("  " + nlohmann::ordered_json(key).dump() + ": "));
    before = ",\n";
    if (key != report.streamed->list) {
      put(dumped(value, 2));
      continue;
    }
    bool any = false;
    report.streamed->write_items([&](const nlohmann::ordered_json& item) {
      put(any ? ",\n" : "[\n");
      put("    " + dumped(item, 4));
      any = true;
    });
    put(any ? "\n  ]" : "[]");
  }
  put("\n}\n");
}

}  // namespace

void put_report(const Report& report, bool json, const std::function<void(std::string_view)>& put) {
  if (json && report.streamed) return put_streamed(report, put);
  if (json) return put(json_text(report.json));
  if (report.streamed) return report.streamed->write_text(put);
  put(report.text);
}

}  // namespace qpcseal::cli
