// SPDX-License-Identifier: Apache-2.0
// Generations of a MEK: the next one takes the place of the previous one under the same name.
#pragma once

#include "appliance/site/appliance.h"

namespace qpcseal::mek {

struct Rotated {
  keys::Mek next, replaced;
};

// What can be said of rotate() without the token.
void look_at_rotate(const site::Outlook& outlook, const std::string& name);
// A new key `name#N+1`, where N is the highest generation that the log or the token knows. From then on the
// bare name means it; older ones are named as label#generation, and are released to cards where the policy
// allows it, but seal nothing more. Error{Usage} for a name without a key.
Rotated rotate(site::Appliance& appliance, const std::string& name);

// The newest usable generation of the same name, where it is newer than `mek`.
std::optional<audit::MekHistory> successor(const audit::State& state, const audit::MekHistory& mek);

// Error{Denied} for a key that has a next generation: it seals nothing more.
void refuse_replaced(const audit::State& state, const keys::Mek& mek);

}  // namespace qpcseal::mek
