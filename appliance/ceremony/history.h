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

struct History {
  std::uint64_t seq = 0;  // of the entry that began it
  std::string txn;
  UnixTime began = 0, ended = 0;  // ended: the last step's end
  encoding::Json begin;
  std::map<std::string, std::vector<Attempt>> steps;  // by id
  std::optional<std::uint64_t> end;                   // the number of the entry that ended it
  std::string outcome;
  encoding::Json result = encoding::Json::object();

  // Null where the step was not begun.
  [[nodiscard]] const Attempt* last_attempt(const std::string& step) const;
  [[nodiscard]] bool done(const std::string& step) const;
};

// Nothing where the log knows no ceremony of this plan.
std::optional<History> find_history(const audit::LogCopy& log, const std::string& plan_sha256);

}  // namespace qpcseal::ceremony
