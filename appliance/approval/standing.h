// SPDX-License-Identifier: Apache-2.0
// Whether an officer's signature under a request could still do anything, as far as a clock and a log show.
//
// Nothing is decided by it: judge_approval() decides when the act is done. It keeps officers from signing
// what is expired, used or done.
#pragma once

#include <optional>
#include <string>

#include "appliance/approval/quorum.h"
#include "appliance/audit/read.h"

namespace qpcseal::approval {

struct Standing {
  std::string refusal,
      hint;          // why a signature would be in vain, and when that came to be; empty: nothing is known
  std::string note;  // what the officer should read above the question
};

// By the clock alone.
Standing standing_by_clock(const ApprovalRequest& request, UnixTime now);

// By the log of the appliance that the request names as well. `text`: the request's.
Standing standing_in_log(const ApprovalContext& context, const audit::LogCopy& log,
                         const ApprovalRequest& request, const std::string& text);

// "log entry 12, mek-generate, of 2026-11-28T10:00:00Z"; nothing where no entry has this nonce.
std::optional<std::string> first_use(const audit::LogCopy& log, const std::string& nonce);

// "rejected: log entry 12, ...", or "used before: log entry 12, ...; each one serves once", without the entry
// where none has it.
std::string words_of_use(const audit::LogCopy& log, const std::string& nonce);

// What the request asks for is done, whoever asked for it: "there is, or was, a MEK 'a' already: ..."; empty
// where it is not.
std::string why_done(const audit::LogCopy& log, const ApprovalRequest& request);

}  // namespace qpcseal::approval
