// SPDX-License-Identifier: Apache-2.0
#include "appliance/seal/format.h"

#include <algorithm>

#include "base/error.h"

namespace qpcseal::seal {

namespace {
constexpr std::string_view kMagic("QPCSEAL\0", 8);
constexpr std::uint8_t kVersion = 1;
// Far above any file, and small enough that no sum here can wrap.
constexpr std::uint64_t kMaxPlain = std::uint64_t{1} << 48;
}  // namespace

std::string_view to_string(Mode mode) { return mode == Mode::Token ? "token" : "envelope"; }

std::uint64_t SegmentHeader::chunk_plain_size(std::uint64_t index) const {
  return std::min(chunk_size(), plain_size - index * chunk_size());
}

std::array<std::uint8_t, kHeaderSize> encode_header(const SegmentHeader& header) {
  if (header.mek_id.size() != kIdSize || header.seal_id.size() != kIdSize || header.plain_size == 0)
    throw Error(ErrorKind::Internal, "a segment header needs a size and two ids");
  Bytes out = copy(view(kMagic));
  out.push_back(kVersion);
  out.push_back(static_cast<std::uint8_t>(header.mode));
  out.push_back(static_cast<std::uint8_t>(header.chunk_log2));
  out.resize(16);
  append_le(out, header.plain_size, 8);
  append(out, header.mek_id);
  append(out, header.seal_id);
  out.resize(kHeaderSize);
  std::array<std::uint8_t, kHeaderSize> block{};
  std::copy(out.begin(), out.end(), block.begin());
  return block;
}

SegmentHeader parse_header(ByteView bytes) {
  ByteReader reader(bytes, "sealed segment header");
  const ByteView magic = reader.take(kMagic.size());
  const std::uint64_t version = reader.be(1), mode = reader.be(1), log2 = reader.be(1);
  reader.take(5);
  SegmentHeader header;
  header.plain_size = reader.le(8);
  header.mek_id = copy(reader.take(kIdSize));
  header.seal_id = copy(reader.take(kIdSize));
  reader.take(8);
  reader.expect_end();
  header.mode = static_cast<Mode>(mode);
  header.chunk_log2 = static_cast<unsigned>(log2);
  const bool good = text_view(magic) == kMagic && version == kVersion && (mode == 1 || mode == 2) &&
                    log2 >= kMinChunkLog2 && log2 <= kMaxChunkLog2 && header.plain_size > 0 &&
                    header.plain_size <= kMaxPlain && equal(encode_header(header), bytes);
  if (!good) throw Error(ErrorKind::Malformed, "sealed segment header: not of version 1 of the format");
  return header;
}

Bytes chunk_aad(ByteView header, std::string_view name, std::uint64_t index, bool last) {
  Bytes out = copy(header);
  append_lp16(out, view(name));
  append_be(out, index, 8);
  out.push_back(last ? 1 : 0);
  return out;
}

Bytes data_key_aad(ByteView header, std::string_view name) {
  Bytes out = copy(header);
  append(out, name);
  return out;
}

}  // namespace qpcseal::seal
