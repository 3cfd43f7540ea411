// SPDX-License-Identifier: Apache-2.0
// The sealed segment's bytes (FORMAT.md section 2.1).
//
//   header block | chunk 0 | chunk 1 | ...
//   header block = magic "QPCSEAL\0" | version 1 | mode | log2 chunk | zero[5] | u64le plaintext size | MEK
//   id[16] |
//                  seal id[16] | zero[8]                                          64 bytes
//                  in mode 2 then: iv[12] | encrypted data key[16] | tag[16]      44 bytes
//   chunk        = iv[12] | ciphertext | tag[16]
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "base/bytes.h"

namespace qpcseal::seal {

enum class Mode : std::uint8_t { Token = 1, Envelope = 2 };
std::string_view to_string(Mode mode);  // "token", "envelope"

// All in bytes.
inline constexpr std::size_t kHeaderSize = 64, kWrappedDataKeySize = 44, kIvSize = 12, kTagSize = 16;
inline constexpr std::size_t kChunkOverhead = kIvSize + kTagSize;
inline constexpr std::size_t kIdSize = 16, kDataKeySize = 16;
inline constexpr unsigned kDefaultChunkLog2 = 20, kMinChunkLog2 = 16, kMaxChunkLog2 = 24;

struct SegmentHeader {
  Mode mode = Mode::Token;
  unsigned chunk_log2 = kDefaultChunkLog2;
  std::uint64_t plain_size = 0;  // at least 1
  Bytes mek_id, seal_id;         // 16 each

  [[nodiscard]] std::uint64_t chunk_size() const { return std::uint64_t{1} << chunk_log2; }
  [[nodiscard]] std::uint64_t chunk_count() const { return (plain_size + chunk_size() - 1) / chunk_size(); }
  [[nodiscard]] std::uint64_t block_size() const {
    return kHeaderSize + (mode == Mode::Envelope ? kWrappedDataKeySize : 0);
  }
  [[nodiscard]] std::uint64_t stored_size() const {
    return block_size() + plain_size + chunk_count() * kChunkOverhead;
  }
  [[nodiscard]] std::uint64_t chunk_plain_size(std::uint64_t index) const;
  // Where chunk `index` begins in the stored segment.
  [[nodiscard]] std::uint64_t chunk_position(std::uint64_t index) const {
    return block_size() + index * (chunk_size() + kChunkOverhead);
  }
};

std::array<std::uint8_t, kHeaderSize> encode_header(const SegmentHeader& header);
// Reads the 64 bytes. Error{Malformed} for anything that encode_header would not write.
SegmentHeader parse_header(ByteView bytes);

// header || u16be length || name || u64be index || u8 last
Bytes chunk_aad(ByteView header, std::string_view name, std::uint64_t index, bool last);
// header || name
Bytes data_key_aad(ByteView header, std::string_view name);

}  // namespace qpcseal::seal
