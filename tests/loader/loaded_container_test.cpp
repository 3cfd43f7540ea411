// SPDX-License-Identifier: Apache-2.0
// What a card reads of a container before it knows a key, and at which bound it refuses.
#include "device/loader/loaded_container.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>

#include "base/digest.h"
#include "tests/base/expect_error.h"
#include "tests/loader/hand_made.h"

namespace qpcseal::device {
namespace {

using ::testing::ElementsAre;
using testing::HandSealed;
using testing::kHandPage;
using testing::kHandSlot;
using testing::Parts;
using testing::pattern;
using testing::put_together;
using testing::slot_of;
using testing::two_segments;

constexpr std::size_t kMaxManifest = 1310720;  // bytes

class LoadedContainers : public testing::HandMade {};

TEST_F(LoadedContainers, AreReadAsTheyLie) {
  const SealedContainer got = read(two_segments());
  ASSERT_EQ(got.segments.size(), 2U);
  EXPECT_EQ(got.segments[0].name, "a.bin");
  EXPECT_EQ(got.segments[0].size, 100U);
  EXPECT_EQ(got.segments[0].kind, Kind::SealedContainer);
  EXPECT_THAT(got.segments[0].gaps, ElementsAre(Gap{10, 20}));
  EXPECT_EQ(got.segments[0].position, 2 * kHandPage) << "behind the front and the slots";
  EXPECT_EQ(got.segments[1].kind, Kind::Clear);
  EXPECT_EQ(got.segments[1].position, 3 * kHandPage);
  EXPECT_EQ(got.seal_id, Bytes(16, 1));
  EXPECT_EQ(got.mek_id, Bytes(16, 2));
  EXPECT_EQ(got.model_name, "model");
  EXPECT_EQ(got.model_version, 7U);
  EXPECT_EQ(got.aead, Bytes(92, 3));
  EXPECT_EQ(got.tag, Bytes(60, 4));
  EXPECT_EQ(got.signature, Bytes(64, 5));
  EXPECT_FALSE(got.wrapped) << "its slots are empty";
}

TEST_F(LoadedContainers, AreSealed) {
  Parts plain;
  plain.segments = {{"a.bin", pattern(100, 1), 0}};
  EXPECT_ERROR(Malformed, "this QPC is not sealed", read(plain));
  plain.segments.push_back({"seal.manifest", Bytes(10), 0});
  EXPECT_ERROR(Denied, "it lacks segments of a sealed container", read(plain));
}

TEST_F(LoadedContainers, HaveTheirSevenInOrder) {
  const char* order = "the added segments are not in order";
  EXPECT_ERROR(Denied, order, read_with([](Parts& p) { std::swap(p.segments[2], p.segments[3]); }));
  EXPECT_ERROR(Denied, order, read_with([](Parts& p) { p.at("seal.aead").offset = 1; }));
  EXPECT_ERROR(Denied, order, read_with([](Parts& p) { p.at("MEK.pub").name = "MEK.more"; }));
  EXPECT_ERROR(Denied, order, read_with([](Parts& p) { p.segments.push_back({"more", Bytes(1), 0}); }));
}

TEST_F(LoadedContainers, HavePartsOfTheirSizes) {
  const auto with = [&](const char* name, std::size_t size) {
    return read_with([&](Parts& p) { p.at(name).data.resize(size); });
  };
  const char* sizes = "manifest, tag or signature have other sizes";
  for (const std::size_t size : {59U, 61U}) EXPECT_ERROR(Denied, sizes, with("seal.tag", size));
  for (const std::size_t size : {63U, 65U}) EXPECT_ERROR(Denied, sizes, with("seal.sig", size));
  EXPECT_ERROR(Denied, sizes, with("seal.manifest", kMaxManifest + 1));
  EXPECT_ERROR(Denied, "manifest", with("seal.manifest", kMaxManifest)) << "read, and found to be longer";
  // For each segment a header, a data key, 64 ranges, and an entry for each chunk.
  const std::size_t most = 2 * (64 + 44 + 64 * 16 + 28);
  EXPECT_EQ(with("seal.aead", most).aead.size(), most);
  EXPECT_ERROR(Denied, "seal.aead is larger than its segments could need", with("seal.aead", most + 1));
}

TEST_F(LoadedContainers, AreBoundByAllThreeSlotsOrNone) {
  const auto bound = [&](std::size_t encrypt, std::size_t nonce, std::size_t pub) {
    return read_with([&](Parts& p) {
      p.at("MEK.encrypt").data = slot_of(encrypt);
      p.at("MEK.nonce").data = slot_of(nonce);
      p.at("MEK.pub").data = slot_of(pub);
    });
  };
  const SealedContainer got = bound(46, 32, 65);
  ASSERT_TRUE(got.wrapped);
  EXPECT_EQ(got.wrapped->encrypt, Bytes(46, 0xee));
  EXPECT_EQ(got.wrapped->nonce.size(), 32U);
  EXPECT_EQ(got.wrapped->pub.size(), 65U);
  for (const auto& [encrypt, nonce, pub] : {std::array{0, 32, 65}, {46, 0, 65}, {46, 32, 0}, {46, 0, 0}})
    EXPECT_ERROR(Denied, "it is half bound",
                 bound(static_cast<std::size_t>(encrypt), static_cast<std::size_t>(nonce),
                       static_cast<std::size_t>(pub)));
  EXPECT_EQ(bound(kHandSlot - 2, 1, 1).wrapped->encrypt.size(), kHandSlot - 2) << "as much as a slot holds";
}

TEST_F(LoadedContainers, HaveSlotsThatDoNotLie) {
  const auto with = [&](const char* name, std::size_t at, std::uint8_t byte) {
    return read_with([&](Parts& p) {
      for (const char* slot : {"MEK.encrypt", "MEK.nonce", "MEK.pub"}) p.at(slot).data = slot_of(40);
      p.at(name).data[at] = byte;
    });
  };
  for (const char* name : {"MEK.encrypt", "MEK.nonce", "MEK.pub"}) {
    EXPECT_ERROR(Denied, "a MEK slot lies about its length", with(name, 0, 0xff));
    EXPECT_ERROR(Denied, "a MEK slot is not padded with zeros", with(name, 1, 39));
    EXPECT_ERROR(Denied, "a MEK slot is not padded with zeros", with(name, kHandSlot - 1, 1));
  }
  Bytes whole = put_together(two_segments().parts());
  whole[2 * kHandPage - 1] = 1;
  EXPECT_ERROR(Denied, "the slot page has other bytes", read(whole));
}

TEST_F(LoadedContainers, HaveNothingBetweenTheirSegmentsOrBehindThem) {
  const Bytes whole = put_together(two_segments().parts());
  for (const std::size_t at : {kHandPage - 1, 3 * kHandPage - 1}) {
    Bytes bytes = whole;
    bytes[at] = 1;
    EXPECT_ERROR(Denied, "padding is not zero", read(bytes)) << at;
  }
  Bytes longer = whole;
  longer.push_back(0);
  Bytes size;
  append_le(size, longer.size(), 8);
  std::ranges::copy(size, longer.begin() + 8);
  EXPECT_ERROR(Denied, "something follows the last segment", read(longer));
}

TEST_F(LoadedContainers, LieInTheOneLayout) {
  const Parts parts = two_segments().parts();
  const Fd file = file_of(put_together(parts));
  const auto moved = [&](std::uint64_t slots, std::uint64_t others) {
    std::vector<qpc::Segment> rows = qpc::Container::read(file).segments();
    Bytes out(file_size(file) + kHandPage);
    for (qpc::Segment& row : rows) row.data_position += row.name.starts_with("MEK.") ? slots : others;
    std::ranges::copy(qpc::encode_front(rows, out.size()), out.begin());
    for (std::size_t i = 0; i < rows.size(); ++i)
      std::ranges::copy(parts.segments[i].data,
                        out.begin() + static_cast<std::ptrdiff_t>(rows[i].data_position));
    return read(out);
  };
  EXPECT_ERROR(Denied, "the slot page is not where it must be", moved(kHandPage, kHandPage));
  EXPECT_ERROR(Denied, "its segments do not lie where they must", moved(0, kHandPage));
  EXPECT_ERROR(Denied, "the MEK slots are not in one page",
               read_with([](Parts& p) { p.at("MEK.nonce").data.resize(kHandSlot - 1); }));
  // The names of the first two rows change places, and the rows' pointers to them.
  Bytes other = put_together(parts);
  const auto at = [&](std::size_t place) { return other.begin() + static_cast<std::ptrdiff_t>(place); };
  constexpr std::size_t kPointer = qpc::kHeaderSize + 16;
  const std::size_t names = qpc::kHeaderSize + parts.segments.size() * qpc::kRowSize;
  std::swap_ranges(at(kPointer), at(kPointer + 8), at(kPointer + qpc::kRowSize));
  std::swap_ranges(at(names), at(names + 6), at(names + 6));
  EXPECT_ERROR(Denied, "header, table or names are not canonical", read(other));
}

TEST_F(LoadedContainers, HaveAManifestOfTheirKind) {
  const auto with = [&](const std::function<void(HandSealed&)>& edit) {
    HandSealed sealed = two_segments();
    edit(sealed);
    return read(sealed);
  };
  EXPECT_ERROR(Denied, "the manifest is of another kind",
               with([](HandSealed& s) { s.type = "qpcseal/manifest/1"; }));
  for (const std::size_t size : {0U, 15U, 17U}) {
    EXPECT_ERROR(Denied, "the manifest has no ids", with([&](HandSealed& s) { s.seal_id = Bytes(size); }));
    EXPECT_ERROR(Denied, "the manifest has no ids", with([&](HandSealed& s) { s.mek_id = Bytes(size); }));
    EXPECT_ERROR(Denied, "the manifest has no ids", with([&](HandSealed& s) { s.root = Bytes(size); }));
  }
  const char* form = "the manifest lists a segment in another form";
  EXPECT_ERROR(Denied, form, with([](HandSealed& s) { s.rows[0].kind = 3; }));
  EXPECT_ERROR(Denied, form, with([](HandSealed& s) { s.rows[0].digest.pop_back(); }));
  EXPECT_ERROR(Denied, form, with([](HandSealed& s) { s.members = 7; }));
  EXPECT_ERROR(Denied, "a clear range is no pair", with([](HandSealed& s) { s.numbers = 3; }));
  EXPECT_ERROR(Denied, "the manifest lacks a member", with([](HandSealed& s) { s.last_key = 11; }));
  EXPECT_ERROR(Denied, "clear ranges of a segment that is not sealed",
               with([](HandSealed& s) { s.rows[1].clear = {{0, 1}}; }));
  EXPECT_ERROR(Denied, "container refused: manifest",
               read_with([](Parts& p) { p.at("seal.manifest").data.pop_back(); }))
      << "no CBOR: a refusal all the same";
}

TEST_F(LoadedContainers, HoldTheSegmentsOfTheManifest) {
  const char* others = "the segments are not those of the manifest";
  EXPECT_ERROR(Denied, others, read_with([](Parts& p) { p.at("a.bin").name = "c.bin"; }));
  EXPECT_ERROR(Denied, others, read_with([](Parts& p) { p.at("a.bin").data.push_back(0); }));
  EXPECT_ERROR(Denied, others, read_with([](Parts& p) { p.at("a.bin").offset = 1; }));
  EXPECT_ERROR(Denied, others, read_with([](Parts& p) { std::swap(p.segments[0], p.segments[1]); }));
  EXPECT_ERROR(Denied, others, read_with([](Parts& p) { p.segments.erase(p.segments.begin()); }));
  EXPECT_ERROR(Denied, others, read_with([](Parts& p) {
                 p.segments.insert(p.segments.begin() + 2, {"c.bin", pattern(10, 3), 0});
               }))
      << "one more than the manifest has";
}

TEST_F(LoadedContainers, HaveClearRangesInOrderAndInside) {
  const auto with = [&](const std::vector<Gap>& clear) {
    HandSealed sealed = two_segments();
    sealed.rows[0].clear = clear;  // of 100 bytes
    return read(sealed).segments[0].gaps;
  };
  for (const std::vector<Gap>& good :
       {std::vector<Gap>{}, {{0, 99}}, {{1, 99}}, {{0, 1}, {2, 1}}, {{0, 50}, {51, 49}}, {{99, 1}}})
    EXPECT_EQ(with(good), good);
  constexpr std::uint64_t kMost = ~std::uint64_t{0};
  for (const std::vector<Gap>& bad : {std::vector<Gap>{{0, 0}},
                                      {{0, 101}},
                                      {{100, 1}},
                                      {{99, 2}},
                                      {{0, 1}, {1, 1}},
                                      {{5, 5}, {4, 1}},
                                      {{5, 5}, {5, 5}},
                                      {{5, 5}, {7, 1}},
                                      {{1, kMost}},
                                      {{kMost, 1}},
                                      {{kMost, kMost}}})
    EXPECT_ERROR(Denied, "clear ranges are not in order or not inside", with(bad));
  EXPECT_ERROR(Denied, "too much is clear", with({{0, 100}})) << "nothing would be sealed";
}

TEST_F(LoadedContainers, HaveClearRangesUpToACount) {
  const auto gaps = [](std::size_t count) {
    std::vector<Gap> out;
    for (std::size_t i = 0; i < count; ++i) out.push_back({2 * i, 1});
    return out;
  };
  const auto sealed_with = [&](std::size_t segments, std::size_t each, std::size_t last) {
    HandSealed sealed;
    for (std::size_t i = 0; i < segments; ++i)
      sealed.rows.push_back({"s" + std::to_string(i), Bytes(200), 1, gaps(each)});
    sealed.rows.push_back({"last", Bytes(200), 1, gaps(last)});
    return read(sealed).segments.back().gaps.size();
  };
  EXPECT_EQ(sealed_with(0, 0, 64), 64U);
  EXPECT_ERROR(Denied, "too much is clear", sealed_with(0, 0, 65));
  EXPECT_EQ(sealed_with(15, 64, 64), 64U) << "1024 in all";
  EXPECT_ERROR(Denied, "more than 1024 clear ranges", sealed_with(16, 64, 1));
}

}  // namespace
}  // namespace qpcseal::device
