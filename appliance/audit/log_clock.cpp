// SPDX-License-Identifier: Apache-2.0
// The log and the clock: which time an entry has, and when the clock is not believed.
#include <algorithm>

#include "appliance/audit/log.h"
#include "base/error.h"

namespace qpcseal::audit {

namespace {

constexpr UnixTime kTolerance = 300;  // seconds that a clock may lie behind the log
constexpr const char* kCorrect =
    "set the workstation's clock; where the log's time is the wrong one, officers put it back by 'qpcseal "
    "clock "
    "correct'";

std::string date_of(UnixTime time) { return format_time(time).substr(0, kDateSize); }

}  // namespace

bool Log::runs_ahead() const {
  const auto most = static_cast<UnixTime>(at_.state.site.clock_days) * kDay;
  return at_.state.size > 0 && settings_.clock.now() - at_.state.last_time > most;
}

// The first entry behind the limit is a confirmation; from there on it says nothing more.
bool Log::passes_limit() const {
  return settings_.clock.now() >= clock_limit_ && at_.state.last_time < clock_limit_;
}

// Never so far ahead that one wrong clock would stop every later act.
UnixTime Log::entry_time() const {
  return runs_ahead() || passes_limit() ? at_.state.last_time
                                        : std::max(settings_.clock.now(), at_.state.last_time);
}

void Log::limit_clock(UnixTime limit, const std::string& what) {
  if (limit >= clock_limit_) return;
  clock_limit_ = limit;
  clock_limit_of_ = what;
}

void Log::check_clock() const {
  if (held_ > 0) return;
  const UnixTime now = settings_.clock.now(), last = at_.state.last_time;
  const std::string says = "the clock says " + format_time(now);
  if (now + kTolerance < last)
    throw Error(ErrorKind::Denied, says + ", but the log's last entry is of " + format_time(last), kCorrect);
  if (now < build_time())
    throw Error(ErrorKind::Denied,
                says + ", before this program was built (" + format_time(build_time()) + ")",
                "set the workstation's clock");
  const std::string confirm =
      "where the date is right, say so once: --clock " + date_of(now) + "; else set the workstation's clock";
  if (runs_ahead())
    throw Error(ErrorKind::Denied,
                says + ", more than " + std::to_string(at_.state.site.clock_days) +
                    " days after the log's last entry (" + format_time(last) + ")",
                confirm);
  if (passes_limit())
    throw Error(ErrorKind::Denied,
                says + ", after the end of " + clock_limit_of_ + " (" + format_time(clock_limit_) + ")",
                confirm);
}

void Log::confirm_clock() {
  const UnixTime now = settings_.clock.now();
  if (now < at_.state.last_time || (!runs_ahead() && !passes_limit())) return;
  const HeldClock held(*this);
  Entry entry =
      make("clock", Phase::Event, new_txn(),
           {{"confirmed", date_of(now)}, {"before", static_cast<std::uint64_t>(at_.state.last_time)}});
  entry.time = now;
  append({std::move(entry)});
}

void Log::correct_clock(const encoding::Json& approval) {
  const UnixTime now = settings_.clock.now(), last = at_.state.last_time;
  if (now >= last)
    throw Error(ErrorKind::Usage, "the clock says " + format_time(now) +
                                      ", which is not before the log's last entry (" + format_time(last) +
                                      "): there is nothing to correct");
  if (now < build_time())
    throw Error(ErrorKind::Denied,
                "the clock says " + format_time(now) + ", before this program was built (" +
                    format_time(build_time()) + ")",
                "set the workstation's clock");
  encoding::Json data{{"old_floor", static_cast<std::uint64_t>(last)},
                      {"new_floor", static_cast<std::uint64_t>(now)}};
  if (!approval.is_null()) data["approval"] = approval;
  Entry entry = make("clock-correct", Phase::Event, new_txn(), std::move(data));
  entry.time = now;
  conclude({std::move(entry)});
}

}  // namespace qpcseal::audit
