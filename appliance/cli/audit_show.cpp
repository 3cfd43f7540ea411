#include "appliance/cli/audit_show.h"

#include <algorithm>

namespace qpcseal::cli {

namespace {

using audit::Json;

// The text at `key`, or nothing: entries of all kinds come by here.
std::string text_at(const Json& data, const char* key) {
  const auto found = data.find(key);
  return found != data.end() && found->is_string() ? found->get<std::string>() : std::string();
}

bool is_called(const std::string& label, const std::string& wanted) {
  return label == wanted || label.starts_with(wanted + "#");
}

// Some entries have the label, some the id, some both.
bool names_mek(const Json& data, const std::string& wanted, const std::map<Bytes, audit::MekHistory>& meks) {
  const std::string id = text_at(data, "mek_id");
  if (id == wanted || is_called(text_at(data, "mek"), wanted) || is_called(text_at(data, "label"), wanted))
    return true;
  return std::ranges::any_of(meks, [&](const auto& known) {
    return to_hex(known.first) == id && is_called(known.second.label, wanted);
  });
}

std::string findings_of(const Json& data) {
  std::string out;
  const auto found = data.find("findings");
  if (found == data.end() || !found->is_array()) return out;
  for (const Json& finding : *found) out += (out.empty() ? "" : ", ") + text_at(finding, "id");
  return out;
}

}  // namespace

bool EntryFilter::keeps(const audit::Entry& entry, const std::map<Bytes, audit::MekHistory>& meks) const {
  if ((since && entry.time < *since) || (until && entry.time > *until)) return false;
  if (!kind.empty() && entry.kind != kind) return false;
  if (!mek.empty() && !names_mek(entry.data, mek, meks)) return false;
  return card.empty() || text_at(entry.data, "ueid") == card;
}

audit::Entry Joined::next(audit::Entry entry) {
  if (entry.phase == audit::Phase::Intent) intents_.emplace(entry.seq, entry.data);
  if (!entry.intent) return entry;
  auto intent = intents_.extract(*entry.intent);
  if (intent.empty()) return entry;
  Json data = std::move(intent.mapped());
  data.update(entry.data);
  entry.data = std::move(data);
  return entry;
}

std::string subject_of(const audit::Entry& entry) {
  std::string out;
  const auto add = [&](const std::string& what, const std::string& value) {
    if (!value.empty()) out += (out.empty() ? "" : "  ") + what + value;
  };
  add("", text_at(entry.data, "appliance_id"));
  add("MEK ", text_at(entry.data, "mek"));
  if (!entry.data.contains("mek")) add("MEK ", text_at(entry.data, "label"));
  add("model ", text_at(entry.data, "model"));
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
  Joined joined;
  for (std::uint64_t seq = 0; seq < log.checkpoint.size; ++seq) {
    const audit::Entry entry = joined.next(audit::parse_entry(log.line(seq)));
    if (!filter.keeps(entry, log.state.meks)) continue;
    const std::string outcome = entry.outcome.empty() ? "-" : entry.outcome;
    rows.push_back({std::to_string(seq), format_time(entry.time), printable(entry.kind),
                    std::string(audit::name_of(entry.phase)), outcome, subject_of(entry)});
    report.json["entries"].push_back(nlohmann::ordered_json::parse(log.line(seq)));
  }
  report.text = table(rows);
  return report;
}

}  // namespace qpcseal::cli
