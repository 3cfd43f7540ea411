// SPDX-License-Identifier: Apache-2.0
// The morning look at an appliance: what stops the next command, and what will soon. From the home and its
// log alone, without lock and token. `doctor` adds what the token says (doctor.h).
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "appliance/audit/position.h"
#include "appliance/site/home.h"
#include "appliance/site/running_image.h"
#include "base/clock.h"
#include "base/error.h"

namespace qpcseal::site {

enum class Health { Fine, Warning, Fault };

struct HealthCheck {
  std::string id;  // "policy"
  Health health = Health::Fine;
  std::string text;                      // what was found
  std::string hint;                      // the way on; may be empty
  ErrorKind kind = ErrorKind::Internal;  // of a fault: as the next command fails
};

// Times and counts beside the checks, for monitoring. What is not known has no value.
struct HealthFacts {
  std::optional<UnixTime> policy_expiry, crl_expiry, collateral_expiry;
  std::uint64_t drills_due = 0, temporaries = 0;
  std::uint64_t disk_free = 0;  // bytes
};

struct HomeHealth {
  std::vector<HealthCheck> checks;  // in the order in which a command would fail
  HealthFacts facts;
  std::optional<audit::State> state;  // nothing: the log does not verify
};

inline constexpr UnixTime kPolicyNotice = 30 * audit::kDay;     // before its end a policy is warned of
inline constexpr UnixTime kPolicyReminder = 7 * audit::kDay;    // likewise, by every command
inline constexpr UnixTime kCollateralNotice = 7 * audit::kDay;  // of revocation lists and bundles
inline constexpr UnixTime kDrillNotice = 30 * audit::kDay;

// Checks owner and modes, log, module, image, clock, genesis, policy, officers, trust material, drills, open
// acts, disk and swap. Throws nothing: what cannot be read is a fault.
HomeHealth look_at_home(const Home& home, UnixTime now, const RunningImage& running);

// "the policy expires in 12 days, at 2026-12-11T00:00:00Z"; empty where its end is further off than `notice`.
std::string policy_notice(UnixTime expires, UnixTime now, UnixTime notice);

// The first fault. Null: there is none.
const HealthCheck* first_fault(const std::vector<HealthCheck>& checks);

}  // namespace qpcseal::site
