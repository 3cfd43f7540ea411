// SPDX-License-Identifier: Apache-2.0
#include "appliance/cli/output/audit_story.h"

#include <algorithm>

namespace qpcseal::cli {

namespace {

using audit::Entry;
using audit::Phase;
using encoding::Json;
using encoding::text_or_empty;

bool is_release(const Entry& entry) {
  return (entry.kind == "release" && entry.phase == Phase::Result) || entry.kind == "denied" ||
         entry.kind == "refused";
}

bool is_site(const Entry& entry) {
  static constexpr std::string_view kKinds[] = {
      "genesis",       "genesis-accepted", "policy",          "trust",      "officers",      "rejection",
      "recovery",      "recovery-key",     "pin-change",      "rotate-key", "witness-key",   "witness",
      "ceremony",      "ceremony-stop",    "ceremony-resume", "site",       "anchor-accept", "clock",
      "clock-correct", "token-restored",   "leftovers"};
  return std::ranges::find(kKinds, entry.kind) != std::end(kKinds) && entry.phase != Phase::Intent;
}

// Some entries name a key by its id alone.
void add_label(const audit::State& state, Json& data) {
  constexpr std::size_t kId = 16;  // bytes
  const std::string id = text_or_empty(data, "mek_id");
  if (data.contains("mek") || !encoding::is_hex(id, kId)) return;
  const auto known = state.meks.find(from_hex(id));
  if (known != state.meks.end()) data["mek"] = known->second.label;
}

std::set<std::string> names_in(const Json& approval) {
  std::set<std::string> out;
  const auto approvers = approval.find("approvers");
  if (approvers != approval.end() && approvers->is_array())
    for (const Json& one : *approvers) out.insert(text_or_empty(one, "name"));
  return out;
}

std::string joined_names(const Json& data) {
  const std::set<std::string> names = names_in(data);
  return join({names.begin(), names.end()});
}

// The findings' ids, else the error: what denials are grouped by.
std::string reason_of(const Entry& entry) {
  std::set<std::string> ids;
  const auto findings = entry.data.find("findings");
  if (findings != entry.data.end() && findings->is_array())
    for (const Json& finding : *findings) ids.insert(text_or_empty(finding, "id"));
  if (!ids.empty()) return join({ids.begin(), ids.end()});
  std::string error = text_or_empty(entry.data, "error");
  if (!error.empty()) return error;
  return entry.outcome == "unknown" ? "a run ended before the outcome was known"
                                    : "another report of the same transaction was denied";
}

// What an entry is on the line of a key's life; nothing for what is no mark.
std::optional<Mark> mark_of(const Entry& entry) {
  if (entry.kind == "mek-suspend") return Mark::Suspended;
  if (entry.kind == "mek-resume") return Mark::Resumed;
  if (is_release(entry)) return was_ok(entry) ? Mark::Released : Mark::Denied;
  if (!was_ok(entry) || entry.phase != Phase::Result) return std::nullopt;
  static constexpr std::pair<std::string_view, Mark> kMarks[] = {
      {"mek-generate", Mark::Made},  {"mek-rotate", Mark::Made},       {"mek-restore", Mark::Made},
      {"mek-import", Mark::Made},    {"mek-backup", Mark::Backup},     {"mek-drill", Mark::Drilled},
      {"mek-expose", Mark::Exposed}, {"mek-destroy", Mark::Destroyed}, {"seal", Mark::Sealed}};
  const auto* found = std::ranges::find(kMarks, entry.kind, &std::pair<std::string_view, Mark>::first);
  return found == std::end(kMarks) ? std::nullopt : std::optional(found->second);
}

class Teller {
 public:
  Teller(const audit::State& state, Story& story) : state_(state), story_(story) {}

  // Every entry: who agreed to what, and which policy was in force, also where the filter leaves it out.
  void note(const Entry& entry) {
    if (entry.kind == "policy" && was_ok(entry)) note_policy(entry, joined_names(entry.data));
    if (entry.kind == "genesis") note_policy(entry, "");
    if (entry.kind == "genesis-accepted" && !story_.policies.empty())
      story_.policies.front().signers = "the genesis names it, which " + joined_names(entry.data) + " signed";
    const auto approval = entry.data.find("approval");
    if (approval != entry.data.end()) approvers_[text_or_empty(*approval, "nonce")] = names_in(*approval);
    const auto agreed = entry.data.find("agreed");
    if (agreed == entry.data.end() || !entry.data.contains("intents")) return;
    for (const Json& intent : entry.data.at("intents"))
      if (intent.is_number_unsigned()) agreed_[intent.get<std::uint64_t>()] = names_in(*agreed);
  }

  // One that the filter keeps, with its label.
  void tell(const Entry& entry) {
    const std::string mek = text_or_empty(entry.data, "mek_id");
    if (!mek.empty() && entry.kind != "challenge") {
      story_.meks[mek].entries.push_back(entry.seq);
      if (const auto mark = mark_of(entry)) story_.meks[mek].events.push_back({*mark, entry.time});
    }
    const std::string replaced = text_or_empty(entry.data, "replaces");
    if (!replaced.empty() && was_ok(entry))
      story_.meks[replaced].events.push_back({Mark::Replaced, entry.time});
    if (is_site(entry)) story_.site.push_back(entry.seq);
    if (is_release(entry)) tell_release(entry);
    if (entry.kind.starts_with("ceremony")) tell_ceremony(entry);
  }

