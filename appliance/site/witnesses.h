// SPDX-License-Identifier: Apache-2.0
// Witnesses: others who keep checkpoints of this log and sign that they saw it grow. What they saw stands in
// the log, and beside it in home/witness, so that an older log put back is refused.
#pragma once

#include "appliance/site/appliance.h"
#include "tlog/cosignature.h"

namespace qpcseal::site {

// Whether this witness's cosignatures count from now on. The officers must agree (witness-change).
// Error{Usage} where that is so already.
void trust_witness(Appliance& appliance, const std::string& vkey, bool trusted);

// What can be said of it without the token.
void look_at_trust(const Outlook& outlook, const std::string& vkey, bool trusted);

struct Witnessing {
  std::string witness;  // its vkey
  std::uint64_t size = 0;
  UnixTime time = 0;
  std::uint64_t entry = 0;  // of the log
};
struct SeenByWitness {
  tlog::WitnessKey key;
  tlog::Cosigned seen;
};
// A checkpoint that a trusted witness cosigned. Error{Denied} for one by nobody who is trusted,
// Error{LogDamaged} where the log is not the one that the witness saw.
SeenByWitness check_cosigned(const Outlook& outlook, const std::string& note);
// Checks that, and records it.
Witnessing import_witness(Appliance& appliance, const std::string& note);

}  // namespace qpcseal::site
