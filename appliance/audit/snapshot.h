// SPDX-License-Identifier: Apache-2.0
// The state after a replay of the log, signed by the log key, so that the next run begins there:
//
//   "qpcseal/snapshot/7" 00 | u32be body size | body | u16be signature size | signature
//   body = lp(vkey text) | u64be size | root (32) | u64be bytes | digest of the first `bytes` bytes of
//          entries.jsonl (pieces_digest.h, 32) | u8 count | that many hashes: the tree's edge (merkle.h) |
//          state (state_codec.h)
//   signature, by that key, over "qpcseal/snapshot/7" 00 || SHA-256(body)
//
// A snapshot only saves time. One that does not fit in every way is ignored.
#pragma once

#include <optional>

#include "appliance/audit/state.h"
#include "base/shared_bytes.h"

namespace qpcseal::audit {

struct Snapshot {
  State state;
  tlog::Tree tree;
  std::uint64_t bytes = 0;  // of entries.jsonl
  tlog::Hash digest{};      // of these bytes, in pieces
};

// Error{Token} where the signer's signature does not verify.
Bytes sign_snapshot(const Snapshot& snapshot, const tlog::VerifierKey& key, tlog::Signer& signer);

struct OpenedSnapshot {
  Snapshot snapshot;
  tlog::VerifierKey key;
};
// Nothing where it is not well formed, not signed by the key that it names, or contradicts itself. Whether
// that is the log's key, the log's checkpoint decides. The state holds on to `bytes`, and does not copy its
// packed maps.
std::optional<OpenedSnapshot> open_snapshot(const SharedBytes& bytes);
// Nothing, too, where the key is not `type` and `public_key`.
std::optional<OpenedSnapshot> open_snapshot(const SharedBytes& bytes, tlog::KeyType type,
                                            const Bytes& public_key);

}  // namespace qpcseal::audit
