// SPDX-License-Identifier: Apache-2.0
// An act between its intent and its result: the one place that writes both.
//
// What the act made in the token is on disk before the result is appended. Until then an error of any type
// undoes what was made and logs "failed". Where that fails too (a dead token, a broken log), the intent stays
// open for the next start, and the first error is the one that is thrown. An error of the result's append
// undoes nothing: the next start finds the outcome and logs it.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <utility>

#include "appliance/audit/log.h"

namespace qpcseal::site {

struct LoggedAct {
  std::string kind;
  encoding::Json intent;
  // Does the act. Returns the data of the result "ok".
  std::function<encoding::Json(const audit::Txn& txn)> act;
  // Undoes what `act` made before it threw. Throws where something may be left, so that "failed" always means
  // that nothing is. It is not called once a key is wrapped: then the result is "unknown". Empty: `act`
  // leaves nothing behind when it throws.
  std::function<void()> undo = {};
  // Appends the result "ok". Empty: Log::result.
  std::function<std::uint64_t(const audit::Txn& txn, encoding::Json data)> conclude = {};
};

// The number of the result. AppendError where the intent or the result could not be appended; else what `act`
// throws.
std::uint64_t logged_act(audit::Log& log, const LoggedAct& wanted);

// Runs `tell`, which logs a failure while another error is being thrown. An error of `tell` is dropped,
// whatever its type: the token or the log failed, and the first error names the cause. The intent stays open,
// and the next start closes it.
template <typename Tell>
void log_failure(Tell&& tell) noexcept {
  try {
    std::forward<Tell>(tell)();
  } catch (...) {  // NOLINT(bugprone-empty-catch)
  }
}

// Runs `step`, which follows a logged result. Any error of it is thrown as Error{DoneWithFault} "`done` and
// logged; <cause>", with `hint` for a way on.
void after_result(const std::string& done, const std::string& hint, const std::function<void()>& step);

}  // namespace qpcseal::site
