// SPDX-License-Identifier: Apache-2.0
// What is sealed, and how.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "appliance/seal/format.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/digest.h"

namespace qpcseal::seal {

// A segment that is a container itself: where it was sealed into the output already.
struct InnerSeal {
  std::string name;
  std::uint64_t size = 0;          // bytes, of the sealed container
  Sha256Digest manifest_digest{};  // of its manifest
};

struct SealOptions {
  Mode mode = Mode::Token;
  std::vector<std::string> segments;         // to be sealed; each in the container and not empty
  std::map<std::string, ClearRanges> clear;  // of them, what stays readable; well formed
  std::vector<InnerSeal> inner;              // not to be touched: see appliance/seal/partitions.h
  UnixTime created = 0;
  std::string model_name;
  std::uint64_t model_version = 0;
  unsigned chunk_log2 = kDefaultChunkLog2;
  unsigned threads = 0;  // 0: one a core, and two more where the output is written past the page cache
  // Where this container is one of several.
  Bytes root_seal_id;  // empty: stands alone
  std::uint64_t partition_index = 0, partition_count = 1;
  Bytes seal_id;            // 16; empty: a random one
  std::uint64_t begin = 0;  // of this container in the output
};

}  // namespace qpcseal::seal
