// SPDX-License-Identifier: Apache-2.0
// A map in packed pages is a std::map to whoever looks things up, changes them, and walks along it.
#include "appliance/audit/packed_map.h"

#include <gtest/gtest.h>

#include <random>

#include "appliance/audit/state.h"
#include "base/error.h"
#include "tests/base/expect_error.h"

namespace qpcseal::audit {
namespace {

using Packed = PackedMap<std::string, std::string>;
using Plain = std::map<std::string, std::string>;

Plain plain(const Packed& map) {
  Plain out;
  for (const auto& [key, value] : map) out.emplace_hint(out.end(), key, value);
  return out;
}

Packed read_again(const Packed& map) {
  Bytes bytes;
  map.write(bytes);
  ByteReader reader(bytes, "map");
  Packed out = Packed::read(reader, nullptr);
  reader.expect_end();
  return out;
}

TEST(PackedMap, DoesWhatAMapDoesThroughManyPackings) {
  std::mt19937_64 random(7);  // NOLINT: the same numbers each time
  Packed map;
  Plain model;
  for (unsigned step = 0; step < 60000; ++step) {
    const std::string key = std::to_string(random() % 20000), value(random() % 40, 'v');
    switch (random() % 3) {
      case 0:
        ASSERT_EQ(map.emplace(key, value).second, model.emplace(key, value).second);
        break;
      case 1:
        if (std::string* found = map.change(key)) *found += value;
        if (const auto found = model.find(key); found != model.end()) found->second += value;
        break;
      default:
        ASSERT_EQ(map.contains(key), model.contains(key));
        if (const auto found = map.find(key); found != map.end()) {
          ASSERT_EQ(found->second, model.at(key));
        }
    }
    map.pack();
    ASSERT_EQ(map.size(), model.size());
  }
  EXPECT_GT(map.size(), 8192U) << "it was not packed more than once";
  EXPECT_EQ(plain(map), model);
  EXPECT_EQ(plain(read_again(map)), model);
  EXPECT_EQ(read_again(map), map);
}

TEST(PackedMap, FindsFirstAndLastOfEachPage) {
  Packed map;
  for (unsigned i = 0; i < 5000; ++i) map[std::to_string(100000 + (2 * i))] = std::string(50, 'x');
  const Packed again = read_again(map);
  for (unsigned i = 0; i < 5000; ++i) {
    ASSERT_TRUE(again.contains(std::to_string(100000 + (2 * i))));
    ASSERT_FALSE(again.contains(std::to_string(100001 + (2 * i))));
  }
  EXPECT_FALSE(again.contains(""));
  EXPECT_FALSE(again.contains("2"));
}

TEST(PackedMap, ACopyKeepsWhatItHadWhenTheOtherChanges) {
  Packed map = read_again(Packed{{"a", "1"}, {"b", "2"}});
  const Packed before = map;
  *map.change("a") = "3";
  EXPECT_EQ(before.at("a"), "1");
  EXPECT_EQ(map.at("a"), "3");
  EXPECT_EQ(map.size(), 2U);
  EXPECT_FALSE(map == before);
}

TEST(PackedMap, ForgetsWhatItIsToldTo) {
  Packed map = read_again(Packed{{"a", "1"}, {"b", "2"}, {"c", "3"}});
  *map.change("b") = "4";
  map["d"] = "1";
  map.erase_if([](const auto& item) { return item.second == "1"; });
  EXPECT_EQ(plain(map), (Plain{{"b", "4"}, {"c", "3"}}));
  EXPECT_EQ(map.size(), 2U);
}

TEST(PackedMap, AChallengeComesBackWithItsNonceAndAllElse) {
  Challenge challenge{Bytes(32, 1), Bytes(16, 2), Bytes{3, 4},          "host\n", 5, 1800000000,
                      1800003600,   true,         std::string(64, 'e'), 1U << 20, 7};
  Challenge other;
  other.nonce = Bytes(32, 9);
  PackedMap<Bytes, Challenge> map{{challenge.nonce, challenge}, {other.nonce, other}};
  Bytes bytes;
  map.write(bytes);
  EXPECT_LT(bytes.size(), 250U) << "two challenges";
  ByteReader reader(bytes, "map");
  const auto again = PackedMap<Bytes, Challenge>::read(reader, nullptr);
  EXPECT_EQ(again.at(challenge.nonce), challenge);
  EXPECT_EQ(again, map);
}

TEST(PackedMap, TextsComeBackAsTheyWere) {
  for (const std::string& text :
       {std::string(), std::string("ab"), std::string("AB"), std::string("abc"), std::string("00"),
        std::string("0g"), std::string(64, 'f'), std::string(1, '\0')}) {
    EXPECT_EQ(read_again(Packed{{"key", text}}).at("key"), text);
  }
}

TEST(PackedPages, RefuseWhatIsNotWholeOrNotInOrder) {
  Bytes bytes;
  Packed{{"a", "1"}, {"b", "2"}}.write(bytes);
  const auto read = [](const Bytes& text) {
    ByteReader reader(text, "map");
    return Packed::read(reader, nullptr).size();
  };
  EXPECT_EQ(read(bytes), 2U);
  for (std::size_t size = 0; size < bytes.size(); ++size)
    EXPECT_ERROR(Malformed, "map: truncated",
                 read(Bytes(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size))));
  Bytes bad = bytes;
  bad[17] = 'c';  // the first key
  EXPECT_ERROR(Malformed, "not in order", read(bad));
  bad = bytes;
  bad[17] = 'b';
  EXPECT_ERROR(Malformed, "not in order", read(bad));
  bad = bytes;
  bad[7] = 3;
  EXPECT_ERROR(Malformed, "another count", read(bad));
  bad = bytes;
  bad[16] = 0x40;  // the first key's size
  EXPECT_ERROR(Malformed, "cut short", read(bad));
}

TEST(PackedPages, ANumberThatDoesNotEndIsRefused) {
  const Bytes endless(11, 0x80);
  ByteView view = endless;
  EXPECT_ERROR(Malformed, "a number of more than 64 bits", take_varint(view));
  for (const std::uint64_t value : {std::uint64_t{0}, std::uint64_t{127}, std::uint64_t{128}, UINT64_MAX}) {
    Bytes bytes;
    append_varint(bytes, value);
    ByteView rest = bytes;
    EXPECT_EQ(take_varint(rest), value);
    EXPECT_TRUE(rest.empty());
  }
}

}  // namespace
}  // namespace qpcseal::audit
