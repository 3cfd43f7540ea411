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

struct SignedGenesis {
  std::string text;
  std::vector<approval::Approver> approvers;  // all listed officers
  std::vector<std::string> signatures;        // theirs
};
// That the signatures which the command was given are of all listed officers. Error{ApprovalsMissing} naming
// those who did not sign, or where there are no officers; Error{Usage} where it is accepted already.
SignedGenesis check_genesis(const Outlook& outlook);
// Checks that, and records it.
std::vector<approval::Approver> accept_genesis(Appliance& appliance);

}  // namespace qpcseal::site