  void begin_ceremony(const Entry& entry) {
    story_.ceremonies.push_back({entry.seq, entry.time, entry.time, text_or_empty(entry.data, "title"), "",
                                 "", joined_names(entry.data), 0});
  }

 private:
  [[nodiscard]] std::set<std::string> allowed_by(const Entry& entry) const {
    if (const auto found = agreed_.find(entry.intent.value_or(0)); found != agreed_.end())
      return found->second;
    const auto approval = entry.data.find("approval");
    if (approval != entry.data.end()) return names_in(*approval);
    const auto known = approvers_.find(text_or_empty(entry.data, "approved_by"));
    return known == approvers_.end() ? std::set<std::string>() : known->second;
  }

  void tell_release(const Entry& entry) {
    const bool ok = was_ok(entry);
    story_.releases.push_back({entry.seq, entry.time, ok});
    const std::string ueid = text_or_empty(entry.data, "ueid");
    if (!ueid.empty()) tell_card(story_.cards[ueid], entry);
    if (!ok) {
      Reason& reason = story_.reasons[reason_of(entry)];
      reason.entries.push_back(entry.seq);
      if (!ueid.empty()) reason.cards.insert(ueid);
      return;
    }
    Holding& holding = story_.holdings[{entry_mek(entry), ueid}];
    if (holding.releases++ == 0) holding.first = entry.time;
    holding.last = entry.time;
    holding.device_class = text_or_empty(entry.data, "device_class");
    holding.host = entry_host(state_, entry);
    holding.allowed_by.merge(allowed_by(entry));
    const auto policy = entry.data.find("policy");
    if (policy != entry.data.end() && policy->is_object() && policy->contains("serial"))
      holding.policies.insert(encoding::uint_member(*policy, "serial"));
  }

  static void tell_card(Card& card, const Entry& entry) {
    if (card.released + card.denied == 0) card.first = entry.time;
    card.last = entry.time;
    ++(was_ok(entry) ? card.released : card.denied);
    if (was_ok(entry)) card.keys.insert(entry_mek(entry));
  }

  void note_policy(const Entry& entry, const std::string& signers) {
    const Json& policy = entry.kind == "genesis" ? encoding::member(entry.data, "policy") : entry.data;
    story_.policies.push_back({encoding::uint_member(policy, "serial"), entry.seq, entry.time,
                               encoding::text_member(policy, "digest"), signers});
  }

  // One ceremony at a time, and the log refuses others.
  void tell_ceremony(const Entry& entry) {
    if (story_.ceremonies.empty()) return;
    HeldCeremony& last = story_.ceremonies.back();
    if (entry.kind == "ceremony-stop") ++last.stops;
    if (entry.kind != "ceremony" || entry.phase != Phase::Result) return;
    last.ended = entry.time;
    last.why = text_or_empty(entry.data, "why");
    last.outcome = was_ok(entry) ? "complete" : last.why.empty() ? "failed" : "abandoned";
  }

  const audit::State& state_;
  Story& story_;
  std::map<std::string, std::set<std::string>> approvers_;  // by the request's nonce
  std::map<std::uint64_t, std::set<std::string>> agreed_;   // by the release's intent
};

}  // namespace

std::string entry_mek(const Entry& entry) {
  const std::string label = text_or_empty(entry.data, "mek");
  return label.empty() ? text_or_empty(entry.data, "mek_id") : label;
}

std::string entry_host(const audit::State& state, const Entry& entry) {
  constexpr std::size_t kNonce = 32;  // bytes
  const std::string nonce = text_or_empty(entry.data, "nonce");
  if (!encoding::is_hex(nonce, kNonce)) return "";
  const auto found = state.challenges.find(from_hex(nonce));
  if (found == state.challenges.end()) return "";
  const audit::Challenge& challenge = found->second;
  std::string out = challenge.host;
  if (challenge.device) out += (out.empty() ? "device " : ", device ") + std::to_string(*challenge.device);
  return out;
}

Entry told(const audit::LogCopy& log, std::uint64_t seq) {
  Entry entry = joined_entry(log, seq);
  add_label(log.state, entry.data);
  return entry;
}

Story read_story(const audit::LogCopy& log, const EntryFilter& filter) {
  Story story;
  Joined joined;
  Teller teller(log.state, story);
  log.each([&](std::uint64_t, std::string_view line) {
    Entry entry = joined.next(audit::parse_entry(line));
    teller.note(entry);
    if (!filter.keeps(entry, log.state.meks)) return;
    if (entry.kind == "ceremony" && entry.phase == Phase::Intent) teller.begin_ceremony(entry);
    if (entry.phase == Phase::Intent) return;
    add_label(log.state, entry.data);
    teller.tell(entry);
  });
  return story;
}

}  // namespace qpcseal::cli
