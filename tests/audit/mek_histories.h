// SPDX-License-Identifier: Apache-2.0
// Histories of MEKs for tests of what reads a log's state.
#pragma once

#include <string>
#include <vector>

#include "appliance/audit/state.h"

namespace qpcseal::testing {

// `id`: each of the 16 bytes of the MEK's id.
inline audit::MekHistory mek_history(std::uint8_t id, const std::string& label, std::uint64_t generation,
                                     const std::string& state) {
  audit::MekHistory out;
  out.id = Bytes(16, id);
  out.label = label;
  out.generation = generation;
  out.state = state;
  return out;
}

inline audit::State state_with(const std::vector<audit::MekHistory>& keys) {
  audit::State out;
  for (const audit::MekHistory& key : keys) out.meks[key.id] = key;
  return out;
}

}  // namespace qpcseal::testing
