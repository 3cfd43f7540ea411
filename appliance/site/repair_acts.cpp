// SPDX-License-Identifier: Apache-2.0
#include "appliance/site/repair_acts.h"

#include "base/error.h"
#include "base/file.h"

namespace qpcseal::site {

bool moves_module_only(const Environment& environment, const SiteChange& change) {
  if (!change.module) return false;
  const Home& home = environment.home;
  check_ownership(home);
  Site site = Site::read(home.site());
  const audit::Lock lock(home.lock(), environment.lock_timeout, environment.on_wait);
  const audit::SiteFacts facts = audit::find_position(home.log()).state.site;
  if (site.module == *change.module || changed(facts, change, home) != facts) return false;
  site.module = *change.module;
  write_file(home.site(), view(site.text(home)), Existing::Replace, 0600);
  return true;
}

namespace {

encoding::Json clock_parameters(UnixTime floor) { return {{"old_floor", format_time(floor)}}; }

}  // namespace

void look_at_clock(const Outlook& outlook, bool yes) {
  audit::refuse_correction(outlook.state, outlook.clock);
  static_cast<void>(judge_repair(outlook.home, audit::read_log(outlook.home.log(), std::nullopt),
                                 outlook.approvals, yes, outlook.clock, "clock-correct",
                                 clock_parameters(outlook.state.last_time)));
}

void correct_clock(Appliance& appliance, const approval::ApprovalFiles& files, bool yes) {
  const UnixTime floor = appliance.log().state().last_time, now = appliance.clock_now();
  audit::refuse_correction(appliance.log().state(), now);
  const encoding::Json approval =
      approve_repair(appliance.home(), audit::read_log(appliance.home().log(), std::nullopt), files, yes, now,
                     "clock-correct", clock_parameters(floor));
  appliance.log().correct_clock(approval);
}

}  // namespace qpcseal::site
