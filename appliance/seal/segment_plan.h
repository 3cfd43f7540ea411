// SPDX-License-Identifier: Apache-2.0
// What sealing will do with each segment, known before it does it.
#pragma once

#include <vector>

#include "appliance/seal/layout.h"
#include "appliance/seal/manifest.h"
#include "appliance/seal/seal_options.h"
#include "base/secret.h"
#include "qpc/container.h"

namespace qpcseal::seal {

// One segment on its way: what it will be stored as, and the digests of its parts.
struct Part {
  const qpc::Segment* source = nullptr;
  bool sealed = false;
  const InnerSeal* inner = nullptr;  // sealed elsewhere
  SegmentHeader header;
  Bytes header_block;                 // 64 or 108 bytes
  SecretBuffer data_key;              // mode 2
  std::vector<Sha256Digest> digests;  // of the stored chunks, or one of the whole clear segment
  std::uint64_t position = 0;         // of the stored segment in the output
  std::uint64_t first_task = 0;

  [[nodiscard]] std::uint64_t stored_size() const {
    if (inner != nullptr) return inner->stored_size;
    return sealed ? header.stored_size() : source->size;
  }
  [[nodiscard]] std::uint64_t tasks() const {
    if (inner != nullptr) return 0;
    return sealed ? header.chunk_count() : 1;
  }
  [[nodiscard]] SegmentKind kind() const {
    if (inner != nullptr) return SegmentKind::Inner;
    return sealed ? SegmentKind::Sealed : SegmentKind::Clear;
  }
};

// All that a layout and a manifest need of a part, but for its digest.
Part part_for(const qpc::Segment& segment, const SealOptions& options);
// Without its segments.
Manifest make_manifest(const SealOptions& options, const Bytes& seal_id, ByteView mek_id);
ManifestSegment make_row(const Part& part, const Sha256Digest& digest);
// Error{Malformed} for a segment to be sealed that is not there or empty, or where there is nothing to seal.
void check_wanted(const qpc::Container& container, const SealOptions& options);

}  // namespace qpcseal::seal
