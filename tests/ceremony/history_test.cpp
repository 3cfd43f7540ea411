// SPDX-License-Identifier: Apache-2.0
// The history of a ceremony, read from the log, and who signed its plan.
#include "appliance/ceremony/history.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "appliance/approval/approval_request.h"
#include "appliance/ceremony/fixtures.h"
#include "appliance/ceremony/signers.h"
#include "tests/base/expect_error.h"
#include "tests/site/logged_home.h"

namespace qpcseal::ceremony {
namespace {

using encoding::Json;
using qpcseal::testing::LoggedHome;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

const std::string kPlan = sha256_hex("plan"), kId(32, '1');

class CeremonyLog : public ::testing::Test {
 protected:
  LoggedHome site{false};

  audit::Txn begin(const std::string& plan = kPlan, const std::string& id = kId) {
    return site.log->intent("ceremony", {{"ceremony", id}, {"plan_sha256", plan}, {"note", "first"}});
  }
  audit::Txn step(const std::string& name, std::uint64_t attempt) {
    return site.log->intent(
        "ceremony-step", {{"ceremony", kId}, {"plan_sha256", kPlan}, {"step", name}, {"attempt", attempt}});
  }
  audit::Txn act(const std::string& name, std::uint64_t attempt, const std::string& id = kId) {
    return site.log->intent("pin-change", {{"token_serial", "7"},
                                           {"approval",
                                            {{"nonce", sha256_hex(std::to_string(site.log->state().size))},
                                             {"ceremony", id},
                                             {"plan_sha256", kPlan},
                                             {"step", name},
                                             {"attempt", attempt},
                                             {"approvers", Json::array()}}}});
  }
  std::uint64_t end(const audit::Txn& txn, const std::string& outcome, Json data = Json::object()) {
    return site.log->result(txn, outcome, std::move(data));
  }
  History read() { return find_history(site.copy(), kPlan).value(); }
};

TEST_F(CeremonyLog, KnowsNoCeremonyOfAnotherPlan) {
  EXPECT_FALSE(find_history(site.copy(), kPlan));
  begin();
  EXPECT_TRUE(find_history(site.copy(), kPlan));
  EXPECT_FALSE(find_history(site.copy(), sha256_hex("another plan")));
}

TEST_F(CeremonyLog, OfACeremonyThatJustBegan) {
  const audit::Txn txn = begin();
  const History history = read();
  EXPECT_EQ(history.seq, txn.seq);
  EXPECT_EQ(history.txn, txn.id);
  EXPECT_EQ(history.began, site.host.clock.time);
  EXPECT_EQ(history.last_seen, history.began);
  EXPECT_THAT(history.interruptions, IsEmpty());
  EXPECT_EQ(history.begin.at("note"), "first");
  EXPECT_THAT(history.steps, IsEmpty());
  EXPECT_EQ(history.end, std::nullopt);
  EXPECT_EQ(history.last_attempt("one"), nullptr);
  EXPECT_FALSE(history.done("one"));
}

TEST_F(CeremonyLog, CountsTheAttemptsOfAStep) {
  begin();
  const audit::Txn first = step("one", 1);
  site.host.clock.time += 5;
  end(first, "failed", {{"why", "no"}});
  const audit::Txn second = step("one", 2);
  History history = read();
  ASSERT_EQ(history.steps.at("one").size(), 2U);
  EXPECT_EQ(history.steps.at("one")[0].outcome, "failed");
  EXPECT_EQ(history.steps.at("one")[0].data.at("why"), "no");
  EXPECT_EQ(history.steps.at("one")[0].ended, history.steps.at("one")[0].began + 5);
  EXPECT_EQ(history.last_attempt("one")->number, 2U);
  EXPECT_EQ(history.last_attempt("one")->seq, second.seq);
  EXPECT_EQ(history.last_attempt("one")->outcome, "") << "it is open";
  EXPECT_FALSE(history.done("one"));
  end(second, "ok");
  EXPECT_TRUE(read().done("one"));
  EXPECT_EQ(read().last_seen, site.host.clock.time);
}

TEST_F(CeremonyLog, HasTheActsUnderTheirAttempt) {
  begin();
  const audit::Txn one = step("one", 1);
  const audit::Txn mine = act("one", 1), others = act("one", 1, std::string(32, '2')), later = act("one", 2);
  const std::uint64_t seq = end(mine, "ok", {{"token_serial", "7"}});
  end(others, "ok", {{"token_serial", "7"}});
  end(later, "ok", {{"token_serial", "7"}});
  const audit::Txn open = act("one", 1);
  const History history = read();
  const std::vector<LoggedAct>& acts = history.steps.at("one").at(0).acts;
  ASSERT_EQ(acts.size(), 1U) << "not those of another ceremony, of no attempt, or without a result";
  EXPECT_EQ(acts[0].seq, seq);
  EXPECT_EQ(acts[0].kind, "pin-change");
  EXPECT_EQ(acts[0].outcome, "ok");
  EXPECT_EQ(acts[0].intent.at("approval").at("attempt"), 1U);
  EXPECT_EQ(acts[0].data.at("token_serial"), "7");
  static_cast<void>(open);
  static_cast<void>(one);
}

TEST_F(CeremonyLog, EndsWithItsResult) {
  const audit::Txn txn = begin();
  end(step("one", 1), "ok");
  const std::uint64_t seq = end(txn, "ok", {{"page", "x"}});
  const std::string next = sha256_hex("next plan");
  begin(next, std::string(32, '3'));
  const History history = read();
  EXPECT_EQ(history.end, seq);
  EXPECT_EQ(history.outcome, "ok");
  EXPECT_EQ(history.result.at("page"), "x");
  EXPECT_EQ(history.steps.size(), 1U);
  EXPECT_THAT(find_history(site.copy(), next)->steps, IsEmpty());
}

TEST_F(CeremonyLog, NamesEachStopAndResume) {
  begin();
  const UnixTime start = site.host.clock.time;
  const Json ids{{"ceremony", kId}, {"plan_sha256", kPlan}};
  Json stopped = ids;
  stopped.update({{"step", "one"}, {"cause", "stopped: the input ended"}});
  site.host.clock.time += 10;
  site.log->event("ceremony-stop", stopped);
  site.host.clock.time += 10;
  site.log->event("ceremony-resume", ids);
  end(step("one", 1), "ok");
  site.host.clock.time += 10;  // killed here, and resumed
  site.log->event("ceremony-resume", ids);
  const std::vector<Interruption> all = read().interruptions;
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[0].stopped, start + 10);
  EXPECT_EQ(all[0].step + ", " + all[0].cause, "one, stopped: the input ended");
  EXPECT_EQ(all[0].resumed, start + 20);
  EXPECT_EQ(all[1].stopped, std::nullopt) << "a run that is killed says nothing";
  EXPECT_EQ(all[1].last_seen, start + 20);
  EXPECT_EQ(all[1].resumed, start + 30);
}

TEST_F(CeremonyLog, ADemonstrationMayBeRehearsedIn) {
  EXPECT_NO_THROW(require_demo_appliance(site.copy().state));
  LoggedHome real;
  EXPECT_ERROR(Denied, "a rehearsal makes and destroys keys without asking anybody",
               require_demo_appliance(real.copy().state));
  audit::State accepted = site.copy().state;
  accepted.genesis_accepted = true;
  EXPECT_ERROR(Denied, "a rehearsal makes and destroys keys", require_demo_appliance(accepted));
}

TEST(RehearsalFolder, IsGoneAfterwards) {
  testing::CountingRandom random;
  std::filesystem::path dir;
  {
    const Scratch scratch(random);
    dir = scratch.path();
    EXPECT_TRUE(std::filesystem::is_directory(dir));
    EXPECT_EQ(std::filesystem::status(dir).permissions(), std::filesystem::perms::owner_all);
    testing::write_text(dir / "file", "x");
  }
  EXPECT_FALSE(std::filesystem::exists(dir));
}

class PlanSigners : public ::testing::Test {
 protected:
  LoggedHome site;
  Plan plan;
  audit::State state = site.copy().state;
  UnixTime now = site.host.clock.time;

