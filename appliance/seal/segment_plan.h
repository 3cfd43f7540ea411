// SPDX-License-Identifier: Apache-2.0
// What sealing will do with each segment, known before it does it.
#pragma once

#include <memory>
#include <vector>

#include "appliance/seal/layout.h"
#include "appliance/seal/manifest.h"
#include "appliance/seal/seal_options.h"
#include "appliance/seal/segment_digest.h"
#include "base/secret.h"
#include "qpc/container.h"

namespace qpcseal::seal {

// One segment on its way: what it will be stored as, its part of seal.aead, and its digest.
struct Part {
  const qpc::Segment* source = nullptr;
  bool sealed = false;
  const InnerSeal* inner = nullptr;  // sealed elsewhere
  SegmentHeader header;              // of a clear one too: its chunks are copied side by side
  std::uint64_t position = 0;        // in the output
  std::uint64_t first_task = 0;      // a task is a chunk
  // While it is sealed:
  Bytes aead;             // its part of seal.aead; empty: a clear one
  SecretBuffer data_key;  // mode 2
  std::unique_ptr<SegmentDigest> digest;

  [[nodiscard]] std::uint64_t size() const { return inner != nullptr ? inner->size : source->size; }
  [[nodiscard]] std::uint64_t tasks() const { return inner != nullptr ? 0 : header.chunk_count(); }
  [[nodiscard]] std::uint64_t aead_size() const { return sealed ? header.part_size() : 0; }
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
// Error{Malformed} for a segment to be sealed that is not there or empty, where there is nothing to seal, or
// where more clear ranges stay than a container may have.
void check_wanted(const qpc::Container& container, const SealOptions& options);

}  // namespace qpcseal::seal
