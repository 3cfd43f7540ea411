// SPDX-License-Identifier: Apache-2.0
// What brings an appliance back to work: other facts of the site, an anchor that was older, a wrong clock,
// files of the embedded token.
#include "appliance/audit/state_kinds.h"

namespace qpcseal::audit {

namespace {

// Each needs officers, where there are any, whatever the policy says.
void require_agreed(const State& state, const Entry& entry) {
  require(state.officers_digest.empty() || entry.data.contains("approval"),
          "a repair that no officer agreed to");
}

void site(State& state, const Entry& entry) {
  require_agreed(state, entry);
  const SiteFacts next = parse_site_facts(encoding::member(entry.data, "new"));
  require(parse_site_facts(encoding::member(entry.data, "old")) == state.site,
          "facts of the site that were not in force");
  require(next != state.site, "a change of the site that changes nothing");
  state.site = next;
}

// The log as the token remembers it, or null, and as it was when officers accepted it.
void anchor_accept(State& state, const Entry& entry) {
  require_agreed(state, entry);
  const encoding::Json& log = encoding::member(entry.data, "log");
  static_cast<void>(encoding::hex_member(log, "root", kDigestSize));
  require(encoding::uint_member(log, "size") == state.size,
          "an anchor accepted for another length of the log");
  const encoding::Json& anchor = encoding::member(entry.data, "anchor");
  if (anchor.is_null()) return;
  static_cast<void>(encoding::hex_member(anchor, "root", kDigestSize));
  require(encoding::uint_member(anchor, "size") < state.size,
          "an anchor accepted that is not behind the log");
}

void clock(State& state, const Entry& entry) {
  require(encoding::text_member(entry.data, "confirmed") == format_time(entry.time).substr(0, kDateSize),
          "a clock confirmed for another day");
  require(encoding::uint_member(entry.data, "before") == static_cast<std::uint64_t>(state.last_time),
          "a clock confirmed after another entry");
}

// Challenges of the false time are void: forget them, so that a report that answers one is denied as unknown.
void clock_correct(State& state, const Entry& entry) {
  require_agreed(state, entry);
  require(entry.time < state.last_time, "a clock put back that was not ahead");
  require(encoding::uint_member(entry.data, "old_floor") == static_cast<std::uint64_t>(state.last_time) &&
              encoding::uint_member(entry.data, "new_floor") == static_cast<std::uint64_t>(entry.time),
          "a clock put back from another time, or to another");
  state.challenges.erase_if(
      [&](const auto& item) { return item.second.made > entry.time && !item.second.consumed; });
}

// Files of the embedded token that the guard put back.
void token_restored(State& /*state*/, const Entry& entry) {
  require(encoding::uint_member(entry.data, "count") > 0, "files put back, and none");
  for (const encoding::Json& file : encoding::member(entry.data, "files")) {
    static_cast<void>(encoding::text_member(file, "name"));
    static_cast<void>(encoding::text_member(file, "was"));
    static_cast<void>(encoding::hex_member(file, "sha256", kDigestSize));
  }
}

}  // namespace

void check_time(const State& state, const Entry& entry) {
  if (state.size == 0 || sets_clock_back(entry.kind, entry.phase)) return;
  require(entry.time >= state.last_time, "its time lies before that of the entry before");
  const auto most = static_cast<UnixTime>(state.site.clock_days) * kDay;
  require(entry.kind == kClock.name || entry.time - state.last_time <= most,
          "its time lies more than " + std::to_string(state.site.clock_days) +
              " days after that of the entry before, and nobody confirmed the clock");
}

const Kind kSite{"site", site};
const Kind kAnchorAccept{"anchor-accept", anchor_accept};
const Kind kClock{"clock", clock};
const Kind kClockCorrect{"clock-correct", clock_correct};
const Kind kTokenRestored{"token-restored", token_restored};

}  // namespace qpcseal::audit
