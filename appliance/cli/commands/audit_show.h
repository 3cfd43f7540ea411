// SPDX-License-Identifier: Apache-2.0
// Entries for people, each in one line.
#pragma once

#include <map>
#include <optional>
#include <string>

#include "appliance/audit/read.h"
#include "appliance/cli/output/report.h"

namespace qpcseal::cli {

// What `audit show` keeps; what is not set keeps all.
struct EntryFilter {
  std::optional<UnixTime> since, until;
  std::string mek;   // name, name#generation or id in hex
  std::string card;  // ueid in hex, or how it begins
  std::string kind, outcome;

  // `entry` as Joined gives it, `meks` those of the log.
  [[nodiscard]] bool keeps(const audit::Entry& entry, const std::map<Bytes, audit::MekHistory>& meks) const;
};

// Error{Usage} for a kind that there is not, and for a MEK or a card of which the log has no entry: an empty
// list would read as if nothing had happened.
void require_known(const audit::LogCopy& log, const EntryFilter& filter);

// A result has the outcome of an act, its intent the subject. Takes all entries in order and returns each, a
// result with the data of its intent, and a release with the approval of the request that it names.
class Joined {
 public:
  audit::Entry next(audit::Entry entry);

 private:
  audit::Entry with_intent(audit::Entry entry);

  std::map<std::uint64_t, encoding::Json> intents_;  // of the results to come
  std::map<std::string, encoding::Json> approvals_;  // by nonce: one intent of a request carries it for all
};
// One of them by itself.
audit::Entry joined_entry(const audit::LogCopy& log, std::uint64_t seq);

// Its data in a few words: MEK, card, verdict. Digests are cut short.
std::string entry_subject(const audit::Entry& entry);
// A line for each digest of its data, whole: people compare them with a file's.
std::string whole_digests(const audit::Entry& entry);
// Streamed: the log is read again while the result is printed, once for JSON, twice for a table.
Report show_entries(audit::LogCopy log, const EntryFilter& filter);

}  // namespace qpcseal::cli
