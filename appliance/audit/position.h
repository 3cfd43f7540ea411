// Where the log's writer stands: all that it needs to go on, without the lines that were written before.
#pragma once

#include "appliance/audit/read.h"

namespace qpcseal::audit {

struct Position {
  explicit Position(VerifierKey signing) : key(std::move(signing)) {}

  State state;
  Tree tree;
  Checkpoint checkpoint;
  std::string note;               // the signed checkpoint
  VerifierKey key;                // that signed it
  std::uint64_t end = 0;          // bytes of entries.jsonl that it covers
  Sha256 written;                 // over these
  std::uint64_t in_snapshot = 0;  // entries that the snapshot on disk has
  std::string recent;             // the lines that were replayed: all, or those behind the snapshot
  std::string tail;               // what lies behind `end`
};

// From the snapshot where it fits the log and has at most `newest` entries, else from a replay of the whole;
// either way what comes back is verified and the same. Error{LogDamaged} as read_log, and where the log's key
// is not the signer's.
Position find_position(const Store& store, const std::filesystem::path& folder, const Signer& signer,
                       std::uint64_t newest);

}  // namespace qpcseal::audit
