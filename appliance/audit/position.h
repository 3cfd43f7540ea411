// SPDX-License-Identifier: Apache-2.0
// Where the log's writer stands: all that it needs to go on, without the lines that were written before.
#pragma once

#include "appliance/audit/read.h"

namespace qpcseal::audit {

struct LogCursor {
  explicit LogCursor(tlog::VerifierKey signing) : key(std::move(signing)) {}

  State state;
  tlog::Tree tree;
  tlog::Checkpoint checkpoint;
  std::string note;               // the signed checkpoint
  tlog::VerifierKey key;          // that signed it
  std::uint64_t end = 0;          // bytes of entries.jsonl that it covers
  PiecesDigest written;           // over these
  std::uint64_t in_snapshot = 0;  // entries that the snapshot on disk has
  std::uint64_t last_append = 0;  // number of its first entry; the snapshot's size where it may begin before
  std::string tail;               // what lies behind `end`
};

// From the snapshot where it fits the log and has at most `newest` entries, else from a replay of the whole;
// either way what comes back is verified, by the log's own keys, and the same. Needs no token: whether the
// key is the token's, Log::open checks. Error{LogDamaged} as read_log.
LogCursor find_position(const std::filesystem::path& dir, std::uint64_t newest = UINT64_MAX);

// The cursor's tree, of all entries: read anew from the log's folder where a snapshot spared that.
// Error{LogDamaged} where the entries are no longer those of the cursor.
tlog::Tree whole_tree(const std::filesystem::path& dir, const LogCursor& at);

}  // namespace qpcseal::audit
