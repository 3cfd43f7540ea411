// Witnesses: others who keep checkpoints of this log and sign that they saw it grow. What they saw stands in
// the log, and beside it in home/witness, so that an older log put back is refused.
#pragma once

#include "appliance/site/appliance.h"

namespace qpcseal::release {

// Whether this witness's cosignatures count from now on. The officers must agree (witness-change).
// Error{Usage} where that is so already.
void trust_witness(Appliance& appliance, const std::string& vkey, bool trusted);

struct Witnessing {
  std::string witness;  // its vkey
  std::uint64_t size = 0;
  UnixTime time = 0;
  std::uint64_t entry = 0;  // of the log
};
// A checkpoint that a trusted witness cosigned. Error{Denied} for one by nobody who is trusted,
// Error{LogDamaged} where the log is not the one that the witness saw.
Witnessing import_witness(Appliance& appliance, const std::string& note);

// The log must be the one of every checkpoint in home/witness. Error{LogDamaged}.
void check_witnesses(const Home& home, const audit::Log& log);
void check_witnesses(const Home& home, const audit::LogCopy& log);

// How many entries a checkpoint has that one of this log's keys signed; nothing where none did.
std::optional<std::uint64_t> size_signed_by(const audit::State& state, const std::string& note);

// Whether a log goes on from a checkpoint that a key of its own signed, whoever kept it since. `tree` is
// whole. Error{LogDamaged} naming it as `what`.
void require_continues(const audit::State& state, const audit::Tree& tree, const std::string& note,
                       const std::string& what);

}  // namespace qpcseal::release
