// SPDX-License-Identifier: Apache-2.0
#include "appliance/ceremony/record.h"

#include <gtest/gtest.h>

#include "tests/base/expect_error.h"

namespace qpcseal::ceremony {
namespace {

using encoding::Json;

Json sample_record() {
  const Json token{
      {"manufacturer", "M"}, {"model", "T"}, {"serial", "1"}, {"firmware", "2.6"}, {"label", "L"}};
  const Json act{{"entry", 7},
                 {"kind", "mek-generate"},
                 {"outcome", "ok"},
                 {"asked", {{"label", "net#1"}, {"mek_id", "00"}}},
                 {"result", {{"attributes", {{"CKA_ENCRYPT", "true"}}}, {"mek_id", "00"}}}};
  const Json attempt{{"attempt", 1},
                     {"began", "2026-01-01T00:00:00Z"},
                     {"ended", "2026-01-01T00:01:00Z"},
                     {"outcome", "ok"},
                     {"acts", {act}},
                     {"initials", "W.W."},
                     {"deviation", "<b>lamp & \"cable\"</b>"},
                     {"outputs", Json::array()},
                     {"error", nullptr}};
  return {
      {"ceremony", "aa"},
      {"plan",
       {{"id", "p"},
        {"title", "<script>T</script>"},
        {"sha256", "bb"},
        {"words", "w"},
        {"threshold", 2},
        {"text", "a < b"}}},
      {"appliance", {{"id", "plant"}, {"aud", "cc"}, {"log_key", "k"}}},
      {"people", {{{"name", "Anna"}, {"role", "officer"}}}},
      {"approvers", Json::array()},
      {"signatures", {"-----BEGIN SSH SIGNATURE-----"}},
      {"rejections", Json::array()},
      {"environment",
       {{"os", "O"},
        {"binary_sha256", "1"},
        {"software", "s"},
        {"module", "m"},
        {"module_sha256", "2"},
        {"token", token},
        {"signing", "ed25519"},
        {"suites", {2}},
        {"lacking", Json::array()},
        {"anchor", true}}},
      {"policy", "dd"},
      {"rehearsal_sha256", nullptr},
      {"stand_ins", Json::array()},
      {"checkpoints", {{"before", {{"size", 3}, {"root", "e"}}}, {"after", {{"size", 9}, {"root", "f"}}}}},
      {"began", "2026-01-01T00:00:00Z"},
      {"ended", "2026-01-01T00:02:00Z"},
      {"comparison", nullptr},
      {"steps",
       {{{"id", "make"},
         {"act", "mek-generate"},
         {"who", "Anna"},
         {"see", "ok"},
         {"say", ""},
         {"arguments", {{"mek", "net"}}},
         {"done", true},
         {"attempts", {attempt}}}}}};
}

TEST(Page, HasEverythingAndRunsNothing) {
  const std::string page = make_page(sample_record());
  EXPECT_EQ(page.find("<script>"), std::string::npos);
  EXPECT_EQ(page.find("<b>"), std::string::npos);
  for (const char* part : {"&lt;script&gt;T", "&lt;b&gt;lamp &amp; &quot;cable&quot;", "net#1", "W.W.",
                           "CKA_ENCRYPT", "BEGIN SSH SIGNATURE", "3 entries", "9 entries", "a &lt; b"})
    EXPECT_NE(page.find(part), std::string::npos) << part;
  EXPECT_EQ(page.find("http"), std::string::npos);
}

TEST(Differences, AreWhatMattersAlone) {
  const Json rehearsal = sample_record();
  Json run = sample_record();
  EXPECT_TRUE(differences(rehearsal, run).empty());
  run["environment"]["token"]["serial"] = "2";
  run["steps"][0]["attempts"][0]["acts"][0]["result"]["mek_id"] = "01";
  run["steps"][0]["attempts"][0]["deviation"] = "";
  EXPECT_TRUE(differences(rehearsal, run).empty());
  const auto differs = [&](const Json::json_pointer& at, const Json& value) {
    Json other = sample_record();
    other[at] = value;
    return differences(rehearsal, other).size() == 1;
  };
  using Pointer = Json::json_pointer;
  EXPECT_TRUE(differs(Pointer("/environment/token/firmware"), "9"));
  EXPECT_TRUE(differs(Pointer("/environment/module_sha256"), "9"));
  EXPECT_TRUE(differs(Pointer("/environment/lacking"), {"local"}));
  EXPECT_TRUE(differs(Pointer("/steps/0/done"), false));
  EXPECT_TRUE(differs(Pointer("/steps/0/attempts/0/acts/0/outcome"), "failed"));
  EXPECT_TRUE(differs(Pointer("/steps/0/attempts/0/acts/0/result/attributes/CKA_ENCRYPT"), "false"));
  EXPECT_ERROR(Malformed, "not one of this program's", differences(Json::object(), sample_record()));
}

}  // namespace
}  // namespace qpcseal::ceremony
