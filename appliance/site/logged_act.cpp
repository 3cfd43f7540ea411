// SPDX-License-Identifier: Apache-2.0
#include "appliance/site/logged_act.h"

#include "base/current_error.h"

namespace qpcseal::site {

using encoding::Json;

namespace {

// The act is done, and the log may not say so: what became of it is for the next start to find out.
[[noreturn]] void leave_open(const audit::AppendError& error, const std::string& kind) {
  const bool unknown = error.appended() == audit::Appended::Unknown;
  throw audit::AppendError(
      error.appended(),
      {error.kind(),
       kind +
           (unknown ? " is done, and whether the log has its result is not known: "
                    : " is done, but its result is not in the log: ") +
           error.what(),
       "nothing was undone: the next start looks at what is there and logs it ('qpcseal mek list')"});
}

}  // namespace

std::uint64_t logged_act(audit::Log& log, const LoggedAct& wanted) {
  const audit::Txn txn = log.intent(wanted.kind, wanted.intent);
  Json data;
  try {
    data = wanted.act(txn);
    log.prepare_ok();
  } catch (...) {
    const Error cause = current_error();
    log_failure([&] {
      const bool wrapped = log.state().open.at(txn.seq).is_wrapped();
      if (wanted.undo && !wrapped) wanted.undo();
      log.result(txn, wrapped ? "unknown" : "failed", {{"error", cause.what()}});
    });
    throw;
  }
  try {
    if (wanted.conclude) return wanted.conclude(txn, std::move(data));
    return log.result(txn, "ok", std::move(data));
  } catch (const audit::AppendError& error) {
    if (error.appended() == audit::Appended::Durable) throw;
    leave_open(error, wanted.kind);
  }
}

void after_result(const std::string& done, const std::string& hint, const std::function<void()>& step) {
  try {
    step();
  } catch (...) {
    const Error cause = current_error();
    throw Error(ErrorKind::DoneWithFault, done + " and logged; " + cause.what(), hint);
  }
}

}  // namespace qpcseal::site
