// SPDX-License-Identifier: Apache-2.0
#include "appliance/cli/output/audit_story.h"

#include <algorithm>

#include "appliance/cli/output/html.h"

namespace qpcseal::cli {

namespace {

using audit::Entry;
using audit::Phase;
using encoding::Json;

bool is_release(const Entry& entry) {
  return (entry.kind == "release" && entry.phase == Phase::Result) || entry.kind == "denied";
}

bool is_site(const Entry& entry) {
  static constexpr std::string_view kKinds[] = {
      "genesis",     "genesis-accepted", "policy",        "trust",      "officers",
      "rejection",   "recovery",         "recovery-key",  "pin-change", "rotate-key",
      "witness-key", "witness",          "ceremony",      "site",       "anchor-accept",
      "clock",       "clock-correct",    "token-restored"};
  return std::ranges::find(kKinds, entry.kind) != std::end(kKinds) && entry.phase != Phase::Intent;
}

// Some entries name a key by its id alone.
void add_label(const audit::State& state, Json& data) {
  constexpr std::size_t kId = 16;  // bytes
  const std::string id = text_at(data, "mek_id");
  if (data.contains("mek") || !encoding::is_hex(id, kId)) return;
  const auto known = state.meks.find(from_hex(id));
  if (known != state.meks.end()) data["mek"] = known->second.label;
}

void add_to(Card& card, const Entry& entry) {
  if (card.released + card.denied == 0) card.first = entry.time;
  card.last = entry.time;
  if (!was_ok(entry)) {
    ++card.denied;
    return;
  }
  ++card.released;
  const std::string key = entry_mek(entry);
  if (("|" + card.keys + "|").find("|" + key + "|") == std::string::npos)
    card.keys += (card.keys.empty() ? "" : "|") + key;
}

}  // namespace

std::string entry_mek(const Entry& entry) {
  const std::string label = text_at(entry.data, "mek");
  return label.empty() ? html::code(text_at(entry.data, "mek_id")) : html::text(label);
}

Entry told(const audit::LogCopy& log, std::uint64_t seq) {
  Entry entry = joined_entry(log, seq);
  add_label(log.state, entry.data);
  return entry;
}

Story read_story(const audit::LogCopy& log, const EntryFilter& filter) {
  Story story;
  Joined joined;
  log.each([&](std::uint64_t seq, std::string_view line) {
    Entry entry = joined.next(audit::parse_entry(line));
    if (entry.phase == Phase::Intent || !filter.keeps(entry, log.state.meks)) return;
    add_label(log.state, entry.data);
    const std::string mek = text_at(entry.data, "mek_id"), card = text_at(entry.data, "ueid");
    if (!mek.empty() && entry.kind != "challenge") story.meks[mek].push_back(seq);
    if (!card.empty() && is_release(entry)) add_to(story.cards[card], entry);
    if (is_site(entry)) story.site.push_back(seq);
    if (is_release(entry)) story.releases.push_back({seq, entry.time, was_ok(entry)});
  });
  return story;
}

}  // namespace qpcseal::cli
