// SPDX-License-Identifier: Apache-2.0
// The MEKs that a log knows, for what was probably meant by a mistyped one.
#pragma once

#include <string>
#include <vector>

#include "appliance/audit/state.h"

namespace qpcseal::audit {

// The label of each MEK, and its name.
std::vector<std::string> mek_names(const State& state);

}  // namespace qpcseal::audit
