// SPDX-License-Identifier: Apache-2.0
#include "appliance/cli/commands/audit_show.h"

#include <algorithm>
#include <functional>
#include <memory>

namespace qpcseal::cli {

namespace {

using encoding::Json;

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

audit::Entry join(audit::Entry entry, Json intent) {
  intent.update(entry.data);
  entry.data = std::move(intent);
  return entry;
}

// Those that the filter keeps, in order: as Joined gives them, and their lines.
void each_kept(const audit::LogCopy& log, const EntryFilter& filter,
               const std::function<void(const audit::Entry&, std::string_view line)>& take) {
  Joined joined;
  log.each([&](std::uint64_t, std::string_view line) {
    const audit::Entry entry = joined.next(audit::parse_entry(line));
    if (filter.keeps(entry, log.state.meks)) take(entry, line);
  });
}

Cells row_of(const audit::Entry& entry) {
  return {std::to_string(entry.seq),
          format_time(entry.time),
          printable(entry.kind),
          std::string(audit::to_string(entry.phase)),
          entry.outcome.empty() ? "-" : entry.outcome,
          entry_subject(entry)};
}

}  // namespace

std::string text_at(const Json& data, const char* key) {
  const auto found = data.find(key);
  return found != data.end() && found->is_string() ? found->get<std::string>() : std::string();
}

bool EntryFilter::keeps(const audit::Entry& entry, const std::map<Bytes, audit::MekHistory>& meks) const {
  if ((since && entry.time < *since) || (until && entry.time > *until)) return false;
  if (!kind.empty() && entry.kind != kind) return false;
  if (!mek.empty() && !names_mek(entry.data, mek, meks)) return false;
  return card.empty() || text_at(entry.data, "ueid") == card;
}

audit::Entry Joined::next(audit::Entry entry) {
  if (entry.phase == audit::Phase::Intent) intents_.emplace(entry.seq, entry.data);
  const auto intent = entry.intent ? intents_.find(*entry.intent) : intents_.end();
  if (intent == intents_.end()) return entry;
  if (entry.phase != audit::Phase::Result) return join(std::move(entry), intent->second);
  entry = join(std::move(entry), std::move(intent->second));
  intents_.erase(intent);
  return entry;
}

audit::Entry joined_entry(const audit::LogCopy& log, std::uint64_t seq) {
  audit::Entry entry = audit::parse_entry(log.line(seq));
  if (!entry.intent) return entry;
  const Json of_intent = audit::parse_entry(log.line(*entry.intent)).data;
  return join(std::move(entry), of_intent);
}

std::string entry_subject(const audit::Entry& entry) {
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

Report show_entries(audit::LogCopy log, const EntryFilter& filter) {
  const auto shared = std::make_shared<const audit::LogCopy>(std::move(log));
  Report report;
  report.json = {{"size", shared->checkpoint.size}, {"entries", nlohmann::ordered_json::array()}};
  report.streamed.emplace();
  report.streamed->list = "entries";
  report.streamed->write_text = [shared, filter](const auto& put) {
    const Cells head{"ENTRY", "TIME", "KIND", "PHASE", "OUTCOME", "SUBJECT"};
    Widths widths;
    widen(widths, head);
    each_kept(*shared, filter, [&](const audit::Entry& entry, auto) { widen(widths, row_of(entry)); });
    put(table_line(head, widths));
    each_kept(*shared, filter,
              [&](const audit::Entry& entry, auto) { put(table_line(row_of(entry), widths)); });
  };
  report.streamed->write_items = [shared, filter](const auto& put) {
    each_kept(*shared, filter,
              [&](const audit::Entry&, std::string_view line) { put(nlohmann::ordered_json::parse(line)); });
  };
  return report;
}

}  // namespace qpcseal::cli
