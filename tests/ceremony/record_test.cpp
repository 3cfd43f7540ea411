// SPDX-License-Identifier: Apache-2.0
#include "appliance/ceremony/record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "appliance/cli/output/record_page.h"
#include "base/digest.h"
#include "base/text.h"

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
      {"format", kRecordFormat},
      {"ceremony", "aa"},
      {"outcome",
       {{"result", "complete"}, {"why", nullptr}, {"steps", 1}, {"steps_done", 1}, {"acts_unconfirmed", 0}}},
      {"interruptions", Json::array()},
      {"demonstration", false},
      {"place", nullptr},
      {"plan",
       {{"id", "p"},
        {"title", "<script>T</script>"},
        {"sha256", "bb00"},
        {"words", "w"},
        {"threshold", 2},
        {"text", "a < b"}}},
      {"appliance", {{"id", "plant"}, {"aud", "cc"}, {"log_key", "k"}}},
      {"people", {{{"name", "Anna"}, {"role", "officer"}, {"officer", "anna"}}}},
      {"approvers", Json::array()},
      {"signatures", {"-----BEGIN SSH SIGNATURE-----"}},
      {"rejections", Json::array()},
      {"environment",
       {{"os", "O"},
        {"image", std::string(64, 'a')},
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
         {"unconfirmed", nullptr},
         {"attempts", {attempt}}}}}};
}

std::string page_of(const Json& record) { return cli::make_record_page(encoding::canonical(record) + "\n"); }

// Without markup, on one line.
std::string text_of(const Json& record) {
  std::string out;
  bool markup = false;
  for (const char c : page_of(record)) {
    if (c == '<') markup = true;
    if (!markup) out += c == '\n' ? ' ' : c;
    if (c == '>') markup = false;
  }
  return out;
}

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(Page, HasEverythingAndRunsNothing) {
  const std::string page = page_of(sample_record());
  EXPECT_EQ(page.find("<script>"), std::string::npos);
  EXPECT_EQ(page.find("<b>lamp"), std::string::npos);
  for (const char* part : {"&lt;script&gt;T", "&lt;b&gt;lamp &amp; &quot;cable&quot;", "net#1", "W.W.",
                           "CKA_ENCRYPT", "BEGIN SSH SIGNATURE", "3 entries", "9 entries", "a &lt; b"})
    EXPECT_NE(page.find(part), std::string::npos) << part;
  for (const char* loaded : {"http:", "https:", "src=", "href=", "url("})
    EXPECT_EQ(page.find(loaded), std::string::npos);
}

TEST(Page, IsHeadedAsARecordWithItsOutcomeFirst) {
  const std::string text = text_of(sample_record());
  const std::size_t head = text.find("Record of a key ceremony", text.find("</head>") + 1);
  EXPECT_LT(text.find("COMPLETE"), text.find("Steps at a glance"));
  EXPECT_NE(head, std::string::npos);
  EXPECT_THAT(text, HasSubstr("The ceremony was completed: 1 of 1 steps were done."));
  Json abandoned = sample_record();
  abandoned["outcome"] = {{"result", "abandoned"},
                          {"why", "the lamp went out"},
                          {"steps", 1},
                          {"steps_done", 0},
                          {"acts_unconfirmed", 0}};
  EXPECT_THAT(text_of(abandoned), HasSubstr("ABANDONED"));
  EXPECT_THAT(text_of(abandoned), HasSubstr("The ceremony was abandoned, because: the lamp went out"));
  EXPECT_THAT(text_of(abandoned), Not(HasSubstr("COMPLETE")));
}

// A reader at a glance must not take it for one that never happened.
TEST(RecordPage, AnActThatNobodyConfirmedIsNoStepThatWasNotDone) {
  Json record = sample_record();
  record["outcome"] = {
      {"result", "abandoned"}, {"why", "fire"}, {"steps", 1}, {"steps_done", 0}, {"acts_unconfirmed", 1}};
  record["steps"][0]["done"] = false;
  EXPECT_THAT(text_of(record), HasSubstr("not done"));
  record["steps"][0]["unconfirmed"] = 82;
  const std::string text = text_of(record);
  EXPECT_THAT(text, HasSubstr("act done (log entry 82), not confirmed"));
  EXPECT_THAT(text, HasSubstr("In one more the act was done, and nobody confirmed it."));
  EXPECT_THAT(text, HasSubstr("its act is done (log entry 82) and stays"));
  EXPECT_THAT(text, Not(HasSubstr("not done")));
}

