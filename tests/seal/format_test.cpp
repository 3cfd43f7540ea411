// SPDX-License-Identifier: Apache-2.0
#include "appliance/seal/format.h"

#include <gtest/gtest.h>

#include "appliance/seal/layout.h"
#include "appliance/seal/manifest.h"
#include "appliance/seal/slots.h"
#include "base/error.h"
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

SegmentHeader header() { return {Mode::Token, 20, 5'000'000, Bytes(16, 1), Bytes(16, 2)}; }

TEST(SegmentHeader, ReadsWhatItWrites) {
  const auto bytes = encode_header(header());
  const SegmentHeader again = parse_header(bytes);
  EXPECT_EQ(again.plain_size, 5'000'000U);
  EXPECT_EQ(again.mek_id, Bytes(16, 1));
  EXPECT_EQ(again.seal_id, Bytes(16, 2));
  EXPECT_EQ(again.chunk_count(), 5U);
  EXPECT_EQ(again.stored_size(), 64 + 5'000'000U + 5 * 28);
}

TEST(SegmentHeader, RefusesEveryOtherReservedByte) {
  for (std::size_t i = 0; i < kHeaderSize; ++i) {
    auto bytes = encode_header(header());
    const bool free =
        i == 9 || i == 10 || (i >= 16 && i < 56);  // mode, chunk size, sizes and ids have many values
    bytes[i] ^= 0x80;
    if (free && i != 9 && i != 10 && i != 23 && i != 22) {
      EXPECT_NO_THROW(parse_header(bytes)) << i;
    } else {
      EXPECT_TRUE(malformed([&] { parse_header(bytes); })) << i;
    }
  }
  EXPECT_TRUE(malformed([] { parse_header(Bytes(63)); }));
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
          {{"network.elf", 100, 0, SegmentKind::Sealed, sha256(view("x"))},
           {"c", 0, 9, SegmentKind::Clear, sha256({})}}};
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
  Bytes bytes = encode_manifest(manifest());
  bytes.push_back(0);
  EXPECT_TRUE(malformed([&] { parse_manifest(bytes); }));
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
  const Layout layout = plan_layout({{"network.elf", 5000, 0, 0}, {"empty", 0, 0, 0}, {"c", 1, 3, 0}}, 200);
  EXPECT_EQ(layout.slot_page, 4096U);
  EXPECT_EQ(layout.segments[0].data_position, 8192U);
  EXPECT_EQ(layout.segments[1].data_position, 16384U);  // where the next begins
  EXPECT_EQ(layout.segments[2].data_position, 16384U);
  EXPECT_EQ(layout.segments[3].name, "seal.manifest");
  EXPECT_EQ(layout.segments[3].data_position, 20480U);
  EXPECT_EQ(layout.segments[6].data_position, 4096U);
  EXPECT_EQ(layout.segments[8].data_position, 4096U + 2048U);
  EXPECT_EQ(layout.file_size, 28672U + 64U);
}

TEST(SealedContainer, RefusesAPlainQpc) {
  const Fd plain = testing::make_qpc({{"network.elf", {1, 2, 3}}});
  EXPECT_TRUE(malformed([&] { SealedContainer::read(plain); }));
}

}  // namespace
}  // namespace qpcseal::seal
