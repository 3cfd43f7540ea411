// SPDX-License-Identifier: Apache-2.0
// The history of a ceremony, from the log. Resuming and the record use it.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "appliance/audit/read.h"

namespace qpcseal::ceremony {

// An act on a key under one attempt of a step.
struct LoggedAct {
  std::uint64_t seq = 0;  // of the result, or of the event
  std::string kind, outcome;
  encoding::Json intent, data;  // what the two entries say; for an event the same
};

struct Attempt {
  std::uint64_t number = 0, seq = 0;  // from 1; of its intent
  std::string txn, outcome;           // outcome: empty while it is open
  UnixTime began = 0, ended = 0;
  encoding::Json data = encoding::Json::object();  // the result's
  std::vector<LoggedAct> acts;
};

// A run that ended before the ceremony did, and the run that went on.
struct Interruption {
  std::optional<UnixTime> stopped;  // nothing: the program was killed, or the machine lost its power
  UnixTime last_seen = 0;           // of the ceremony's entry before
  std::string step, cause;          // where it stopped and why; empty where the log does not say
  std::optional<UnixTime> resumed;  // nothing: the ceremony was not resumed
};

struct History {
  std::uint64_t seq = 0;  // of the entry that began it
  std::string txn;
  UnixTime began = 0, last_seen = 0;  // last_seen: of the last entry before it ended
  encoding::Json begin;
  std::vector<Interruption> interruptions;
  std::map<std::string, std::vector<Attempt>> steps;  // by id
  std::optional<std::uint64_t> end;                   // the number of the entry that ended it
  std::string outcome;
  encoding::Json result = encoding::Json::object();

  // Null where the step was not begun.
  [[nodiscard]] const Attempt* last_attempt(const std::string& step) const;
  [[nodiscard]] bool done(const std::string& step) const;
  // The entry of an act that was done in a step that is not: it stands, and nobody confirmed it.
  [[nodiscard]] std::optional<std::uint64_t> unconfirmed(const std::string& step) const;
};

// `error` of an attempt that was open when its ceremony was abandoned.
inline constexpr const char* kAbandoned = "the ceremony was abandoned";

// Of the plan's last ceremony, or of the one with this id: a plan may begin anew where nothing was done.
// Nothing where the log knows no such ceremony.
std::optional<History> find_history(const audit::LogCopy& log, const std::string& plan_sha256,
                                    const std::string& ceremony = "");

}  // namespace qpcseal::ceremony
