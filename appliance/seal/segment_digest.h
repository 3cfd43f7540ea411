// SPDX-License-Identifier: Apache-2.0
// The digest of a stored segment (FORMAT.md section 2.2), from pieces that come in any order:
// SHA-256("qpcseal/segment/2" 00 || u64be size || SHA-256 of each 32 KiB || part of seal.aead).
#pragma once

#include <map>
#include <mutex>
#include <vector>

#include "base/digest.h"

namespace qpcseal::seal {

class SegmentDigest {
 public:
  explicit SegmentDigest(std::uint64_t size);  // of the segment, bytes
  // The digests of the pieces of one chunk. Each chunk once, chunks from 0 on in any order, from any thread.
  // What comes too early waits in memory: 32 bytes a piece.
  void add(std::uint64_t chunk, std::vector<Sha256Digest> pieces);
  // After the last chunk. Error{Internal} where one is missing.
  Sha256Digest finish(ByteView aead);

 private:
  std::mutex mutex_;
  Sha256 hash_;
  std::uint64_t next_ = 0, pieces_left_ = 0;
  std::map<std::uint64_t, std::vector<Sha256Digest>> early_;
};

}  // namespace qpcseal::seal
