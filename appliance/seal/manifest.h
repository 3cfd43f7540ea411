// SPDX-License-Identifier: Apache-2.0
// The manifest: what a container holds, signed and tagged (FORMAT.md sections 2.2 and 2.3).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "appliance/seal/clear_ranges.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/digest.h"

namespace qpcseal::seal {

enum class SegmentKind : std::uint8_t { Clear = 0, Sealed = 1, Inner = 2 };

struct ManifestSegment {
  std::string name;
  std::uint64_t size = 0, offset = 0;
  SegmentKind kind = SegmentKind::Clear;
  Sha256Digest digest{};
  ClearRanges clear;  // of a sealed one
  bool operator==(const ManifestSegment&) const = default;
};

struct Manifest {
  Bytes seal_id, mek_id;  // 16 each
  UnixTime created = 0;
  std::string model_name;  // 1 to 128 bytes
  std::uint64_t model_version = 0;
  Bytes root_seal_id;  // 16; its own where the container stands alone
  std::uint64_t partition_index = 0, partition_count = 1;
  std::vector<ManifestSegment> segments;  // all but the seven, in row order
  bool operator==(const Manifest&) const = default;
};

// A container of qpc::kMaxSegments segments with names of 255 bytes has one of 1,280,576 bytes, and at most
// 19 for each clear range.
inline constexpr std::size_t kMaxManifest = 1310720;                     // bytes
inline constexpr std::size_t kMaxModelName = 128;                        // bytes
inline constexpr std::string_view kManifestText = "qpcseal/manifest/2";  // also the tag's AAD

Bytes encode_manifest(const Manifest& manifest);
// Deterministic CBOR with these members and no others, at most kMaxManifest bytes; Error{Malformed}.
Manifest parse_manifest(ByteView bytes);

// "qpcseal/seal/1" 00 || SHA-256(manifest): what the seal key signs.
Bytes seal_message(const Sha256Digest& manifest_digest);

}  // namespace qpcseal::seal
