// SPDX-License-Identifier: Apache-2.0
// Repairs that are acts of their own (repair.h tells of the others).
#pragma once

#include "appliance/site/appliance.h"
#include "appliance/site/repair.h"

namespace qpcseal::site {

// Whether the change is but another path of the very module that the log names: then site.toml has it now,
// and there is nothing to agree to.
bool moves_module_only(const Environment& environment, const SiteChange& change);

// What can be said of correct_clock() without the token.
void look_at_clock(const Outlook& outlook, bool yes);
// The event clock-correct, as officers agreed. Error{Usage} where the clock is not behind the log.
void correct_clock(Appliance& appliance, const approval::ApprovalFiles& files, bool yes);

}  // namespace qpcseal::site
