// SPDX-License-Identifier: Apache-2.0
// The scanner accepts exactly what parse_canonical accepts.
#include "encoding/json_scan.h"

#include <gtest/gtest.h>

#include <iostream>
#include <random>

#include "appliance/audit/entry.h"
#include "base/error.h"
#include "tests/base/expect_error.h"

namespace qpcseal::audit {
namespace {

template <typename Act>
bool accepted(Act act) {
  try {
    act();
    return true;
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::Malformed) << error.what();
    return false;
  }
}

bool scans(const std::string& text) {
  return accepted([&] { encoding::require_canonical(text); });
}
bool parses(const std::string& text) {
  return accepted([&] { encoding::parse_canonical(text, "reference"); });
}

const std::vector<std::string> kSeeds = {
    R"({"a":1,"b":[true,false,null,-1,0,18446744073709551615],"c":{"d":"x"}})",
    R"({"a":"\b\f\n\r\t\"\\\u0000\u001f","b\n":1,"b\u001f":2,"bb":3})",
    "{\"k\":\"\x7f \xC2\x80 \xE0\xA0\x80 \xED\x9F\xBF \xEE\x80\x80 \xF0\x90\x80\x80 \xF4\x8F\xBF\xBF\"}",
    R"([[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]])",
    R"([-9223372036854775808,9223372036854775807,9223372036854775808])",
    R"({"":{},"[":[]})",
    R"("text")",
    "0",
};

TEST(Scanner, AgreesWithTheParserOnEverySeed) {
  for (const std::string& seed : kSeeds) {
    EXPECT_TRUE(parses(seed)) << seed;
    EXPECT_TRUE(scans(seed)) << seed;
  }
  for (const char* bad : {"",
                          "{",
                          "}",
                          "[",
                          "[1",
                          "[1,]",
                          "[,1]",
                          "{\"a\"}",
                          "{\"a\":}",
                          "{\"a\":1,}",
                          "{,\"a\":1}",
                          "1 ",
                          " 1",
                          "01",
                          "-0",
                          "-",
                          "+1",
                          "1.0",
                          "1e1",
                          "-9223372036854775809",
                          "18446744073709551616",
                          "tru",
                          "True",
                          "nul",
                          "\"",
                          "\"\\u0041\"",
                          "\"\\u001F\"",
                          "\"\\u000a\"",
                          "\"\\u0008\"",
                          "\"\\/\"",
                          "\"\\x\"",
                          "\"\\",
                          "\"\n\"",
                          "{\"b\":1,\"a\":1}",
                          "{\"a\":1,\"a\":1}",
                          "\"\x80\"",
                          "\"\xC0\x80\"",
                          "\"\xC1\xBF\"",
                          "\"\xC2\"",
                          "\"\xE0\x9F\xBF\"",
                          "\"\xED\xA0\x80\"",
                          "\"\xF0\x8F\xBF\xBF\"",
                          "\"\xF4\x90\x80\x80\"",
                          "\"\xF5\x80\x80\x80\"",
                          "[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]",
                          "{\"a\\n\":1,\"a\":1}",
                          "\xEF\xBB\xBF{}",
                          "{} {}",
                          "{}\n"}) {
    EXPECT_FALSE(parses(bad)) << bad;
    EXPECT_FALSE(scans(bad)) << bad;
  }
}

TEST(Scanner, ObjectsNestAsDeepAsArrays) {
  const auto nested = [](std::size_t depth) {
    std::string text = "1";
    for (std::size_t i = 0; i < depth; ++i) text = R"({"a":)" + text + "}";
    return text;
  };
  EXPECT_TRUE(parses(nested(encoding::kMaxJsonDepth)) && scans(nested(encoding::kMaxJsonDepth)));
  EXPECT_FALSE(parses(nested(encoding::kMaxJsonDepth + 1)) || scans(nested(encoding::kMaxJsonDepth + 1)));
}

// Random changes of good texts: both say the same each time.
TEST(Scanner, AgreesWithTheParserOnRandomChanges) {
  std::mt19937 random(20261124);
  const std::string pieces = "{}[],:\"\\u001fabnrt0123456789-.eE \n\x7f\x80\xC2\xE0\xED\xF4\xBF";
  std::size_t good = 0;
  constexpr std::size_t kRounds = 200000;
  for (std::size_t round = 0; round < kRounds; ++round) {
    std::string text = kSeeds[random() % kSeeds.size()];
    for (std::size_t changes = 1 + (random() % 3); changes > 0; --changes) {
      const std::size_t at = random() % (text.size() + 1);
      const char piece = pieces[random() % pieces.size()];
      const auto how = random() % 3;
      if (how == 0) text.insert(at, 1, piece);
      if (how == 1 && at < text.size()) text[at] = piece;
      if (how == 2 && at < text.size()) text.erase(at, 1);
    }
    const bool one = parses(text);
    ASSERT_EQ(one, scans(text)) << text;
    good += one ? 1 : 0;
  }
  std::cout << kRounds << " texts, " << good << " of them canonical\n";
  EXPECT_GT(good, kRounds / 100);
}

TEST(Scanner, MembersComeAsTheyStand) {
  std::array<encoding::RawMember, 3> members;
  ASSERT_EQ(encoding::scan_object(R"({"a":[1,2],"b":"x","c":7})", members), 3U);
  EXPECT_EQ(members[0].value, "[1,2]");
  EXPECT_EQ(encoding::plain_text(members[1].value, "b"), "x");
  EXPECT_EQ(encoding::plain_uint(members[2].value, "c"), 7U);
  EXPECT_ERROR(Malformed, "'a'", encoding::plain_text(members[0].value, "a"));
  EXPECT_ERROR(Malformed, "'b'", encoding::plain_uint(members[1].value, "b"));
  EXPECT_ERROR(Malformed, "'k' is not a text", encoding::plain_text(R"("a\n")", "k"));
  for (const char* bad : {"-1", "1x", "18446744073709551616"})
    EXPECT_ERROR(Malformed, "'k' is not an unsigned", encoding::plain_uint(bad, "k")) << bad;
  EXPECT_ERROR(Malformed, "unknown member", encoding::scan_object(R"({"a":1,"b":2,"c":3,"d":4})", members));
  EXPECT_ERROR(Malformed, "another character was expected", encoding::scan_object("[]", members));
}

}  // namespace
}  // namespace qpcseal::audit
