// SPDX-License-Identifier: Apache-2.0
#include "appliance/seal/format.h"

#include <gtest/gtest.h>

#include "appliance/seal/layout.h"
#include "appliance/seal/manifest.h"
#include "appliance/seal/slots.h"
#include "base/error.h"
#include "tests/base/expect_error.h"
#include "tests/seal/host_key.h"

namespace qpcseal::seal {
namespace {

template <typename Act>
bool malformed(Act act) {
  try {
    act();
  } catch (const Error& error) {
    return error.kind() == ErrorKind::Malformed;
  }
  return false;
}

SegmentHeader header(ClearRanges clear = {}) {
  return {Mode::Token, 20, 5'000'000, Bytes(16, 1), Bytes(16, 2), std::move(clear)};
}

Bytes front_of(const SegmentHeader& header) {
  Bytes out = copy(encode_header(header));
  if (header.mode == Mode::Envelope) out.resize(kHeaderSize + kWrappedDataKeySize);
  append(out, encode_ranges(header.clear));
  return out;
}

TEST(SegmentHeader, ReadsWhatItWrites) {
  const ClearRanges clear{{0, 64}, {3 << 20, 100}, {4'999'999, 1}};
  for (const Mode mode : {Mode::Token, Mode::Envelope}) {
    SegmentHeader wanted = header(clear);
    wanted.mode = mode;
    Bytes bytes = front_of(wanted);
    EXPECT_EQ(bytes.size(), wanted.front_size());
    append(bytes, Bytes(100, 7));  // entries
    const SegmentHeader again = parse_front(bytes);
    EXPECT_EQ(again.mode, mode);
    EXPECT_EQ(again.size, 5'000'000U);
    EXPECT_EQ(again.mek_id, Bytes(16, 1));
    EXPECT_EQ(again.seal_id, Bytes(16, 2));
    EXPECT_EQ(again.clear, clear);
    EXPECT_EQ(again.chunk_count(), 5U);
    EXPECT_EQ(again.part_size(), again.front_size() + 5 * kEntrySize);
  }
}

TEST(SegmentHeader, RefusesEveryOtherReservedByte) {
  const Bytes good = front_of(header());
  for (std::size_t i = 0; i < kHeaderSize; ++i) {
    Bytes bytes = good;
    bytes[i] ^= 0x80;
    const bool free = i >= 16 && i < 56 && i != 22 && i != 23;  // sizes below 2^48 and ids have many values
    if (free) {
      EXPECT_NO_THROW(parse_front(bytes)) << i;
    } else {
      EXPECT_TRUE(malformed([&] { parse_front(bytes); })) << i;
    }
  }
  EXPECT_TRUE(malformed([] { parse_front(Bytes(63)); }));
}

TEST(SegmentHeader, RefusesOtherRanges) {
  const auto refused = [](const ClearRanges& clear) {
    Bytes bytes = front_of(header());
    bytes[56] = static_cast<std::uint8_t>(clear.size());
    append(bytes, encode_ranges(clear));
    return malformed([&] { parse_front(bytes); });
  };
  ClearRanges many;
  for (std::uint64_t i = 0; i < 65; ++i) many.push_back({2 * i, 1});
  EXPECT_TRUE(refused(many));
  many.pop_back();
  EXPECT_FALSE(refused(many));
  EXPECT_FALSE(refused({{1, 1}, {3, 1}}));
  EXPECT_TRUE(refused({{1, 0}}));
  EXPECT_TRUE(refused({{1, 2}, {3, 1}})) << "no sealed byte between them";
  EXPECT_TRUE(refused({{3, 1}, {1, 1}}));
  EXPECT_TRUE(refused({{1, 5}, {3, 1}}));
  EXPECT_TRUE(refused({{0, 5'000'000}})) << "nothing would be sealed";
  EXPECT_TRUE(refused({{1, 5'000'000}}));
  EXPECT_TRUE(refused({{5'000'000, 1}}));
  EXPECT_TRUE(refused({{UINT64_MAX, 2}}));
  EXPECT_TRUE(refused({{2, UINT64_MAX}}));
}

// Chunks of 64 KiB, of which each case says which have an entry.
TEST(SegmentHeader, CountsTheChunksThatHaveSealedBytes) {
  constexpr std::uint64_t kChunk = 65536;
  const std::pair<ClearRanges, std::vector<std::uint64_t>> cases[] = {
      {{}, {0, 1, 2, 3}},
      {{{0, kChunk}}, {1, 2, 3}},
      {{{0, kChunk - 1}}, {0, 1, 2, 3}},
      {{{1, 2 * kChunk}}, {0, 2, 3}},
      {{{kChunk, 2 * kChunk}}, {0, 3}},
      {{{3 * kChunk, 10}}, {0, 1, 2}},
      {{{3 * kChunk, 9}}, {0, 1, 2, 3}},
      {{{0, kChunk}, {2 * kChunk, kChunk + 10}}, {1}},
      {{{0, 3 * kChunk + 9}}, {3}},
      {{{1, 3 * kChunk + 9}}, {0}}};
  for (const auto& [clear, with_entry] : cases) {
    SegmentHeader one = header(clear);
    one.size = 3 * kChunk + 10;
    one.chunk_log2 = 16;
    std::vector<std::uint64_t> found;
    for (std::uint64_t i = 0; i < one.chunk_count(); ++i) {
      EXPECT_EQ(one.entries_before(i), found.size());
      if (one.sealed_in_chunk(i) > 0) found.push_back(i);
    }
    EXPECT_EQ(found, with_entry);
    EXPECT_EQ(one.entries(), with_entry.size());
    EXPECT_EQ(one.last_sealed_chunk(), with_entry.back());
  }
}

TEST(ClearRanges, AreMadeOneWhereTheyTouch) {
  EXPECT_EQ(merged({{10, 5}, {0, 4}, {15, 1}, {4, 0}, {12, 2}}), (ClearRanges{{0, 4}, {10, 6}}));
  EXPECT_EQ(merged({{0, 4}, {4, 4}}), (ClearRanges{{0, 8}}));
  EXPECT_TRUE(merged({{3, 0}}).empty());
}

TEST(ClearRanges, GatherAndScatterGoBackAndForth) {
  Bytes window(20);
  for (std::size_t i = 0; i < window.size(); ++i) window[i] = static_cast<std::uint8_t>(100 + i);
  const ClearRanges clear{{95, 7}, {110, 2}, {119, 5}};  // of a window that begins at 100
  const Bytes sealed = gather_sealed(clear, 100, window);
  EXPECT_EQ(sealed, (Bytes{102, 103, 104, 105, 106, 107, 108, 109, 112, 113, 114, 115, 116, 117, 118}));
  EXPECT_EQ(sealed_bytes(clear, {100, 20}), sealed.size());
  Bytes out = window;
  scatter_sealed(clear, 100, Bytes(sealed.size(), 1), out);
  EXPECT_EQ(gather_sealed(clear, 100, out), Bytes(sealed.size(), 1));
  EXPECT_EQ((Bytes{out[0], out[1], out[10], out[11], out[19]}), (Bytes{100, 101, 110, 111, 119}));
  EXPECT_ERROR(Internal, "sealed bytes", scatter_sealed(clear, 100, Bytes(sealed.size() + 1), out));
  EXPECT_ERROR(Internal, "sealed bytes", scatter_sealed(clear, 100, Bytes(sealed.size() - 1), out));
}

TEST(ChunkAad, BindsHeaderNamePlaceAndEnd) {
  const auto bytes = encode_header(header());
  EXPECT_EQ(to_hex(ByteView(chunk_aad(bytes, "ab", 258, true)).subspan(64)), "00026162000000000000010201");
  EXPECT_EQ(to_hex(ByteView(chunk_aad(bytes, "ab", 0, false)).subspan(64)), "00026162000000000000000000");
}

Manifest manifest() {
  return {Bytes(16, 1),
          Bytes(16, 2),
          1'800'000'000,
          "net",
          3,
          Bytes(16, 1),
          0,
          1,
          {{"network.elf", 100, 0, SegmentKind::Sealed, sha256(view("x")), {{0, 52}, {60, 40}}},
           {"c", 0, 9, SegmentKind::Clear, sha256({}), {}}}};
}

TEST(Manifest, ReadsWhatItWrites) { EXPECT_EQ(parse_manifest(encode_manifest(manifest())), manifest()); }

TEST(Manifest, RefusesOtherShapes) {
  Manifest wrong = manifest();
  wrong.partition_index = 1;
  EXPECT_TRUE(malformed([&] { parse_manifest(encode_manifest(wrong)); }));
  wrong = manifest();
  wrong.model_name = "";
  EXPECT_TRUE(malformed([&] { parse_manifest(encode_manifest(wrong)); }));
  wrong = manifest();
  wrong.seal_id.pop_back();
  EXPECT_TRUE(malformed([&] { parse_manifest(encode_manifest(wrong)); }));
  wrong = manifest();
  wrong.segments[1].clear = {{0, 1}};
  EXPECT_TRUE(malformed([&] { parse_manifest(encode_manifest(wrong)); })) << "of a clear segment";
  wrong.segments[1] = manifest().segments[1];
  wrong.segments[0].clear = {{0, 100}};
  EXPECT_TRUE(malformed([&] { parse_manifest(encode_manifest(wrong)); })) << "all of it";
  wrong.segments[0].clear = {{90, 11}};
  EXPECT_TRUE(malformed([&] { parse_manifest(encode_manifest(wrong)); })) << "outside";
  Bytes bytes = encode_manifest(manifest());
  bytes.push_back(0);
  EXPECT_TRUE(malformed([&] { parse_manifest(bytes); }));
}

TEST(Manifest, RefusesMoreClearRangesThanAContainerHas) {
  Manifest many = manifest();
  many.segments.clear();
  for (std::size_t i = 0; i < 17; ++i) {
    ManifestSegment segment{"s" + std::to_string(i), 1000, 0, SegmentKind::Sealed, {}, {}};
    for (std::uint64_t k = 0; k < (i < 16 ? 64 : 1); ++k) segment.clear.push_back({2 * k, 1});
    many.segments.push_back(segment);
  }
  EXPECT_TRUE(malformed([&] { parse_manifest(encode_manifest(many)); }));
  many.segments.pop_back();
  EXPECT_EQ(parse_manifest(encode_manifest(many)), many);
}

TEST(Slots, ReadWhatTheyWrite) {
  const Slots slots{Bytes(1022, 1), Bytes(1, 2), Bytes(97, 3)};
  EXPECT_EQ(encode_slots(slots).size(), kPageSize);
  EXPECT_EQ(parse_slots(encode_slots(slots)), slots);
  EXPECT_EQ(parse_slots(Bytes(kPageSize)), std::nullopt);
}

TEST(Slots, RefuseAnyOtherByte) {
  const Slots slots{Bytes(40, 1), Bytes(32, 2), Bytes(65, 3)};
  const Bytes good = encode_slots(slots);
  for (std::size_t i = 0; i < good.size(); ++i) {
    Bytes bad = good;
    bad[i] ^= 1;
    try {
      EXPECT_NE(parse_slots(bad), slots) << i;  // content bytes: other content, which the card judges
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::Malformed);
    }
  }
  EXPECT_TRUE(malformed([&] { encode_slots({Bytes(1023, 1), {1}, {1}}); }));
  EXPECT_TRUE(malformed([&] { encode_slots({{1}, {}, {1}}); }));
  EXPECT_TRUE(malformed([] { parse_slots(Bytes(4095)); }));
}

TEST(Layout, IsOneForOneList) {
  const Layout layout =
      plan_layout({{"network.elf", 5000, 0, 0}, {"empty", 0, 0, 0}, {"c", 1, 3, 0}}, 92, 200);
  EXPECT_EQ(layout.slot_page, 4096U);
  EXPECT_EQ(layout.segments[0].data_position, 8192U);
  EXPECT_EQ(layout.segments[1].data_position, 16384U);  // where the next begins
  EXPECT_EQ(layout.segments[2].data_position, 16384U);
  EXPECT_EQ(layout.segments[3].name, "seal.aead");
  EXPECT_EQ(layout.segments[3].data_position, 20480U);
  EXPECT_EQ(layout.segments[4].name, "seal.manifest");
  EXPECT_EQ(layout.segments[4].data_position, 24576U);
  EXPECT_EQ(layout.segments[7].data_position, 4096U);
  EXPECT_EQ(layout.segments[9].data_position, 4096U + 2048U);
  EXPECT_EQ(layout.file_size, 32768U + 64U);
  EXPECT_EQ(plan_layout({{"c", 5, 0, 0}}, 0, 200).segments[2].data_position, 12288U) << "an empty seal.aead";
}

TEST(SealedContainer, RefusesAPlainQpc) {
  const Fd plain = testing::make_qpc({{"network.elf", {1, 2, 3}}});
  EXPECT_TRUE(malformed([&] { SealedContainer::read(plain); }));
}

}  // namespace
}  // namespace qpcseal::seal
