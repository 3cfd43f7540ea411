#include "appliance/cli/audit_show.h"

namespace qpcseal::cli {

namespace {

using audit::Json;

// The text at `key`, or nothing: entries of all kinds come by here.
std::string text_at(const Json& data, const char* key) {
  const auto found = data.find(key);
  return found != data.end() && found->is_string() ? found->get<std::string>() : std::string();
}

bool names_mek(const Json& data, const std::string& wanted) {
  for (const char* key : {"mek", "label"}) {
    const std::string label = text_at(data, key);
    if (label == wanted || label.starts_with(wanted + "#")) return true;
  }
  return text_at(data, "mek_id") == wanted;
}

std::string findings_of(const Json& data) {
  std::string out;
  const auto found = data.find("findings");
  if (found == data.end() || !found->is_array()) return out;
  for (const Json& finding : *found) out += (out.empty() ? "" : ", ") + text_at(finding, "id");
  return out;
}

}  // namespace

bool EntryFilter::keeps(const audit::Entry& entry) const {
  if ((since && entry.time < *since) || (until && entry.time > *until)) return false;
  if (!kind.empty() && entry.kind != kind) return false;
  if (!mek.empty() && !names_mek(entry.data, mek)) return false;
  return card.empty() || text_at(entry.data, "ueid") == card;
}

std::string subject_of(const audit::Entry& entry) {
  std::string out;
  const auto add = [&](const std::string& what, const std::string& value) {
    if (!value.empty()) out += (out.empty() ? "" : "  ") + what + value;
  };
  add("", text_at(entry.data, "appliance_id"));
  add("MEK ", text_at(entry.data, "mek"));
  add("MEK ", text_at(entry.data, "label"));
  add("card ", text_at(entry.data, "ueid"));
  add("suite ", text_at(entry.data, "suite"));
  add("quarantine ", text_at(entry.data, "quarantine"));
  add("", findings_of(entry.data));
  add("", text_at(entry.data, "error"));
  return printable(out);
}

Report show_entries(const audit::LogCopy& log, const EntryFilter& filter) {
  std::vector<std::vector<std::string>> rows{{"ENTRY", "TIME", "KIND", "PHASE", "OUTCOME", "SUBJECT"}};
  Report report;
  report.json = {{"size", log.checkpoint.size}, {"entries", nlohmann::ordered_json::array()}};
  for (std::uint64_t seq = 0; seq < log.checkpoint.size; ++seq) {
    const audit::Entry entry = audit::parse_entry(log.line(seq));
    if (!filter.keeps(entry)) continue;
    const std::string outcome = entry.outcome.empty() ? "-" : entry.outcome;
    rows.push_back({std::to_string(seq), format_time(entry.time), printable(entry.kind),
                    std::string(audit::name_of(entry.phase)), outcome, subject_of(entry)});
    report.json["entries"].push_back(nlohmann::ordered_json::parse(log.line(seq)));
  }
  report.text = table(rows);
  return report;
}

}  // namespace qpcseal::cli
