#include "appliance/ceremony/plan.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "appliance/ceremony/acts.h"
#include "appliance/ceremony/site_check.h"
#include "base/file.h"
#include "tests/base/expect_error.h"

namespace qpcseal::ceremony {
namespace {

const std::filesystem::path kPlans = std::filesystem::path(QPCSEAL_SOURCE_DIR) / "docs" / "plans";

std::string sample(const std::string& name = "backup") {
  return std::string(text_of(read_file(kPlans / (name + ".toml"), kMaxPlanSize)));
}

std::string changed(const std::string& from, const std::string& to) {
  std::string text = sample();
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(Plan, EverySampleIsWellFormed) {
  unsigned count = 0;
  for (const auto& item : std::filesystem::directory_iterator(kPlans)) {
    const Plan plan = parse_plan(sample(item.path().stem()), item.path());
    EXPECT_TRUE(plan.rehearsed);
    EXPECT_GE(plan.threshold, 2U);
    EXPECT_NE(show(plan).find(plan.sha256), std::string::npos);
    ++count;
  }
  EXPECT_GE(count, 5U);
}

TEST(Plan, SaysWhatItSays) {
  const Plan plan = parse_plan(sample(), "backup.toml");
  EXPECT_EQ(plan.id, "2026-backup");
  ASSERT_NE(plan.step("backup"), nullptr);
  EXPECT_EQ(plan.step("backup")->arguments.at("mek"), "resnet50");
  EXPECT_EQ(output_of(*plan.step("backup")), "resnet50.backup");
  ASSERT_EQ(inputs_of(*plan.step("backup")).size(), 1U);
  EXPECT_EQ(inputs_of(*plan.step("backup")).front().file, "recovery.key");
  EXPECT_EQ(plan.step("nothing"), nullptr);
  EXPECT_EQ(plan.text, sample());
}

TEST(Plan, RefusesEverythingElse) {
  const auto parse = [](const std::string& from, const std::string& to) {
    return parse_plan(changed(from, to), "p.toml");
  };
  EXPECT_ERROR(Malformed, "p.toml:1", parse("qpcseal/plan/1", "qpcseal/plan/2"));
  EXPECT_ERROR(Malformed, "threshold", parse("threshold = 2", "threshold = -1"));
  EXPECT_ERROR(Malformed, "threshold", parse("threshold = 2", ""));
  EXPECT_ERROR(Malformed, "aud", parse("aud = \"00", "aud = \""));
  EXPECT_ERROR(Malformed, "valid_until", parse("2026-12-31T00:00:00Z", "soon"));
  EXPECT_ERROR(Malformed, "no such act", parse("do = \"mek-backup\"", "do = \"mek-sell\""));
  EXPECT_ERROR(Malformed, "none of the people", parse("who = \"Carl Cohen\"", "who = \"Somebody\""));
  EXPECT_ERROR(Malformed, "no folder", parse("output = \"resnet50.backup\"", "output = \"../x\""));
  EXPECT_ERROR(Malformed, "stands twice",
               parse("output = \"resnet50.backup\"", "output = \"log.checkpoint\""));
  EXPECT_ERROR(Malformed, "stands twice", parse("id = \"compare\"", "id = \"prepare\""));
  EXPECT_ERROR(Malformed, "stands twice", parse("name = \"Wanda Wolf\"", "name = \"Bela Balog\""));
  EXPECT_ERROR(Malformed, "SHA-256", parse("recovery_key_sha256 = \"00", "recovery_key_sha256 = \""));
  EXPECT_ERROR(Malformed, "anchor", parse("anchor = true", "anchor = 1"));
  EXPECT_ERROR(Malformed, "unknown", parse("rehearsed = true", "rehearsed = true\nhurry = true"));
  EXPECT_ERROR(Malformed, "signing", parse("\"ed25519\"", "\"rsa\""));
  EXPECT_ERROR(Malformed, "p.toml", parse_plan("[", "p.toml"));
  EXPECT_ERROR(Malformed, "64 KiB", parse_plan(std::string(kMaxPlanSize + 1, '#'), "p.toml"));
}

TEST(Plan, IsHeldAgainstTheToken) {
  const Plan plan = parse_plan(sample(), "p.toml");
  const audit::Json good{{"token", {{"manufacturer", "SoftHSM project"}, {"model", "SoftHSM v2"}}},
                         {"signing", "ed25519"},
                         {"suites", {2, 4}},
                         {"lacking", audit::Json::array()},
                         {"anchor", true}};
  EXPECT_TRUE(check_token(plan, good).empty());
  for (const auto& [key, value] : std::map<std::string, audit::Json>{
           {"signing", "ecdsa-p256"}, {"suites", {1}}, {"lacking", {"local"}}, {"anchor", false}}) {
    audit::Json other = good;
    other[key] = value;
    EXPECT_EQ(check_token(plan, other).size(), 1U) << key;
  }
  audit::Json other = good;
  other["token"]["model"] = "SoftHSM v3";
  EXPECT_EQ(check_token(plan, other).size(), 1U);
}

}  // namespace
}  // namespace qpcseal::ceremony
