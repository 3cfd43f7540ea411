// SPDX-License-Identifier: Apache-2.0
#include "appliance/site/health.h"

#include <gtest/gtest.h>

#include "tests/site/logged_home.h"

namespace qpcseal::site {
namespace {

using qpcseal::testing::LoggedHome;

constexpr UnixTime kNow = 1800000000;

TEST(PolicyNotice, IsGivenFromItsDayOnUntilThePolicyEnds) {
  const auto notice = [](UnixTime left) { return policy_notice(kNow + left, kNow, kPolicyNotice); };
  EXPECT_EQ(notice(kPolicyNotice + 1), "");
  EXPECT_EQ(notice(kPolicyNotice).substr(0, 31), "the policy expires in 30 days, ");
  EXPECT_EQ(notice(audit::kDay).substr(0, 30), "the policy expires in 1 day, a");
  EXPECT_EQ(notice(audit::kDay - 1).substr(0, 39), "the policy expires in less than a day, ");
  EXPECT_EQ(notice(0), "");
}

class Morning : public ::testing::Test {
 protected:
  LoggedHome site;
  RunningImage running;
  HomeHealth look(UnixTime later = 0) {
    return look_at_home(site.home, site.host.clock.time + later, running);
  }
  static const HealthCheck& check(const HomeHealth& health, const std::string& id) {
    for (const HealthCheck& one : health.checks)
      if (one.id == id) return one;
    throw std::runtime_error("no check " + id);
  }
};

TEST_F(Morning, SaysHowTheNextCommandWouldFail) {
  const HomeHealth health = look();
  EXPECT_EQ(check(health, "log").health, Health::Fine);
  EXPECT_EQ(check(health, "genesis").health, Health::Fault);
  EXPECT_EQ(check(health, "genesis").kind, ErrorKind::ApprovalsMissing);
  ASSERT_NE(first_fault(health.checks), nullptr);
  site.accept_genesis();
  EXPECT_EQ(check(look(), "genesis").health, Health::Fine);
}

TEST_F(Morning, FindsAClockBehindAndFarAheadOfTheLog) {
  EXPECT_EQ(check(look(), "clock").health, Health::Fine);
  EXPECT_EQ(check(look(-301), "clock").kind, ErrorKind::Denied);
  EXPECT_EQ(check(look(7 * audit::kDay), "clock").health, Health::Fine);
  EXPECT_EQ(check(look((7 * audit::kDay) + 1), "clock").health, Health::Fault);
}

TEST_F(Morning, StopsAtADamagedLogWithTheStateUnknown) {
  testing::write_text(site.home.log() / "entries.jsonl", "nonsense\n");
  const HomeHealth health = look();
  EXPECT_EQ(check(health, "log").kind, ErrorKind::LogDamaged);
  EXPECT_FALSE(health.state);
  for (const HealthCheck& one : health.checks) EXPECT_NE(one.id, "policy");
}

TEST_F(Morning, HoldsTheModuleAgainstTheDigestOfTheFacts) {
  LoggedHome demo(false);
  const std::filesystem::path file = demo.home.root / "module.so";
  const auto module = [&](const std::string& code) {
    testing::write_text(file, code);
    testing::write_text(demo.home.site(), Site{file, "label", "", false, "tty", {}}.text(demo.home));
    return check(look_at_home(demo.home, demo.host.clock.time, running), "module");
  };
  EXPECT_EQ(module("code").kind, ErrorKind::Token);
  EXPECT_EQ(module("code").text,
            file.string() + " is not the pinned module: its SHA-256 is " + sha256_hex("code"));
  audit::SiteFacts pinned = testing::site_facts();
  pinned.module_sha256 = sha256_hex("code");
  demo.log->event("site", {{"old", audit::as_json(testing::site_facts())}, {"new", audit::as_json(pinned)}});
  EXPECT_EQ(module("code").health, Health::Fine);
  EXPECT_EQ(module("other code").kind, ErrorKind::Token);
}

TEST_F(Morning, FindsFilesThatTheLogDoesNotName) {
  testing::write_text(site.home.policy(), site.policy_text + "\n");
  testing::write_text(site.home.officers(), site.officers_text + "\n");
  const HomeHealth health = look();
  for (const char* id : {"policy", "officers"}) {
    EXPECT_EQ(check(health, id).health, Health::Fault) << id;
    EXPECT_EQ(check(health, id).kind, ErrorKind::Denied) << id;
  }
}

TEST_F(Morning, FindsAPolicyThatExpired) {
  EXPECT_EQ(check(look(), "policy").kind, ErrorKind::Denied);
  EXPECT_EQ(check(look(), "policy").text, "the policy expired at 2027-01-01T00:00:00Z");
}

TEST_F(Morning, MissesABundleThatThePolicyRequires) {
  EXPECT_EQ(check(look(), "trust").health, Health::Fine) << "the sample requires none";
  const LoggedHome strict(true,
                          testing::sample_policy_text("\"none\"\n[[device]]", "\"required\"\n[[device]]"));
  const HomeHealth health = look_at_home(strict.home, strict.host.clock.time, running);
  EXPECT_EQ(std::ranges::count(health.checks, "trust", &HealthCheck::id), 1);
  const HealthCheck found = check(health, "trust");
  EXPECT_EQ(found.health, Health::Fault);
  EXPECT_EQ(found.kind, ErrorKind::Denied);
  EXPECT_EQ(found.text, "the policy requires a collateral bundle, and none was imported");
}

TEST_F(Morning, NamesACeremonyThatGoesOn) {
  site.log->intent("ceremony", {{"ceremony", std::string(32, '1')}, {"plan_sha256", std::string(64, '2')}});
  const HomeHealth health = look();
  const HealthCheck found = check(health, "open acts");
  EXPECT_EQ(found.health, Health::Warning);
  EXPECT_EQ(found.text, "a ceremony has not ended");
}

TEST_F(Morning, TellsTheImageThatRunsFromTheOneOfTheFacts) {
  const std::string root(64, '1'), other(64, '2');
  const auto image = [&](const RunningImage& now) {
    running = now;
    return check(look(), "image");
  };
  EXPECT_EQ(image({}).text, "no image runs, and the site's facts demand none");
  EXPECT_EQ(image({root, ""}).text, "image " + root + " runs, and the site's facts demand none");
  EXPECT_EQ(image({root, ""}).health, Health::Fine) << "nothing is demanded";
  const HealthCheck claimed = image({"", "roothash= is no word"});
  EXPECT_EQ(claimed.health, Health::Warning);
  EXPECT_EQ(claimed.text, "no image (roothash= is no word) runs, and the site's facts demand none");

  audit::SiteFacts next = testing::site_facts();
  next.image = root;
  site.log->event("site", {{"old", as_json(testing::site_facts())},
                           {"new", as_json(next)},
                           {"approval", {{"nonce", other}, {"request_sha256", other}}}});
  EXPECT_EQ(image({root, ""}).text, "it is the one of the site's facts");
  EXPECT_EQ(image({root, ""}).health, Health::Fine);
  for (const RunningImage& bad : {RunningImage{other, ""}, RunningImage{}, RunningImage{"", "bad"}}) {
    const HealthCheck found = image(bad);
    EXPECT_EQ(found.health, Health::Fault);
    EXPECT_EQ(found.kind, ErrorKind::Denied);
    EXPECT_NE(found.text.find("the site's facts name image " + root), std::string::npos) << found.text;
    EXPECT_NE(found.hint.find("qpcseal site change --image"), std::string::npos) << found.hint;
  }
}

}  // namespace
}  // namespace qpcseal::site
