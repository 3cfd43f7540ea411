// SPDX-License-Identifier: Apache-2.0
// A digest of a long file that several threads can compute and that goes on where it stopped:
// SHA-256(SHA-256(piece 0) || SHA-256(piece 1) || ...) over pieces of 32 KiB, the last one as long as it is.
// Whoever can change the file without changing it can find collisions of SHA-256.
#pragma once

#include <vector>

#include "base/digest.h"
#include "base/file.h"

namespace qpcseal::audit {

class PiecesDigest {
 public:
  void update(ByteView bytes);
  [[nodiscard]] Sha256Digest peek() const;  // of what came until now; more may follow
  // Of the first `bytes` bytes of the file, on all cores. Error{Io} where there are fewer.
  static PiecesDigest of_file(const Fd& file, std::uint64_t bytes);

 private:
  std::vector<Sha256Digest> pieces_;  // that are whole
  Sha256 open_;                       // the one that is not
  std::uint64_t in_open_ = 0;         // bytes
};

}  // namespace qpcseal::audit
