#include "appliance/audit/json.h"

#include <gtest/gtest.h>

#include "appliance/audit/entry.h"
#include "base/error.h"
#include "tests/base/expect_error.h"

namespace qpcseal::audit {
namespace {

TEST(CanonicalJson, OneTextForOneValue) {
  EXPECT_EQ(canonical(Json{{"b", 1}, {"a", {true, nullptr, "x"}}}), R"({"a":[true,null,"x"],"b":1})");
  EXPECT_EQ(canonical(Json("\x01\"\\/\n\u00e9")), "\"\\u0001\\\"\\\\/\\n\u00e9\"");
  EXPECT_EQ(canonical(Json(UINT64_MAX)), "18446744073709551615");
  EXPECT_ERROR(Malformed, "", canonical(Json(1.5)));
  EXPECT_ERROR(Malformed, "", canonical(Json("\xFF")));
}

TEST(CanonicalJson, OtherTextsOfTheSameValueAreRefused) {
  for (const char* text :
       {R"({"b":1,"a":2})", R"({"a":1 })", R"({"a":1,"a":1})", R"({"a":1.0})", R"({"a":1e2})", R"({"a":-0})",
        R"({"a":01})", R"({"a":"\u0041"})", R"({"a":"\/"})", "{\"a\":1}\n", R"({"a":18446744073709551616})",
        "\xEF\xBB\xBF{}", R"({"a":NaN})", "{} {}", "", "{"})
    EXPECT_ERROR(Malformed, "name", parse_canonical(text, "name")) << text;
  EXPECT_EQ(parse_canonical(R"({"a":"b"})", "name"), Json({{"a", "b"}}));
}

TEST(CanonicalJson, DepthIsBounded) {
  const auto nested = [](std::size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
  EXPECT_NO_THROW(parse_canonical(nested(kMaxJsonDepth), "name"));
  EXPECT_ERROR(Malformed, "", parse_canonical(nested(kMaxJsonDepth + 1), "name"));
  EXPECT_ERROR(Malformed, "", parse_canonical(nested(1000000), "name"));
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
  const Json good = Json::parse(encode_entry(sample()));
  for (const auto& [key, value] : good.items()) {
    Json bad = good;
    bad.erase(key);
    EXPECT_ERROR(Malformed, "", parse_entry(canonical(bad))) << "without " << key;
    bad = good;
    bad[key] = Json::array();
    EXPECT_ERROR(Malformed, "", parse_entry(canonical(bad))) << "array for " << key;
  }
  Json bad = good;
  bad["extra"] = 1;
  EXPECT_ERROR(Malformed, "", parse_entry(canonical(bad)));
  bad = good;
  bad["v"] = 2;
  EXPECT_ERROR(Malformed, "", parse_entry(canonical(bad)));
  bad = good;
  bad["outcome"] = "perhaps";
  EXPECT_ERROR(Malformed, "", parse_entry(canonical(bad)));
  bad = good;
  bad["phase"] = "event";
  EXPECT_ERROR(Malformed, "", parse_entry(canonical(bad)));
}

}  // namespace
}  // namespace qpcseal::audit