  PlanSigners() {
    plan.text = "the plan";
    plan.threshold = 2;
    site.officers_text = site.anna.line("plan@qpcseal") + site.bela.line("plan@qpcseal");
    testing::write_text(site.home.officers(), site.officers_text);
    state.officers_digest = sha256_hex(site.officers_text);
    state.genesis_accepted = true;
  }
  std::string by(const testing::OfficerKey& officer) const { return officer.sign(plan.text, "plan@qpcseal"); }
  Signed check(const std::vector<std::string>& signatures) {
    return check_signatures(plan, site.home, state, signatures, now);
  }
};

TEST_F(PlanSigners, AreAsManyAsThePlanWants) {
  const std::string anna = by(site.anna), bela = by(site.bela);
  EXPECT_ERROR(ApprovalsMissing, "the plan wants 2 officers, 0 signed it so that it counts", check({}));
  EXPECT_ERROR(ApprovalsMissing, "the plan wants 2 officers, 1 signed it", check({anna, anna}));
  EXPECT_ERROR(ApprovalsMissing, "the plan wants 2 officers, 1 signed it",
               check({anna, site.bela.sign(plan.text, "approval@qpcseal")}));
  const Signed both = check({bela, site.bela.sign("another plan", "plan@qpcseal"), anna});
  EXPECT_EQ(approval::approver_names(both.tally.approvers), "bela, anna");
  EXPECT_THAT(both.signatures, ElementsAre(bela, anna)) << "in the order of the approvers";
}

TEST_F(PlanSigners, SignTheGenesisFirst) {
  state.genesis_accepted = false;
  EXPECT_ERROR(ApprovalsMissing, "the officers have not signed the genesis yet",
               check({by(site.anna), by(site.bela)}));
}

TEST_F(PlanSigners, AreTheOfficersOfTheLog) {
  state.officers_digest = sha256_hex("others");
  EXPECT_ERROR(Denied, "is not the officers file in the log", check({by(site.anna), by(site.bela)}));
}

TEST_F(PlanSigners, AreNobodyInADemonstrationWithout) {
  state.officers_digest.clear();
  EXPECT_ERROR(ApprovalsMissing, "the plan wants 2 officers, this appliance has none",
               check({by(site.anna)}));
  plan.threshold = 0;
  EXPECT_THAT(check({by(site.anna)}).signatures, IsEmpty());
  EXPECT_THAT(find_rejecters(plan, site.home, state, {}, now), IsEmpty());
}

TEST_F(PlanSigners, MayRejectThePlan) {
  const std::string rejection = site.bela.sign(approval::rejection_text(plan.text), "plan@qpcseal");
  EXPECT_EQ(approval::approver_names(find_rejecters(plan, site.home, state, {by(site.anna), rejection}, now)),
            "bela");
  EXPECT_THAT(find_rejecters(plan, site.home, state, {by(site.anna)}, now), IsEmpty());
}

TEST_F(PlanSigners, MustCountStillWhenItGoesOn) {
  const Json begin = {
      {"approvers", {{{"name", "anna"}, {"fingerprint", "x"}}, {{"name", "bela"}, {"fingerprint", "y"}}}},
      {"signatures", {by(site.anna), by(site.bela)}}};
  const auto check = [&] { check_signers(plan, site.home, state, begin, now); };
  EXPECT_NO_THROW(check());
  const std::string left = site.anna.line("plan@qpcseal");
  testing::write_text(site.home.officers(), left);
  state.officers_digest = sha256_hex(left);
  EXPECT_ERROR(ApprovalsMissing, "of those who signed it 1 count still, and no longer bela", check());
  plan.threshold = 1;
  EXPECT_NO_THROW(check());
}

}  // namespace
}  // namespace qpcseal::ceremony