TEST(Page, NamesTheImageOrThatNoneRan) {
  EXPECT_THAT(text_of(sample_record()), HasSubstr("image" + std::string(64, 'a') + " in words"));
  Json none = sample_record();
  none["environment"]["image"] = nullptr;
  EXPECT_THAT(text_of(none), HasSubstr("imagenone system"));
  none["environment"].erase("image");
  EXPECT_ERROR(Malformed, "lacks members", page_of(none));
}

TEST(PlannedImage, IsTheOneThatTheRecordNames) {
  Plan plan;
  EXPECT_TRUE(has_planned_image(plan, {{"image", nullptr}}));
  plan.image = std::string(64, 'a');
  EXPECT_TRUE(has_planned_image(plan, {{"image", plan.image}}));
  EXPECT_FALSE(has_planned_image(plan, {{"image", nullptr}}));
  EXPECT_FALSE(has_planned_image(plan, {{"image", std::string(64, 'b')}}));
  EXPECT_ERROR(Malformed, "image", has_planned_image(plan, Json::object()));
}

TEST(Page, TellsEachStop) {
  EXPECT_THAT(text_of(sample_record()), HasSubstr("None: it went from beginning to end in one run."));
  Json record = sample_record();
  record["interruptions"] = {{{"stopped", "2026-01-01T00:00:30Z"},
                              {"last_entry", "2026-01-01T00:00:30Z"},
                              {"step", "make"},
                              {"cause", "stopped: 'stop' was typed"},
                              {"resumed", "2026-01-01T00:00:40Z"}},
                             {{"stopped", nullptr},
                              {"last_entry", "2026-01-01T00:00:50Z"},
                              {"step", nullptr},
                              {"cause", nullptr},
                              {"resumed", nullptr}}};
  const std::string text = text_of(record);
  EXPECT_THAT(text,
              HasSubstr("2026-01-01T00:00:30Z, at step &#39;make&#39;: stopped: &#39;stop&#39; was typed. "
                        "Resumed 2026-01-01T00:00:40Z."));
  EXPECT_THAT(text, HasSubstr("After 2026-01-01T00:00:50Z the run ended without a word in the log"));
  EXPECT_THAT(text, HasSubstr("It was not resumed."));
}

TEST(Page, TiesOfficersToPeople) {
  Json record = sample_record();
  EXPECT_THAT(text_of(record), HasSubstr("Anna, officer anna, did not sign the plan."));
  record["approvers"] = {{{"name", "anna"}, {"fingerprint", "SHA256:a"}},
                         {{"name", "eve"}, {"fingerprint", "SHA256:e"}}};
  const std::string text = text_of(record);
  EXPECT_THAT(text, HasSubstr("Anna, officerSHA256:a"));
  EXPECT_THAT(text, HasSubstr("evethe plan names no person for this officer"));
  EXPECT_THAT(text, Not(HasSubstr("did not sign")));
}

TEST(Page, EndsWithSignaturesAndHasItsDigestOnEachPage) {
  const std::string record = encoding::canonical(sample_record()) + "\n", page = page_of(sample_record());
  EXPECT_THAT(page, HasSubstr("@bottom-left { content: \"Record SHA-256 " + sha256_hex(record)));
  EXPECT_THAT(page, HasSubstr("counter(page)"));
  EXPECT_GT(page.find("By signing below I attest"), page.find("The plan as it was signed"));
  EXPECT_EQ(page.find("By signing below"), page.rfind("By signing below"));
}

TEST(Page, IsMadeOfARecordAlone) {
  EXPECT_ERROR(Malformed, "no record of a ceremony, qpcseal/ceremony-record/3",
               cli::make_record_page(R"({"format":"qpcseal/ceremony-record/1"})"));
  EXPECT_ERROR(Malformed, "no record of a ceremony", cli::make_record_page("[]"));
  Json record = sample_record();
  record.erase("outcome");
  EXPECT_ERROR(Malformed, "lacks members", page_of(record));
}

// Each text of a record, one after the other, as a token, a person or a plan's author may give it.
class AnyText : public ::testing::TestWithParam<std::string> {
 protected:
  template <typename Check>
  static void each_record(Check check) {
    const Json leaves = sample_record().flatten();
    for (const auto& [at, value] : leaves.items()) {
      if (!value.is_string() || at == "/format") continue;
      SCOPED_TRACE(at);
      Json record = sample_record();
      record[Json::json_pointer(at)] = valid_utf8(GetParam());
      check(record);
    }
  }
};

