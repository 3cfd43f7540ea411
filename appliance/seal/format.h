// SPDX-License-Identifier: Apache-2.0
// A sealed segment's part of seal.aead (FORMAT.md section 2.1).
//
//   part   = header | in mode 2: iv[12] | encrypted data key[16] | tag[16] | clear ranges | entries
//   header = magic "QPCSEAL\0" | version 2 | mode | log2 chunk | zero[5] | u64le segment size | MEK id[16] |
//            seal id[16] | u32le number of clear ranges | zero[4]                          64 bytes
//   range  = u64le first position | u64le length                                          16 bytes
//   entry  = iv[12] | tag[16], one for each chunk that has sealed bytes                    28 bytes
//
// A chunk is counted by its position in the segment: chunk i begins at i * chunk size.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "appliance/seal/clear_ranges.h"
#include "base/bytes.h"

namespace qpcseal::seal {

enum class Mode : std::uint8_t { Token = 1, Envelope = 2 };
std::string_view to_string(Mode mode);  // "token", "envelope"

// All in bytes.
inline constexpr std::size_t kHeaderSize = 64, kWrappedDataKeySize = 44, kIvSize = 12, kTagSize = 16;
inline constexpr std::size_t kEntrySize = kIvSize + kTagSize, kRangeSize = 16;
inline constexpr std::size_t kIdSize = 16, kDataKeySize = 16;
inline constexpr unsigned kDefaultChunkLog2 = 20, kMinChunkLog2 = 16, kMaxChunkLog2 = 20;
inline constexpr std::size_t kMaxFront = kHeaderSize + kWrappedDataKeySize + kMaxClearRanges * kRangeSize;

struct SegmentHeader {
  Mode mode = Mode::Token;
  unsigned chunk_log2 = kDefaultChunkLog2;
  std::uint64_t size = 0;  // of the segment, at least 1
  Bytes mek_id, seal_id;   // 16 each
  ClearRanges clear;       // well formed

  [[nodiscard]] std::uint64_t chunk_size() const { return std::uint64_t{1} << chunk_log2; }
  [[nodiscard]] std::uint64_t chunk_count() const { return (size + chunk_size() - 1) / chunk_size(); }
  [[nodiscard]] qpc::Extent chunk(std::uint64_t index) const;
  [[nodiscard]] std::uint64_t sealed_in_chunk(std::uint64_t index) const {
    return sealed_bytes(clear, chunk(index));
  }
  // Chunks with sealed bytes: all; before chunk `index`; and the last of them.
  [[nodiscard]] std::uint64_t entries() const { return entries_before(chunk_count()); }
  [[nodiscard]] std::uint64_t entries_before(std::uint64_t index) const;
  [[nodiscard]] std::uint64_t last_sealed_chunk() const;
  // Of the part in seal.aead: what stands before the entries; all of it. Bytes.
  [[nodiscard]] std::uint64_t ranges_at() const {
    return kHeaderSize + (mode == Mode::Envelope ? kWrappedDataKeySize : 0);
  }
  [[nodiscard]] std::uint64_t front_size() const { return ranges_at() + clear.size() * kRangeSize; }
  [[nodiscard]] std::uint64_t part_size() const { return front_size() + entries() * kEntrySize; }
};

// The header's 64 bytes; the ranges.
std::array<std::uint8_t, kHeaderSize> encode_header(const SegmentHeader& header);
Bytes encode_ranges(const ClearRanges& ranges);
// Reads the front of a part: header, data key (which is skipped) and ranges. `bytes` may go on behind it, or
// end where the file does. Error{Malformed} for anything that would not be written.
SegmentHeader parse_front(ByteView bytes);

// header || u16be length || name || u64be index || u8 last
Bytes chunk_aad(ByteView header, std::string_view name, std::uint64_t index, bool last);
// header || name
Bytes data_key_aad(ByteView header, std::string_view name);

}  // namespace qpcseal::seal
