// SPDX-License-Identifier: Apache-2.0
#include "encoding/json.h"

#include <gtest/gtest.h>

#include "appliance/audit/entry.h"
#include "base/error.h"
#include "tests/base/expect_error.h"

namespace qpcseal::audit {
namespace {

TEST(CanonicalJson, OneTextForOneValue) {
  EXPECT_EQ(encoding::canonical(encoding::Json{{"b", 1}, {"a", {true, nullptr, "x"}}}),
            R"({"a":[true,null,"x"],"b":1})");
  EXPECT_EQ(encoding::canonical(encoding::Json("\x01\"\\/\n\u00e9")), "\"\\u0001\\\"\\\\/\\n\u00e9\"");
  EXPECT_EQ(encoding::canonical(encoding::Json(UINT64_MAX)), "18446744073709551615");
  EXPECT_ERROR(Malformed, "a type that the log does not hold", encoding::canonical(encoding::Json(1.5)));
  EXPECT_ERROR(Malformed, "not UTF-8", encoding::canonical(encoding::Json("\xFF")));
  EXPECT_ERROR(Malformed, "type", encoding::canonical(encoding::Json::binary({1, 2})));
  EXPECT_ERROR(Malformed, "type", encoding::canonical(encoding::Json(encoding::Json::value_t::discarded)));
}

TEST(CanonicalJson, OtherTextsOfTheSameValueAreRefused) {
  for (const char* text :
       {R"({"b":1,"a":2})", R"({"a":1 })", R"({"a":1,"a":1})", R"({"a":1.0})", R"({"a":1e2})", R"({"a":-0})",
        R"({"a":01})", R"({"a":"\u0041"})", R"({"a":"\/"})", "{\"a\":1}\n", R"({"a":18446744073709551616})",
        "\xEF\xBB\xBF{}", R"({"a":NaN})", "{} {}", "", "{"})
    EXPECT_ERROR(Malformed, "name", encoding::parse_canonical(text, "name")) << text;
  EXPECT_EQ(encoding::parse_canonical(R"({"a":"b"})", "name"), encoding::Json({{"a", "b"}}));
}

TEST(CanonicalJson, DepthIsBounded) {
  const auto nested = [](std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_NO_THROW(encoding::parse_canonical(nested(encoding::kMaxJsonDepth), "name"));
  EXPECT_ERROR(Malformed, "nested too deeply",
               encoding::parse_canonical(nested(encoding::kMaxJsonDepth + 1), "name"));
  EXPECT_ERROR(Malformed, "nested too deeply", encoding::parse_canonical(nested(1000000), "name"));
}

// Where the text need not be canonical: still one meaning for one text.
TEST(Json, WhatParsersReadDifferentlyIsRefused) {
  EXPECT_ERROR(Malformed, "duplicate key 'a'", encoding::parse_json(R"({"a":1,"a":1})", "name"));
  EXPECT_ERROR(Malformed, "mark or NUL", encoding::parse_json("\xEF\xBB\xBF{}", "name"));
  EXPECT_ERROR(Malformed, "mark or NUL", encoding::parse_json(std::string_view("{}\0", 3), "name"));
  EXPECT_ERROR(Malformed, "64-bit integer", encoding::parse_json("1.0", "name"));
  const std::string deep(encoding::kMaxJsonDepth + 1, '[');
  EXPECT_ERROR(Malformed, "nested too deeply", encoding::parse_json(deep, "name"));
  encoding::Json value = 1;
  for (std::size_t i = 0; i <= encoding::kMaxJsonDepth; ++i) value = encoding::Json::array({value});
  EXPECT_ERROR(Malformed, "nested too deeply", encoding::canonical(value));
  EXPECT_EQ(encoding::parse_json(R"({ "b":1, "a":[] })", "name"),
            encoding::Json({{"a", encoding::Json::array()}, {"b", 1}}));
}

TEST(Json, MembersOfAnotherTypeAreRefused) {
  const encoding::Json object{{"text", "x"}, {"number", 7}, {"minus", -7}, {"yes", true}, {"hex", "0aff"}};
  EXPECT_EQ(encoding::text_member(object, "text"), "x");
  EXPECT_EQ(encoding::uint_member(object, "number"), 7U);
  EXPECT_TRUE(encoding::bool_member(object, "yes"));
  EXPECT_EQ(encoding::hex_member(object, "hex", 2), "0aff");
  EXPECT_ERROR(Malformed, "no member 'none'", encoding::member(object, "none"));
  EXPECT_ERROR(Malformed, "no member 'none'", encoding::member(encoding::Json::array(), "none"));
  EXPECT_ERROR(Malformed, "'number' is not a text", encoding::text_member(object, "number"));
  EXPECT_ERROR(Malformed, "'text' is not an unsigned", encoding::uint_member(object, "text"));
  EXPECT_ERROR(Malformed, "'minus' is not an unsigned", encoding::uint_member(object, "minus"));
  EXPECT_ERROR(Malformed, "'number' is neither", encoding::bool_member(object, "number"));
  for (const char* bad : {"0aff0", "0aF0", "0ag0", "0a", ""})
    EXPECT_ERROR(Malformed, "lower-case hex", encoding::hex_member(encoding::Json{{"hex", bad}}, "hex", 2))
        << bad;
  EXPECT_ERROR(Malformed, "not an object", encoding::expect_keys(encoding::Json::array(), {}, "name"));
  EXPECT_ERROR(Malformed, "no member 'text'",
               encoding::expect_keys(encoding::Json{{"yes", true}}, {"text"}, "name"));
  EXPECT_ERROR(Malformed, "unknown member",
               encoding::expect_keys(encoding::Json{{"text", 1}, {"yes", 1}}, {"text"}, "name"));
}

Entry sample() {
  Entry entry;
  entry.seq = 3;
  entry.time = 1800000000;
  entry.kind = "seal";
  entry.phase = Phase::Result;
  entry.txn = std::string(32, 'a');
  entry.software = "qpcseal test";
  entry.intent = 2;
  entry.outcome = "ok";
  entry.data = {{"k", "v"}};
  return entry;
}

TEST(Entries, RoundTrip) {
  const std::string line = encode_entry(sample());
  EXPECT_EQ(encode_entry(parse_entry(line)), line);
}

TEST(Entries, EveryMissingOrForeignMemberIsRefused) {
  const encoding::Json good = encoding::Json::parse(encode_entry(sample()));
  for (const auto& [key, value] : good.items()) {
    encoding::Json bad = good;
    bad.erase(key);
    EXPECT_ERROR(Malformed, "entry: ", parse_entry(encoding::canonical(bad))) << "without " << key;
    bad = good;
    bad[key] = encoding::Json::array();
    EXPECT_ERROR(Malformed, key, parse_entry(encoding::canonical(bad))) << "array for " << key;
  }
  encoding::Json bad = good;
  bad["extra"] = 1;
  EXPECT_ERROR(Malformed, "an unknown member", parse_entry(encoding::canonical(bad)));
  bad = good;
  bad["v"] = 2;
  EXPECT_ERROR(Malformed, "unknown version", parse_entry(encoding::canonical(bad)));
  bad = good;
  bad["outcome"] = "perhaps";
  EXPECT_ERROR(Malformed, "unknown outcome 'perhaps'", parse_entry(encoding::canonical(bad)));
  bad = good;
  bad["phase"] = "event";
  EXPECT_ERROR(Malformed, "'outcome' is a result's", parse_entry(encoding::canonical(bad)));
}

TEST(Entries, AnEventHasNineMembersByTheirNames) {
  Entry event = sample();
  event.phase = Phase::Event;
  event.intent.reset();
  const encoding::Json good = encoding::Json::parse(encode_entry(event));
  EXPECT_EQ(good.size(), 9U);
  for (const char* more : {"aaa", "kine", "zzz"}) {
    encoding::Json bad = good;
    bad[more] = 1;
    EXPECT_ERROR(Malformed, "entry: ", parse_entry(encoding::canonical(bad))) << more;
  }
  for (const auto& [key, value] : good.items()) {
    encoding::Json bad = good;
    bad.erase(key);
    bad[key + "_"] = value;  // the same place in the order
    EXPECT_ERROR(Malformed, "no member '" + key + "'", parse_entry(encoding::canonical(bad)));
  }
}

TEST(Entries, ValuesOutOfRangeAreRefused) {
  const encoding::Json good = encoding::Json::parse(encode_entry(sample()));
  const auto with = [&](const char* key, const encoding::Json& value) {
    encoding::Json bad = good;
    bad[key] = value;
    return encoding::canonical(bad);
  };
  for (const std::string& txn : {std::string(32, 'A'), std::string(31, 'a'), std::string(32, 'g')})
    EXPECT_ERROR(Malformed, "'txn' is not 16 bytes", parse_entry(with("txn", txn)));
  EXPECT_ERROR(Malformed, "'prev' is not 32 bytes", parse_entry(with("prev", std::string(64, 'G'))));
  EXPECT_ERROR(Malformed, "time out of range", parse_entry(with("time", std::uint64_t{1} << 63)));
  EXPECT_EQ(parse_entry(with("time", INT64_MAX)).time, INT64_MAX);
  EXPECT_ERROR(Malformed, "'kind' is not a text", parse_entry(with("kind", "a\"b")));
  EXPECT_ERROR(Malformed, "unknown phase", parse_entry(with("phase", "end")));
}

TEST(Entries, OnesThatFitNoTileAreRefused) {
  Entry entry = sample();
  entry.data["k"] = "";
  const std::size_t room = kMaxEntrySize - encode_entry(entry).size();
  entry.data["k"] = std::string(room, 'k');
  std::string line = encode_entry(entry);
  EXPECT_EQ(line.size(), kMaxEntrySize);
  EXPECT_EQ(parse_entry(line).data, entry.data);
  entry.data["k"] = std::string(room + 1, 'k');
  EXPECT_ERROR(Malformed, "more than 65535 bytes", encode_entry(entry));
  line.insert(line.find("kkkk"), "k");
  EXPECT_ERROR(Malformed, "too long", parse_entry(line));
}

}  // namespace
}  // namespace qpcseal::audit