TEST_P(AnyText, IsReadAsItWasWritten) {
  each_record([](const Json& record) {
    const Json read = encoding::parse_canonical(encoding::canonical(record), "the record");
    EXPECT_EQ(read, record);
    EXPECT_TRUE(differences(record, read).empty());
  });
}

TEST_P(AnyText, MakesAPageWithoutMarkupOrControlCharactersOfItsOwn) {
  each_record([](const Json& record) {
    for (const Json& hex : {record["plan"]["sha256"], record["environment"]["image"]})
      if (GetParam() != "" && hex == valid_utf8(GetParam())) return;  // it is hex, for words
    const std::string page = page_of(record);
    EXPECT_EQ(page.find("<i>"), std::string::npos);
    EXPECT_TRUE(std::ranges::all_of(page, [](char c) { return c == '\n' || (c & 0xE0) != 0; }));
  });
}

INSTANTIATE_TEST_SUITE_P(Record, AnyText,
                         ::testing::Values("", " ", std::string(1, '\0'), std::string(4096, 'x'),
                                           "Schl\xc3\xbcssel", "\xf0\x9f\x94\x91", "\xe2\x80\xaegnp",
                                           "a\tb\r\nc", "\x01\x1b[2J", "\x7f", "\xff\xfe", "<i>", "\"",
                                           "\\u0000", "</pre>"));

TEST(Differences, AreWhatMattersAlone) {
  const Json rehearsal = sample_record();
  Json run = sample_record();
  EXPECT_TRUE(differences(rehearsal, run).empty());
  run["environment"]["token"]["serial"] = "2";
  run["steps"][0]["attempts"][0]["acts"][0]["result"]["mek_id"] = "01";
  run["steps"][0]["attempts"][0]["deviation"] = "";
  EXPECT_TRUE(differences(rehearsal, run).empty());
  EXPECT_ERROR(Malformed, "not one of this program's", differences(Json::object(), sample_record()));
}

TEST(Differences, AreSentences) {
  const auto differs = [](const Json::json_pointer& at, const Json& value) {
    Json other = sample_record();
    other[at] = value;
    return differences(sample_record(), other);
  };
  using Pointer = Json::json_pointer;
  EXPECT_THAT(differs(Pointer("/environment/token/firmware"), "9"),
              ElementsAre("The token's firmware: '2.6' in the rehearsal, '9' in the ceremony."));
  EXPECT_THAT(differs(Pointer("/environment/module_sha256"), "9"),
              ElementsAre("The token's module (SHA-256): '2' in the rehearsal, '9' in the ceremony."));
  EXPECT_THAT(differs(Pointer("/environment/image"), nullptr),
              ElementsAre("The running image (root hash): '" + std::string(64, 'a') +
                          "' in the rehearsal, none in the ceremony."));
  EXPECT_THAT(differs(Pointer("/environment/lacking"), {"local"}),
              ElementsAre("The key attributes that the token lacks: none in the rehearsal, local in the "
                          "ceremony."));
  EXPECT_THAT(differs(Pointer("/environment/anchor"), false),
              ElementsAre("Whether the token keeps the log's anchor: yes in the rehearsal, no in the "
                          "ceremony."));
  EXPECT_THAT(differs(Pointer("/steps/0/done"), false),
              ElementsAre("Step 'make' was not done; in the rehearsal it was."));
  EXPECT_THAT(differs(Pointer("/steps/0/id"), "other"),
              ElementsAre("Step 'other' stands where the rehearsal had 'make'."));
  EXPECT_THAT(differs(Pointer("/steps/0/attempts/0/acts"), Json::array()),
              ElementsAre("Step 'make', the number of acts on keys: 1 in the rehearsal, 0 in the ceremony."));
  EXPECT_THAT(differs(Pointer("/steps/0/attempts/0/acts/0/outcome"), "failed"),
              ElementsAre("Step 'make', the outcome of the act: 'ok' in the rehearsal, 'failed' in the "
                          "ceremony."));
  EXPECT_THAT(differs(Pointer("/steps/0/attempts/0/acts/0/result/attributes/CKA_ENCRYPT"), "false"),
              ElementsAre("Step 'make', attribute CKA_ENCRYPT: 'true' in the rehearsal, 'false' in the "
                          "ceremony."));
}

}  // namespace
}  // namespace qpcseal::ceremony
