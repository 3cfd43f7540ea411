// Entries for people: what each says in one line.
#pragma once

#include <optional>
#include <string>

#include "appliance/audit/read.h"
#include "appliance/cli/report.h"

namespace qpcseal::cli {

// What `audit show` keeps; what is not set keeps all.
struct EntryFilter {
  std::optional<UnixTime> since, until;
  std::string mek;   // name, name#generation or id in hex
  std::string card;  // ueid in hex
  std::string kind;

  [[nodiscard]] bool keeps(const audit::Entry& entry) const;
};

// Its data in a few words: MEK, card, verdict.
std::string subject_of(const audit::Entry& entry);
Report show_entries(const audit::LogCopy& log, const EntryFilter& filter);

}  // namespace qpcseal::cli
