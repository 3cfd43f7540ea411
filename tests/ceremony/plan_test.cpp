// SPDX-License-Identifier: Apache-2.0
#include "appliance/ceremony/plan.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "appliance/ceremony/preflight.h"
#include "appliance/ceremony/step_rules.h"
#include "appliance/ceremony/steps.h"
#include "base/file.h"
#include "tests/base/expect_error.h"

namespace qpcseal::ceremony {
namespace {

const std::filesystem::path kPlans = std::filesystem::path(QPCSEAL_SOURCE_DIR) / "docs" / "plans";

std::string sample(const std::string& name = "backup") {
  return read_text_file(kPlans / (name + ".toml"), kMaxPlanSize);
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
  EXPECT_EQ(step_output(*plan.step("backup")), "resnet50.backup");
  ASSERT_EQ(step_inputs(*plan.step("backup")).size(), 1U);
  EXPECT_EQ(step_inputs(*plan.step("backup")).front().file, "recovery.key");
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
  EXPECT_ERROR(Malformed, "control characters", parse("title = \"Backup", "title = \"Backup\\nSHA-256 00"));
  EXPECT_ERROR(Malformed, "control characters", parse("name = \"Carl", "name = \"\\u001b[2J"));
  for (const char* name : {"a b", "../x", "net#", "net#0", "net#01", "net#1#2", "net#9999999999", "#1"})
    EXPECT_ERROR(Malformed, "'mek'", parse("mek = \"resnet50\"", "mek = \"" + std::string(name) + "\""));
  EXPECT_ERROR(Malformed, "without generation",
               parse("do = \"mek-backup\"\nmek = \"resnet50\"", "do = \"mek-rotate\"\nmek = \"resnet50#1\""));
  EXPECT_ERROR(Malformed, "p.toml", parse_plan("[", "p.toml"));
  EXPECT_ERROR(Malformed, "64 KiB", parse_plan(std::string(kMaxPlanSize + 1, '#'), "p.toml"));
}

Step step_of(const std::string& act, std::map<std::string, std::string> arguments) {
  Step out;
  out.act = act;
  out.arguments = std::move(arguments);
  return out;
}

TEST(Plan, BindsWhatAnActMayDo) {
  const Step backup = step_of("mek-backup", {{"mek", "net"}, {"recovery_key_sha256", "aa"}});
  const encoding::Json good{{"mek", "net#2"}, {"mek_id", "00"}, {"recovery_key_sha256", "aa"}};
  EXPECT_NO_THROW(expect_planned(backup, "mek-backup", good));
  EXPECT_ERROR(Denied, "the act is", expect_planned(backup, "mek-destroy", good));
  for (const auto& [name, value] :
       std::multimap<std::string, encoding::Json>{{"recovery_key_sha256", "bb"},
                                                  {"recovery_key_sha256", nullptr},
                                                  {"mek", "other#2"},
                                                  {"mek", "net-2#2"},
                                                  {"backup_sha256", "aa"},
                                                  {"transferee_recovery_key_sha256", "aa"},
                                                  {"unheard_of_sha256", "aa"}}) {
    encoding::Json other = good;
    other[name] = value;
    EXPECT_ERROR(Denied, "not what the officers signed", expect_planned(backup, "mek-backup", other));
  }
  encoding::Json lacking = good;
  lacking.erase("recovery_key_sha256");
  EXPECT_ERROR(Denied, "recovery_key_sha256", expect_planned(backup, "mek-backup", lacking));

  const Step second = step_of("mek-suspend", {{"mek", "net#2"}});
  EXPECT_NO_THROW(expect_planned(second, "mek-suspend", {{"mek", "net#2"}}));
  EXPECT_ERROR(Denied, "the MEK", expect_planned(second, "mek-suspend", {{"mek", "net#1"}}));
  const Step make = step_of("mek-generate", {{"mek", "net"}});
  EXPECT_NO_THROW(expect_planned(make, "mek-generate", {{"name", "net"}}));
  EXPECT_ERROR(Denied, "the MEK", expect_planned(make, "mek-generate", {{"name", "net2"}}));
  const Step destroy = step_of("mek-destroy", {{"mek", "net"}, {"transferee_sha256", "cc"}});
  EXPECT_NO_THROW(
      expect_planned(destroy, "mek-destroy", {{"mek", "net#1"}, {"transferee_recovery_key_sha256", "cc"}}));
  EXPECT_ERROR(Denied, "transferee", expect_planned(destroy, "mek-destroy", {{"mek", "net#1"}}));
  const Step drill = step_of("mek-drill", {{"mek", "net"}, {"backup_sha256", "dd"}});
  const encoding::Json drilled{{"mek", "net#1"}, {"backup_sha256", "dd"}, {"source_seal_key_sha256", "ee"}};
  EXPECT_NO_THROW(expect_planned(drill, "mek-drill", drilled));
  encoding::Json longer = drilled;
  longer["days"] = 9U;
  EXPECT_NO_THROW(expect_planned(
      step_of("mek-drill", {{"mek", "net"}, {"backup_sha256", "dd"}, {"days", "9"}}), "mek-drill", longer));
  EXPECT_ERROR(Denied, "days",
               expect_planned(step_of("mek-drill", {{"mek", "net"}, {"backup_sha256", "dd"}, {"days", "90"}}),
                              "mek-drill", longer));
  encoding::Json restored = drilled;
  restored["origin"] = "transferee";
  EXPECT_ERROR(Denied, "the origin",
               expect_planned(step_of("mek-restore", drill.arguments), "mek-restore", restored));
  auto transferee = drill.arguments;
  transferee["retirement"] = "receipt";
  EXPECT_NO_THROW(expect_planned(step_of("mek-restore", transferee), "mek-restore", restored));
  restored["origin"] = "restored";
  EXPECT_ERROR(Denied, "the origin",
               expect_planned(step_of("mek-restore", transferee), "mek-restore", restored));
  EXPECT_NO_THROW(
      expect_planned(step_of("recovery-key", {{"output", "k"}}), "recovery-key", encoding::Json::object()));
}

audit::MekHistory history_of(const std::string& label, std::uint64_t generation, const std::string& state) {
  audit::MekHistory out;
  out.label = label;
  out.generation = generation;
  out.state = state;
  return out;
}

TEST(Plan, IsHeldAgainstTheKeys) {
  audit::State state;
  state.meks[Bytes(16, 1)] = history_of("one#1", 1, "suspended");
  state.meks[Bytes(16, 2)] = history_of("two#1", 1, "ok");
  state.meks[Bytes(16, 3)] = history_of("two#2", 2, "ok");
  state.meks[Bytes(16, 4)] = history_of("late#1", 1, "destroyed");
  state.meks[Bytes(16, 5)] = history_of("late#2", 2, "ok");
  state.meks[Bytes(16, 6)] = history_of("never#1", 1, "failed");
  using Steps = std::vector<std::pair<std::string, std::string>>;
  const auto complaints = [&](const Steps& steps) {
    Plan plan;
    for (const auto& [act, mek] : steps) plan.steps.push_back(step_of(act, {{"mek", mek}}));
    return check_meks(plan, state);
  };
  for (const Steps& good :
       {Steps{{"mek-resume", "one"}, {"mek-destroy", "one"}},
        Steps{{"mek-suspend", "two#1"}, {"mek-destroy", "two#2"}, {"mek-backup", "two"}},
        Steps{{"mek-destroy", "late"}},
        Steps{{"mek-generate", "never"}, {"mek-rotate", "never"}, {"mek-backup", "never#2"}},
        Steps{{"mek-rotate", "late"}, {"mek-destroy", "late#2"}, {"mek-backup", "late"}},
        Steps{{"mek-drill", "elsewhere"}},
        Steps{{"mek-restore", "elsewhere"}, {"mek-destroy", "elsewhere#3"}}})
    EXPECT_EQ(complaints(good), Complaints{});
  for (const auto& [bad, words] : std::vector<std::pair<Steps, std::string>>{
           {{{"mek-backup", "none"}}, "there is no MEK 'none'"},
           {{{"mek-rotate", "none"}}, "there is no MEK 'none'"},
           {{{"mek-suspend", "late#1"}}, "there is no MEK 'late#1'"},
           {{{"mek-backup", "two"}}, "'two' has several generations: name one, such as two#2"},
           {{{"mek-rotate", "one"}, {"mek-destroy", "one"}}, "'one' has several generations"},
           {{{"mek-destroy", "one"}, {"mek-backup", "one"}}, "there is no MEK 'one'"},
           {{{"mek-generate", "late"}}, "there is, or was, a MEK 'late' already"},
           {{{"mek-generate", "new"}, {"mek-generate", "new"}}, "a MEK 'new' already"}}) {
    const Complaints found = complaints(bad);
    ASSERT_EQ(found.size(), 1U) << words;
    EXPECT_NE(found.front().find(words), std::string::npos) << found.front();
  }
}

TEST(Plan, CanDemandAnImage) {
  const std::string root(64, 'a'), other(64, 'b');
  const auto demanding = [](const std::string& image) {
    return parse_plan(changed("rehearsed = true", "rehearsed = true\nimage = " + image), "p.toml");
  };
  const Plan any = parse_plan(sample(), "p.toml"), one = demanding('"' + root + '"');
  EXPECT_EQ(any.image, "");
  EXPECT_EQ(one.image, root);
  EXPECT_EQ(show(any).find("image"), std::string::npos);
  EXPECT_NE(show(one).find("image     " + root + "\nin words:\n"), std::string::npos);
  for (const char* bad : {"\"\"", "\"aa\"", "\"none\"", "true", "[]"})
    EXPECT_ERROR(Malformed, "image", demanding(bad)) << bad;

  for (const site::RunningImage& running : {site::RunningImage{}, {root, ""}, {other, ""}})
    EXPECT_TRUE(check_image(any, running).empty());
  EXPECT_TRUE(check_image(one, {root, ""}).empty());
  EXPECT_EQ(check_image(one, {other, ""}),
            Complaints{"the plan demands image " + root + ", and image " + other + " runs here"});
  EXPECT_EQ(check_image(one, {}), Complaints{"the plan demands image " + root + ", and no image runs here"});
}

TEST(Plan, IsRefusedUnderAnotherImage) {
  Plan plan;
  EXPECT_NO_THROW(expect_image(plan, {}));
  plan.image = std::string(64, 'a');
  EXPECT_NO_THROW(expect_image(plan, {plan.image, ""}));
  EXPECT_ERROR(Denied, "and no image (why) runs here", expect_image(plan, {"", "why"}));
  History begun;
  begun.begin = {{"environment", {{"image", plan.image}}}};
  EXPECT_NO_THROW(expect_same_image(begun, {plan.image, ""}));
  EXPECT_ERROR(Denied, "the ceremony began under image " + plan.image + ", and no image runs here",
               expect_same_image(begun, {}));
  for (const encoding::Json& none : {encoding::Json{{"image", nullptr}}, encoding::Json::object()}) {
    begun.begin["environment"] = none;
    EXPECT_NO_THROW(expect_same_image(begun, {}));
    EXPECT_ERROR(Denied, "the ceremony began under no image", expect_same_image(begun, {plan.image, ""}));
  }
}

TEST(Plan, IsHeldAgainstTheToken) {
  const Plan plan = parse_plan(sample(), "p.toml");
  const encoding::Json good{{"token", {{"manufacturer", "SoftHSM project"}, {"model", "SoftHSM v2"}}},
                            {"signing", "ed25519"},
                            {"suites", {2, 4}},
                            {"lacking", encoding::Json::array()},
                            {"anchor", true}};
  EXPECT_TRUE(check_token(plan, good).empty());
  for (const auto& [key, value] : std::map<std::string, encoding::Json>{
           {"signing", "ecdsa-p256"}, {"suites", {1}}, {"lacking", {"local"}}, {"anchor", false}}) {
    encoding::Json other = good;
    other[key] = value;
    EXPECT_EQ(check_token(plan, other).size(), 1U) << key;
  }
  encoding::Json other = good;
  other["token"]["model"] = "SoftHSM v3";
  EXPECT_EQ(check_token(plan, other).size(), 1U);
}

}  // namespace
}  // namespace qpcseal::ceremony
