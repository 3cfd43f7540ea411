// SPDX-License-Identifier: Apache-2.0
#include "appliance/seal/format.h"

#include <algorithm>

#include "base/error.h"

namespace qpcseal::seal {

namespace {
constexpr std::string_view kMagic("QPCSEAL\0", 8);
constexpr std::uint8_t kVersion = 2;
// Far above any file, and small enough that no sum here can wrap.
constexpr std::uint64_t kMaxSegment = std::uint64_t{1} << 48;

// The chunks that lie in the range as a whole: from the first on, and how many.
qpc::Extent whole_chunks(const SegmentHeader& header, const qpc::Extent& range) {
  const std::uint64_t chunk = header.chunk_size(), first = (range.first + chunk - 1) / chunk;
  const std::uint64_t end = range.end() == header.size ? header.chunk_count() : range.end() / chunk;
  return {first, end > first ? end - first : 0};
}

[[noreturn]] void refuse_part(const std::string& why) {
  throw Error(ErrorKind::Malformed, "sealed segment header: " + why);
}

}  // namespace

std::string_view to_string(Mode mode) { return mode == Mode::Token ? "token" : "envelope"; }

qpc::Extent SegmentHeader::chunk(std::uint64_t index) const {
  const std::uint64_t first = index * chunk_size();
  return {first, std::min(chunk_size(), size - first)};
}

std::uint64_t SegmentHeader::entries_before(std::uint64_t index) const {
  std::uint64_t without = 0;
  for (const qpc::Extent& range : clear) {
    const qpc::Extent whole = whole_chunks(*this, range);
    if (whole.size > 0 && whole.first < index) without += std::min(whole.size, index - whole.first);
  }
  return index - without;
}

std::uint64_t SegmentHeader::last_sealed_chunk() const {
  std::uint64_t last = chunk_count() - 1;
  if (clear.empty() || clear.back().end() != size) return last;
  return (clear.back().first - 1) / chunk_size();  // a well-formed range leaves a byte before it
}

std::array<std::uint8_t, kHeaderSize> encode_header(const SegmentHeader& header) {
  if (header.mek_id.size() != kIdSize || header.seal_id.size() != kIdSize ||
      !are_well_formed(header.clear, header.size))
    throw Error(ErrorKind::Internal, "a segment header needs two ids, a size, and ranges inside");
  Bytes out = copy(view(kMagic));
  out.push_back(kVersion);
  out.push_back(static_cast<std::uint8_t>(header.mode));
  out.push_back(static_cast<std::uint8_t>(header.chunk_log2));
  out.resize(16);
  append_le(out, header.size, 8);
  append(out, header.mek_id);
  append(out, header.seal_id);
  append_le(out, header.clear.size(), 4);
  out.resize(kHeaderSize);
  std::array<std::uint8_t, kHeaderSize> block{};
  std::ranges::copy(out, block.begin());
  return block;
}

Bytes encode_ranges(const ClearRanges& ranges) {
  Bytes out;
  for (const qpc::Extent& range : ranges) {
    append_le(out, range.first, 8);
    append_le(out, range.size, 8);
  }
  return out;
}

SegmentHeader parse_front(ByteView bytes) {
  ByteReader reader(bytes, "sealed segment header");
  const ByteView magic = reader.take(kMagic.size());
  const std::uint64_t version = reader.be(1), mode = reader.be(1), log2 = reader.be(1);
  if (text_view(magic) != kMagic || version != kVersion) refuse_part("not of version 2 of the format");
  if ((mode != 1 && mode != 2) || log2 < kMinChunkLog2 || log2 > kMaxChunkLog2)
    refuse_part("unknown mode or chunk size");
  SegmentHeader header;
  header.mode = static_cast<Mode>(mode);
  header.chunk_log2 = static_cast<unsigned>(log2);
  reader.take(5);
  header.size = reader.le(8);
  header.mek_id = copy(reader.take(kIdSize));
  header.seal_id = copy(reader.take(kIdSize));
  const std::uint64_t ranges = reader.le(4);
  reader.take(4);
  if (header.mode == Mode::Envelope) reader.take(kWrappedDataKeySize);
  if (header.size > kMaxSegment || ranges > kMaxClearRanges)
    refuse_part("too large, or too many clear ranges");
  for (std::uint64_t i = 0; i < ranges; ++i) {
    const std::uint64_t first = reader.le(8);
    header.clear.push_back({first, reader.le(8)});
  }
  if (!are_well_formed(header.clear, header.size)) refuse_part("clear ranges that are not in order");
  if (!equal(encode_header(header), bytes.first(kHeaderSize)))
    refuse_part("reserved bytes that are not zero");
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
