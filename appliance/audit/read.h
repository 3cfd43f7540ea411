// A log read whole and verified: checkpoint signature, tree, and every entry in its place. Needs neither
// token nor lock.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "appliance/audit/checkpoint.h"
#include "appliance/audit/state.h"
#include "appliance/audit/store.h"

namespace qpcseal::audit {

struct LogCopy {
  State state;
  Checkpoint checkpoint;
  std::string note;  // the signed checkpoint
  Tree tree;
  VerifierKey key;
  std::vector<std::string> lines;  // that the checkpoint covers
  std::uint64_t end = 0;           // bytes of these lines
  std::string tail;                // what lies behind them
};

// `key`: who must have signed; nothing: the key that the genesis entry names, which proves no more than that
// the log agrees with itself. Error{LogDamaged} naming the first bad entry; Error{Io}.
LogCopy read_log(const std::filesystem::path& folder, const std::optional<VerifierKey>& key);

}  // namespace qpcseal::audit
