// SPDX-License-Identifier: Apache-2.0
// The content of the page of `audit report`: numbers of entries, by subject.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "appliance/cli/commands/audit_show.h"

namespace qpcseal::cli {

using Seqs = std::vector<std::uint64_t>;

// The result of a release, or a denial that had no intent.
struct Verdict {
  std::uint64_t seq = 0;
  UnixTime time = 0;
  bool ok = false;
};

struct Card {
  std::size_t released = 0, denied = 0;
  std::string keys;  // that it got, HTML
  UnixTime first = 0, last = 0;
};

struct Story {
  std::vector<Verdict> releases;
  Seqs site;                          // genesis, policies, trust, keys, witnesses, recoveries
  std::map<std::string, Seqs> meks;   // by id: everything that names it, but challenges
  std::map<std::string, Card> cards;  // by ueid: results of releases
};

// One pass over the entries that the filter keeps; 8 to 32 bytes of memory for each. They are read again
// where the page shows them. Errors as LogCopy::line().
Story read_story(const audit::LogCopy& log, const EntryFilter& filter);
// An entry of joined_entry(), with the label of the key that it names.
audit::Entry told(const audit::LogCopy& log, std::uint64_t seq);

// The key's label, else its id, as HTML.
std::string entry_mek(const audit::Entry& entry);
[[nodiscard]] inline bool was_ok(const audit::Entry& entry) { return entry.outcome == "ok"; }

}  // namespace qpcseal::cli
