// SPDX-License-Identifier: Apache-2.0
// The strict CBOR reader: every rule with a vector that breaks it and nothing else, and RFC 8949's examples.
#include "encoding/cbor.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "tests/base/expect_error.h"

namespace qpcseal::cbor {
namespace {

constexpr Level kBoth[] = {Level::Strict, Level::Deterministic};

struct Vector {
  const char* rule;
  const char* hex;
  const char* says;
};

void expect_refused(const Vector& vector, Level level) {
  const Bytes bytes = from_hex(vector.hex);
  EXPECT_ERROR(Malformed, vector.says, parse(bytes, level, "sample")) << vector.rule;
}

constexpr Vector kRefused[] = {
    {"nothing at all", "", "truncated"},
    {"argument cut short", "19ff", "truncated"},
    {"byte string cut short", "43aabb", "truncated"},
    {"byte string of 2^64-1 bytes", "5bffffffffffffffff", "truncated"},
    {"text cut short", "6261", "truncated"},
    {"array cut short inside", "820143aa", "truncated"},
    {"tag of nothing", "c0", "truncated"},
    {"second item", "0001", "bytes after the item"},
    {"a break after the item", "00ff", "bytes after the item"},
    {"indefinite byte string", "5f41aaff", "indefinite"},
    {"indefinite text", "7f6161ff", "indefinite"},
    {"indefinite array", "9f01ff", "indefinite"},
    {"indefinite map", "bf0102ff", "indefinite"},
    {"break alone", "ff", "indefinite"},
    {"integer with additional information 31", "1f", "indefinite"},
    {"additional information 28", "1c", "reserved"},
    {"additional information 29", "5d", "reserved"},
    {"additional information 30", "fe", "reserved"},
    {"0 in two bytes", "1800", "shortest"},
    {"23 in two bytes", "1817", "shortest"},
    {"255 in three bytes", "1900ff", "shortest"},
    {"65535 in five bytes", "1a0000ffff", "shortest"},
    {"2^32-1 in nine bytes", "1b00000000ffffffff", "shortest"},
    {"-1 in two bytes", "3800", "shortest"},
    {"length of a byte string in two bytes", "5801aa", "shortest"},
    {"length of a text in three bytes", "79000161", "shortest"},
    {"count of an array in two bytes", "980100", "shortest"},
    {"count of a map in two bytes", "b8010000", "shortest"},
    {"tag in two bytes", "d81200", "shortest"},
    {"false in two bytes", "f814", "simple values"},
    {"duplicate integer key", "a201000100", "twice"},
    {"duplicate negative key", "a220002000", "twice"},
    {"duplicate text key", "a2616100616101", "twice"},
    {"duplicate byte string key", "a241aa0041aa01", "twice"},
    {"duplicate key that is a map", "a2a1000000a1000000", "twice"},
    {"array of 2^64-1", "9bffffffffffffffff", "more elements than bytes"},
    {"array of one more than the bytes", "8300", "more elements than bytes"},
    {"map of 2^63", "bb8000000000000000", "more elements than bytes"},
    {"map of 2^64-1", "bbffffffffffffffff", "more elements than bytes"},
    {"map of two in three bytes", "a2010203", "more elements than bytes"},
    {"half float", "f90000", "floats"},
    {"single float", "fa47c35000", "floats"},
    {"double float", "fb3ff199999999999a", "floats"},
    {"NaN", "f97e00", "floats"},
    {"undefined", "f7", "simple value"},
    {"simple value 0", "e0", "simple value"},
    {"simple value 16", "f0", "simple value"},
    {"simple value 19", "f3", "simple value"},
    {"simple value 255", "f8ff", "simple values"},
    {"simple value 32", "f820", "simple values"},
    {"lone continuation byte", "6180", "UTF-8"},
    {"overlong slash", "62c0af", "UTF-8"},
    {"overlong in three bytes", "63e09f80", "UTF-8"},
    {"overlong in four bytes", "64f08f8080", "UTF-8"},
    {"surrogate", "63eda080", "UTF-8"},
    {"last surrogate", "63edbfbf", "UTF-8"},
    {"above U+10FFFF", "64f4908080", "UTF-8"},
    {"five byte form", "65f888808080", "UTF-8"},
    {"character cut short", "62e282", "UTF-8"},
    {"continuation missing", "62c328", "UTF-8"},
    {"byte 0xff", "61ff", "UTF-8"},
    {"text as a key, not UTF-8", "a161ff00", "UTF-8"},
};

TEST(CborStrict, EachRuleHasAVector) {
  for (const Vector& vector : kRefused)
    for (const Level level : kBoth) expect_refused(vector, level);
}

TEST(CborStrict, RulesHoldInside) {
  for (const Vector& vector : kRefused) {
    const std::string hex = vector.hex, says = vector.says;
    // What is refused for where it ends may become good with something before it.
    if (says == "truncated" || says.starts_with("bytes") || says.starts_with("more")) continue;
    for (const char* before : {"81", "a100", "d2", "8181"})
      for (const Level level : kBoth)
        expect_refused({vector.rule, (before + hex).c_str(), vector.says}, level);
  }
}

TEST(CborStrict, KeyOrderMattersOnlyWhereItIsWanted) {
  for (const char* hex : {"a202000100",        // 2, 1
                          "a220000100",        // -1, 1
                          "a2616200616100",    // "b", "a"
                          "a26161002000",      // "a", -1: RFC 8949 sorts by bytes, not by length
                          "a262616100616200",  // "aa", "b": and by encodings, so the shorter text first
                          "a100a202000100"}) {
    const Bytes bytes = from_hex(hex);
    EXPECT_NO_THROW(static_cast<void>(parse(bytes, Level::Strict, "sample"))) << hex;
    EXPECT_ERROR(Malformed, "out of order", parse(bytes, Level::Deterministic, "sample")) << hex;
  }
  for (const char* hex : {"a201000200", "a301002000616100", "a2190100002000", "a261620062616100"}) {
    const Bytes bytes = from_hex(hex);
    EXPECT_NO_THROW(static_cast<void>(parse(bytes, Level::Deterministic, "sample"))) << hex;
  }
}

// `depth` items, each the only one inside another; the innermost is 0.
Bytes nested(const std::string& opener, unsigned depth) {
  std::string hex;
  for (unsigned i = 1; i < depth; ++i) hex += opener;
  return from_hex(hex + "00");
}

TEST(CborStrict, Depth16ButNot17) {
  for (const char* opener : {"81", "a100", "c1"}) {
    for (const Level level : kBoth) {
      const Bytes good = nested(opener, kMaxDepth), bad = nested(opener, kMaxDepth + 1);
      EXPECT_NO_THROW(static_cast<void>(parse(good, level, "sample"))) << opener;
      EXPECT_ERROR(Malformed, "deeper than 16", parse(bad, level, "sample")) << opener;
    }
  }
  EXPECT_ERROR(Malformed, "deeper than 16", parse(nested("81", 60000), Level::Strict, "sample"));
}

TEST(CborStrict, SixtyFourKibibytesAndNoMore) {
  Writer good;
  good.bytes(Bytes(kMaxSize - 3));
  EXPECT_EQ(good.data().size(), 65536U);
  EXPECT_NO_THROW(static_cast<void>(parse(good.data(), Level::Strict, "sample")));
  Writer bad;
  bad.bytes(Bytes(kMaxSize - 2));
  EXPECT_ERROR(Malformed, "more than 64 KiB", parse(bad.data(), Level::Strict, "sample"));
  Bytes many = from_hex("99fffd");  // 65533 elements, all there
  many.resize(kMaxSize);
  EXPECT_EQ(parse(many, Level::Strict, "sample").as_array("array").size(), 65533U);
}

TEST(CborExamples, Rfc8949AppendixAIntegers) {
  const std::pair<const char*, std::uint64_t> positive[] = {{"00", 0},
                                                            {"01", 1},
                                                            {"0a", 10},
                                                            {"17", 23},
                                                            {"1818", 24},
                                                            {"1819", 25},
                                                            {"1864", 100},
                                                            {"1903e8", 1000},
                                                            {"1a000f4240", 1000000},
                                                            {"1b000000e8d4a51000", 1000000000000},
                                                            {"1bffffffffffffffff", 18446744073709551615U}};
  for (const auto& [hex, value] : positive) {
    const Bytes bytes = from_hex(hex);
    EXPECT_EQ(parse(bytes, Level::Deterministic, "sample").as_unsigned("number"), value);
    EXPECT_EQ(Writer().unsigned_(value).data(), bytes);
  }
  const std::pair<const char*, std::int64_t> negative[] = {
      {"20", -1},
      {"29", -10},
      {"3863", -100},
      {"3903e7", -1000},
      {"3b7fffffffffffffff", std::numeric_limits<std::int64_t>::min()}};
  for (const auto& [hex, value] : negative) {
    const Bytes bytes = from_hex(hex);
    EXPECT_EQ(parse(bytes, Level::Deterministic, "sample").as_int("number"), value);
    EXPECT_EQ(Writer().integer(value).data(), bytes);
  }
}

TEST(CborExamples, Rfc8949AppendixAOthers) {
  // Everything of the appendix but floats, undefined, other simple values and indefinite lengths.
  for (const char* hex : {"3bffffffffffffffff",
                          "c249010000000000000000",
                          "c349010000000000000000",
                          "f4",
                          "f5",
                          "f6",
                          "c074323031332d30332d32315432303a30343a30305a",
                          "c11a514b67b0",
                          "d74401020304",
                          "d818456449455446",
                          "d82076687474703a2f2f7777772e6578616d706c652e636f6d",
                          "40",
                          "4401020304",
                          "60",
                          "6161",
                          "6449455446",
                          "62225c",
                          "62c3bc",
                          "63e6b0b4",
                          "64f0908591",
                          "80",
                          "83010203",
                          "8301820203820405",
                          "98190102030405060708090a0b0c0d0e0f101112131415161718181819",
                          "a0",
                          "a201020304",
                          "a26161016162820203",
                          "826161a161626163",
                          "a56161614161626142616361436164614461656145"}) {
    const Bytes bytes = from_hex(hex);
    for (const Level level : kBoth) {
      const Value value = parse(bytes, level, "sample");
      EXPECT_TRUE(std::ranges::equal(value.raw(), bytes)) << hex;
    }
  }
}

TEST(CborValue, ReadsWhatItIs) {
  Writer writer;
  writer.map(4).integer(1).text("ü").integer(2).bytes(from_hex("0102")).integer(-1).array(2).boolean(true);
  writer.null().integer(-2).tag(24).boolean(false);
  const Value value = parse(writer.data(), Level::Deterministic, "sample");
  EXPECT_EQ(value.as_map("map").size(), 4U);
  EXPECT_EQ(value.find(1)->as_text("text"), "ü");
  EXPECT_EQ(to_hex(value.find(2)->as_bytes("bytes")), "0102");
  EXPECT_TRUE(value.find(-1)->as_array("array")[0].as_bool("bool"));
  EXPECT_TRUE(value.find(-1)->as_array("array")[1].is(Type::Null));
  EXPECT_EQ(value.find(-2)->tag_number("tag"), 24U);
  EXPECT_FALSE(value.find(-2)->tagged("tag").as_bool("bool"));
  EXPECT_EQ(value.find(0), nullptr);
  EXPECT_EQ(value.find(3), nullptr);
  EXPECT_EQ(value.find(-1)->find(0), nullptr) << "no map";
}

TEST(CborValue, NeverReadsOneTypeAsAnother) {
  const char* items[] = {"01", "20", "4101", "6161", "80", "a0", "c100", "f4", "f6"};
  for (const char* hex : items) {
    const Bytes bytes = from_hex(hex);
    const Value value = parse(bytes, Level::Strict, "sample");
    const std::string first(hex, 2);
    const auto check = [&](const std::string& allowed, const auto& read) {
      if (allowed.find(first) != std::string::npos) {
        EXPECT_NO_THROW(static_cast<void>(read())) << hex;
      } else {
        EXPECT_ERROR(Malformed, "claim is not", read()) << hex;
      }
    };
    check("01", [&] { return value.as_unsigned("claim"); });
    check("01 20", [&] { return value.as_int("claim"); });
    check("41", [&] { return value.as_bytes("claim").size(); });
    check("61", [&] { return value.as_text("claim").size(); });
    check("80", [&] { return value.as_array("claim").size(); });
    check("a0", [&] { return value.as_map("claim").size(); });
    check("c1", [&] { return value.tag_number("claim"); });
    check("c1", [&] { return value.tagged("claim").is(Type::Unsigned); });
    check("f4", [&] { return value.as_bool("claim"); });
  }
}

TEST(CborValue, IntegersBeyondInt64AreNotCut) {
  for (const char* hex :
       {"1b8000000000000000", "1bffffffffffffffff", "3b8000000000000000", "3bffffffffffffffff"}) {
    const Bytes bytes = from_hex(hex);
    EXPECT_ERROR(Malformed, "64-bit", parse(bytes, Level::Strict, "sample").as_int("claim")) << hex;
  }
}

TEST(CborWriter, WritesTheShortestFormAroundEachBound) {
  for (const std::uint64_t bound :
       {std::uint64_t{23}, std::uint64_t{0xff}, std::uint64_t{0xffff}, std::uint64_t{0xffffffff}}) {
    const auto size = [](std::uint64_t value) { return Writer().unsigned_(value).data().size(); };
    EXPECT_LT(size(bound), size(bound + 1));
    for (const std::uint64_t value : {bound, bound + 1}) {
      const Bytes bytes = Writer().unsigned_(value).take();
      EXPECT_EQ(parse(bytes, Level::Deterministic, "sample").as_unsigned("number"), value);
    }
  }
}

}  // namespace
}  // namespace qpcseal::cbor
