// SPDX-License-Identifier: Apache-2.0
// The log's keys held against the token's.
#pragma once

#include <string>
#include <vector>

#include "appliance/audit/state.h"
#include "appliance/keys/contents.h"

namespace qpcseal::release {

// Keys that the log calls ok or suspended and that are not `there`: the token lost them. Their objects have
// no handle. By name, generation, id.
std::vector<keys::Mek> missing_keys(const std::vector<keys::Mek>& there, const audit::State& state);

// "m#1 (id 00ff...) is in the log and not in the token".
std::string missing_text(const keys::Mek& mek);
// What brings it back, and what does without it.
std::string missing_hint(const keys::Mek& mek);

// The log's key as one of the token's, without a handle.
keys::Mek mek_of(const audit::MekHistory& history);

}  // namespace qpcseal::release
