// SPDX-License-Identifier: Apache-2.0
// The appliance as its log and its home describe it. What needs no token is judged by it twice, by the same
// functions: before the PIN is asked for (Environment::look), so that nobody types a PIN in vain, and again
// in the act, with the token open and an earlier run's acts settled. Only the second judgement counts.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "appliance/approval/quorum.h"
#include "appliance/audit/position.h"
#include "appliance/site/home.h"
#include "appliance/site/running_image.h"
#include "base/clock.h"
#include "policy/policy.h"

namespace qpcseal::site {

// Valid as long as what it refers to.
struct Outlook {
  const Home& home;
  const approval::ApprovalFiles& approvals;  // what officers signed for this command
  const RunningImage& image;
  const audit::State& state;
  const policy::Policy& policy;             // in force
  UnixTime clock = 0;                       // the workstation's
  std::function<const tlog::Tree&()> tree;  // of all entries
  std::function<void()> check_clock;        // as Log::check_clock()
  // Whether the token vouches for the log. Before that a request that names a longer log is not called wrong:
  // it may be the log that was put back.
  bool anchored = false;

  [[nodiscard]] UnixTime now() const;  // never below the log's last time
  [[nodiscard]] bool insecure_demo() const;
};

inline constexpr std::string_view kStopsKey = "mek-suspend";  // the operation that no clock holds up

// Error{ApprovalsMissing} where not every officer has signed the genesis.
void require_genesis(const Outlook& outlook);
// Error{Denied} where the policy has expired.
void refuse_expired_policy(const Outlook& outlook);

// The officers' approval of an act with these parameters; nothing where the policy asks for none. Where
// officers rejected it, `rejecters` says who. Error{Denied} where the policy does not allow the operation or
// has expired, or the clock cannot be believed; Error{ApprovalsMissing}.
std::optional<approval::ApprovalResult> judge_act(const Outlook& outlook, const std::string& operation,
                                                  const encoding::Json& parameters);
// The same errors before the parameters are known: none of the requests could serve. What the policy does not
// name is left to the act, which says all that it finds.
void require_candidate(const Outlook& outlook, const std::string& operation);

// Whether the next start closes an intent that a run left open. A release may be finished with the same
// report, a shredding by the same command; a ceremony goes on by 'ceremony resume'.
[[nodiscard]] bool is_settled_by_start(const audit::OpenIntent& intent);

// Runs `look` on the log as it lies there, under the lock. Does nothing where an earlier run left what the
// start has to settle first, by which the state may change. `clock_is_confirmed`: the start confirms the
// date. Error{Denied} where the policy is not the log's.
void look_ahead(const Home& home, const audit::LogCursor& at, const approval::ApprovalFiles& approvals,
                const RunningImage& image, UnixTime clock, bool clock_is_confirmed,
                const std::function<void(const Outlook&)>& look);

}  // namespace qpcseal::site
