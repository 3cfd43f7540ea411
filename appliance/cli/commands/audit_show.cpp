// SPDX-License-Identifier: Apache-2.0
#include "appliance/cli/commands/audit_show.h"

#include <unistd.h>

#include <algorithm>
#include <functional>
#include <memory>

#include "appliance/audit/mek_names.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/nearest.h"
#include "base/terminal.h"
#include "encoding/pgp_words.h"

namespace qpcseal::cli {

namespace {

using encoding::Json;
using encoding::text_or_empty;

bool is_called(const std::string& label, const std::string& wanted) {
  return label == wanted || label.starts_with(wanted + "#");
}

// Some entries have the label, some the id, some both.
bool names_mek(const Json& data, const std::string& wanted, const std::map<Bytes, audit::MekHistory>& meks) {
  const std::string id = text_or_empty(data, "mek_id");
  if (id == wanted || is_called(text_or_empty(data, "mek"), wanted) ||
      is_called(text_or_empty(data, "label"), wanted))
    return true;
  return std::ranges::any_of(meks, [&](const auto& known) {
    return to_hex(known.first) == id && is_called(known.second.label, wanted);
  });
}

std::string findings_of(const Json& data) {
  std::string out;
  const auto found = data.find("findings");
  if (found == data.end() || !found->is_array()) return out;
  for (const Json& finding : *found) out += (out.empty() ? "" : ", ") + text_or_empty(finding, "id");
  return out;
}

audit::Entry with_its_intent(audit::Entry entry, Json intent) {
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

bool EntryFilter::keeps(const audit::Entry& entry, const std::map<Bytes, audit::MekHistory>& meks) const {
  if ((since && entry.time < *since) || (until && entry.time > *until)) return false;
  if (!kind.empty() && entry.kind != kind) return false;
  if (!outcome.empty() && entry.outcome != outcome) return false;
  if (!mek.empty() && !names_mek(entry.data, mek, meks)) return false;
  return card.empty() || text_or_empty(entry.data, "ueid").starts_with(card);
}

namespace {

Error unknown_name(const std::string& what, const std::string& name, const std::vector<std::string>& known,
                   const std::string& list) {
  return with_nearest({ErrorKind::Usage, "the log has no entry of " + what + " '" + name + "'", list}, name,
                      known);
}

bool has_any(const audit::LogCopy& log, const EntryFilter& filter) {
  bool found = false;
  each_kept(log, filter, [&](const audit::Entry&, auto) { found = true; });
  return found;
}

}  // namespace

void require_known(const audit::LogCopy& log, const EntryFilter& filter) {
  const std::vector<std::string> kinds = audit::kind_names();
  if (!filter.kind.empty() && std::ranges::find(kinds, filter.kind) == kinds.end())
    throw with_nearest({ErrorKind::Usage, "there is no kind of entry '" + filter.kind + "'",
                        "kinds: " + qpcseal::join(kinds)},
                       filter.kind, kinds);
  EntryFilter one;
  one.mek = filter.mek;
  if (!one.mek.empty() && !has_any(log, one))
    throw unknown_name("a MEK", one.mek, audit::mek_names(log.state), "'qpcseal audit show' names all");
  one = {};
  one.card = filter.card;
  if (one.card.empty() || has_any(log, one)) return;
  std::vector<std::string> cards;
  for (const auto& [ueid, count] : log.state.card_releases) cards.push_back(to_hex(ueid));
  throw unknown_name("a card", one.card, cards, "a card's number (ueid) is in hex, in small letters");
}

audit::Entry Joined::next(audit::Entry entry) {
  entry = with_intent(std::move(entry));
  if (const auto carried = entry.data.find("approval"); carried != entry.data.end())
    if (const std::string nonce = text_or_empty(*carried, "nonce"); !nonce.empty())
      approvals_[nonce] = *carried;
  if (const auto named = approvals_.find(text_or_empty(entry.data, "approved_by")); named != approvals_.end())
    entry.data["approval"] = named->second;
  return entry;
}

audit::Entry Joined::with_intent(audit::Entry entry) {
  if (entry.phase == audit::Phase::Intent) intents_.emplace(entry.seq, entry.data);
  const auto intent = entry.intent ? intents_.find(*entry.intent) : intents_.end();
  if (intent == intents_.end()) return entry;
  if (entry.phase != audit::Phase::Result) return with_its_intent(std::move(entry), intent->second);
  entry = with_its_intent(std::move(entry), std::move(intent->second));
  intents_.erase(intent);
  return entry;
}

audit::Entry joined_entry(const audit::LogCopy& log, std::uint64_t seq) {
  audit::Entry entry = audit::parse_entry(log.line(seq));
  if (!entry.intent) return entry;
  const Json of_intent = audit::parse_entry(log.line(*entry.intent)).data;
  return with_its_intent(std::move(entry), of_intent);
}

namespace {

// A digest, so that two can be told apart.
std::string begin_of(const std::string& hex) {
  constexpr std::size_t kShown = 16;
  return hex.size() <= kShown ? hex : hex.substr(0, kShown) + "...";
}

std::string number_at(const Json& data, const char* key) {
  const auto found = data.find(key);
  return found != data.end() && found->is_number() ? found->dump() : std::string();
}

std::string time_at(const Json& data, const char* key) {
  const auto found = data.find(key);
  return found != data.end() && found->is_number_integer() ? format_time(found->get<UnixTime>())
                                                           : std::string();
}

std::string approver_list(const Json& data, const char* key) {
  std::vector<std::string> names;
  const auto found = data.find(key);
  if (found != data.end() && found->is_array())
    for (const Json& one : *found) names.push_back(text_or_empty(one, "name"));
  return qpcseal::join(names);
}

// The officers whose request an act had, in its intent and in its result.
std::string agreeing(const Json& data) {
  std::string out;
  for (const char* key : {"approval", "agreed"})
    if (const auto found = data.find(key); found != data.end() && out.empty())
      out = approver_list(*found, "approvers");
  return out;
}

// The members of an object that differ between `old` and `new`, with both values.
std::string site_changes(const Json& data) {
  const auto before = data.find("old"), now = data.find("new");
  if (before == data.end() || now == data.end() || !before->is_object() || !now->is_object()) return "";
  std::string out;
  for (const auto& [name, value] : now->items())
    if (const Json was = before->value(name, Json()); was != value)
      out += (out.empty() ? "" : ", ") + name + " " + was.dump() + " -> " + value.dump();
  return out;
}

// size and root of a checkpoint in the data.
std::string point_at(const Json& data, const char* key) {
  const auto found = data.find(key);
  if (found == data.end()) return "";
  if (found->is_null()) return "none";
  return found->is_object() ? number_at(*found, "size") + " entries" : "";
}

// A key that the vendor's tool had, or may have had.
bool is_exposure(const audit::Entry& entry) {
  return entry.data.contains("exposed") ||
         (entry.kind == "mek-expose" && entry.phase == audit::Phase::Result && entry.outcome != "failed" &&
          entry.outcome != "denied");
}

// What an entry is about, in the order in which a reader asks: each a word and its value.
std::vector<std::pair<std::string, std::string>> subject_parts(const audit::Entry& entry) {
  const Json& data = entry.data;
  const auto digest = [&](const char* key) { return begin_of(text_or_empty(data, key)); };
  return {{"", text_or_empty(data, "appliance_id")},
          {"MEK ", data.contains("mek") ? text_or_empty(data, "mek") : text_or_empty(data, "label")},
          {"model ", text_or_empty(data, "model")},
          {"card ", text_or_empty(data, "ueid")},
          {"host ", text_or_empty(data, "host")},
          {"suite ", text_or_empty(data, "suite")},
          {"", is_exposure(entry) ? "EXPOSED to the vendor's tool" : ""},
          {"ceremony ", text_or_empty(data, "title")},
          {"step ", text_or_empty(data, "step")},
          {"attempt ", number_at(data, "attempt")},
          {entry.kind == "ceremony-step" ? "act " : "by ", text_or_empty(data, "act")},
          {"operation ", text_or_empty(data, "operation")},
          {"serial ", number_at(data, "serial")},
          {"SHA-256 ", entry.kind == "ceremony" ? "" : digest("digest")},
          {"recovery key ", digest("recovery_key_sha256")},
          {"backup ", digest("backup_sha256")},
          {"transferee ", digest(audit::kTransfereeKey)},
          {"days ", number_at(data, "days")},
          {"genesis ", digest("text_sha256")},
          {"place ", digest("place_sha256")},
          {"token ", entry.kind == "pin-change" ? text_or_empty(data, "token_serial") : ""},
          {"log key ", entry.kind == "rotate-key" ? text_or_empty(data, "log_key") : ""},
          {"witness ", text_or_empty(data, "vkey")},
          {"size ", entry.kind == "witness" ? number_at(data, "size") : ""},
          {"anchor ", point_at(data, "anchor")},
          {"log ", point_at(data, "log")},
          {"", site_changes(data)},
          {"date ", text_or_empty(data, "confirmed")},
          {"from ", time_at(data, "old_floor")},
          {"to ", time_at(data, "new_floor")},
          {"files ", entry.kind == "token-restored" ? number_at(data, "count") : ""},
          {"objects ", data.contains("objects") && data.at("objects").is_array()
                           ? std::to_string(data.at("objects").size())
                           : ""},
          {"quarantine ", text_or_empty(data, "quarantine")},
          {"request ", entry.kind == "rejection" ? digest("request_sha256") : ""},
          {"by ", approver_list(data, "approvers") + approver_list(data, "rejecters")},
          {"agreed by ", agreeing(data)},
          {"", findings_of(data)},
          {"because ", text_or_empty(data, "cause") + text_or_empty(data, "why")},
          {"", text_or_empty(data, "reconciled")},
          {"", text_or_empty(data, "error")}};
}

}  // namespace

std::string entry_subject(const audit::Entry& entry) {
  std::string out;
  for (const auto& [what, value] : subject_parts(entry))
    if (!value.empty()) out += (out.empty() ? "" : "  ") + what + value;
  return printable(out.empty() ? begin_of(entry.txn) : out);
}

std::string whole_digests(const audit::Entry& entry) {
  std::vector<std::vector<std::string>> rows;
  for (const auto& [name, value] : entry.data.items())
    if ((name.ends_with("sha256") || name == "digest" || name == "nonce" || name == "mek_id") &&
        value.is_string())
      rows.push_back({name, printable(value.get<std::string>())});
  std::string out = rows.empty() ? "" : table(rows, Head::No);
  const std::string key = text_or_empty(entry.data, "recovery_key_sha256");
  if (encoding::is_hex(key, sizeof(Sha256Digest)))
    out += "recovery_key_sha256 in words:\n" + encoding::word_lines(from_hex(key), "  ", text_columns());
  return out;
}

Report show_entries(audit::LogCopy log, const EntryFilter& filter) {
  const auto shared = std::make_shared<const audit::LogCopy>(std::move(log));
  Report report;
  report.json = {{"size", shared->checkpoint.size}, {"entries", nlohmann::ordered_json::array()}};
  report.streamed.emplace();
  report.streamed->list = "entries";
  report.streamed->write_text = [shared, filter](const auto& put) {
    const Cells head{"ENTRY", "TIME", "KIND", "PHASE", "OUTCOME", "SUBJECT"};
    TableLayout layout(Head::Yes, terminal_size(STDOUT_FILENO).columns);
    layout.widen(head);
    each_kept(*shared, filter, [&](const audit::Entry& entry, auto) { layout.widen(row_of(entry)); });
    put(layout.line(head));
    bool any = false;
    each_kept(*shared, filter, [&](const audit::Entry& entry, auto) {
      put(layout.line(row_of(entry)));
      any = true;
    });
    if (any) return;
    put("no entry is of all that was asked for\n");
    if (filter.kind == "denied")
      put("('denied' is a report that did not verify, 'refused' one that did and was in the way of others; a "
          "release that policy denied: --outcome denied)\n");
  };
  report.streamed->write_items = [shared, filter](const auto& put) {
    each_kept(*shared, filter,
              [&](const audit::Entry&, std::string_view line) { put(nlohmann::ordered_json::parse(line)); });
  };
  return report;
}

}  // namespace qpcseal::cli
