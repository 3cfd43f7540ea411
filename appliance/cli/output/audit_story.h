// SPDX-License-Identifier: Apache-2.0
// The content of the page of `audit report`, by subject.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "appliance/cli/commands/audit_show.h"
#include "appliance/cli/output/timeline.h"

namespace qpcseal::cli {

using Seqs = std::vector<std::uint64_t>;

// The result of a release, or a denial that had no intent.
struct Verdict {
  std::uint64_t seq = 0;
  UnixTime time = 0;
  bool ok = false;
};

// One key on one card: all releases that were done.
struct Holding {
  std::size_t releases = 0;
  UnixTime first = 0, last = 0;
  std::string device_class, host;    // host: "node-3, device 1"; of the last
  std::set<std::string> allowed_by;  // officers' names; empty: the policy asks for none
  std::set<std::uint64_t> policies;  // serials
};

struct Card {
  std::size_t released = 0, denied = 0;
  std::set<std::string> keys;  // labels of those that it got
  UnixTime first = 0, last = 0;
};

// Denials and failures with the same reason.
struct Reason {
  Seqs entries;
  std::set<std::string> cards;  // ueid, hex
};

struct PolicyInForce {
  std::uint64_t serial = 0, seq = 0;
  UnixTime since = 0;
  std::string digest, signers;
};

// A mark on a key's line of time (timeline.h).
struct KeyEvent {
  Mark mark = Mark::Made;
  UnixTime time = 0;
};

struct KeyHistory {
  Seqs entries;                  // everything that names it, but challenges
  std::vector<KeyEvent> events;  // in order of time
};

struct HeldCeremony {
  std::uint64_t seq = 0;
  UnixTime began = 0, ended = 0;
  std::string title, outcome, why, signers;  // outcome: empty while it goes on
  std::size_t stops = 0;
};

struct Story {
  std::vector<Verdict> releases;
  std::map<std::pair<std::string, std::string>, Holding> holdings;  // by MEK's label, and ueid
  std::map<std::string, Reason> reasons;                            // by findings' ids, or the error
  std::map<std::string, KeyHistory> meks;                           // by id
  std::map<std::string, Card> cards;                                // by ueid: results of releases
  std::vector<PolicyInForce> policies;
  std::vector<HeldCeremony> ceremonies;
  Seqs site;  // genesis, policies, trust, keys, witnesses, recoveries
};

// One pass over the entries; what the filter does not keep counts for who signed what alone. Memory: 8 to 64
// bytes for each entry. Errors as LogCopy::line().
Story read_story(const audit::LogCopy& log, const EntryFilter& filter);
// An entry of joined_entry(), with the label of the key that it names.
audit::Entry told(const audit::LogCopy& log, std::uint64_t seq);

// The key's label, else its id.
std::string entry_mek(const audit::Entry& entry);
// Host and device of the challenge that a release answers, as text; empty where it named none.
std::string entry_host(const audit::State& state, const audit::Entry& entry);
[[nodiscard]] inline bool was_ok(const audit::Entry& entry) { return entry.outcome == "ok"; }

}  // namespace qpcseal::cli
