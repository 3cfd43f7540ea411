// SPDX-License-Identifier: Apache-2.0
// One step: what is said of it, when it acts, and how it goes on from where an earlier run left it.
#include "appliance/ceremony/step_runner.h"

#include "appliance/mek/generate.h"
#include "tests/ceremony/ceremony_fixture.h"

namespace qpcseal::ceremony {
namespace {

using encoding::Json;
using qpcseal::testing::ScriptedConsole;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

// A ceremony that stopped; its steps are run one by one.
class CeremonyStep : public qpcseal::testing::CeremonyTest {
 protected:
  // At its first step.
  void begin() { run_until(kDone); }
  // Behind it.
  void prepare() {
    begin();
    run_step("prepare", 1);
    console = {};
  }
  [[nodiscard]] CeremonyIds ids() const {
    return {history().begin.at("ceremony").get<std::string>(), plan.sha256, Json::array()};
  }
  void run_step(const std::string& id, std::size_t number = 2) {
    StepRunner(appliance, plan, ids(), dir.path(), console).run(*plan.step(id), number);
  }
  // As far as the prompt with this text.
  void run_step_until(const std::string& id, const std::string& prompt) {
    console = {};
    console.before = [&](const std::string& asked) {
      if (asked.find(prompt) != std::string::npos) console.ends_at = console.prompts;
    };
    EXPECT_ERROR(Usage, "stopped: the input ended", run_step(id));
    console = {};
  }
  [[nodiscard]] std::vector<Attempt> attempts(const std::string& id) const { return history().steps.at(id); }
};

TEST(StepData, NamesCeremonyPlanStepAndAttempt) {
  EXPECT_EQ(step_data({"aa", "bb", Json::array()}, "make", 3),
            Json({{"ceremony", "aa"}, {"plan_sha256", "bb"}, {"step", "make"}, {"attempt", 3U}}));
}

TEST_F(CeremonyStep, IsAnnouncedBeforeAnythingIsAsked) {
  prepare();
  console.before = [&](const std::string& prompt) {
    if (prompt != "  type 'go' to do it: ") return;
    EXPECT_EQ(console.screen,
              "\nStep 2 of 3: make (mek-generate)\n  who acts:   Anna Adler\n"
              "  must see:   what is to be seen\n  read aloud: \"I make it.\"\n  mek: " +
                  name + "\n  type 'go' to do it: ");
  };
  run_step("make");
  EXPECT_EQ(console.prompts, 3U);
}

TEST_F(CeremonyStep, ShowsTheDigestsOfItsInputs) {
  plan = parse_plan(
      head() + step("compare", "manual",
                    "text = \"Compare.\"\nrecovery_key = \"recovery.key\"\nrecovery_key_sha256 = \"" +
                        sha256_hex("key") + "\"\n"),
      "plan");
  testing::write_text(dir / "recovery.key", "key");
  begin();
  run_step("compare", 1);
  EXPECT_THAT(console.screen, HasSubstr("  recovery.key: SHA-256 " + sha256_hex("key") + ", by plan\n"));
  EXPECT_THAT(console.screen, HasSubstr("  do:         Compare.\n"));
}

TEST_F(CeremonyStep, ActsAtTheWordAlone) {
  prepare();
  console.first["'go'"] = {"", "Go", "done", "go "};
  console.first["initials"] = {"", ""};
  console.before = [&](const std::string& prompt) {
    EXPECT_EQ(meks(), prompt.find("'go'") == std::string::npos ? 1 : 0) << prompt;
  };
  run_step("make");
  EXPECT_EQ(console.prompts, 9U);
  EXPECT_EQ(attempts("make").back().data.at("initials"), "W.W.") << "a step is not closed without";
}

TEST_F(CeremonyStep, IsDoneByHandAtTheWordAlone) {
  begin();
  console.first["'done'"] = {"", "go", "Done"};
  console.first["deviation"] = {"the lamp flickered"};
  run_step("prepare", 1);
  EXPECT_EQ(console.prompts, 6U);
  EXPECT_EQ(attempts("prepare").size(), 1U) << "the one that was begun";
  EXPECT_EQ(attempts("prepare").back().data.at("deviation"), "the lamp flickered");
  EXPECT_EQ(attempts("prepare").back().data.at("outputs"), Json::array());
}

TEST_F(CeremonyStep, ShowsWhatTheLogSaysOfItsAct) {
  prepare();
  run_step("make");
  const LoggedAct act = attempts("make").back().acts.at(0);
  EXPECT_THAT(console.screen,
              HasSubstr("  log entry " + std::to_string(act.seq) + ": mek-generate ok\n  label: " + name +
                        "#1\n  mek_id: " + act.intent.at("mek_id").get<std::string>() + "\n"));
}

TEST_F(CeremonyStep, IsNotActedOnTwice) {
  prepare();
  run_step_until("make", "initials");
  const std::uint64_t from = size();
  run_step("make");
  EXPECT_THAT(console.screen, HasSubstr("  it was done before the interruption\n"));
  EXPECT_THAT(console.screen, Not(HasSubstr("'go'")));
  EXPECT_THAT(entries(from), ElementsAre("ceremony-step ok"));
  EXPECT_EQ(meks(), 1);
}

TEST_F(CeremonyStep, ThatDidNotActGoesOnWithItsAttempt) {
  prepare();
  run_step_until("make", "'go'");
  const std::uint64_t from = size();
  run_step("make");
  EXPECT_THAT(entries(from), ElementsAre("mek-generate", "mek-generate ok", "ceremony-step ok"));
  EXPECT_EQ(attempts("make").size(), 1U);
}

// The run was killed when its act had failed and the attempt was open still.
TEST_F(CeremonyStep, BeginsAnewWhereItsActCameToNothing) {
  prepare();
  run_step_until("make", "'go'");
  Json approval = step_data(ids(), "make", 1);
  approval["nonce"] = sha256_hex(name);
  approval["approvers"] = Json::array();
  const audit::Txn act = appliance.log().intent("mek-generate", {{"mek_id", sha256_hex(name).substr(0, 32)},
                                                                 {"label", name + "#1"},
                                                                 {"generation", 1},
                                                                 {"approval", approval}});
  const std::uint64_t failed = appliance.log().result(act, "failed", Json::object());
  const std::uint64_t from = size();
  run_step("make");
  EXPECT_THAT(console.screen, HasSubstr("  attempt 1 came to nothing (failed); it begins anew\n"));
  EXPECT_THAT(entries(from), ElementsAre("ceremony-step failed", "ceremony-step", "mek-generate",
                                         "mek-generate ok", "ceremony-step ok"));
  EXPECT_EQ(attempts("make").at(0).data.at("act_result"), Json({{"entry", failed}, {"outcome", "failed"}}));
  EXPECT_EQ(attempts("make").at(1).acts.at(0).intent.at("approval").at("attempt"), 2U);
  EXPECT_NE(attempts("make").at(1).acts.at(0).intent.at("approval").at("nonce"), approval.at("nonce"));
}

TEST_F(CeremonyStep, IsRefusedOnceThePlanHasExpired) {
  prepare();
  plan.valid_until = demo().clock.time + 60;
  console.before = [&](const std::string& prompt) {
    if (prompt.find("'go'") != std::string::npos) demo().clock.time += 60;
  };
  const std::uint64_t from = size();
  EXPECT_ERROR(ApprovalsMissing, "step 'make': the plan was valid until " + format_time(plan.valid_until),
               run_step("make"));
  EXPECT_THAT(entries(from), ElementsAre("ceremony-step", "ceremony-step failed"));
  EXPECT_THAT(attempts("make").at(0).data.at("error").get<std::string>(),
              HasSubstr("the plan was valid until"));
  EXPECT_TRUE(appliance.approve("mek-generate", {{"name", "x"}}).is_null())
      << "the plan's authority ends with the act, whatever became of it";
  plan.valid_until += 3600;
  console = {};
  run_step("make");
  EXPECT_EQ(attempts("make").at(1).outcome, "ok");
}

// Somebody makes the key outside of the ceremony while people wait at the prompt.
TEST_F(CeremonyStep, FailsWhereItsActDoes) {
  prepare();
  console.before = [&](const std::string& prompt) {
    if (prompt.find("'go'") != std::string::npos) mek::generate(appliance, name);
  };
  const std::uint64_t from = size();
  EXPECT_ERROR(Usage, "step 'make': there is a MEK '" + name + "' already", run_step("make"));
  EXPECT_THAT(entries(from),
              ElementsAre("ceremony-step", "mek-generate", "mek-generate ok", "ceremony-step failed"));
  EXPECT_TRUE(attempts("make").at(0).acts.empty()) << "it is no act of the ceremony";
}

TEST_F(CeremonyStep, NamesSizeAndRootOfTheCheckpointThatItWrote) {
  prepare();
  run_step("checkpoint", 3);
  const std::string note = testing::read_text(dir / "log.checkpoint");
  const auto point = tlog::open_checkpoint(note, tlog::VerifierKey::parse(demo().made.log_key));
  EXPECT_EQ(to_hex(point.root), to_hex(log().tree.root(point.size)));
  const Json written = attempts("checkpoint").back().data.at("outputs").at(0);
  EXPECT_EQ(written, Json({{"file", "log.checkpoint"},
                           {"sha256", sha256_hex(note)},
                           {"size", point.size},
                           {"root", to_hex(point.root)}}));
  EXPECT_THAT(console.screen, HasSubstr("  size: " + std::to_string(point.size) +
                                        "\n  root: " + to_hex(point.root) + "\n  the root in words:\n"));
}

// A checkpoint that was there before the step began is not the step's.
TEST_F(CeremonyStep, TakesNoOlderCheckpointForItsOwn) {
  prepare();
  run_step_until("checkpoint", "initials");
  const std::string own = testing::read_text(dir / "log.checkpoint");
  run_step("checkpoint", 3);
  EXPECT_THAT(console.screen, HasSubstr("it was done before the interruption"));
  EXPECT_EQ(testing::read_text(dir / "log.checkpoint"), own);

  name = new_name();
  static_cast<void>(abandon(appliance, inputs(), "enough", console));
  plan = parse_plan(plan_text(), "plan");
  std::filesystem::remove(dir / "log.checkpoint");
  prepare();
  run_step_until("checkpoint", "'go'");
  testing::write_text(dir / "log.checkpoint", own);
  EXPECT_ERROR(Io, "step 'checkpoint': ", run_step("checkpoint", 3));
  EXPECT_EQ(testing::read_text(dir / "log.checkpoint"), own) << "it is not written over";
}

// The token holds one recovery key: all that becomes of its file, in one test.
TEST_F(CeremonyStep, WritesItsOutputAgainAndTakesNoOther) {
  plan = parse_plan(head() + step("prepare", "manual", "text = \"Unplug.\"\n") +
                        step("key", "recovery-key", "output = \"recovery.key\"\n"),
                    "plan");
  prepare();
  run_step_until("key", "initials");
  const std::string written = testing::read_text(dir / "recovery.key");
  std::filesystem::remove(dir / "recovery.key");
  run_step_until("key", "initials");
  EXPECT_EQ(testing::read_text(dir / "recovery.key"), written) << "the log has it";
  testing::write_text(dir / "recovery.key", written + " ");
  const std::uint64_t from = size();
  EXPECT_ERROR(Denied,
               "step 'key': " + (dir / "recovery.key").string() + " is not there, or not what the step wrote",
               run_step("key"));
  EXPECT_EQ(size(), from) << "the step stays open";
  testing::write_text(dir / "recovery.key", written);
  console = {};
  run_step("key");
  EXPECT_THAT(console.screen, HasSubstr("  recovery.key: SHA-256 " + sha256_hex(written) + "\n"));
  EXPECT_EQ(attempts("key").size(), 1U);
  EXPECT_EQ(attempts("key").back().data.at("outputs"),
            Json({{{"file", "recovery.key"}, {"sha256", sha256_hex(written)}}}));
}

TEST_F(CeremonyStep, IsOfACeremonyInTheLog) {
  StepRunner runner(appliance, plan, {std::string(32, '1'), plan.sha256, Json::array()}, dir.path(), console);
  const std::uint64_t from = size();
  EXPECT_ERROR(Internal, "a ceremony that is not in the log", runner.run(*plan.step("make"), 2));
  EXPECT_EQ(size(), from);
}

}  // namespace
}  // namespace qpcseal::ceremony
