// SPDX-License-Identifier: Apache-2.0
// The record of a ceremony: a function of the log up to the entry that ends the ceremony, of what that entry
// says, and of the plan. So it can be made again; its digest is in the log. FORMAT.md section 9.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "appliance/ceremony/history.h"
#include "appliance/ceremony/plan.h"

namespace qpcseal::ceremony {

inline constexpr std::string_view kRecordFormat = "qpcseal/ceremony-record/3";
inline constexpr std::size_t kMaxRecord = std::size_t{8} << 20;  // bytes

// How a ceremony ended, beside what its steps say. The entry that ends it has the same.
struct Ending {
  std::string outcome;        // as the log has it: "ok" or "failed"
  std::string why;            // the reason of one that was abandoned; empty: it was not
  std::string time;           // 2026-11-28T10:00:00Z
  encoding::Json comparison;  // sentences, one for each difference from the rehearsal; null: there was none
};

// The ending that the log has of a ceremony that is over. Error{Malformed}.
Ending logged_ending(const History& history);

// Whether the ceremony began under the image that its plan demands, where it demands one. `environment`: of
// the record, or of the entry that began it. Error{Malformed} where it names no image, not even null.
[[nodiscard]] bool has_planned_image(const Plan& plan, const encoding::Json& environment);

encoding::Json make_record(const audit::LogCopy& log, const Plan& plan, const History& history,
                           const Ending& ending);

// The differences of a run from its rehearsal, a sentence each: image, token, software, steps, acts and
// resulting attributes. Times, ids, serial numbers and digests of outputs are left out: they must differ.
// Error{Malformed} for what is no record.
std::vector<std::string> differences(const encoding::Json& rehearsal, const encoding::Json& record);

}  // namespace qpcseal::ceremony
