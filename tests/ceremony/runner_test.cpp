// SPDX-License-Identifier: Apache-2.0
// Ceremonies run, stopped at every prompt and gone on with, abandoned and reported, by the order of the log.
#include "appliance/ceremony/runner.h"

#include "tests/ceremony/ceremony_fixture.h"

namespace qpcseal::ceremony {
namespace {

using encoding::Json;
using qpcseal::testing::ScriptedConsole;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class CeremonyRun : public qpcseal::testing::CeremonyTest {
 protected:
  CeremonyResult go_on() {
    console = {};
    return resume(appliance, inputs(), console);
  }
  // Nothing may be logged, and what needs no token is refused before it too, with the same words.
  void expect_refused(ErrorKind kind, const std::string& why, const CeremonyInputs& inputs) {
    const std::uint64_t before = size();
    EXPECT_TRUE(testing::throws_error(kind, why, [&] { ceremony::run(appliance, inputs, console); }));
    EXPECT_TRUE(testing::throws_error(kind, why, [&] { look_at_run(appliance.outlook(), inputs); }));
    EXPECT_EQ(size(), before);
    EXPECT_EQ(console.prompts, 0U) << "people are not asked in vain";
  }
  void expect_refused(ErrorKind kind, const std::string& why) { expect_refused(kind, why, inputs()); }
};

TEST_F(CeremonyRun, LogsEachStepAroundItsAct) {
  const std::uint64_t from = size();
  const CeremonyResult done = run();
  EXPECT_THAT(entries(from), ElementsAre("ceremony", "ceremony-step", "ceremony-step ok", "ceremony-step",
                                         "mek-generate", "mek-generate ok", "ceremony-step ok",
                                         "ceremony-step", "ceremony-step ok", "ceremony ok"));
  EXPECT_EQ(console.prompts, kPrompts);
  EXPECT_EQ(meks(), 1);
  const Json record = encoding::parse_json(done.record, "record");
  EXPECT_EQ(record.at("outcome").at("result"), "complete");
  EXPECT_EQ(record.at("ceremony"), done.ceremony);
  EXPECT_EQ(entry(from).data.at("ceremony"), done.ceremony);
  EXPECT_EQ(done.record, encoding::canonical(record) + "\n");
  EXPECT_EQ(entry(size() - 1).data.at("record_sha256"), sha256_hex(done.record));
  EXPECT_THAT(done.differences, IsEmpty());
  EXPECT_THAT(done.unconfirmed, IsEmpty());
}

TEST_F(CeremonyRun, ShowsThePlanBeforeItBegins) {
  std::string shown;
  const std::uint64_t from = size();
  console.before = [&](const std::string& prompt) {
    if (!shown.empty()) return;
    shown = console.screen;
    EXPECT_EQ(prompt, "type Yes to begin: ");
    EXPECT_EQ(size(), from);
  };
  run();
  EXPECT_THAT(shown, HasSubstr(show(plan)));
  EXPECT_THAT(shown, EndsWith("At every prompt, 'stop' stops safely.\ntype Yes to begin: "));
}

TEST_F(CeremonyRun, BindsEachActToPlanStepAndAttempt) {
  const std::uint64_t from = size();
  run();
  const Json approval = entry(from + 4).data.at("approval");
  EXPECT_EQ(approval.at("plan_sha256"), plan.sha256);
  EXPECT_EQ(approval.at("ceremony"), entry(from).data.at("ceremony"));
  EXPECT_EQ(approval.at("step"), "make");
  EXPECT_EQ(approval.at("attempt"), 1U);
  EXPECT_EQ(approval.at("approvers"), Json::array());
  EXPECT_TRUE(encoding::is_hex(approval.at("nonce").get<std::string>(), 32));
  EXPECT_TRUE(appliance.log().state().approvals_used.contains(approval.at("nonce").get<std::string>()));
  EXPECT_TRUE(appliance.approve("mek-generate", {{"name", "x"}}).is_null())
      << "the plan's authority ends with the act";
}

TEST_F(CeremonyRun, BeginsAtAYesAlone) {
  const std::uint64_t from = size();
  console.first["type Yes"] = {"yes", "YES", "y"};
  EXPECT_ERROR(Usage, "the ceremony was not begun", run());
  EXPECT_EQ(console.prompts, 3U) << "a yes in other letters is asked again, anything else is a no";
  console = {};
  console.ends_at = kBegin;
  EXPECT_ERROR(Usage, "stopped: the input ended; nothing was done", run());
  EXPECT_EQ(size(), from);
  EXPECT_ERROR(Io, "was not kept", kept_plan(demo().home, plan.sha256));
  console = {};
  console.first["type Yes"] = {"yes"};
  EXPECT_NO_THROW(run()) << "the plan was not used up";
}

// The input ends once at each prompt behind the first, and people come back.
TEST_F(CeremonyRun, GoesOnFromWhereverItStopped) {
  for (std::size_t prompt = kDone; prompt <= kPrompts; ++prompt) {
    name = new_name();
    plan = parse_plan(plan_text(), "plan");
    std::filesystem::remove(dir / "log.checkpoint");
    run_until(prompt);
    EXPECT_THAT(demo().last_entries(1), ElementsAre("ceremony-stop")) << prompt;
    const CeremonyResult done = go_on();
    EXPECT_EQ(meks(), 1) << prompt;
    EXPECT_EQ(encoding::parse_json(done.record, "record").at("outcome").at("result"), "complete") << prompt;
    for (const auto& [id, attempts] : history().steps)
      EXPECT_EQ(attempts.size(), 1U) << prompt << ": a step whose act is done is not done again: " << id;
  }
}

TEST_F(CeremonyRun, StopsAsOftenAsPeopleLike) {
  run_until(kDone);
  std::size_t stops = 1;
  for (const std::size_t prompt : {1U, 3U, 2U, 1U, 1U}) {
    ScriptedConsole people;
    people.ends_at = prompt;
    EXPECT_ERROR(Usage, "the input ended", resume(appliance, inputs(), people));
    ++stops;
  }
  go_on();
  EXPECT_EQ(history().interruptions.size(), stops);
  EXPECT_EQ(meks(), 1);
}

TEST_F(CeremonyRun, SaysWhereAndWhyItStopped) {
  run_until(kGo);
  const Json stop = entry(size() - 1).data;
  EXPECT_EQ(stop.at("step"), "make");
  EXPECT_EQ(stop.at("cause"), "stopped: the input ended");
  EXPECT_EQ(stop.at("plan_sha256"), plan.sha256);
  const std::uint64_t from = size();
  go_on();
  EXPECT_THAT(console.screen, HasSubstr("Ceremony '" + name + "': A first key\nbegan "));
  EXPECT_THAT(console.screen, HasSubstr("; 1 of 3 steps are done\nstopped "));
  EXPECT_THAT(console.screen, HasSubstr(" at step 'make': stopped: the input ended\n"));
  EXPECT_THAT(console.screen, Not(HasSubstr("Step 1 of 3")));
  EXPECT_THAT(console.screen, HasSubstr("Step 2 of 3: make"));
  EXPECT_EQ(entry(from).kind, "ceremony-resume") << "before anything is done";
}

TEST_F(CeremonyRun, LogsACauseOfAnyKindAsOneShortLine) {
  const std::string umlaut = "\xc3\xa4";
  std::string message = "a\n\x1b[2J";
  while (message.size() < 600) message += umlaut;
  console.before = [&](const std::string& prompt) {
    if (prompt.find("'done'") != std::string::npos) throw std::runtime_error(message);
  };
  EXPECT_THROW(run(), std::runtime_error);
  const std::string cause = entry(size() - 1).data.at("cause").get<std::string>();
  EXPECT_EQ(entry(size() - 1).kind, "ceremony-stop");
  EXPECT_TRUE(std::ranges::none_of(cause, [](char c) { return c == '\n' || c == '\x1b'; })) << cause;
  EXPECT_THAT(cause, EndsWith(umlaut + "...")) << "cut between two letters";
  EXPECT_LE(cause.size(), 515U);
  EXPECT_GE(cause.size(), 514U);
}

TEST_F(CeremonyRun, TriesAnActThatFailedAgain) {
  console.before = [&](const std::string& prompt) {
    if (prompt.find("'done'") != std::string::npos) testing::write_text(dir / "log.checkpoint", "another");
  };
  EXPECT_ERROR(Io, "step 'checkpoint': ", run());
  EXPECT_THAT(demo().last_entries(3), ElementsAre("ceremony-step", "ceremony-step failed", "ceremony-stop"));
  EXPECT_THAT(entry(size() - 2).data.at("error").get<std::string>(), HasSubstr("log.checkpoint"));
  std::filesystem::remove(dir / "log.checkpoint");
  go_on();
  const History all = history();
  EXPECT_EQ(all.steps.at("checkpoint").size(), 2U);
  EXPECT_EQ(all.last_attempt("checkpoint")->number, 2U);
  EXPECT_EQ(all.steps.at("make").size(), 1U);
}

TEST_F(CeremonyRun, IsRefusedWhereThePlanDoesNotFit) {
  const auto with = [&](const std::string& from, const std::string& to) {
    CeremonyInputs out = inputs();
    out.plan = parse_plan(changed(plan_text(), from, to), "plan");
    return out;
  };
  expect_refused(ErrorKind::Denied, "the plan is for appliance plant-2 (", with("plant-1", "plant-2"));
  expect_refused(ErrorKind::ApprovalsMissing, "the plan was valid until 2027-01-15T08:00:00Z",
                 with("2027-01-16", "2027-01-15"));
  expect_refused(ErrorKind::ApprovalsMissing, "the plan wants 1 officers, this appliance has none",
                 with("threshold = 0", "threshold = 1"));
  expect_refused(ErrorKind::Denied,
                 "the plan demands image " + std::string(64, 'a') + ", and no image runs here",
                 with("[token]", "image = \"" + std::string(64, 'a') + "\"\n[token]"));
  expect_refused(
      ErrorKind::Denied,
      "the officers do not fit the plan; 'Anna Adler' signs as 'anna', and no officer has that name",
      with("role = \"leader\"", "role = \"leader\"\nofficer = \"anna\""));
  expect_refused(ErrorKind::Denied, "the keys do not fit the plan; step 'make': there is no MEK",
                 with("mek-generate", "mek-suspend"));
  expect_refused(ErrorKind::Denied, "the plan requires a rehearsal first",
                 with("rehearsed = false", "rehearsed = true"));
  testing::write_text(dir / "log.checkpoint", "x");
  expect_refused(ErrorKind::Denied,
                 "the files do not fit the plan; step 'checkpoint': output log.checkpoint exists already");
}

TEST_F(CeremonyRun, IsRefusedWithAnotherToken) {
  const std::uint64_t before = size();
  plan = parse_plan(changed(plan_text(), "SoftHSM v2", "HSM 9"), "plan");
  EXPECT_NO_THROW(look_at_run(appliance.outlook(), inputs())) << "without the token nothing is known of it";
  EXPECT_ERROR(Denied,
               "the token does not fit the plan; the token's model is \"SoftHSM v2\", the plan says 'HSM 9'",
               run());
  EXPECT_ERROR(Denied, "the token does not fit the plan", rehearse(appliance, inputs(), console, {}));
  EXPECT_EQ(size(), before);
}

TEST_F(CeremonyRun, ServesOnce) {
  run();
  std::filesystem::remove(dir / "log.checkpoint");
  console = {};
  expect_refused(ErrorKind::ApprovalsMissing, "this plan was used before, and serves once");
}

TEST_F(CeremonyRun, GoesOnAlone) {
  run_until(kGo);
  expect_refused(ErrorKind::ApprovalsMissing, "this plan was used before, and serves once");
  const std::string open = history().begin.at("ceremony").get<std::string>();
  CeremonyInputs other = inputs();
  name = new_name();
  other.plan = parse_plan(plan_text(), "plan");
  expect_refused(ErrorKind::Denied, "another ceremony has not ended: " + open, other);
}

TEST_F(CeremonyRun, MayBeginAnewWhereNothingWasDone) {
  run_until(kGo);
  const std::string first = history().begin.at("ceremony").get<std::string>();
  const CeremonyResult ended = abandon(appliance, inputs(), "the lamp went out", console);
  console = {};
  const CeremonyResult second = run();
  EXPECT_NE(second.ceremony, first);
  EXPECT_EQ(report(log(), plan).record, second.record) << "the plan's last";
  EXPECT_EQ(report(log(), plan, first).record, ended.record);
}

TEST_F(CeremonyRun, IsResumedWhereOneGoesOnAlone) {
  const auto refused = [&](const std::string& why) {
    const std::uint64_t before = size();
    EXPECT_ERROR(Usage, why, resume(appliance, inputs(), console));
    EXPECT_ERROR(Usage, why, look_at_resume(appliance.outlook(), inputs()));
    EXPECT_ERROR(Usage, why, abandon(appliance, inputs(), "a reason", console));
    EXPECT_ERROR(Usage, why, look_at_abandon(appliance.outlook(), inputs(), "a reason"));
    EXPECT_EQ(size(), before);
  };
  refused("no ceremony of this plan was begun");
  EXPECT_ERROR(Usage, "no ceremony of this plan has ended", report(log(), plan));
  run_until(kGo);
  EXPECT_ERROR(Usage, "no ceremony of this plan has ended", report(log(), plan));
  go_on();
  refused("the ceremony has ended: ok");
  EXPECT_ERROR(Usage, "no ceremony of this plan has ended", report(log(), plan, std::string(32, '0')));
}

TEST_F(CeremonyRun, IsNotResumedWhereInputsChanged) {
  testing::write_text(dir / "recovery.key", "key");
  plan = parse_plan(
      head() + step("compare", "manual",
                    "text = \"Compare.\"\nrecovery_key = \"recovery.key\"\nrecovery_key_sha256 = \"" +
                        sha256_hex("key") + "\"\n"),
      "plan");
  run_until(kDone);
  const std::uint64_t before = size();
  testing::write_text(dir / "recovery.key", "another");
  const std::string why = "the files do not fit the plan; step 'compare': recovery.key has SHA-256 " +
                          sha256_hex("another") + ", the plan says " + sha256_hex("key");
  EXPECT_ERROR(Denied, why, resume(appliance, inputs(), console));
  EXPECT_ERROR(Denied, why, look_at_resume(appliance.outlook(), inputs()));
  EXPECT_EQ(size(), before);
  testing::write_text(dir / "recovery.key", "key");
  EXPECT_NO_THROW(go_on());
}

TEST_F(CeremonyRun, IsAbandonedForAReasonAndAfterAYes) {
  run_until(kGo);
  const std::uint64_t before = size();
  for (const char* none : {"", " \t "})
    EXPECT_ERROR(Usage, "--why is empty", abandon(appliance, inputs(), none, console));
  EXPECT_ERROR(Usage, "--why is empty", look_at_abandon(appliance.outlook(), inputs(), ""));
  console.first["type Yes"] = {"no"};
  EXPECT_ERROR(Usage, "the ceremony was not ended", abandon(appliance, inputs(), "fire", console));
  console = {};
  console.ends_at = 1;
  EXPECT_ERROR(Usage, "the input ended; nothing was done", abandon(appliance, inputs(), "fire", console));
  EXPECT_EQ(size(), before);
  console = {};
  const CeremonyResult ended = abandon(appliance, inputs(), "fire", console);
  EXPECT_THAT(entries(before), ElementsAre("ceremony-step failed", "ceremony failed"));
  EXPECT_EQ(entry(before).data.at("error"), kAbandoned);
  EXPECT_EQ(entry(before).data.at("step"), "make");
  EXPECT_EQ(entry(before + 1).data.at("why"), "fire");
  const Json outcome = encoding::parse_json(ended.record, "record").at("outcome");
  EXPECT_EQ(outcome.at("result"), "abandoned");
  EXPECT_EQ(outcome.at("why"), "fire");
  EXPECT_THAT(ended.unconfirmed, IsEmpty());
  EXPECT_EQ(report(log(), plan).record, ended.record);
}

TEST_F(CeremonyRun, ThatIsAbandonedNamesTheActsThatStand) {
  run_until(kMadeInitials);
  const std::uint64_t act = history().steps.at("make").at(0).acts.at(0).seq;
  const CeremonyResult ended = abandon(appliance, inputs(), "fire", console);
  const std::string stands = "step 'make': its act (mek-generate) is done, log entry " + std::to_string(act) +
                             ", and stays; nobody confirmed it";
  EXPECT_THAT(ended.unconfirmed, ElementsAre(stands));
  EXPECT_LT(console.screen.find(stands), console.screen.find("type Yes")) << "people read it first";
  EXPECT_EQ(meks(), 1);
  console = {};
  expect_refused(ErrorKind::ApprovalsMissing, "this plan was used before, and serves once");
}

TEST_F(CeremonyRun, IsReportedAgainFromTheLog) {
  const CeremonyResult done = run();
  EXPECT_EQ(report(log(), plan).record, done.record);
  EXPECT_EQ(report(log(), plan, done.ceremony).record, done.record);
  Plan other = plan;
  other.title = "Another title";
  EXPECT_ERROR(Internal, "the record made again is not the one that the log names", report(log(), other));
}

TEST_F(CeremonyRun, KeepsItsPlan) {
  run_until(kDone);
  EXPECT_EQ(latest_plan(appliance.log().state()), plan.sha256);
  EXPECT_EQ(kept_plan(demo().home, plan.sha256).text, plan.text);
  EXPECT_ERROR(Io, "was not kept", kept_plan(demo().home, sha256_hex("another")));
  const auto kept = demo().home.approvals() / (plan.sha256 + ".plan");
  testing::write_text(kept, changed(plan.text, "A first key", "Another key"));
  EXPECT_ERROR(Denied, "the plan that was kept is not " + plan.sha256, kept_plan(demo().home, plan.sha256));
  testing::write_text(kept, plan.text);
}

TEST(LatestPlan, IsTheOneThatGoesOnElseTheLastThatBegan) {
  audit::State state;
  EXPECT_ERROR(Usage, "the log has no ceremony", latest_plan(state));
  state.ceremonies["a"] = {"1", 5, "ok", true};
  state.ceremonies["b"] = {"2", 9, "failed", false};
  state.ceremonies["c"] = {"3", 7, "ok", true};
  EXPECT_EQ(latest_plan(state), "b");
  state.ceremonies["d"] = {"4", 1, "", false};
  EXPECT_EQ(latest_plan(state), "d");
}

TEST_F(CeremonyRun, IsRehearsedWithoutOfficersAndWithoutARehearsal) {
  plan = parse_plan(changed(head(2), "rehearsed = false", "rehearsed = true") + three_steps(), "plan");
  const CeremonyResult done = rehearse(appliance, inputs(), console, {"MEK 'x#1'"});
  const Json record = encoding::parse_json(done.record, "record");
  EXPECT_EQ(record.at("stand_ins"), Json({"MEK 'x#1'"}));
  EXPECT_EQ(record.at("rehearsal_sha256"), nullptr);
  EXPECT_EQ(record.at("comparison"), nullptr);
  EXPECT_EQ(console.prompts, kPrompts - 1) << "all but the Yes";
  EXPECT_EQ(meks(), 1);
}

}  // namespace
}  // namespace qpcseal::ceremony
