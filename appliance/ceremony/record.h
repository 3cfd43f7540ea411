// SPDX-License-Identifier: Apache-2.0
// The record of a ceremony, a function of the log and the plan, so that it can be made again. Its digest is
// in the log.
#pragma once

#include <string>

#include "appliance/ceremony/history.h"
#include "appliance/ceremony/plan.h"

namespace qpcseal::ceremony {

// `comparison` lists the differences from the rehearsal (null: there was none). Up to the entry that ends the
// ceremony.
encoding::Json make_record(const audit::LogCopy& log, const Plan& plan, const History& history,
                           const encoding::Json& comparison);

// The same as a page that prints: no script, nothing from elsewhere.
std::string make_page(const encoding::Json& record);

// The differences of a run from its rehearsal: token, software, steps, acts and resulting attributes.
// Times, ids, serial numbers and digests of outputs are left out: they must differ.
std::vector<std::string> differences(const encoding::Json& rehearsal, const encoding::Json& record);

}  // namespace qpcseal::ceremony
