// SPDX-License-Identifier: Apache-2.0
// Checkpoints of this log that somebody kept: each holds the log to what it was then.
#pragma once

#include <optional>
#include <string>

#include "appliance/audit/log.h"
#include "appliance/audit/read.h"
#include "appliance/site/home.h"

namespace qpcseal::site {

// The log must be the one of every checkpoint in home/witness. Error{LogDamaged}.
void check_witnesses(const Home& home, const audit::Log& log);
void check_witnesses(const Home& home, const audit::LogCopy& log);

// How many entries a checkpoint has that one of this log's keys signed; nothing where none did.
std::optional<std::uint64_t> size_signed_by(const audit::State& state, const std::string& note);

// Whether a log goes on from a checkpoint that a key of its own signed, whoever kept it since. `tree` is
// whole. Error{LogDamaged} naming it as `what`.
void require_continues(const audit::State& state, const tlog::Tree& tree, const std::string& note,
                       const std::string& what);

// Error{LogDamaged} where the log has fewer entries than the checkpoint.
void require_as_long(const audit::State& state, const tlog::Checkpoint& seen, const std::string& what);

}  // namespace qpcseal::site
