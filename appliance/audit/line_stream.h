// A sound log verified in one pass over its file, in the memory of its tree.
#pragma once

#include <optional>
#include <string>

#include "appliance/audit/read.h"

namespace qpcseal::audit {

// What read_log() gives for Check::Proofs. Nothing where anything at all does not hold, or a writer is at
// work: read_log() then looks at the whole, and says what is wrong. `key` as there.
std::optional<LogCopy> stream_log(const Store& store, const std::string& note,
                                  const std::optional<VerifierKey>& key);

}  // namespace qpcseal::audit
