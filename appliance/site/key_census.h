// SPDX-License-Identifier: Apache-2.0
// Compares the log's keys with the token's.
#pragma once

#include <string>
#include <vector>

#include "appliance/audit/state.h"
#include "appliance/keys/contents.h"

namespace qpcseal::site {

// Keys that are ok or suspended in the log and not in `there`: the token lost them. Their objects have
// no handle. By name, generation, id.
std::vector<keys::Mek> missing_keys(const std::vector<keys::Mek>& there, const audit::State& state);

// "m#1 (id 00ff...) is in the log and not in the token".
std::string missing_text(const keys::Mek& mek);
// The commands that bring it back, or go on without it.
std::string missing_hint(const keys::Mek& mek);

// The log's key as one of the token's, without a handle.
keys::Mek recorded_mek(const audit::MekHistory& history);

}  // namespace qpcseal::site
