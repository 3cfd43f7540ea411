// SPDX-License-Identifier: Apache-2.0
// The container reader against every lie that a field can tell, and against both flavours that compilers
// write.
#include "qpc/container.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <limits>
#include <random>

#include "base/utf8.h"
#include "tests/base/expect_error.h"
#include "tests/qpc/builder.h"

namespace qpcseal::qpc {
namespace {

using testing::build_qpc;
using testing::Flavour;
using testing::get_le;
using testing::put_le;
using testing::QpcSegment;
using testing::read_qpc;
using testing::usual_segments;

constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();
constexpr Flavour kBoth[] = {Flavour::Buffer, Flavour::File};

void expect_same(const Container& read, const std::vector<QpcSegment>& segments, const Bytes& bytes) {
  ASSERT_EQ(read.segments().size(), segments.size());
  EXPECT_EQ(read.file_size(), bytes.size());
  for (std::size_t i = 0; i < segments.size(); ++i) {
    const Segment& segment = read.segments()[i];
    EXPECT_EQ(segment.name, segments[i].name);
    EXPECT_EQ(segment.offset, segments[i].offset);
    ASSERT_EQ(segment.size, segments[i].data.size());
    ASSERT_LE(segment.data_position + segment.size, bytes.size());
    EXPECT_TRUE(
        std::ranges::equal(ByteView(bytes).subspan(segment.data_position, segment.size), segments[i].data));
  }
}

// What must hold of anything the reader accepts, whatever the bytes were.
void expect_invariants(const Container& read, const Bytes& bytes) {
  ASSERT_EQ(read.file_size(), bytes.size());
  ASSERT_LE(read.segments().size(), kMaxSegments);
  std::vector<std::pair<std::uint64_t, std::uint64_t>> ranges = {{0, kHeaderSize}};
  std::vector<std::string> names;
  for (const Segment& segment : read.segments()) {
    ASSERT_FALSE(segment.name.empty());
    ASSERT_LE(segment.name.size(), kMaxName);
    for (const char c : segment.name)
      ASSERT_TRUE((c < 0 || c >= 0x20) && c != 0x7f && c != '/') << segment.name;
    ASSERT_TRUE(is_utf8(segment.name)) << segment.name;
    if (segment.name == kConstants) {
      ASSERT_LE(segment.offset, segment.size);
    }
    ASSERT_LE(segment.data_position, bytes.size());
    ASSERT_LE(segment.size, bytes.size() - segment.data_position);
    if (segment.size > 0) ranges.emplace_back(segment.data_position, segment.data_position + segment.size);
    names.push_back(segment.name);
  }
  std::ranges::sort(ranges);
  for (std::size_t i = 1; i < ranges.size(); ++i) ASSERT_GE(ranges[i].first, ranges[i - 1].second);
  std::ranges::sort(names);
  ASSERT_EQ(std::ranges::adjacent_find(names), names.end());
}

TEST(Container, ReadsBothFlavours) {
  for (const Flavour flavour : kBoth) {
    const Bytes bytes = build_qpc(usual_segments(), flavour);
    const Container read = read_qpc(bytes);
    expect_same(read, usual_segments(), bytes);
    EXPECT_EQ(read.base(), flavour == Flavour::Buffer ? testing::kHeap : 0U);
    EXPECT_FALSE(read.is_sealed());
    EXPECT_EQ(read.find("networkdesc.bin")->size, 9U);
    EXPECT_EQ(read.find("missing"), nullptr);
  }
}

TEST(Container, ReadsNoneToManySegmentsOfAnySize) {
  std::mt19937 random(3);
  for (std::size_t count = 0; count <= 64; ++count) {
    std::vector<QpcSegment> segments;
    for (std::size_t i = 0; i < count; ++i) {
      QpcSegment segment;
      segment.name = "s" + std::to_string(i) + std::string(random() % 200, 'x');
      segment.data.resize(random() % 4 == 0 ? 0 : random() % 3000);
      for (auto& byte : segment.data) byte = static_cast<std::uint8_t>(random());
      segment.offset = random() % (segment.data.size() + 1);
      segments.push_back(std::move(segment));
    }
    for (const Flavour flavour : kBoth) {
      const Bytes bytes = build_qpc(segments, flavour);
      const Container read = read_qpc(bytes);
      expect_same(read, segments, bytes);
      expect_invariants(read, bytes);
    }
  }
}

TEST(Container, AnyOrderInTheFileWillDo) {
  // Data before names before table: pointers decide, not places.
  Bytes bytes(kHeaderSize);
  append(bytes, "DATAn");
  bytes.push_back(0);
  const std::size_t table = bytes.size();
  bytes.resize(table + kRowSize);
  put_le(bytes, testing::kMagicAt, kMagic, 4);
  put_le(bytes, testing::kMinorAt, 1, 1);
  put_le(bytes, testing::kCompressionAt, 1, 2);
  put_le(bytes, testing::kSizeAt, bytes.size());
  put_le(bytes, testing::kBaseAt, 1000);
  put_le(bytes, testing::kCountAt, 1);
  put_le(bytes, testing::kTableAt, 1000 + table);
  put_le(bytes, table, 4);
  put_le(bytes, table + 16, 1000 + 44);
  put_le(bytes, table + 24, 1000 + 40);
  expect_same(read_qpc(bytes), {{"n", {'D', 'A', 'T', 'A'}, 0}}, bytes);
}

TEST(Container, ABaseNearTheTopIsFineAsLongAsNothingWraps) {
  const std::uint64_t base = kMost - 4095;
  Bytes bytes = build_qpc({{"a", {1, 2, 3}, 0}}, Flavour::File);
  for (const std::size_t at : {testing::kTableAt, testing::row_name_at(0), testing::row_data_at(0)})
    put_le(bytes, at, get_le(bytes, at) + base);
  put_le(bytes, testing::kBaseAt, base);
  EXPECT_EQ(read_qpc(bytes).find("a")->size, 3U);
}

struct Lie {
  const char* what;
  std::function<void(Bytes&)> tell;
  const char* says;
};

// Sets the field at `at`; pointers are given relative to the base.
std::function<void(Bytes&)> set(std::size_t at, std::uint64_t value, unsigned width = 8) {
  return [=](Bytes& bytes) { put_le(bytes, at, value, width); };
}
std::function<void(Bytes&)> point(std::size_t at, std::uint64_t position) {
  return [=](Bytes& bytes) { put_le(bytes, at, get_le(bytes, testing::kBaseAt) + position); };
}
// A pointer that equals another one.
std::function<void(Bytes&)> alias(std::size_t at, std::size_t other, std::uint64_t plus = 0) {
  return [=](Bytes& bytes) { put_le(bytes, at, get_le(bytes, other) + plus); };
}
std::function<void(Bytes&)> name_byte(std::size_t row, std::size_t index, std::uint8_t value) {
  return [=](Bytes& bytes) {
    const std::uint64_t name = get_le(bytes, testing::row_name_at(row)) - get_le(bytes, testing::kBaseAt);
    bytes.at(name + index) = value;
  };
}

std::vector<Lie> header_lies() {
  return {
      {"another magic", set(testing::kMagicAt, kMagic + 1, 4), "magic"},
      {"magic of the other byte order", set(testing::kMagicAt, 0x7ccda100, 4), "magic"},
      {"major 1", set(testing::kMajorAt, 1, 1), "version 1.1"},
      {"minor 0", set(testing::kMinorAt, 0, 1), "version 0.0"},
      {"minor 2", set(testing::kMinorAt, 2, 1), "version 0.2"},
      {"the in-memory form", set(testing::kCompressionAt, 0, 2), "compression 0"},
      {"compression 2", set(testing::kCompressionAt, 2, 2), "compression 2"},
      {"compression 257", set(testing::kCompressionAt, 257, 2), "compression 257"},
      {"size 0", set(testing::kSizeAt, 0), "names a size"},
      {"size 2^64-1", set(testing::kSizeAt, kMost), "names a size"},
      {"size one less", [](Bytes& b) { put_le(b, testing::kSizeAt, b.size() - 1); }, "names a size"},
      {"size one more", [](Bytes& b) { put_le(b, testing::kSizeAt, b.size() + 1); }, "names a size"},
      {"a byte cut off", [](Bytes& b) { b.pop_back(); }, "names a size"},
      {"a byte put on", [](Bytes& b) { b.push_back(0); }, "names a size"},
      {"header cut short", [](Bytes& b) { b.resize(kHeaderSize - 1); }, "shorter than its header"},
      {"an empty file", [](Bytes& b) { b.clear(); }, "shorter than its header"},
      {"base above every pointer", set(testing::kBaseAt, kMost), "before the file"},
      {"count 4097", set(testing::kCountAt, kMaxSegments + 1), "4097 segments"},
      {"count 4096 in a small file", set(testing::kCountAt, kMaxSegments), "table points outside"},
      {"count 2^64-1", set(testing::kCountAt, kMost), "segments, at most"},
      {"count 2^59: times 32 it would wrap", set(testing::kCountAt, std::uint64_t{1} << 59), "at most"},
      {"table over the header", point(testing::kTableAt, 0), "segment "},
      {"table one byte into the header", point(testing::kTableAt, kHeaderSize - 1), "the name of segment 0"},
      {"table before the file", point(testing::kTableAt, kMost), "the segment table points"},
      {"table outside the file", point(testing::kTableAt, 1 << 20), "table points outside"},
      {"table that wraps around", point(testing::kTableAt, kMost - 100), "the segment table points"},
  };
}

std::vector<Lie> row_lies() {
  return {
      {"size 2^64-1", set(testing::row_size_at(1), kMost), "'constants.bin' points outside"},
      {"size that wraps around", set(testing::row_size_at(1), kMost - 100), "points outside"},
      {"size beyond the end", set(testing::row_size_at(3), 10000), "'networkdesc.bin' points outside"},
      {"size over the next segment", set(testing::row_size_at(1), 45), "overlaps"},
      {"offset beyond the size", set(testing::row_offset_at(1), 34), "offset field"},
      {"offset 2^64-1", set(testing::row_offset_at(1), kMost), "offset field"},
      {"name before the file", set(testing::row_name_at(2), 0), "the name of segment "},
      {"name outside the file", point(testing::row_name_at(2), 1 << 20), "name of segment 2 points outside"},
      {"name at the very end", [](Bytes& b) { point(testing::row_name_at(2), b.size())(b); },
       "name of segment 2 points outside"},
      {"name pointer 2^64-1", set(testing::row_name_at(2), kMost), "points outside"},
      {"two rows share a name", alias(testing::row_name_at(2), testing::row_name_at(1)),
       "two segments are named"},
      {"a name inside another", alias(testing::row_name_at(2), testing::row_name_at(1), 3), "overlaps"},
      {"a name inside the magic", point(testing::row_name_at(2), 0), "the name of segment "},
      {"a name inside the table", point(testing::row_name_at(2), testing::row_at(0)),
       "overlaps the segment table"},
      {"an empty name", name_byte(0, 0, 0), "is empty, no UTF-8"},
      {"a control character", name_byte(0, 3, 7), "is empty, no UTF-8"},
      {"a line feed", name_byte(0, 3, '\n'), "is empty, no UTF-8"},
      {"an escape", name_byte(0, 3, 0x1b), "is empty, no UTF-8"},
      {"a slash", name_byte(0, 3, '/'), "is empty, no UTF-8"},
      {"delete", name_byte(0, 3, 0x7f), "is empty, no UTF-8"},
      {"a byte above ASCII", name_byte(0, 3, 0xc3), "is empty, no UTF-8"},
      {"data before the file", set(testing::row_data_at(0), 0), "segment 'network.elf'"},
      {"data outside the file", point(testing::row_data_at(0), 1 << 20), "'network.elf' points outside"},
      {"data pointer 2^64-1", set(testing::row_data_at(0), kMost), "points outside"},
      {"data over the header", point(testing::row_data_at(0), 0), "overlaps"},
      {"data over the last byte of the header", point(testing::row_data_at(2), kHeaderSize - 1), "overlaps"},
      {"data over the table", point(testing::row_data_at(2), testing::row_at(1)), "overlaps"},
      {"data over a name", alias(testing::row_data_at(2), testing::row_name_at(1)), "overlaps"},
      {"two rows share data", alias(testing::row_data_at(2), testing::row_data_at(0)), "overlaps"},
      {"data one byte into another", alias(testing::row_data_at(2), testing::row_data_at(0), 39), "overlaps"},
  };
}

void expect_each_caught(const std::vector<Lie>& lies) {
  for (const Flavour flavour : kBoth) {
    for (const Lie& lie : lies) {
      Bytes bytes = build_qpc(usual_segments(), flavour);
      lie.tell(bytes);
      EXPECT_ERROR(Malformed, lie.says, read_qpc(bytes)) << lie.what;
    }
  }
}

TEST(ContainerLies, EachHeaderFieldIsCaught) { expect_each_caught(header_lies()); }
TEST(ContainerLies, EachRowFieldIsCaught) { expect_each_caught(row_lies()); }

TEST(ContainerLies, APointerBelowTheBaseIsNamed) {
  Bytes bytes = build_qpc(usual_segments(), Flavour::Buffer);
  for (const auto& [at, what] :
       {std::pair{testing::kTableAt, "the segment table points before the file"},
        std::pair{testing::row_name_at(1), "the name of segment 1 points before"},
        std::pair{testing::row_data_at(1), "'constants.bin' points before the file"}}) {
    Bytes lying = bytes;
    put_le(lying, at, testing::kHeap - 1);
    EXPECT_ERROR(Malformed, what, read_qpc(lying));
  }
}

TEST(ContainerLies, AnUnterminatedNameIsCaughtAtTheEndOfTheFileAndAfter255Bytes) {
  Bytes tail = build_qpc({{"a", {}, 0}}, Flavour::File);
  ASSERT_EQ(tail.back(), 0);
  tail.back() = 'x';
  EXPECT_ERROR(Malformed, "not terminated", read_qpc(tail));
  EXPECT_EQ(read_qpc(build_qpc({{std::string(255, 'n'), {1}, 0}}, Flavour::File)).segments()[0].name.size(),
            255U);
  EXPECT_ERROR(Malformed, "not terminated",
               read_qpc(build_qpc({{std::string(256, 'n'), {1}, 0}}, Flavour::File)));
}

TEST(ContainerLies, EqualNamesInTwoPlaces) {
  EXPECT_ERROR(Malformed, "two segments are named 'same'",
               read_qpc(build_qpc({{"same", {1}, 0}, {"same", {2}, 0}}, Flavour::File)));
}

TEST(Container, EmptySegmentsMayPointAnywhereInTheFile) {
  const Bytes good = build_qpc({{"empty", {}, 0}, {"full", {1, 2}, 0}}, Flavour::File);
  for (const std::uint64_t position : {std::uint64_t{0}, std::uint64_t{50}, std::uint64_t{good.size()}}) {
    Bytes bytes = good;
    put_le(bytes, testing::row_data_at(0), position);
    EXPECT_EQ(read_qpc(bytes).find("empty")->size, 0U);
  }
  Bytes outside = good;
  put_le(outside, testing::row_data_at(0), good.size() + 1);
  EXPECT_ERROR(Malformed, "points outside", read_qpc(outside));
}

TEST(Container, NamesMayHaveBlanksAndLettersOfAnyLanguage) {
  for (const char* name : {"a b", " ",
                           "gr\xc3\xb6\xc3\x9f"
                           "er",
                           "\xe6\xa8\xa1\xe5\x9e\x8b", "\xf0\x9f\xa7\xa0", "\xc2\x85"})
    EXPECT_EQ(read_qpc(build_qpc({{name, {1}, 0}}, Flavour::File)).segments()[0].name, name);
  for (const char* name : {"\xc3", "a\xff", "\xc0\xaf", "\xed\xa0\x80", "\xf5\x80\x80\x80", "\xe6\xa8"})
    EXPECT_ERROR(Malformed, "no UTF-8", read_qpc(build_qpc({{name, {1}, 0}}, Flavour::File)));
}

// Elsewhere it means nothing that is known here, and is kept.
TEST(Container, TheOffsetIsBoundedForConstantsAlone) {
  EXPECT_EQ(read_qpc(build_qpc({{"constants.bin", {1, 2}, 2}}, Flavour::File)).segments()[0].offset, 2U);
  EXPECT_ERROR(Malformed, "offset field", read_qpc(build_qpc({{"constants.bin", {1, 2}, 3}}, Flavour::File)));
  for (const char* name : {"network.elf", "constants.bin2", "other"})
    EXPECT_EQ(read_qpc(build_qpc({{name, {1, 2}, kMost}}, Flavour::File)).segments()[0].offset, kMost);
}

TEST(Container, ReservedNames) {
  for (const char* name : {"seal.manifest", "seal.", "seal.x", "MEK.encrypt", "MEK.", "MEK.pub"})
    EXPECT_TRUE(is_reserved_name(name)) << name;
  for (const char* name : {"seal", "Seal.x", "mek.pub", "MEK", "network.elf", "xseal.manifest", ""})
    EXPECT_FALSE(is_reserved_name(name)) << name;
  EXPECT_TRUE(read_qpc(build_qpc({{"seal.manifest", {1}, 0}}, Flavour::File)).is_sealed());
}

TEST(Container, FrontRoundTrip) {
  std::vector<Segment> segments = {
      {"network.elf", 40, 0, 0}, {"constants.bin", 33, 20, 0}, {"empty", 0, 0, 0}};
  const std::uint64_t size = place_unaligned(segments);
  Bytes bytes = encode_front(segments, size);
  EXPECT_EQ(bytes.size(), front_size(segments));
  EXPECT_EQ(segments[0].data_position, bytes.size());
  bytes.resize(size);
  const Container read = read_qpc(bytes);
  ASSERT_EQ(read.segments().size(), 3U);
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_EQ(read.segments()[i].name, segments[i].name);
    EXPECT_EQ(read.segments()[i].size, segments[i].size);
    EXPECT_EQ(read.segments()[i].offset, segments[i].offset);
    EXPECT_EQ(read.segments()[i].data_position, segments[i].data_position);
  }
}

TEST(Container, WhatWeWriteUnalignedIsWhatACompilerWrites) {
  std::vector<Segment> front;
  for (const auto& segment : usual_segments())
    front.push_back({segment.name, segment.data.size(), segment.offset, 0});
  const Bytes theirs = build_qpc(usual_segments(), Flavour::File);
  const std::uint64_t size = place_unaligned(front);
  Bytes ours = encode_front(front, size);
  for (const auto& segment : usual_segments()) append(ours, segment.data);
  EXPECT_EQ(ours, theirs);
}

// Every byte of header, table and names, set to every other value: refused, or still sound.
TEST(ContainerMutations, NoSingleByteBreaksTheReader) {
  for (const Flavour flavour : kBoth) {
    const std::vector<QpcSegment> segments = {{"a.bin", {1, 2, 3}, 1}, {"b", {}, 0}, {"c.elf", {9, 9}, 0}};
    const Bytes good = build_qpc(segments, flavour);
    const std::size_t front = good.size() - 8;
    int accepted = 0;
    for (std::size_t at = 0; at < front; ++at) {
      for (unsigned flip = 1; flip < 256; ++flip) {
        Bytes bytes = good;
        bytes[at] ^= static_cast<std::uint8_t>(flip);
        try {
          expect_invariants(read_qpc(bytes), bytes);
          if (::testing::Test::HasFatalFailure()) FAIL() << "byte " << at << " xor " << flip;
          ++accepted;
        } catch (const Error& error) {
          ASSERT_EQ(error.kind(), ErrorKind::Malformed) << error.what();
        }
      }
    }
    EXPECT_GT(accepted, 100) << "another letter in a name is as good";
  }
}

TEST(ContainerMutations, NorDoRandomFields) {
  std::mt19937_64 random(11);
  const Bytes good = build_qpc(usual_segments(), Flavour::File);
  const std::size_t fields = (testing::row_at(4) - testing::kSizeAt) / 8;
  for (int round = 0; round < 30000; ++round) {
    Bytes bytes = good;
    for (std::uint64_t i = 1 + random() % 3; i > 0; --i) {
      const std::uint64_t value = random() % 2 == 0 ? random() % (good.size() + 2) : kMost - random() % 300;
      put_le(bytes, testing::kSizeAt + 8 * (random() % fields), value);
    }
    try {
      expect_invariants(read_qpc(bytes), bytes);
      if (::testing::Test::HasFatalFailure()) FAIL() << to_hex(bytes);
    } catch (const Error& error) {
      ASSERT_EQ(error.kind(), ErrorKind::Malformed) << error.what();
    }
  }
}

}  // namespace
}  // namespace qpcseal::qpc
