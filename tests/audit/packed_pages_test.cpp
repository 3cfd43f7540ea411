// SPDX-License-Identifier: Apache-2.0
// Pages: where they end, what is found in them, and what they keep alive.
#include "appliance/audit/packed_pages.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "tests/base/expect_error.h"

namespace qpcseal::audit {
namespace {

constexpr std::size_t kLeast = 16384;             // bytes of a page that is not the last
constexpr std::size_t kItem = 64, kItems = 1000;  // bytes of an item, and how many
constexpr std::size_t kInPage = kLeast / kItem;   // 256

Bytes key_of(std::size_t number) {
  Bytes out;
  append_be(out, 2 * number, 4);
  return out;
}
// Between this key and the next.
Bytes key_behind(std::size_t number) {
  Bytes out;
  append_be(out, (2 * number) + 1, 4);
  return out;
}

// Items of kItem bytes each: two sizes, the key, the value.
PackedPages::Builder built(std::size_t count) {
  PackedPages::Builder out;
  for (std::size_t i = 0; i < count; ++i) out.add(key_of(i), Bytes(kItem - 2 - 4, 'v'));
  return out;
}

Bytes laid_out(std::size_t count) {
  Bytes out;
  for (std::size_t i = 0; i < count; ++i) {
    append_varint(out, 4);
    append(out, key_of(i));
    append_varint(out, kItem - 2 - 4);
    append(out, Bytes(kItem - 2 - 4, 'v'));
  }
  return out;
}

std::vector<PackedPages::Position> positions(const PackedPages& pages) {
  std::vector<PackedPages::Position> out;
  for (auto at = pages.begin(); at != pages.end(); at = pages.next(at)) out.push_back(at);
  return out;
}

TEST(PackedPages, EndWithTheItemThatFillsThem) {
  const PackedPages pages = built(kItems).finish();
  EXPECT_EQ(pages.count(), kItems);
  EXPECT_EQ(pages.size(), kItems * kItem);
  const auto all = positions(pages);
  ASSERT_EQ(all.size(), kItems);
  EXPECT_EQ(all[kInPage - 1], (PackedPages::Position{0, kLeast - kItem}));
  EXPECT_EQ(all[kInPage], (PackedPages::Position{1, 0}));
  EXPECT_EQ(pages.end(), (PackedPages::Position{4, 0}));
  const PackedPages read = PackedPages::read(laid_out(kItems), kItems, nullptr);
  EXPECT_EQ(positions(read), all) << "read and built alike";
  for (const auto& at : all) ASSERT_EQ(copy(read.at(at).key), copy(pages.at(at).key));
}

TEST(PackedPages, HaveAnItemEachHoweverLargeItIs) {
  PackedPages::Builder builder;
  builder.add(view("a"), Bytes(3 * kLeast, 1));
  builder.add(view("b"), {});
  const PackedPages pages = builder.finish();
  EXPECT_EQ(positions(pages), (std::vector<PackedPages::Position>{{0, 0}, {1, 0}}));
  EXPECT_EQ(pages.at({0, 0}).value.size(), 3 * kLeast);
  EXPECT_TRUE(pages.at({1, 0}).value.empty());
}

TEST(PackedPages, OfNothingHaveNothing) {
  for (const PackedPages& pages : {PackedPages(), built(0).finish(), PackedPages::read({}, 0, nullptr)}) {
    EXPECT_EQ(pages.count(), 0U);
    EXPECT_EQ(pages.begin(), pages.end());
    EXPECT_EQ(pages.lower_bound(view("a")), pages.end());
  }
  EXPECT_ERROR(Malformed, "another count", PackedPages::read({}, 1, nullptr));
}

TEST(PackedPages, FindTheFirstItemWhoseKeyIsNotLess) {
  const PackedPages pages = built(kItems).finish();
  const auto all = positions(pages);
  EXPECT_EQ(pages.lower_bound({}), pages.begin());
  for (const std::size_t i : {std::size_t{0}, std::size_t{1}, kInPage - 1, kInPage, kItems - 1}) {
    EXPECT_EQ(pages.lower_bound(key_of(i)), all[i]) << i;
    EXPECT_EQ(pages.lower_bound(key_behind(i)), i + 1 < kItems ? all[i + 1] : pages.end()) << i;
  }
}

TEST(PackedPages, CompareKeysBytewiseAndThePrefixFirst) {
  EXPECT_TRUE(is_less(view("a"), view("ab")));
  EXPECT_FALSE(is_less(view("ab"), view("a")));
  EXPECT_FALSE(is_less(view("a"), view("a")));
  EXPECT_TRUE(is_less({}, view("a")));
  EXPECT_TRUE(is_less(view("\x7f"), view("\x80"))) << "bytes have no sign";
}

TEST(PackedPages, LieWithTheirOwnerOrAreCopied) {
  const auto owner = std::make_shared<const Bytes>(laid_out(kItems));
  const auto lies_in_owner = [&](const PackedPages& pages) {
    const std::uint8_t* key = pages.at(pages.begin()).key.data();
    return key >= owner->data() && key < owner->data() + owner->size();
  };
  PackedPages held = PackedPages::read(*owner, kItems, owner);
  EXPECT_TRUE(lies_in_owner(held));
  EXPECT_GT(owner.use_count(), 1);
  EXPECT_FALSE(lies_in_owner(PackedPages::read(*owner, kItems, nullptr)));
  held = {};
  EXPECT_EQ(owner.use_count(), 1);
}

TEST(PackedPages, GiveUpThePagesBefore) {
  const auto owner = std::make_shared<const Bytes>(laid_out(kItems));
  PackedPages pages = PackedPages::read(*owner, kItems, owner);
  const PackedPages all = pages;
  const auto holders = owner.use_count();
  pages.drop_before(2);
  EXPECT_EQ(owner.use_count(), holders - 2);
  pages.drop_before(3);
  EXPECT_EQ(owner.use_count(), holders - 3);
  EXPECT_EQ(copy(pages.at({3, 0}).key), key_of(3 * kInPage));
  EXPECT_EQ(copy(all.at({0, 0}).key), key_of(0)) << "a copy has them still";
}

TEST(PackedPages, RefuseAnItemThatIsCutAnywhere) {
  const Bytes items = laid_out(2);
  for (std::size_t size = 1; size < items.size(); ++size)
    EXPECT_ERROR(Malformed, size == kItem ? "another count" : "cut short",
                 PackedPages::read(ByteView(items).first(size), 2, nullptr))
        << size;
}

TEST(PackedNumbers, TakeSevenBitsAByte) {
  const std::vector<std::pair<std::uint64_t, Bytes>> cases{
      {0, {0x00}},
      {0x7f, {0x7f}},
      {0x80, {0x80, 0x01}},
      {0x3fff, {0xff, 0x7f}},
      {0x4000, {0x80, 0x80, 0x01}},
      {std::uint64_t{1} << 63, {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01}}};
  for (const auto& [value, bytes] : cases) {
    Bytes out;
    append_varint(out, value);
    EXPECT_EQ(out, bytes) << value;
    Bytes more = bytes;
    more.push_back(9);
    ByteView rest = more;
    EXPECT_EQ(take_varint(rest), value);
    EXPECT_EQ(rest.size(), 1U) << "and no byte more";
    for (std::size_t size = 0; size < bytes.size(); ++size) {
      ByteView cut = ByteView(bytes).first(size);
      EXPECT_ERROR(Malformed, "packed items: cut short", take_varint(cut));
    }
  }
}

TEST(PackedNumbers, HaveNoMoreThan64Bits) {
  Bytes most(9, 0xFF);
  most.push_back(1);
  ByteView whole = most;
  EXPECT_EQ(take_varint(whole), UINT64_MAX);
  for (const std::uint8_t last : Bytes{2, 0x7F, 0x81}) {
    most.back() = last;
    ByteView longer = most;
    EXPECT_ERROR(Malformed, "packed items: a number of more than 64 bits", take_varint(longer));
  }
}

}  // namespace
}  // namespace qpcseal::audit
