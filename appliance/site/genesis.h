// SPDX-License-Identifier: Apache-2.0
// The genesis as text, which every listed officer signs before the appliance makes a MEK. docs/FORMAT.md
// section 7.3.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "appliance/audit/state.h"
#include "appliance/site/appliance.h"

namespace qpcseal::site {

// From the log's first entry, whose hash in the tree it names. Printable ASCII and line feeds.
std::string genesis_text(const audit::State& state, const tlog::Hash& leaf);
[[nodiscard]] bool is_genesis_text(std::string_view text);
// Whether the text has the genesis' lines and nothing else. Error{Malformed}.
void check_genesis_text(std::string_view text);

// Records that all listed officers signed. Error{ApprovalsMissing} naming those who did not;
// Error{Usage} where there are no officers or it is done already.
std::vector<approval::Approver> accept_genesis(Appliance& appliance,
                                               const std::vector<std::filesystem::path>& signatures);

}  // namespace qpcseal::site
