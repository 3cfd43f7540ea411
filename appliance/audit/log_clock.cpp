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

std::string confirm_hint(UnixTime now) {
  return "where the date is right, say so once: --clock " + date_of(now) +
         "; else set the workstation's clock";
}

}  // namespace

bool Log::runs_ahead() const { return audit::runs_ahead(at_.state, settings_.clock.now()); }

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

bool runs_ahead(const State& state, UnixTime now) {
  const auto most = static_cast<UnixTime>(state.site.clock_days) * kDay;
  return state.size > 0 && now - state.last_time > most;
}

void check_clock(const State& state, UnixTime now) {
  const UnixTime last = state.last_time;
  const std::string says = "the clock says " + format_time(now);
  if (now + kTolerance < last)
    throw Error(ErrorKind::Denied, says + ", but the log's last entry is of " + format_time(last), kCorrect);
  if (now < build_time())
    throw Error(ErrorKind::Denied,
                says + ", before this program was built (" + format_time(build_time()) + ")",
                "set the workstation's clock");
  if (runs_ahead(state, now))
    throw Error(ErrorKind::Denied,
                says + ", more than " + std::to_string(state.site.clock_days) +
                    " days after the log's last entry (" + format_time(last) + ")",
                confirm_hint(now));
}

void Log::check_clock() const {
  if (held_ > 0) return;
  const UnixTime now = settings_.clock.now();
  audit::check_clock(at_.state, now);
  if (passes_limit())
    throw Error(ErrorKind::Denied,
                "the clock says " + format_time(now) + ", after the end of " + clock_limit_of_ + " (" +
                    format_time(clock_limit_) + ")",
                confirm_hint(now));
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

void refuse_correction(const State& state, UnixTime now) {
  const UnixTime last = state.last_time;
  if (now >= last)
    throw Error(ErrorKind::Usage, "the clock says " + format_time(now) +
                                      ", which is not before the log's last entry (" + format_time(last) +
                                      "): there is nothing to correct");
  if (now < build_time())
    throw Error(ErrorKind::Denied,
                "the clock says " + format_time(now) + ", before this program was built (" +
                    format_time(build_time()) + ")",
                "set the workstation's clock");
}

void Log::correct_clock(const encoding::Json& approval) {
  const UnixTime now = settings_.clock.now(), last = at_.state.last_time;
  refuse_correction(at_.state, now);
  encoding::Json data{{"old_floor", static_cast<std::uint64_t>(last)},
                      {"new_floor", static_cast<std::uint64_t>(now)}};
  if (!approval.is_null()) data["approval"] = approval;
  Entry entry = make("clock-correct", Phase::Event, new_txn(), std::move(data));
  entry.time = now;
  conclude({std::move(entry)});
}

}  // namespace qpcseal::audit
